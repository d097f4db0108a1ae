"""Catching up from large Sent mailboxes: the budget, several processes at once, and a process that is killed on the way."""

import os
import select
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from dovecot import ALICE, Dovecot, LmtpClient
from dovecot_config import IS_2_3
from sentlog import GENUINE, NOT_SENT, STRANGER, UNAVAILABLE, SentLog, dsn, judged
from test_catch_up import (TROUBLE, fill_maildir, logged, mark, save_many, sent_message, server, wait_is_over,   # noqa: F401
                           wait_until, without_plugin)
from test_sources import SLASH

MANY = 10_000


def delivery_budget(dovecot: Dovecot, sent: list[bytes]) -> None:
    """Whatever the machine does in a second: in the end all is read, and until then nothing is condemned."""
    for round_ in range(len(sent) // 100 + 2):     # each looks at a hundred copies at least
        verdict = judged(dovecot, dsn(sent_message(to=STRANGER)))
        if verdict == NOT_SENT:
            break
        assert verdict == UNAVAILABLE
        next_uid, unread_from, unread_to = mark(dovecot)
        assert next_uid > len(sent)
        # the newest come first
        assert 0 < unread_from < unread_to < next_uid
        dovecot.wait_log("reason=log-unavailable .*(took too long and goes on with a later report)")
        wait_is_over(dovecot)
    assert judged(dovecot, dsn(sent[-1])) == GENUINE
    assert verdict == NOT_SENT


def test_ten_thousand_copies(server):
    dovecot = server()
    sent = fill_maildir(dovecot, MANY)
    delivery_budget(dovecot, sent)
    assert logged(dovecot) == MANY + 1
    assert mark(dovecot) == (MANY + 2, 0, 0)
    for message in (sent[0], sent[MANY // 2], sent[-1]):
        assert judged(dovecot, dsn(message)) == GENUINE
    assert not dovecot.log_lines("Panic:|Fatal:|[Ll]eak")


def test_a_maildir_that_takes_long_to_open(server):
    """Names that Dovecot's hash takes for one: what it spends on them leaves time to read."""
    dovecot = server()
    fill_maildir(dovecot, 3000, name="x" * 150 + "{index:05}.{index:05}:2,S")
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) in (NOT_SENT, UNAVAILABLE)
    assert logged(dovecot) > 101


@pytest.mark.parametrize("mail_format", ["sdbox", "mdbox"])
def test_hundreds_in_other_formats(server, mail_format):
    dovecot = server(mail_format=mail_format, extra=SLASH)
    sent = []
    without_plugin(dovecot, lambda: sent.extend(save_many(dovecot, 500)))
    delivery_budget(dovecot, sent)
    assert logged(dovecot) == 501
    assert judged(dovecot, dsn(sent[0])) == GENUINE


def test_new_ones_above_an_unfinished_range(server):
    """What was left unread below, and what has come since, are both read."""
    dovecot = server()
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    old = fill_maildir(dovecot, 300)
    dovecot.doveadm("mailbox", "status", "messages", "Sent", user=ALICE)
    # as if a delivery had read 200 of them and then run out of time
    SentLog.of(dovecot).query("UPDATE sent_mailbox SET next_uid = 302, unread_from = 2, unread_to = 102, stopped_at = 0")
    new = fill_maildir(dovecot, 5, first=300)
    assert judged(dovecot, dsn(new[0])) == GENUINE
    assert judged(dovecot, dsn(old[0])) == GENUINE
    assert mark(dovecot) == (307, 0, 0)
    assert logged(dovecot) == 1 + 100 + 5


def test_a_storm(server):
    """One reads, the others don't wait for it: nobody's report is lost, and none that was sent is condemned."""
    dovecot = server(extra=f"lmtp_user_concurrency_limit = {0 if IS_2_3 else 'unlimited'}\n")
    sent = fill_maildir(dovecot, 3000)
    reports = [dsn(message) for message in sent[::150]] + [dsn(sent_message(to=STRANGER)) for _ in range(20)]
    with ThreadPoolExecutor(10) as pool:
        verdicts = list(pool.map(lambda report: judged(dovecot, report), reports))
    genuine, forged = verdicts[:20], verdicts[20:]
    assert set(genuine) <= {GENUINE, UNAVAILABLE}
    assert set(forged) <= {NOT_SENT, UNAVAILABLE}
    assert not dovecot.log_lines(TROUBLE)
    for _ in range(32):
        wait_is_over(dovecot)
        if judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT:
            break
    assert logged(dovecot) == 3001
    # every copy once: nobody has read what another one had
    assert SentLog.of(dovecot).query("SELECT count(*), count(DISTINCT hash) FROM identity WHERE hash < 1 << 61") == [(3001, 3001)]


@pytest.mark.parametrize("mail_format", ["maildir", "sdbox"])
def test_killed_in_the_middle(server, mail_format):
    """At whatever moment: what the mark calls read is in the log, and the next one reads the rest."""
    dovecot = server(mail_format=mail_format, extra=SLASH)
    sent = []
    if mail_format == "maildir":
        sent += fill_maildir(dovecot, 1500)
    else:
        without_plugin(dovecot, lambda: sent.extend(save_many(dovecot, 1000)))
    uids = {int(row["uid"]) for row in dovecot.doveadm("fetch", "uid", "mailbox", "Sent", user=ALICE, formatter="tab").rows()}
    interrupted = 0
    for _ in range(40):
        before = written(dovecot)
        with LmtpClient(dovecot.lmtp_socket) as client:
            for line, code in ("MAIL FROM:<>", 250), (f"RCPT TO:<{ALICE}>", 250), ("DATA", 354):
                client.command(line, code)
            pids = dovecot.pids("lmtp")
            client._socket.sendall(dsn(sent_message(to=STRANGER)) + b".\r\n")
            # Looked at from outside: SQLite's own locks would be in the way. On a busy machine the last of it may have been
            # read, and the message delivered, between two looks.
            wait_until(lambda: written(dovecot) != before or has_replied(client))
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        # Maildir's own, which Dovecot would wait for, for minutes
        for dotlock in dovecot.users[ALICE].home.rglob("dovecot-uidlist.lock"):
            dotlock.unlink(missing_ok=True)
        next_uid, unread_from, unread_to = mark(dovecot)
        read = {uid for uid in uids if uid < next_uid and not unread_from <= uid < unread_to}
        assert logged(dovecot) >= len(read)
        interrupted += read != uids
        wait_is_over(dovecot)
        if read == uids:
            break
    assert interrupted
    delivery_budget(dovecot, sent)
    for message in (sent[0], sent[len(sent) // 2]):
        assert judged(dovecot, dsn(message)) == GENUINE
    assert logged(dovecot) == len(sent) + 1


def has_replied(client: LmtpClient) -> bool:
    return bool(select.select([client._socket], [], [], 0)[0])


def written(dovecot: Dovecot) -> int:
    """When the log was written to."""
    wal = SentLog.of(dovecot).beside("-wal")
    return wal.stat().st_mtime_ns if wal.exists() else 0
