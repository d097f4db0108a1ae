"""The log is an input from outside: a user with a shell or FTP puts what he likes in its place and beside it. It is not used, an
error line says why and what to do, and nobody waits, loses a message or gets it twice (docs/design.md, section 8)."""

import os
import shutil
import socket
import tempfile
import time
from pathlib import Path

import pytest

from dovecot import ALICE, BOB, CAROL, Dovecot
from relay import READER
from sending import SERIAL_HEADER, serial_of
from sentlog import (GENUINE, NOT_COVERED, NOT_SENT, STRANGER, UNAVAILABLE, SentLog, cover, coverage, dsn, found, judged,
                     mail_elsewhere, sent_message, stored)

BUSY_SECONDS = 3.0   # MAILBOX_LOG_DEADLINE_MSECS
# what a delivery takes beside, on a busy machine
SLACK_SECONDS = 3.0


@pytest.fixture
def server(dovecot_factory) -> Dovecot:
    """Mail lies outside of the homes, where only the logs are: each has a row, and covers 30 days."""
    folder = Path(tempfile.mkdtemp(prefix="bs-", dir="/tmp"))
    dovecot = dovecot_factory(folder, plugin={"backscatter_sources": "sent"}, extra=mail_elsewhere(folder))
    for user in (ALICE, BOB):
        dovecot.append(user, "Sent", sent_message(sender=user))
        cover(dovecot, user)
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    yield dovecot
    dovecot.halt()
    shutil.rmtree(folder)


# What may stand there. Each is made at a path, where a file of the user's may be already.

def replace(path: Path) -> Path:
    path.unlink(missing_ok=True)
    return path


def fifo(dovecot: Dovecot, path: Path) -> None:
    os.mkfifo(replace(path))
    os.chown(path, dovecot.users[ALICE].uid, -1)


def directory(dovecot: Dovecot, path: Path) -> None:
    replace(path).mkdir()
    os.chown(path, dovecot.users[ALICE].uid, -1)


def link(dovecot: Dovecot, path: Path) -> None:
    """To the file of another user, which he lets all the world write."""
    target = SentLog.of(dovecot, BOB)
    target.path.parent.chmod(0o777)
    target.path.chmod(0o666)
    replace(path).symlink_to(target.path)


def unix_socket(dovecot: Dovecot, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(replace(path)))


def anothers(dovecot: Dovecot, path: Path) -> None:
    """World-writable, so that nothing but the owner is wrong for whoever opens it."""
    path.touch()
    os.chown(path, dovecot.users[BOB].uid, dovecot.users[BOB].uid)
    path.chmod(0o666)


def for_all_to_write(dovecot: Dovecot, path: Path) -> None:
    path.touch()
    os.chown(path, dovecot.users[ALICE].uid, -1)
    path.chmod(0o666)


def two_names(dovecot: Dovecot, path: Path) -> None:
    path.touch()
    os.chown(path, dovecot.users[ALICE].uid, -1)
    path.chmod(0o600)
    os.link(path, path.with_name("other-name"))


KINDS = {fifo: "is a FIFO", directory: "is a directory", link: "is a symbolic link", unix_socket: "is a socket",
         anothers: r"belongs to uid \d+", for_all_to_write: r"may be written by others \(mode 0666\)", two_names: "has 2 names"}
BESIDE = ["", "-wal", "-shm", "-journal", ".lock"]


def schema(sql: str):
    def change(dovecot: Dovecot, path: Path) -> None:
        with SentLog(path).connection() as db:
            db.executescript(sql)
    return change


# GLOB tries each way to spread the stars over the zeros: for ever, within one step of SQLite's machine
BURN = f"hex(zeroblob(100)) GLOB ''{'*0' * 20}*1''"
SCHEMAS = {
    "generated column": f"""PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql,
        'coverage_start INTEGER NOT NULL', 'coverage_start INTEGER AS ({BURN})') WHERE name = 'meta'""",
    "check": f"""PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql,
        'coverage_start INTEGER NOT NULL', 'coverage_start INTEGER NOT NULL CHECK (NOT {BURN})') WHERE name = 'meta'""",
    "trigger": "CREATE TRIGGER extra AFTER INSERT ON message BEGIN DELETE FROM message; END",
    "view": """ALTER TABLE identity RENAME TO other; CREATE VIEW identity AS WITH RECURSIVE c(x) AS
        (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x AS hash, x AS message FROM c""",
    "index on an expression": "CREATE INDEX extra ON report_count (hex(recipient))",
    "partial index": f"CREATE INDEX extra ON report_count (original) WHERE class GLOB '{'*0' * 20}*1'",
    "table": "CREATE TABLE extra (x)",
}
BURNING = ["generated column", "check", "view"]


