"""The service backscatter-spf: what it may, what it says, and that nothing that becomes of it costs a message, or the
deliveries more than their time (docs/spf.md)."""

import os
import random
import re
import signal
import socket
import statistics
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from dovecot import ALICE, BUILD, Dovecot, LmtpClient
from dovecot_config import SPF_SERVICE
from nameserver import BadNameServer, asked_name, dead, reply, text_record
from process import processes
from reports import errors
from spf_service import (CLIENT_HELLO, HELLO, FakeService, Zone, ask, connect, open_files, pids, pids_that_ask, question, say, suite_reader, text_name)
from spf_site import CLIENT, HELO, LOCAL_PART, from_outside, mailfrom, result, results, settings

SENDER = f"{LOCAL_PART}@pass.example"
PASS, TEMPERROR = mailfrom("pass.example", "pass"), mailfrom("pass.example", "temperror")
NOT_CHECKED = 'spf=temperror reason="SPF was not checked"'
WAYS = ["lmtp", "lda"]
# One evaluation may take this long; the hello's own time; what a loaded machine adds.
TIMEOUT, HELLO_TIME, SLACK = 2, 1, 10
SUITE = Path(os.environ.get("SPF_SUITE") or Path(__file__).resolve().parents[2] / "../shared/spf/rfc7208-tests.yml")
FORBIDDEN = re.compile(r"libspf2|libcares|libresolv|libunbound|libldns")


def answers(asked: bytes) -> bytes:
    """Each name's record says that everybody may send."""
    return reply(asked, 0, text_record(b"v=spf1 +all"), 1)


@pytest.fixture
def names():
    with BadNameServer(answers) as names:
        yield names


@pytest.fixture
def dovecot(dovecot_factory, names) -> Dovecot:
    return dovecot_factory(plugin=settings(names.where, backscatter_spf_timeout=f"{TIMEOUT}s"))


def outcome(stored) -> str:
    """A field that has no domain where nobody has checked."""
    return re.sub(r" smtp\.\w+=\S+$", "", result(stored)) if "not checked" in result(stored) else result(stored)


def delivered(dovecot: Dovecot, way: str = "lmtp", within: float = TIMEOUT + SLACK) -> str:
    """What is said of one message more."""
    started = time.monotonic()
    dovecot.deliver(way, ALICE, from_outside(), SENDER)
    assert time.monotonic() - started < within
    return outcome(dovecot.messages(ALICE)[-1])


# Who it is

@pytest.mark.parametrize("module", sorted((BUILD / "modules").rglob("*.so")), ids=lambda path: path.name)
def test_no_module_loads_what_reads_dns(module):
    linked = subprocess.run(["ldd", str(module)], capture_output=True, text=True, check=True).stdout
    assert "libdovecot" in linked or "libc.so" in linked
    assert not FORBIDDEN.search(linked), linked


def test_lmtp_has_loaded_nothing_of_it(dovecot):
    with LmtpClient(dovecot.lmtp_socket) as client:
        client.deliver(SENDER, [ALICE], from_outside())
        maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in dovecot.pids("lmtp"))
    assert "lib95_backscatter_plugin" in maps and not FORBIDDEN.search(maps)
    assert outcome(dovecot.message(ALICE)) == PASS


