"""What no MTA would say to the milter, on both sockets: it keeps its memory and its wits, and answers the next one. Also how it
starts and ends. There is no Dovecot: nothing of this may depend on one."""

import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from dovecot import BUILD
from milter_client import ACCEPT, CONTINUE, NO_BODY, NR_HEADER, REPLY_CODE, MilterClient
from process import Daemon, Log, loopback_address

PROGRAM = BUILD / "sbin" / "backscatter-milter"
FILTER = BUILD / "libexec" / "filter-backscatter"
USER = "nobody"
ANN = "ann@example.org"
MIB = 1024 * 1024
SERIAL = re.compile("[A-Z2-7]{37}")
EXIT_CONFIG = 78
# what milter/line.h promises
LINE_MAX_REQUEST = MIB
LINE_DEADLINE = 5
MAX_RECIPIENTS = 10000

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="the milter is not built here")


class Milter:
    def __init__(self, **settings: str):
        self.folder = Path(tempfile.mkdtemp(prefix="bs-milter-", dir="/tmp"))
        self.log = Log(self.folder / "log")
        self.socket, self.line_socket = self.folder / "milter.sock", self.folder / "line.sock"
        self.config = self.folder / "milter.conf"
        (self.folder / "site.key").write_text("2023-11-14 " + "0f" * 32 + "\n")
        (self.folder / "api.key").write_text("key")
        for name in ("site.key", "api.key"):
            (self.folder / name).chmod(0o600)
        shutil.chown(self.folder, USER)
        self.write_config(**settings)
        self.daemon: Daemon | None = None

    def write_config(self, **settings: str) -> None:
        values = {"socket": f"unix:{self.socket}", "line_socket": self.line_socket, "site_key": self.folder / "site.key",
                  "spool": self.folder / "spool.db", "doveadm_socket": self.folder / "nobody", "user": USER,
                  "doveadm_api_key": self.folder / "api.key", "sender_check": "off"} | settings
        self.config.write_text("".join(f"{name} = {value}\n" for name, value in values.items()))

    def start(self) -> "Milter":
        self.daemon = Daemon([str(PROGRAM), "-c", str(self.config)], self.log, "ready$")
        return self

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([PROGRAM, "-c", self.config, *arguments], capture_output=True, text=True, timeout=20)

    def kill(self) -> None:
        os.kill(self.daemon.pid, signal.SIGKILL)
        self.halt()

    def halt(self) -> None:
        if self.daemon is not None:
            self.daemon.stop()
            self.daemon = None

    def stop(self) -> None:
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def highest_memory(self) -> int:
        """Bytes"""
        status = Path(f"/proc/{self.daemon.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024

    def mta(self) -> MilterClient:
        return MilterClient(self.socket)

    def ask(self, request: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(self.line_socket))
            try:
                client.sendall(request)
            except BrokenPipeError:
                pass
            return read_all(client)

    def rows(self) -> int:
        """Ends it: the file is its own while it runs."""
        self.halt()
        with sqlite3.connect(self.folder / "spool.db") as spool:
            return spool.execute("SELECT count(*) FROM row").fetchone()[0]

    def assert_works(self) -> None:
        with self.mta() as mta:
            mta.negotiate()
            answer = mta.message(ANN, ["bob@example.net"], [("From", ANN), ("Message-ID", "<1@example.org>")], login=ANN)
            assert answer.verdict == CONTINUE
            assert SERIAL.fullmatch(answer.header("X-Backscatter-Serial"))
        assert SERIAL.fullmatch(self.ask(b"1\tserial\tuser=ann\tsender=ann@example.org\n").decode().split("\t")[2])


def read_all(client: socket.socket) -> bytes:
    got = b""
    try:
        while more := client.recv(65536):
            got += more
    except ConnectionResetError:
        pass
    return got


@pytest.fixture
def make_milter(attach_log):
    milters = []

    def make(**settings: str) -> Milter:
        milter = Milter(**settings)
        milters.append(milter)
        attach_log("milter", milter.log)
        return milter

    yield make
    for milter in milters:
        milter.stop()


@pytest.fixture
def milter(make_milter) -> Milter:
    return make_milter().start()


# Noise

def test_random_bytes_on_the_milter_socket(milter):
    noise = random.Random(1)
    for _ in range(200):
        with milter.mta() as mta:
            if noise.random() < 0.5:
                mta.negotiate()
            try:
                mta.socket.sendall(noise.randbytes(noise.randrange(1, 3000)))
                mta.socket.shutdown(socket.SHUT_WR)
                assert mta.is_closed()
            except (BrokenPipeError, ConnectionResetError):
                pass
    milter.assert_works()


def test_random_commands(milter):
    """Packets that are whole, in an order that makes no sense, with contents that don't either."""
    noise = random.Random(2)
    commands = b"ABCDEHLMNOQRTUK"
    for _ in range(200):
        with milter.mta() as mta:
            mta.negotiate()
            try:
                for _ in range(noise.randrange(1, 40)):
                    command = bytes([noise.choice(commands)])
                    content = noise.choice([b"", b"\0", b"M{auth_authen}\0ann\0", b"<ann@example.org>\0ENVID=x\0", b"From\0x\0",
                                            noise.randbytes(noise.randrange(0, 200))])
                    mta.send(command, content)
                mta.socket.shutdown(socket.SHUT_WR)
                assert mta.is_closed()
            except (BrokenPipeError, ConnectionResetError):
                pass
    milter.assert_works()


def test_random_bytes_on_the_line_socket(milter):
    noise = random.Random(3)
    for _ in range(200):
        request = noise.randbytes(noise.randrange(0, 3000)).replace(b"\n", b"")
        assert milter.ask(request + b"\n").startswith(b"1\terror\t")
    milter.assert_works()


def test_random_parameters_on_the_line_socket(milter):
    noise = random.Random(4)
    names = [b"sender", b"recipient", b"recipients", b"envid", b"message-id", b"date", b"field", b"serial", b"x"]
    for _ in range(200):
        parameters = b"".join(b"\t" + noise.choice(names) + b"=" + noise.randbytes(noise.randrange(0, 40)).replace(b"\0", b"")
                              for _ in range(noise.randrange(0, 20))).replace(b"\n", b"")
        answer = milter.ask(b"1\tmessage\tuser=ann" + parameters + b"\n")
        assert re.match(rb"1\tok\t[A-Z2-7]{37}\t\t[^\n]*\n\Z", answer), answer


def test_noise_in_opensmtpds_filter(milter):
    noise = random.Random(5)
    events = [b"link-auth", b"link-disconnect", b"protocol-client", b"tx-rcpt", b"mail-from", b"data-line", b"commit", b"x"]
    lines = [b"config|ready"]
    for _ in range(3000):
        parts = [noise.choice([b"report", b"filter", b"x", b""]), b"0.7", b"1.1", b"smtp-in", noise.choice(events),
                 noise.choice([b"s1", b"s2", b""]), *(noise.choice([b"pass", b"ok", b"t", b"", b"a@b", b"MAIL FROM:<a@b> ENVID=x",
                                                                    noise.randbytes(20).replace(b"\n", b"")])
                                                      for _ in range(noise.randrange(0, 4)))]
        lines.append(b"|".join(parts[:noise.randrange(1, len(parts) + 1)]))
    done = subprocess.run([FILTER, "-e", "-t", milter.line_socket], input=b"\n".join(lines) + b"\n", capture_output=True,
                          timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"register|report|")


# Too much

@pytest.mark.parametrize("size", [256 * 1024 + 2, 2**31 - 1, 2**31, 2**31 + 5, 2**32 - 1])
def test_a_packet_that_is_announced_too_large(milter, size):
    with milter.mta() as mta:
        mta.negotiate()
        before = milter.highest_memory()
        mta.socket.sendall(struct.pack(">I", size) + b"L" + b"x" * 1000)
        mta.socket.shutdown(socket.SHUT_WR)
        assert mta.is_closed()
    assert milter.highest_memory() - before < 2 * MIB
    milter.assert_works()


def test_empty_packet(milter):
    with milter.mta() as mta:
        mta.negotiate()
        mta.socket.sendall(struct.pack(">I", 0))
        mta.socket.shutdown(socket.SHUT_WR)
        assert mta.is_closed()
    milter.assert_works()


def test_ten_thousand_fields(milter):
    """Half of them senders of 10 KiB: far more than is kept."""
    with milter.mta() as mta:
        mta.negotiate()
        before = milter.highest_memory()
        header = [("Message-ID", "<1@example.org>")]
        header += [("From" if i % 2 else "X-Field", "x" * 10240) for i in range(10000)]
        answer = mta.message(ANN, ["bob@example.net"], header, login=ANN)
        assert SERIAL.fullmatch(answer.header("X-Backscatter-Serial"))
        assert answer.header("Message-ID") is None
    assert milter.highest_memory() - before < 4 * MIB


def test_a_field_as_large_as_postfix_sends_it(milter):
    """header_size_limit is 102,400 bytes; libmilter's own limit would be 65,535, and end the session."""
    with milter.mta() as mta:
        mta.negotiate()
        answer = mta.message(ANN, ["bob@example.net"], [("From", ANN), ("X-Large", "x" * 200_000)], login=ANN)
        assert SERIAL.fullmatch(answer.header("X-Backscatter-Serial"))


def test_body_of_100_mib(milter):
    """The milter has asked for none; who sends it all the same is borne with."""
    with milter.mta() as mta:
        mta.negotiate()
        assert mta.steps & NO_BODY
        assert mta.steps & NR_HEADER
        mta.steps &= ~NO_BODY
        before = milter.highest_memory()
        answer = mta.message(ANN, ["bob@example.net"], [("From", ANN)], b"x" * 100 * MIB, login=ANN)
        assert SERIAL.fullmatch(answer.header("X-Backscatter-Serial"))
    assert milter.highest_memory() - before < 2 * MIB


def test_more_recipients_than_are_kept(milter):
    with milter.mta() as mta:
        mta.negotiate()
        recipients = [f"bob{i}@example.net" for i in range(3 * MAX_RECIPIENTS)]
        before = milter.highest_memory()
        answer = mta.message(ANN, recipients, [("From", ANN)], login=ANN)
        assert SERIAL.fullmatch(answer.header("X-Backscatter-Serial"))
    assert milter.highest_memory() - before < 20 * MIB
    assert milter.rows() == 1


def test_large_macros(milter):
    with milter.mta() as mta:
        mta.negotiate()
        before = milter.highest_memory()
        for _ in range(100):
            for stage in (b"C", b"H", b"M", b"R", b"T", b"E", b"N"):
                mta.macros(stage, {"{x}": "x" * 200_000})
        assert mta.message(ANN, ["bob@example.net"], [("From", ANN)], login=ANN).verdict == CONTINUE
    assert milter.highest_memory() - before < 10 * MIB


def test_thousand_messages_in_one_session(milter):
    with milter.mta() as mta:
        mta.negotiate()

        def send(count: int) -> None:
            for _ in range(count):
                assert mta.message(ANN, ["bob@example.net"] * 100, [("From", ANN), ("X-Field", "x" * 5000)],
                                   login=ANN).verdict == CONTINUE
        send(100)
        before = milter.highest_memory()
        send(900)
    # what waits for Dovecot is known by number
    assert milter.highest_memory() - before < 6 * MIB
    assert milter.rows() == 1000


def test_request_that_is_too_long(milter):
    before = milter.highest_memory()
    assert milter.ask(b"1\tmessage\tuser=ann\tfield=From: " + b"x" * 4 * LINE_MAX_REQUEST + b"\n") in (
        b"1\terror\ttoo long\n", b"")
    assert milter.highest_memory() - before < 6 * MIB
    milter.assert_works()


def test_request_that_never_ends(milter):
    """It gets an answer at the deadline, and holds up nobody meanwhile."""
    with socket.socket(socket.AF_UNIX) as slow:
        slow.settimeout(30)
        slow.connect(str(milter.line_socket))
        slow.sendall(b"1\tmessage\tuser=ann")
        milter.assert_works()
        start = time.monotonic()
        assert read_all(slow) == b"1\terror\tnot complete in time\n"
        assert time.monotonic() - start < LINE_DEADLINE + 2


def test_more_connections_than_are_served_at_a_time(milter):
    """Those that say nothing are given up; the next one in the queue is answered."""
    clients = [socket.socket(socket.AF_UNIX) for _ in range(100)]
    for client in clients:
        client.connect(str(milter.line_socket))
    milter.assert_works()
    for client in clients:
        client.close()


def test_request_with_a_nul(milter):
    assert milter.ask(b"1\tmessage\tuser=ann\0\tsender=x\n") == b"1\terror\ta NUL in it\n"


def test_request_without_end_of_line(milter):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(milter.line_socket))
        client.sendall(b"1\tserial\tuser=ann\tsender=ann@example.org")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).startswith(b"1\tok\t")


