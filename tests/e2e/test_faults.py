"""The log fails, in every way that files fail: the report is delivered all the same, and so is what a client saves to Sent
(docs/design.md, sections 1, 4 and 8). And nothing fails only because many write at once."""

import os
import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dovecot import ALICE, BOB, Dovecot, LmtpClient
from sentlog import (GENUINE, NOT_COVERED, NOT_SENT, STRANGER, UNAVAILABLE, SentLog, cover, coverage, dsn, fill, found, judged,
                     mail_elsewhere, remount, sent_message, stored, tmpfs)

BUSY_SECONDS = 3.0   # MAILBOX_LOG_DEADLINE_MSECS


@pytest.fixture
def server(dovecot_factory) -> Dovecot:
    """Mail lies outside of the homes, where only the log is."""
    folder = Path(tempfile.mkdtemp(prefix="bs-", dir="/tmp"))
    dovecot = dovecot_factory(folder, plugin={"backscatter_sources": "sent"}, extra=mail_elsewhere(folder))
    yield dovecot
    dovecot.halt()
    shutil.rmtree(folder)


@pytest.fixture
def used(server) -> Dovecot:
    """Its log has a row, and covers 30 days."""
    server.append(ALICE, "Sent", sent_message())
    cover(server)
    assert judged(server, dsn(sent_message(to=STRANGER))) == NOT_SENT
    return server


def save_to_sent(dovecot: Dovecot, message: bytes, user: str = ALICE) -> None:
    """Succeeds for the client, whatever becomes of the log."""
    before = len(stored(dovecot, user, "Sent"))
    dovecot.append(user, "Sent", message)
    assert len(stored(dovecot, user, "Sent")) == before + 1


def assert_error(dovecot: Dovecot, regex: str, since: int = 0) -> None:
    assert dovecot.wait_log(rf"Error: .*{regex}", since=since)


# Locked

def test_locked_for_longer_than_the_deadline(used):
    log = SentLog.of(used)
    report, sent = dsn(sent_message(to=STRANGER)), sent_message()
    with log.locked(), ThreadPoolExecutor() as pool:
        began = time.monotonic()
        saving = pool.submit(save_to_sent, used, sent)
        assert judged(used, report) == UNAVAILABLE
        saving.result()
        assert BUSY_SECONDS * 0.9 < time.monotonic() - began < BUSY_SECONDS * 3
    assert_error(used, "reason=log-unavailable.*locked by another process")
    assert_error(used, "Sent copy not logged: .*locked by another process")
    assert log.gap.exists()


def while_locked(dovecot: Dovecot, act):
    """What act() returns, which has to wait for the log's lock."""
    locked, seconds = threading.Event(), 0.7

    def hold() -> None:
        with SentLog.of(dovecot).locked():
            locked.set()
            time.sleep(seconds)

    with ThreadPoolExecutor() as pool:
        holding = pool.submit(hold)
        locked.wait()
        began = time.monotonic()
        result = act()
        assert time.monotonic() - began > seconds * 0.8
        holding.result()
    return result


def test_a_lock_that_is_released_in_time_is_waited_for(used):
    """Not both at once: while a copy is being saved, nobody knows whether it is the one that is looked for."""
    sent = sent_message()
    assert while_locked(used, lambda: judged(used, dsn(sent_message(to=STRANGER)))) == NOT_SENT
    while_locked(used, lambda: save_to_sent(used, sent))
    assert judged(used, dsn(sent)) == GENUINE
    assert not used.log_lines("Error:")


def test_one_users_lock_is_not_anothers(used):
    with SentLog.of(used).locked():
        began = time.monotonic()
        assert judged(used, dsn(sent_message(to=STRANGER), to=BOB), BOB) == NOT_COVERED
        assert time.monotonic() - began < BUSY_SECONDS * 0.9


# Corrupt

def random_bytes(path) -> None:
    path.write_bytes(os.urandom(20000))


def random_pages(path) -> None:
    """The first page, with the header, is as it was."""
    content = path.read_bytes()
    path.write_bytes(content[:4096] + os.urandom(len(content) - 4096))