def test_identity(dovecot):
    """A user of its own, no group but his, no capability, an empty root; no file is open that could be read."""
    assert delivered(dovecot) == PASS
    pid, = pids(dovecot)
    status = dict(re.findall(r"^(\w+):\s*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
    user = dovecot.doveconf("-h", "default_login_user").out.strip()
    uid = subprocess.run(["id", "-u", user], capture_output=True, text=True, check=True).stdout.strip()
    gid = subprocess.run(["id", "-g", user], capture_output=True, text=True, check=True).stdout.strip()
    assert uid != "0" and status["Uid"].split() == [uid] * 4 and status["Gid"].split() == [gid] * 4
    assert set(status["Groups"].split()) <= {gid}
    assert {status[f"Cap{name}"] for name in ("Prm", "Eff", "Amb")} == {"0" * 16}
    # 2.4's master leaves some to be inherited: by nobody
    assert status["NoNewPrivs"] == "1"
    root = Path(os.readlink(f"/proc/{pid}/root"))
    assert root == dovecot.run / "empty" and list(root.iterdir()) == []
    assert Path(os.readlink(f"/proc/{pid}/cwd")) == root


def test_open_files(dovecot):
    assert delivered(dovecot) == PASS
    pid, = pids(dovecot)
    others = [name for name in open_files(pid) if not re.match(r"(socket|pipe|anon_inode):", name)]
    assert set(others) <= {"/dev/null", str(dovecot.run / "backscatter-spf.waiting")}


# What it says

def test_one_line_for_one_question(dovecot, names):
    found = ask(dovecot, helo=HELO.encode(), mail_from=SENDER.encode(), servers=names.where)
    assert found == {"result": "pass", "identity": "mailfrom", "domain": "pass.example", "mechanism": "all", "problem": "",
                     "explanation": ""}


def test_steps(dovecot, names):
    lines = say(dovecot, CLIENT_HELLO + question(mail_from=SENDER.encode(), servers=names.where, steps=True))
    assert lines[0] == HELLO and lines[-1].startswith(b"reply\t") and len(lines) > 3
    assert all(line.startswith(b"step\t") for line in lines[1:-1])


def test_long_step(dovecot):
    others = b"".join(text_record(b"x" * 240) for _ in range(3))
    with BadNameServer(lambda asked: reply(asked, 0, text_record(b"v=spf1 +all") + others, 4)) as names:
        lines = say(dovecot, CLIENT_HELLO + question(mail_from=SENDER.encode(), servers=names.where, steps=True))
    assert max(map(len, lines)) > 700 and lines[-1].startswith(b"reply\tpass\t")


@pytest.mark.parametrize("words", [
    b"", b"\n", b"nonsense\n", CLIENT_HELLO, CLIENT_HELLO + b"\n", CLIENT_HELLO + b"check\n", CLIENT_HELLO.replace(b"\t1\t", b"\t2\t"),
    CLIENT_HELLO + question(msecs=0), CLIENT_HELLO + question(msecs=60001), CLIENT_HELLO + question(client="127.1"),
    CLIENT_HELLO + b"x" * 100_000, b"\0" * 100 + b"\n", CLIENT_HELLO + question(helo=b"h" * 20_000)])
def test_no_answer_to_what_is_no_question(dovecot, names, words):
    """... and the next one has it all the same."""
    try:
        assert say(dovecot, words) == [HELLO]
    except ConnectionResetError:
        pass   # it has not read all of it
    assert ask(dovecot, mail_from=SENDER.encode(), servers=names.where)["result"] == "pass"


def test_hostile_identities(dovecot, names):
    """All bytes, and as many as there may be."""
    for hostile in (bytes(range(1, 256)), b"\t\r\n\1" * 249, b"a" * 2000, b"\xff" * 998):
        found = ask(dovecot, helo=hostile, mail_from=b"", servers=names.where)
        assert found["result"] in ("none", "pass") and found["identity"] == "helo"


@pytest.mark.skipif(not SUITE.exists(), reason=f"no {SUITE}")
def test_public_suite(dovecot):
    """RFC 7208's, over real DNS: each zone has a server of its own, and so no answer of another is remembered."""
    reader, wrong, passed = suite_reader(), [], 0
    for document in yaml.safe_load_all(SUITE.read_bytes()):
        if not document or not document.get("tests"):
            continue
        zone = Zone(reader.zone_lines(document.get("zonedata")), reader.as_bytes)
        with BadNameServer(zone.answer) as names:
            for name, case in document["tests"].items():
                found = ask(dovecot, client=case["host"], helo=reader.as_bytes(case.get("helo")),
                            mail_from=reader.as_bytes(case.get("mailfrom")), receiver=reader.as_bytes(case.get("receiver")),
                            servers=names.where)
                difference = reader.difference(case, (found["result"], found["explanation"], found["problem"]))
                if difference is None:
                    passed += 1
                else:
                    wrong.append(f"{name}: {difference}")
    assert wrong == [] and passed > 0
    assert "rfc7208" not in SUITE.name or passed == 203


# What it remembers

def test_answers_are_remembered_until_a_reload(dovecot, names):
    """... by the process, whoever asks: each delivery is another connection, and in 2.4 another lmtp."""
    for _ in range(3):
        assert delivered(dovecot) == PASS
    assert 1 <= names.queries() <= len(pids(dovecot))
    before = {*pids(dovecot), *dovecot.pids("lmtp")}
    dovecot.doveadm("reload")
    deadline = time.monotonic() + SLACK
    while before & set(processes(dovecot.pid)) and time.monotonic() < deadline:
        time.sleep(0.01)
    delivered_since = len(dovecot.messages(ALICE))
    while len(dovecot.messages(ALICE)) == delivered_since:
        try:
            assert delivered(dovecot) == PASS
        except OSError:   # it makes its sockets anew
            assert time.monotonic() < deadline
    assert names.queries() == 1


# What becomes of it

def test_killed_at_fifty_moments_under_load(dovecot_factory, attach_log):
    """Each time in the middle of a question: one that DNS has just been asked."""
    chance, senders, kills = random.Random(7208), 6, 50
    asked, next_kill, killed, lock = 0, 3, [], threading.Lock()

    def answer(what: bytes) -> bytes:
        nonlocal asked, next_kill
        with lock:
            asked += 1
            if asked >= next_kill and len(killed) < kills and (found := pids_that_ask(dovecot, names)):
                next_kill = asked + chance.randint(1, 6)
                killed.append(chance.choice(found))
                os.kill(killed[-1], signal.SIGKILL)
        return answers(what)

    with BadNameServer(answer) as names:
        dovecot = dovecot_factory(plugin=settings(names.where, backscatter_spf_timeout=f"{TIMEOUT}s"))
        took, deadline = [], time.monotonic() + 120

        def deliver(sender: int) -> None:
            number = 0
            while len(killed) < kills and time.monotonic() < deadline:
                started, number = time.monotonic(), number + 1
                # a name of its own: no answer is remembered
                dovecot.deliver("lmtp", ALICE, from_outside(), f"x@m{sender}-{number}.example")
                took.append(time.monotonic() - started)

        with ThreadPoolExecutor(senders) as pool:
            list(pool.map(deliver, range(senders)))
    attach_log("killed", str(killed))
    found = [result(stored) for stored in dovecot.messages(ALICE)]
    assert len(found) == len(took) and max(took) < TIMEOUT + SLACK
    assert len(killed) == kills
    assert all(re.match(r"spf=(pass|temperror)", field) for field in found)
    # a kill costs the one question, and sometimes one that waits until the master has seen it
    assert sum(field.startswith(NOT_CHECKED) for field in found) > 0


@pytest.mark.parametrize("way", WAYS)
def test_stopped(dovecot, way):
    assert delivered(dovecot) == PASS
    stopped = pids(dovecot)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert delivered(dovecot, way, TIMEOUT + SLACK).startswith(NOT_CHECKED)
        dovecot.wait_log(rf"{way}.*Error: .*backscatter: SPF: service \S+/{SPF_SERVICE}: no process of it took the question")
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert delivered(dovecot, way) == PASS


def test_flooded_with_connections(dovecot):
    """200 that say nothing: deliveries take no longer than their time, and all is well again at once."""
    flood = []
    for _ in range(200):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.setblocking(False)
        try:
            client.connect(str(dovecot.run / SPF_SERVICE))
        except BlockingIOError:
            client.close()
            continue
        flood.append(client)
    assert len(flood) > 100
    for _ in range(3):
        assert delivered(dovecot).startswith(("spf=pass", "spf=temperror"))
    for client in flood:
        client.close()
    deadline = time.monotonic() + SLACK
    while delivered(dovecot) != PASS:
        assert time.monotonic() < deadline
    assert len(pids(dovecot)) <= 100


def test_all_processes_at_work(dovecot_factory, names):
    """What is more than can wait is turned away at once."""
    dovecot = dovecot_factory(plugin=settings(names.where, backscatter_spf_timeout=f"{TIMEOUT}s"),
                              extra=f"service {SPF_SERVICE} {{\n  process_limit = 1\n}}")
    held = [connect(dovecot)]
    held[0].recv(len(HELLO))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one_more:
        one_more.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                held.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                held[-1].setblocking(False)
                held[-1].connect(str(dovecot.run / SPF_SERVICE))
    assert delivered(dovecot).startswith(NOT_CHECKED)
    for client in held:
        client.close()
    assert dovecot.wait_log("raise its process_limit|no process of it took the question")


def test_dead_domains_do_not_delay_the_others(dovecot_factory):
    """A quarter of the processes waits for them; the other evaluations are given up after a second."""
    asked, all_asked = set(), threading.Event()

    def answer(what: bytes) -> bytes | None:
        name = text_name(asked_name(what))
        if not name.startswith(b"dead"):
            return answers(what)
        asked.add(name)
        if len(asked) == 12:
            all_asked.set()
        return dead(what)

    users = [f"user{number}@example.test" for number in range(13)]
    with BadNameServer(answer) as names, ThreadPoolExecutor(12) as pool:
        dovecot = dovecot_factory(plugin=settings(names.where, backscatter_spf_timeout="6s"), users=users,
                                  extra=f"service {SPF_SERVICE} {{\n  process_limit = 20\n}}")

        def deliver(user: str, domain: str) -> float:
            started = time.monotonic()
            dovecot.deliver("lmtp", user, from_outside(), f"x@{domain}.example")
            return time.monotonic() - started

        waiting = [pool.submit(deliver, user, f"dead{number}") for number, user in enumerate(users[:12])]
        assert all_asked.wait(30)
        good = [deliver(users[12], f"good{number}") for number in range(12)]
        bad = [future.result() for future in waiting]
    # all of the timeout against some of a second, on whatever machine
    assert statistics.median(good) < max(bad) / 2 and max(bad) >= 6, (good, bad)
    assert {result(stored) for stored in dovecot.messages(users[12])} == {
        mailfrom(f"good{number}.example", "pass") for number in range(12)}
    for number, user in enumerate(users[:12]):
        assert result(dovecot.message(user)) == mailfrom(f"dead{number}.example", "temperror")


# A fake one

def says(*words: bytes, end: bool = True):
    """Hello, waits for the question, says this; and hangs up, or doesn't."""
    def speak(connection: socket.socket) -> None:
        connection.sendall(HELLO)
        with connection.makefile("rb") as asked:
            assert asked.readline() == CLIENT_HELLO and asked.readline().startswith(b"check\t")
        for word in words:
            connection.sendall(word)
        if not end:
            connection.recv(1)
    return speak


def without_end(word: bytes):
    def speak(connection: socket.socket) -> None:
        says()(connection)
        while True:
            connection.sendall(word)
    return speak


REPLY = b"reply\tpass\tmailfrom\tpass.example\tall\t\t\n"
GARBAGE = {
    "silence": lambda connection: connection.recv(1),
    "hangs up": lambda connection: None,
    "noise": lambda connection: connection.sendall(bytes(range(256)) * 100),
    "another version": lambda connection: connection.sendall(HELLO.replace(b"\t1\t", b"\t2\t") + REPLY),
    "another service": lambda connection: connection.sendall(b"VERSION\tauth\t1\t0\n" + REPLY),
    "hello, and hangs up": says(),
    "hello, and silence": says(end=False),
    "half a line": says(REPLY[:-1], end=False),
    "an empty line": says(b"\n"),
    "an unknown word": says(b"result\tpass\n"),
    "an unknown result": says(REPLY.replace(b"pass\t", b"passed\t", 1)),
    "an unknown identity": says(REPLY.replace(b"mailfrom", b"from")),
    "too few fields": says(b"reply\tpass\tmailfrom\tpass.example\n"),
    "pass without a mechanism": says(REPLY.replace(b"all", b"")),
    "a problem with pass": says(b"reply\tpass\tmailfrom\tpass.example\tall\twhy\t\n"),
    "an explanation with pass": says(b"reply\tpass\tmailfrom\tpass.example\tall\t\twhy\n"),
    "a new line in the domain": says(REPLY.replace(b"pass.example", b"x\1nX-Forged: yes")),
    "a NUL": says(REPLY.replace(b"pass.example", b"pass\0example")),
    "a long domain": says(REPLY.replace(b"pass.example", b"d" * 254)),
    "8-bit": says(REPLY.replace(b"pass.example", b"\xff\xfe")),
    "steps that nobody asked for": says(b"step\tone\n", REPLY),
    "a line without end": without_end(b"x" * 4096),
    "steps without end": without_end(b"step\tone\n" * 500),
    "byte by byte": lambda connection: [(connection.sendall(b"V"), time.sleep(0.1)) for _ in range(300)],
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_fake_service(dovecot, kind):
    with FakeService(dovecot, GARBAGE[kind]):
        for way in WAYS:
            since = dovecot.log.mark()
            assert delivered(dovecot, way).startswith(NOT_CHECKED)
            dovecot.wait_log(rf"Error: .*backscatter: SPF: service \S+/{SPF_SERVICE}: ", since=since)
    for stored in dovecot.messages(ALICE):
        assert stored.header("X-Forged") is None


def test_a_fake_that_says_it_right(dovecot):
    """So that the others are known to fail for what is wrong with them."""
    with FakeService(dovecot, says(REPLY)):
        for way in WAYS:
            assert delivered(dovecot, way) == PASS


@pytest.mark.parametrize("steps", [b"step\tone\n" * 500, b"step\t" + b"x" * 1001 + b"\n"])
def test_steps_have_a_bound(dovecot, steps):
    """doveadm is the one that asks for them."""
    with FakeService(dovecot, without_end(steps)):
        found = dovecot.doveadm("backscatter", "spf", CLIENT, HELO, SENDER, check=False)
    assert found.code == 75 and "its answer can't be read" in found.err and len(found.out) < 100_000


@pytest.mark.parametrize("way", WAYS)
def test_no_service(dovecot, way):
    """The section was left out of the configuration."""
    (dovecot.run / SPF_SERVICE).unlink()
    assert delivered(dovecot, way).startswith(NOT_CHECKED)
    dovecot.wait_log(r"Error: .*the configuration lacks service backscatter-spf")


def test_doveadm_without_a_service(dovecot):
    (dovecot.run / SPF_SERVICE).unlink()
    found = dovecot.doveadm("backscatter", "spf", CLIENT, HELO, SENDER, check=False)
    assert found.code == 75 and "the configuration lacks service backscatter-spf" in found.err


def test_it_cannot_be_executed_any_more(dovecot):
    """As a half-done upgrade leaves it: Dovecot waits longer each time before it tries again."""
    service = dovecot.folder / SPF_SERVICE
    service.unlink()
    service.write_bytes(b"#!/bin/false\n")
    service.chmod(0o755)
    for _ in range(3):
        assert delivered(dovecot).startswith(NOT_CHECKED)