def assert_refused(dovecot: Dovecot, error: str) -> None:
    """In a delivery and by imap: quickly, with an error line, and nothing is moved."""
    log, began = SentLog.of(dovecot), time.monotonic()
    before = {path.name: path.lstat().st_ino for path in log.files()}
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == UNAVAILABLE
    sent = sent_message()
    dovecot.append(ALICE, "Sent", sent)
    assert time.monotonic() - began < BUSY_SECONDS + SLACK_SECONDS
    assert dovecot.wait_log(rf"Error: .*sent log {log.path}: [^:]*{error}.*: (move|chown|chmod|put) .*reason=log-unavailable|"
                            rf"Error: .*reason=log-unavailable.*sent log {log.path}: [^:]*{error}.*: (move|chown|chmod|put) ")
    assert dovecot.wait_log(rf"Error: .*Sent copy not logged: .*{error}")
    after = {path.name: path.lstat().st_ino for path in log.files() if path != log.gap}
    assert before == after


# the rest of them: tests/unit/sent-log/test-sent-log-door.c
@pytest.mark.parametrize("suffix, kind", [*(("", kind) for kind in KINDS), *((suffix, fifo) for suffix in BESIDE[1:]),
                                          ("-wal", anothers), (".lock", link)])
def test_refused(server, suffix, kind):
    kind(server, SentLog.of(server).beside(suffix))
    assert_refused(server, KINDS[kind])


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_that_is_not_ours(server, name):
    schema(SCHEMAS[name])(server, SentLog.of(server).path)
    assert_refused(server, "its schema is not that of a sent log")


def test_a_huge_blob(server):
    log = SentLog.of(server)
    log.query("UPDATE meta SET hash_key = zeroblob(400000000)")
    log.query("PRAGMA wal_checkpoint(TRUNCATE)")
    assert judged(server, dsn(sent_message(to=STRANGER))) == UNAVAILABLE
    assert server.wait_log("Error: .*reason=log-unavailable.*too big")
    assert not log.corrupt


# Three recipients, one of them hostile, in each place

HOSTILE = {"fifo": fifo, "another's": anothers} | {name: schema(SCHEMAS[name]) for name in BURNING}


@pytest.mark.parametrize("order", [[ALICE, BOB, CAROL], [BOB, ALICE, CAROL]], ids=["first", "second"])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_three_recipients(server, hostile, order):
    HOSTILE[hostile](server, SentLog.of(server).path)
    report = dsn(sent_message(sender=">, <".join(order), to=STRANGER), to=", ".join(order))
    began = time.monotonic()
    assert [code for code, _ in server.lmtp("", order, report)] == [250, 250, 250]
    assert time.monotonic() - began < BUSY_SECONDS + SLACK_SECONDS
    # found() fails unless there is exactly one
    assert found(server, report, ALICE) == UNAVAILABLE
    assert found(server, report, BOB) == NOT_SENT
    assert found(server, report, CAROL) == NOT_COVERED


@pytest.mark.parametrize("hostile", HOSTILE)
def test_lda(server, hostile):
    HOSTILE[hostile](server, SentLog.of(server).path)
    report = dsn(sent_message(to=STRANGER))
    began = time.monotonic()
    server.deliver("lda", ALICE, report)
    assert time.monotonic() - began < BUSY_SECONDS + SLACK_SECONDS
    assert found(server, report) == UNAVAILABLE


def test_three_locked_logs_cost_a_deadline_each(server):
    """However many questions a delivery asks."""
    report = dsn(sent_message(to=STRANGER), to=f"{ALICE}, {BOB}")
    with SentLog.of(server).locked() as alice, SentLog.of(server, BOB).locked() as bob:
        for db in (alice, bob):
            db.execute("ROLLBACK")
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        assert [code for code, _ in server.lmtp("", [ALICE, BOB, CAROL], report)] == [250, 250, 250]
        assert time.monotonic() - began < 2 * BUSY_SECONDS + SLACK_SECONDS
    assert found(server, report, ALICE) == UNAVAILABLE
    assert found(server, report, BOB) == UNAVAILABLE


# Submission