# Whose mail it is

def test_transit_mail_is_not_touched(milter):
    """Also in the session in which somebody has logged in before (as no MTA has it)."""
    with milter.mta() as mta:
        mta.negotiate()
        for login, verdict in ((None, ACCEPT), (ANN, CONTINUE), (None, ACCEPT), ("", ACCEPT)):
            answer = mta.message("eve@example.net", [ANN], [("From", "eve@example.net")], login=login)
            assert answer.verdict == verdict
            assert (answer.inserted == []) == (verdict == ACCEPT)
    assert milter.rows() == 1


def test_an_aborted_message_leaves_nothing_to_the_next(milter):
    with milter.mta() as mta:
        mta.negotiate()
        assert mta.mail(ANN, "ENVID=x", login=ANN) == CONTINUE
        mta.rcpt("bob@example.net")
        mta.header("Message-ID", "<1@example.org>")
        mta.abort()
        answer = mta.message(ANN, ["bob@example.net"], [("From", ANN)], login=ANN)
        assert answer.header("Message-ID")
        assert [arguments[:6] for _, arguments in answer.changed_from] == ["ENVID="]


def test_a_message_whose_content_goes_elsewhere(milter):
    """Postfix with smtpd_proxy_filter asks about the envelope only, and has no queue file. One that has may abort."""
    with milter.mta() as mta:
        mta.negotiate()
        for queue_id, has_end in (({"i": "4F3D45E6374"}, False), ({}, True), ({}, False)):
            assert not milter.log.lines("before-queue filter")
            assert mta.mail(ANN, login=ANN) == CONTINUE
            mta.rcpt("bob@example.net")
            mta.macros(b"T", queue_id)
            assert mta.data() == CONTINUE
            if has_end:
                mta.header("From", ANN)
                assert mta.end_of_message().verdict == CONTINUE
            else:
                mta.abort()
        milter.log.wait(f"error: {ANN}: a message leaves without serial and row: .*before-queue filter")
    assert milter.rows() == 1


