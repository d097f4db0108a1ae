"""Something fails while a message is on its way out: it may fail to leave, but what left has its row in the log, or the log
has a gap mark (docs/design.md, section 8)."""

import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from smtplib import SMTPException

import pytest

from dovecot import ALICE, dot_stuffed
from relay import READER, REFUSED
from sending import SERIAL_HEADER, Sending, genuine, logged_serials, only, serial_of, without_fields
from sentlog import SentLog, cover, coverage, dsn, fill, judged, mail_elsewhere, message_id_of, remount, sent_message, tmpfs
from smtp import Received

ROUNDS = 25     # for each program
SEED = 13
LINE = b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n"


@pytest.fixture
def apart(sending_factory) -> Sending:
    """Mail lies outside of the homes, where only the log is."""
    folder = Path(tempfile.mkdtemp(prefix="bs-", dir="/tmp"))
    sending = sending_factory(folder=folder, extra=mail_elsewhere(folder))
    yield sending
    sending.dovecot.halt()
    shutil.rmtree(folder)


# First the row, then the relay

def test_the_row_is_there_before_the_relay_sees_the_message(relayed_to_world, world):
    seen = []
    dovecot = relayed_to_world()
    world.before_message(lambda: seen.append(logged_serials(SentLog.of(dovecot))))
    assert dovecot.submit(ALICE, READER, sent_message()).accepted
    assert seen == [[serial_of(world.received[0].message)]]


def test_the_row_is_on_the_disk_before_the_relay_sees_the_message(sending):
    trace = sending.dovecot.folder / "strace"
    with sending.dovecot.submission(ALICE) as client:
        assert client.submit(ALICE, [READER], sent_message()).accepted
        [pid] = sending.dovecot.pids("submission")
        strace = subprocess.Popen(["strace", "-f", "-y", "-s", "64", "-o", str(trace), "-p", str(pid)],
                                  stderr=subprocess.PIPE, text=True)
        try:
            assert "attached" in strace.stderr.readline()
            assert client.submit(ALICE, [READER], sent_message()).accepted
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate(timeout=10)
    lines = trace.read_text(errors="replace").splitlines()
    relay_told = next(number for number, line in enumerate(lines) if re.search(r'(write|send)\w*\(\d+<.*"(BDAT|DATA)\b', line))
    assert any(re.search(r"f(data)?sync\(\d+<\S*/\.backscatter\.db-wal>", line) for line in lines[:relay_told])


# Killed

class Kills:
    """Messages are submitted, and something is killed meanwhile."""

    def __init__(self, sending: Sending):
        self.sending = sending
        self.moment = random.Random(SEED)
        self.messages = [self._message() for _ in range(ROUNDS)]
        self.ordinary_seconds = min(self._seconds() for _ in range(3))

    @staticmethod
    def _message() -> bytes:
        return sent_message(to=READER) + LINE * 3000

    def _seconds(self) -> float:
        """How long the end of a message takes when nobody is killed."""
        with self.sending.dovecot.submission(ALICE) as client:
            client.envelope(ALICE, [READER])
            client.docmd("DATA")
            began = time.monotonic()
            client.send(dot_stuffed(self._message()))
            assert client.getreply()[0] == 250
            return time.monotonic() - began

    def submit(self, message: bytes, victims: Callable[[], list[int]]) -> None:
        """The victims die within the message, or some time after its end, while the relay gets it."""
        octets = dot_stuffed(message)
        part = len(octets) if self.moment.random() < 0.8 else self.moment.randrange(len(octets))
        try:
            with self.sending.dovecot.submission(ALICE) as client:
                assert client.envelope(ALICE, [READER]) is None
                client.docmd("DATA")
                pids = victims()
                client.send(octets[:part])
                time.sleep(self.moment.uniform(0, self.ordinary_seconds))
                kill_all(pids)
                client.send(octets[part:])
                client.getreply()
        except (SMTPException, ConnectionError):
            pass

    def assert_nothing_left_without_its_row(self) -> None:
        self.sending.relay.settle()
        left = {serial_of(received.message) for received in self.sending.received}
        logged = logged_serials(self.sending.log)
        assert left <= set(logged) or self.sending.log.gap.exists()
        # 3: nobody was killed
        assert 3 < len(left) < 3 + ROUNDS, "some of the moments were before the message left, some after"


@pytest.fixture
def kills(sending) -> Kills:
    return Kills(sending)


def kill_all(pids: list[int]) -> None:
    assert pids
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def test_the_submission_service_killed(kills):
    for message in kills.messages:
        kills.submit(message, lambda: kills.sending.dovecot.pids("submission"))
    kills.assert_nothing_left_without_its_row()


@pytest.mark.parametrize("program", ["smtpd", "cleanup"])
def test_the_relay_killed(kills, program):
    for message in kills.messages:
        kills.submit(message, lambda: kills.sending.relay.pids(program))
    kills.assert_nothing_left_without_its_row()