@pytest.mark.parametrize("kind, suffix", [*((fifo, suffix) for suffix in [*BESIDE, ".gap"]), (directory, ""), (anothers, "")])
def test_submission_is_not_blocked(relayed_to_world, world, kind, suffix):
    dovecot = relayed_to_world(plugin={"backscatter_sources": "submission"})
    # makes the log, by a process that has ended: SQLite removes its files when the last one closes it
    cover(dovecot)
    kind(dovecot, SentLog.of(dovecot).beside(suffix))
    began = time.monotonic()
    assert dovecot.submit(ALICE, READER, sent_message()).accepted
    assert time.monotonic() - began < BUSY_SECONDS + SLACK_SECONDS
    assert len(world.received) == 1
    level = "Warning" if suffix == ".gap" else "Error"
    assert dovecot.wait_log(rf"{level}: .*sent log .*{KINDS[kind]}")


@pytest.mark.parametrize("kind", [fifo, for_all_to_write])
def test_submission_with_a_site_key_keeps_its_serial(relayed_to_world, world, kind):
    dovecot = relayed_to_world(plugin={"backscatter_sources": "submission"})
    key = dovecot.folder / "site-key"
    dovecot.doveadm("backscatter", "key", "generate", str(key))
    os.chown(key, 0, dovecot.users[ALICE].uid)
    key.chmod(0o640)
    dovecot.restart(plugin={"backscatter_site_key": str(key)})
    assert dovecot.submit(ALICE, READER, sent_message()).accepted
    kind(dovecot, SentLog.of(dovecot).path)
    assert dovecot.submit(ALICE, READER, sent_message()).accepted
    assert all(serial_of(received.message) for received in world.received)
    assert dovecot.wait_log(rf"Error: .*message .* not logged: sent log .*{KINDS[kind]}")
    assert SentLog.of(dovecot).gap.exists()


def test_a_site_key_of_another_user(relayed_to_world, world):
    dovecot = relayed_to_world(plugin={"backscatter_sources": "submission"})
    key = dovecot.folder / "site-key"
    dovecot.doveadm("backscatter", "key", "generate", str(key))
    os.chown(key, dovecot.users[BOB].uid, dovecot.users[ALICE].uid)
    key.chmod(0o640)
    dovecot.restart(plugin={"backscatter_site_key": str(key)})
    assert dovecot.submit(ALICE, READER, sent_message()).accepted
    assert dovecot.wait_log(r"Error: .*backscatter_site_key: .*belongs to uid \d+, neither to root nor to uid")
    # the log's own
    assert SERIAL_HEADER.encode() in world.received[0].message


# The gap mark

@pytest.mark.parametrize("kind", KINDS)
def test_something_else_in_the_gap_marks_place(server, kind):
    """Nothing may have left, but nobody can tell: not covered. What was sent is known all the same."""
    sent = sent_message()
    kind(server, SentLog.of(server).gap)
    server.append(ALICE, "Sent", sent)
    assert judged(server, dsn(sent)) == GENUINE
    assert judged(server, dsn(sent_message(to=STRANGER))) == NOT_COVERED
    assert server.wait_log(rf"Warning: .*sent log .*\.gap {KINDS[kind]}.*coverage starts anew with each write")
    assert coverage(server)["cause"] == "gap"
    assert SentLog.of(server).gap.lstat()


# The home is the Maildir: each file of ours may be an IMAP folder

@pytest.fixture
def maildir_home(dovecot_factory) -> Dovecot:
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"}, extra="mail_location = maildir:~/\n")
    # where stored() looks
    (dovecot.folder / "mail").mkdir()
    (dovecot.folder / "mail" / ALICE).symlink_to(dovecot.users[ALICE].home)
    return dovecot


@pytest.mark.parametrize("folder, verdict", [("backscatter.db", UNAVAILABLE), ("backscatter.db.lock", UNAVAILABLE),
                                             ("backscatter.db.new", UNAVAILABLE), ("backscatter.db.gap", NOT_COVERED),
                                             ("backscatter.db.gap-taken", NOT_COVERED)])
def test_home_is_the_maildir(maildir_home, folder, verdict):
    kept = sent_message()
    with maildir_home.imap(ALICE) as client:
        assert client.create(folder)[0] == "OK"
    maildir_home.append(ALICE, folder, kept)
    maildir_home.append(ALICE, "Sent", sent_message())
    for _ in range(2):
        assert judged(maildir_home, dsn(sent_message(to=STRANGER))) == verdict
    assert maildir_home.wait_log(rf"(Error|Warning): .*/\.{folder}\b.* is a directory \(an IMAP folder of that name\?\).*"
                                 "backscatter_db")
    # neither renamed nor emptied
    assert folder in maildir_home.mailboxes(ALICE)
    assert len(stored(maildir_home, ALICE, folder)) == 1