def test_what_opensmtpds_filter_says(milter):
    """In the words of OpenSMTPD 7.6, which only Debian 13 has."""
    mail = [f"report|0.7|1.1|smtp-in|protocol-client|s1|MAIL FROM:<{ANN}> RET=HDRS", f"filter|0.7|1.1|smtp-in|mail-from|s1|t1|{ANN}"]
    lines = [f"filter|0.7|1.1|smtp-in|data-line|s1|t2|{line}" for line in (f"From: {ANN}", "Subject: a|b", "", "..", ".")]
    commit = ["filter|0.7|1.1|smtp-in|commit|s1|t3|"]

    def answers(*events: str, options: tuple[str, ...] = ()) -> list[str]:
        """To these, and to a message."""
        with subprocess.Popen([FILTER, *options, milter.line_socket], text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as smtpd:
            said = []
            for events, last in (([*events, "config|ready", *mail], "|t1|"), (lines, "|."), (commit, "|t3|")):
                smtpd.stdin.write("\n".join(events) + "\n")
                smtpd.stdin.flush()
                while not said or last not in said[-1]:
                    said.append(smtpd.stdout.readline().rstrip("\n"))
        return [line for line in said if not line.startswith("register|")]

    echo = [line.replace("filter|0.7|1.1|smtp-in|data-line|", "filter-dataline|") for line in lines]
    assert answers() == ["filter-result|s1|t1|proceed", *echo, "filter-result|s1|t3|proceed"]

    login = f"report|0.7|1.1|smtp-in|link-auth|s1|pass|{ANN}"
    result, serial, *said = answers(login)
    assert result == "filter-result|s1|t1|proceed"
    assert re.fullmatch("filter-dataline[|]s1[|]t2[|]X-Backscatter-Serial: [A-Z2-7]{37}", serial)
    assert said[:2] == echo[:2]
    assert re.match("filter-dataline[|]s1[|]t2[|]Message-ID: <[0-9a-f]{32}@example.org>", said[2])
    assert said[3].startswith("filter-dataline|s1|t2|Date: ")
    assert said[4:] == [*echo[2:], "filter-result|s1|t3|proceed"]

    result, serial, *_ = answers(login, options=("-e",))
    assert result == f"filter-result|s1|t1|rewrite|<{ANN}> RET=HDRS ENVID={serial.split(': ')[1]}"
    assert milter.rows() == 2


@pytest.mark.parametrize("client, verdict", [
    (b"localhost\0" b"4\0\0" b"127.0.0.1\0", CONTINUE),
    # sendmail(1) of Sendmail
    (b"localhost\0U", CONTINUE),
    # a content filter, which brings other people's mail back
    (b"localhost\0" b"4\x10\xe1" b"127.0.0.1\0", ACCEPT),
    (b"localhost\0" b"6\x10\xe1" b"IPv6:::1\0", ACCEPT),
    # whose address the MTA couldn't find out, or was told by another
    (b"unknown\0U", ACCEPT),
    (b"unknown\0" b"4\0\0" b"127.0.0.1\0", ACCEPT),
    (b"client.example.net\0" b"4\0\0" b"192.0.2.1\0", ACCEPT),
])
def test_local_submissions(make_milter, client, verdict):
    """Postfix's pickup is a client at 127.0.0.1 without a port."""
    milter = make_milter(local_submissions="yes").start()
    with milter.mta() as mta:
        mta.negotiate()
        mta.send(b"C", client)
        answer = mta.message("Ann+x@example.org", ["bob@example.net"], [("From", ANN)])
        assert answer.verdict == verdict
    assert milter.rows() == (verdict == CONTINUE)


@pytest.mark.parametrize("strict", ["no", "yes"])
def test_a_message_that_cannot_be_logged(make_milter, strict):
    """It leaves all the same, marked, but where the administrator wants none of these."""
    milter = make_milter(strict=strict, spool_max_rows="1").start()
    with milter.mta() as mta:
        mta.negotiate()
        first, second = (mta.message(ANN, ["bob@example.net"], [("From", ANN)], login=ANN) for _ in range(2))
    assert (first.verdict, bool(first.inserted)) == (CONTINUE, True)
    request = b"1\tmessage\tuser=ann\tsender=ann@example.org\n"
    if strict == "no":
        assert (second.verdict, bool(second.inserted)) == (CONTINUE, True)
        assert milter.ask(request).startswith(b"1\tok\t")
    else:
        assert (second.verdict, second.inserted) == (REPLY_CODE, [])
        assert second.reply.startswith("451 4.3.0 ")
        assert milter.ask(request).startswith(b"1\tlater\t")
    milter.log.wait("error: .*not logged")


def test_a_header_that_nobody_can_check_is_accepted(make_milter):
    """Dovecot isn't there: nobody knows whose address it is. One line in the log, not one for each message."""
    milter = make_milter(sender_check="header").start()
    with milter.mta() as mta:
        mta.negotiate()
        for _ in range(3):
            assert mta.message(ANN, ["bob@example.net"], [("From", "eve@example.net")], login=ANN).verdict == CONTINUE
    milter.log.wait("From: not checked")
    assert len(milter.log.lines("From: not checked")) == 1


@pytest.mark.parametrize("check, verdict", [("header", REPLY_CODE), ("log", CONTINUE)])
def test_a_header_that_nobody_can_check_where_the_administrator_is_strict(make_milter, check, verdict):
    milter = make_milter(sender_check=check, strict="yes").start()
    with milter.mta() as mta:
        mta.negotiate()
        answer = mta.message(ANN, ["bob@example.net"], [("From", "eve@example.net")], login=ANN)
        assert answer.verdict == verdict
    if verdict == REPLY_CODE:
        assert answer.reply.startswith("451 4.3.0 ") and answer.inserted == []
    milter.log.wait("From: not checked, " + ("put off" if verdict == REPLY_CODE else "accepted"))
    assert milter.rows() == (verdict == CONTINUE)


def test_a_header_that_is_too_long_to_be_checked(make_milter):
    for check, verdict in (("header", REPLY_CODE), ("log", CONTINUE)):
        milter = make_milter(sender_check=check).start()
        with milter.mta() as mta:
            mta.negotiate()
            answer = mta.message(ANN, ["bob@example.net"], [("From", ANN)] * 200, login=ANN)
        assert answer.verdict == verdict
        if verdict == REPLY_CODE:
            assert answer.reply == "553 5.7.1 Header is too long to be checked"
        milter.log.wait("Header is too long to be checked")


# Start and end

def test_a_second_start_leaves_the_first_alone(milter):
    again = milter.run()
    assert again.returncode == 1
    assert "another backscatter-milter is running" in again.stderr
    milter.assert_works()


def test_what_a_killed_one_left_is_no_hindrance(milter):
    milter.assert_works()
    milter.kill()
    assert milter.socket.is_socket() and milter.line_socket.is_socket()
    milter.start().assert_works()
    assert milter.rows() == 2


def test_another_programs_socket_is_not_taken(make_milter):
    milter = make_milter()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(milter.socket))
        other.listen()
        done = milter.run()
        assert done.returncode == 1
        assert f"{milter.socket}: another program has it" in done.stderr