# The log can't be written

def sent_into_the_gap(sending: Sending) -> Received:
    """It leaves with its serial, by which its bounce is known, and the break is marked."""
    received = sending.sent(sent_message(to="lost@elsewhere.example"))
    assert serial_of(received.message) and sending.log.gap.exists()
    sending.dovecot.wait_log(rf"Error: .*backscatter: message .* not logged: .*{re.escape(str(sending.log.path))}")
    return received


def assert_recovered(sending: Sending, lost: Received) -> None:
    """The gap is found; what left in it is not condemned; later messages are logged."""
    assert serial_of(lost.message) not in logged_serials(sending.log)
    # without the Received line of our own MTA, which would acquit it, too
    returned = without_fields(lost.message, f"{SERIAL_HEADER}|Received".encode())
    assert judged(sending.dovecot, dsn(returned)).reason == "not-covered"
    assert coverage(sending.dovecot)["cause"] == "gap"
    assert judged(sending.dovecot, only(sending.bounce(REFUSED), "message-id")) == genuine("message-id")
    assert not sending.log.corrupt and not sending.log.gap.exists()


def used(sending: Sending) -> Sending:
    """Its log has a row and a key, and covers 30 days."""
    sending.sent(sent_message())
    cover(sending.dovecot)
    return sending


def test_locked(sending):
    with used(sending).log.locked():
        lost = sent_into_the_gap(sending)
    assert_recovered(sending, lost)


def test_full_disk(apart, cleanup):
    home = cleanup.enter_context(tmpfs(apart.dovecot.users[ALICE].home))
    used(apart)
    filler = fill(home)
    lost = sent_into_the_gap(apart)
    filler.unlink()
    assert_recovered(apart, lost)


def test_a_bounce_of_what_left_in_the_gap(sending):
    """Genuine by its serial."""
    with used(sending).log.locked():
        bounces = sending.bounces(REFUSED)
    [bounce] = bounces
    assert judged(sending.dovecot, only(bounce, "serial")) == genuine("serial")


@pytest.mark.parametrize("state", ["full", "read-only", "no home", "a folder in its place"])
def test_no_log_from_the_start(apart, cleanup, state):
    """Without a key there is no serial; the message leaves all the same, and the log tells what to do."""
    home = apart.dovecot.users[ALICE].home
    if state == "no home":
        shutil.rmtree(home)
        home.touch()
    elif state == "a folder in its place":
        apart.log.path.mkdir()
    else:
        cleanup.enter_context(tmpfs(home))
        fill(home) if state == "full" else remount(home, "ro")
    message = sent_message()
    assert apart.sent(message).message.endswith(message)
    assert apart.log.gap.exists() or apart.dovecot.log_lines("Error: .*coverage restart")


def test_a_folder_of_the_logs_that_is_missing(sending_factory):
    sending = sending_factory()
    folder = sending.dovecot.folder / "logs"
    sending.dovecot.restart(plugin={"backscatter_db": f"{folder}/%u.db"})
    assert SERIAL_HEADER.encode() not in sending.sent(sent_message()).message
    uid = sending.dovecot.users[ALICE].uid
    assert sending.dovecot.wait_log(rf"No serial key: .*{folder} doesn't exist: create it for uid {uid} - until then mail leaves "
                                    "without its serial")


def test_a_user_who_sends_before_his_home_is_made(apart):
    alice = apart.dovecot.users[ALICE]
    shutil.rmtree(alice.home)
    os.chown(alice.home.parent, alice.uid, alice.uid)
    received = apart.sent(sent_message())
    assert logged_serials(apart.log) == [serial_of(received.message)]


def test_a_corrupt_log_is_moved_aside(sending):
    used(sending).log.query("PRAGMA wal_checkpoint(TRUNCATE)")
    sending.log.path.write_bytes(os.urandom(20000))
    sending.sent(sent_message())
    [_] = sending.log.corrupt
    cover(sending.dovecot)
    received = sending.sent(sent_message())
    assert serial_of(received.message) in logged_serials(sending.log)


def test_a_held_lock_delays_but_does_not_pile_up(sending):
    """The deadline holds for a transaction, not for each of its steps."""
    with used(sending).log.locked():
        began = time.monotonic()
        sending.send(sent_message(), READER)
        assert time.monotonic() - began < 10


def test_a_wrong_setting_stops_no_mail(relayed_to_world, world):
    wrong = {"backscatter_retention": "soon", "backscatter_sender_check": "perhaps", "backscatter_tag": "maybe"}
    dovecot = relayed_to_world(unchecked=wrong)
    message = sent_message()
    assert dovecot.submit(ALICE, READER, message).accepted
    [received] = world.received
    assert message_id_of(received.message) == message_id_of(message) and received.mail_from == ALICE
    assert dovecot.log_lines("Error: .*backscatter_sender_check.*perhaps")