def truncated(path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_within_the_header(path) -> None:
    os.truncate(path, 50)


@pytest.mark.parametrize("damage", [random_bytes, random_pages, truncated, cut_within_the_header])
@pytest.mark.parametrize("found_by", ["delivery", "imap"])
def test_a_corrupt_file_is_kept_aside_and_a_new_log_starts(used, damage, found_by):
    log = SentLog.of(used)
    log.query("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(log.path)
    content = log.path.read_bytes()
    if found_by == "delivery":
        assert judged(used, dsn(sent_message(to=STRANGER))) == UNAVAILABLE
    else:
        save_to_sent(used, sent_message())
    [aside] = log.corrupt
    assert aside.read_bytes() == content
    assert_error(used, re.escape(aside.name))
    assert judged(used, dsn(sent_message(to=STRANGER))) == NOT_COVERED
    assert coverage(used)["cause"] in ("corrupt", "gap")
    sent = sent_message()
    save_to_sent(used, sent)
    assert judged(used, dsn(sent)) == GENUINE
    assert len(log.corrupt) == 1


def test_an_empty_file_becomes_a_new_log(used):
    log = SentLog.of(used)
    log.query("PRAGMA wal_checkpoint(TRUNCATE)")
    os.truncate(log.path, 0)
    assert judged(used, dsn(sent_message(to=STRANGER))) == NOT_COVERED
    assert used.wait_log("Warning: .*was an empty file")
    assert coverage(used)["cause"] == "created"


@pytest.mark.parametrize("foreign", ["CREATE TABLE message (id)", "PRAGMA application_id = 7; CREATE TABLE t (a)"])
def test_a_database_of_another_program_is_left_alone(server, foreign):
    log = SentLog.of(server)
    user = server.users[ALICE]
    log.path.touch()
    with log.connection() as db:
        db.executescript(foreign)
    os.chown(log.path, user.uid, user.uid)
    content = log.path.read_bytes()
    assert judged(server, dsn(sent_message(to=STRANGER))) == UNAVAILABLE
    save_to_sent(server, sent_message())
    assert_error(server, "database of another program")
    assert log.path.read_bytes() == content and not log.corrupt


# Full, read-only, missing

@pytest.fixture(params=["log exists", "no log yet"])
def small_disk(request, server, cleanup):
    """A small file system at the home, with a log in it or without."""
    home = cleanup.enter_context(tmpfs(server.users[ALICE].home))
    if request.param == "log exists":
        save_to_sent(server, sent_message())
        cover(server)
        assert judged(server, dsn(sent_message(to=STRANGER))) == NOT_SENT
    return home


def test_full_disk(server, small_disk):
    filler = fill(small_disk)
    assert judged(server, dsn(sent_message(to=STRANGER))) == UNAVAILABLE
    assert_error(server, "reason=log-unavailable.*(full|No space left)")
    lost = sent_message(to="lost@lost.example")
    save_to_sent(server, lost)
    assert_error(server, "Sent copy not logged: .*(full|No space left)")
    assert SentLog.of(server).gap.exists()

    filler.unlink()
    assert judged(server, dsn(lost)) == NOT_COVERED
    assert coverage(server)["cause"] == "gap"
    sent = sent_message()
    save_to_sent(server, sent)
    assert judged(server, dsn(sent)) == GENUINE
    assert not SentLog.of(server).corrupt


def test_full_disk_at_the_logs_folder(dovecot_factory, cleanup):
    """The same where the logs of all lie elsewhere: the homes are fine."""
    dovecot = dovecot_factory()
    folder = dovecot.folder / "logs"
    folder.mkdir()
    folder.chmod(0o1777)
    dovecot.restart(plugin={"backscatter_sources": "sent", "backscatter_db": f"{folder}/%{{user}}.db"})
    fill(cleanup.enter_context(tmpfs(folder)))
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == UNAVAILABLE
    dovecot.append(ALICE, "Sent", sent_message())
    assert SentLog(folder / f"{ALICE}.db").gap.exists()


def test_the_disk_gets_full_while_imap_has_the_log_open(server, cleanup):
    home = cleanup.enter_context(tmpfs(server.users[ALICE].home, size="400k"))
    with server.imap(ALICE) as client:
        assert client.append("Sent", None, None, sent_message())[0] == "OK"
        fill(home)
        lost = [sent_message(to=f"{number}@friends.example") for number in range(60)]
        for message in lost:
            assert client.append("Sent", None, None, message)[0] == "OK"
    assert len(stored(server, ALICE, "Sent")) == 61
    assert_error(server, "Sent copy not logged: .*(full|No space left)")
    assert SentLog.of(server).gap.exists()


def test_read_only_home(server, small_disk):
    remount(small_disk, "ro")
    assert judged(server, dsn(sent_message(to=STRANGER))) == UNAVAILABLE
    assert_error(server, "reason=log-unavailable.*([Rr]ead-only|not writable)")
    lost = sent_message(to="lost@lost.example")
    save_to_sent(server, lost)
    assert_error(server, "Sent copy not logged: .*([Rr]ead-only|not writable).*, nor the gap marked: "
                         f".*doveadm backscatter coverage restart -u {ALICE}")

    remount(small_disk, "rw")
    server.doveadm("backscatter", "coverage", "restart", user=ALICE)
    assert judged(server, dsn(lost)) == NOT_COVERED


def test_missing_home(server):
    server.users[ALICE].home.rmdir()
    assert judged(server, dsn(sent_message(to=STRANGER))) == UNAVAILABLE
    save_to_sent(server, sent_message())
    assert_error(server, "reason=log-unavailable.*No such file or directory")
    assert_error(server, "Sent copy not logged: .*No such file or directory")


def test_user_without_home(server):
    server.halt()
    server.users[ALICE].home = ""
    server.restart(sieve=False)
    assert judged(server, dsn(sent_message(to=STRANGER))) == UNAVAILABLE
    save_to_sent(server, sent_message())
    assert_error(server, "reason=log-unavailable.*backscatter_db=~/.backscatter.db needs a home")
    assert_error(server, "Sent copy not logged: .*needs a home")


# What stands in the way

def folder_not_writable(dovecot: Dovecot, log: SentLog) -> None:
    log.path.parent.chmod(0o500)


def directory_at_the_path(dovecot: Dovecot, log: SentLog) -> None:
    log.path.unlink(missing_ok=True)
    log.path.mkdir()


def owned_by_another(dovecot: Dovecot, log: SentLog) -> None:
    log.path.touch()
    os.chown(log.path, dovecot.users[BOB].uid, dovecot.users[BOB].uid)
    log.path.chmod(0o600)


def read_only_file(dovecot: Dovecot, log: SentLog) -> None:
    os.chown(log.path, 0, 0)
    log.path.chmod(0o444)


def lock_owned_by_root(dovecot: Dovecot, log: SentLog) -> None:
    """As after a backup that was put back by hand."""
    log.path.unlink()
    log.beside(".lock").unlink()
    log.beside(".lock").touch(0o600)


def dangling_link(dovecot: Dovecot, log: SentLog) -> None:
    log.path.unlink()
    log.path.symlink_to("/nonexistent/log")


@pytest.mark.parametrize("obstacle, error", [
    (folder_not_writable, "not writable|Permission denied"), (directory_at_the_path, "not a regular file"),
    (owned_by_another, r"belongs to uid \d+"), (read_only_file, "belongs to uid 0"),
    (lock_owned_by_root, r"\.lock belongs to uid 0"), (dangling_link, "is a symbolic link")])
def test_obstacles(used, obstacle, error):
    log = SentLog.of(used)
    obstacle(used, log)
    assert judged(used, dsn(sent_message(to=STRANGER))) == UNAVAILABLE
    assert_error(used, f"reason=log-unavailable.*({error})")
    save_to_sent(used, sent_message())
    assert_error(used, f"Sent copy not logged: .*({error})")
    if obstacle is not folder_not_writable:
        assert log.gap.exists()


# After the gap

def test_coverage_restarts_with_the_next_write_after_a_gap(used):
    log = SentLog.of(used)
    away = log.path.with_name("away")
    log.path.rename(away)
    log.path.mkdir()
    save_to_sent(used, sent_message())
    assert log.gap.exists()
    first_mark = log.gap.stat().st_mtime_ns
    save_to_sent(used, sent_message())
    assert log.gap.stat().st_mtime_ns > first_mark, "every further failure renews its time"
    log.path.rmdir()
    away.rename(log.path)
    mark = used.log.mark()
    save_to_sent(used, sent_message())
    assert used.wait_log("Warning: .*without being logged", since=mark)
    assert not log.gap.exists()
    assert coverage(used)["cause"] == "gap"
    assert judged(used, dsn(sent_message(to=STRANGER))) == NOT_COVERED


def test_three_recipients_of_whom_one_has_a_broken_log(used):
    SentLog.of(used, BOB).path.mkdir()
    report = dsn(sent_message(to=STRANGER), to=f"{ALICE}, {BOB}")
    assert [code for code, _ in used.lmtp("", [BOB, ALICE], report)] == [250, 250]
    assert found(used, report, BOB) == UNAVAILABLE
    assert found(used, report, ALICE) == NOT_SENT


def test_lda_delivers_too(used):
    SentLog.of(used).path.unlink()
    SentLog.of(used).path.mkdir()
    report = dsn(sent_message(to=STRANGER))
    used.deliver("lda", ALICE, report)
    assert found(used, report) == UNAVAILABLE


def test_ordinary_mail_does_not_look_at_the_log(used):
    SentLog.of(used).path.unlink()
    SentLog.of(used).path.mkdir()
    mark = used.log.mark()
    used.deliver("lmtp", ALICE, sent_message(), "friend@friends.example")
    assert len(stored(used, ALICE, "INBOX")) == 1
    assert not used.log_lines("Error:|Warning:", mark)


# Many at once

WRITERS, MESSAGES, REPORTS = 8, 50, 3
# fewer together than the budget of recipients that the original does not name
REPORTS_EACH = 30


def test_eight_processes_write_while_reports_are_judged(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"})
    known = sent_message()
    dovecot.append(ALICE, "Sent", known)

    def write(number: int) -> list[bytes]:
        messages = [sent_message(to=f"{number}-{index}@friends.example") for index in range(MESSAGES)]
        with dovecot.imap(ALICE) as client:
            start.wait()
            for message in messages:
                assert client.append("Sent", None, None, message)[0] == "OK"
        return messages

    def report(number: int) -> list[bytes]:
        reports = []
        with LmtpClient(dovecot.lmtp_socket) as client:
            start.wait()
            while not written.is_set() or not reports:
                reports.append(dsn(known, recipients=[f"{number}-{len(reports)}@friends.example"]))
                [(code, text)] = client.deliver("", [ALICE], reports[-1])
                assert code == 250, text
                if len(reports) == REPORTS_EACH:
                    break
        return reports

    start, written = threading.Barrier(WRITERS + REPORTS, timeout=20), threading.Event()
    with ThreadPoolExecutor(WRITERS + REPORTS) as pool:
        writing = [pool.submit(write, number) for number in range(WRITERS)]
        reporting = [pool.submit(report, number) for number in range(REPORTS)]
        try:
            messages = [message for each in writing for message in each.result()]
        finally:
            written.set()
        reports = [message for each in reporting for message in each.result()]

    assert SentLog.of(dovecot).counts() == {"sent": WRITERS * MESSAGES + 1}
    assert SentLog.of(dovecot).query("SELECT count(*) FROM recipient") == [(WRITERS * MESSAGES + 1,)]
    verdicts = Counter(message.verdict["verdict"] for message in dovecot.messages(ALICE))
    assert verdicts == {"genuine": len(reports)}
    assert SentLog.of(dovecot).query("PRAGMA integrity_check") == [("ok",)]
    assert SentLog.of(dovecot).query("SELECT sum(reports) FROM report_count") == [(len(reports),)]
    for message in messages[::57]:
        assert judged(dovecot, dsn(message)) == GENUINE
    assert not dovecot.log_lines("Error:|Warning: .*backscatter|Panic")


def test_the_first_log_is_made_by_eight_at_once(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"})
    start = threading.Barrier(WRITERS, timeout=20)

    def write(_: int) -> bytes:
        message = sent_message()
        with dovecot.imap(ALICE) as client:
            start.wait()
            assert client.append("Sent", None, None, message)[0] == "OK"
        return message

    with ThreadPoolExecutor(WRITERS) as pool:
        messages = list(pool.map(write, range(WRITERS)))
    assert SentLog.of(dovecot).counts() == {"sent": WRITERS}
    assert judged(dovecot, dsn(messages[0])) == GENUINE
    assert not dovecot.log_lines("Error:")


@pytest.mark.parametrize("replaces", range(3))
def test_a_corrupt_file_is_found_by_many_at_once(used, replaces):
    """One moves it aside; nobody moves the new one."""
    log = SentLog.of(used)
    log.query("PRAGMA wal_checkpoint(TRUNCATE)")
    random_bytes(log.path)
    reports = [dsn(sent_message(to=STRANGER)) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda report: used.lmtp("", [ALICE], report)[0][0], reports))
    assert results == [250] * 6
    verdicts = {found(used, report) for report in reports}
    assert UNAVAILABLE in verdicts and verdicts <= {UNAVAILABLE, NOT_COVERED}
    assert len(log.corrupt) == 1
    assert judged(used, dsn(sent_message(to=STRANGER))) == NOT_COVERED