@pytest.mark.parametrize("name", ["socket", "line_socket"])
def test_a_socket_folder_that_is_not_there(make_milter, name):
    """As after a boot, below /run: the line names the setting."""
    path = "/nonexistent/x.sock"
    done = make_milter(**{name: f"unix:{path}" if name == "socket" else path}).run()
    assert done.returncode == 1
    assert f"error: {name}: {path}.lock: can't open it: No such file or directory" in done.stderr


@pytest.mark.parametrize("mode, warning", [(0o700, "only root and its owner may enter"), (0o2710, None),
                                           (0o777, "every user of this host may connect")])
def test_a_socket_folder_that_keeps_out_too_many_or_too_few(make_milter, mode, warning):
    milter = make_milter()
    milter.folder.chmod(mode)
    milter.start()
    for setting in ("socket", "line_socket"):
        assert bool(milter.log.lines(f"warning: {setting}: {warning}")) == (warning is not None)
    assert len(milter.log.lines("it needs mode|only root")) == (2 if warning else 0)


@pytest.mark.parametrize("name", ["socket", "line_socket"])
def test_who_may_connect(make_milter, name):
    milter = make_milter(socket_mode="0600").start()
    assert getattr(milter, name).stat().st_mode & 0o777 == 0o600


def test_it_tells_systemd_when_its_sockets_are_there(make_milter, monkeypatch):
    milter = make_milter()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(10)
        systemd.bind(str(milter.folder / "notify"))
        shutil.chown(milter.folder / "notify", USER)
        monkeypatch.setenv("NOTIFY_SOCKET", str(milter.folder / "notify"))
        milter.start()
        assert systemd.recv(100) == b"READY=1"
        milter.assert_works()


@pytest.mark.parametrize("name", ["nowhere", "/nonexistent/notify"])
def test_it_starts_where_it_cannot_tell(make_milter, monkeypatch, name):
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    milter = make_milter().start()
    milter.log.wait(f"warning: can't tell systemd that it is ready .*{name}")
    milter.assert_works()


def test_it_warns_of_a_port(make_milter):
    milter = make_milter(socket=f"inet:8891@{loopback_address()}").start()
    milter.log.wait("warning: socket = inet:8891@.*: whoever reaches this port")


def test_it_ends_in_good_time(milter):
    """While sessions are open, one of them in the midst of a message: libmilter alone would take four seconds."""
    with milter.mta() as idle, milter.mta() as busy:
        idle.negotiate()
        busy.negotiate()
        busy.mail(ANN, login=ANN)
        busy.rcpt("bob@example.net")
        start = time.monotonic()
        milter.halt()
        assert time.monotonic() - start < 3
        assert busy.is_closed()
    assert not milter.socket.exists()
    assert not milter.line_socket.exists()
    milter.log.wait("stopped$")


def test_wrong_value(make_milter):
    milter = make_milter(sender_check="both")
    for arguments in ((), ("-t",)):
        done = milter.run(*arguments)
        assert done.returncode == EXIT_CONFIG
        assert "sender_check = both: wrong value, allowed are off, log and header" in done.stderr
    milter.write_config()
    assert milter.run("-t").returncode == 0
    assert not milter.socket.exists()


def test_wrong_key(make_milter):
    milter = make_milter()
    (milter.folder / "site.key").chmod(0o644)
    done = milter.run("-t")
    assert done.returncode == EXIT_CONFIG
    assert "site_key = " in done.stderr
