"""The Sent mailboxes are the truth, and the log is their index: what was stored there past the plugin is logged before a report is
called backscatter (docs/design.md, section 5, rule 0)."""

import fcntl
import os
import re
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from time import monotonic, sleep, time

import pytest

import sentlog
from dovecot import ALICE, Dovecot, maildir
from sentlog import (DAY, GENUINE, NOT_COVERED, NOT_SENT, QUARANTINE, STRANGER, UNAVAILABLE, SentLog, cover, coverage, dsn, found,
                     judged, message_id_of, unknown)
from test_sources import FORMATS, SLASH, WAYS, by_append, by_copy, by_doveadm_copy, by_doveadm_save, by_dsync, by_multiappend

TROUBLE = "Error:|Panic:|Fatal:|[Ll]eak"
LISTED = ["sent", "submission"]
friends = count(1)


def sent_message(**fields) -> bytes:
    """Each to another friend: a failed recipient that is known would acquit before the Sent mailbox has to be read."""
    return sentlog.sent_message(**{"to": f"friend-{next(friends)}@friends.example"} | fields)


@pytest.fixture
def server(dovecot_factory):
    """server(...): Alice's log is complete; what it doesn't know was not sent."""
    def make(*, plugin: dict[str, str] | None = None, **settings) -> Dovecot:
        dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"} | (plugin or {}), **settings)
        dovecot.append(ALICE, "Sent", sent_message())
        cover(dovecot)
        return dovecot
    return make


def returned(message: bytes) -> bytes:
    """As an MTA returns it, with the envelope's sender: it claims to come from Alice, whatever its From: is."""
    return f"Return-Path: <{ALICE}>\r\n".encode() + message


def without_plugin(dovecot: Dovecot, act) -> None:
    """What happens while the plugin is out."""
    dovecot.restart(backscatter=False)
    act()
    dovecot.restart(backscatter=True)


def logged(dovecot: Dovecot) -> int:
    return SentLog.of(dovecot).counts().get("sent", 0)


def mark(dovecot: Dovecot) -> tuple[int, int, int]:
    rows = SentLog.of(dovecot).query("SELECT next_uid, unread_from, unread_to FROM sent_mailbox")
    return rows[0] if rows else (1, 0, 0)


def wait_is_over(dovecot: Dovecot) -> None:
    """As if the minute in which nobody tries again were over."""
    SentLog.of(dovecot).query("UPDATE sent_mailbox SET stopped_at = stopped_at - 61 WHERE stopped_at != 0")


def fill_maildir(dovecot: Dovecot, number: int, *, mailbox: str = "Sent", first: int = 0,
                 name: str = "{time}.M{index}P1.elsewhere.{index}:2,S") -> list[bytes]:
    """Copies as another program drops them into cur/: Dovecot has not seen them. name: in its hash of a name a number that stands
    there twice, six letters apart, cancels itself out, and of thousands each is compared with each."""
    user = dovecot.users[ALICE]
    folder = maildir(user.home / "Maildir", mailbox) / "cur"
    messages = [sent_message() for index in range(number)]
    for index, message in enumerate(messages, first):
        path = folder / name.format(time=1700000000 + index, index=index)
        # ten times as quick as Path.write_bytes()
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(file, message)
        os.fchown(file, user.uid, user.uid)
        os.close(file)
    return messages


def save_many(dovecot: Dovecot, number: int) -> list[bytes]:
    """In any format: with few commands."""
    messages = [sent_message() for _ in range(number)]
    with dovecot.imap(ALICE) as client:
        for start in range(0, number, 500):
            literals = b"".join(b" {%d+}\r\n%s" % (len(each), each) for each in messages[start:start + 500])
            client.send(b"M1 APPEND Sent" + literals + b"\r\n")
            while not (line := client.readline()).startswith(b"M1 "):
                assert line
            assert line.startswith(b"M1 OK"), line
    return messages


def wait_until(condition, seconds: float = 20) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline
        sleep(0.001)


# Past the plugin

@pytest.mark.parametrize("mail_format", FORMATS)
@pytest.mark.parametrize("delivery", ["lmtp", "lda"])
def test_a_plugin_that_was_out_for_fifty_messages(server, mail_format, delivery):
    dovecot = server(mail_format=mail_format)
    sent = [sent_message() for number in range(50)]

    def send() -> None:
        with dovecot.imap(ALICE) as client:
            for message in sent:
                assert client.append("Sent", r"(\Seen)", None, message)[0] == "OK"

    without_plugin(dovecot, send)
    assert logged(dovecot) == 1
    for message in (sent[0], sent[25], sent[49]):
        report = dsn(message)
        dovecot.deliver(delivery, ALICE, report)
        assert found(dovecot, report) == GENUINE
    assert logged(dovecot) == 51
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    assert not dovecot.log_lines(TROUBLE)


@pytest.mark.parametrize("listed", LISTED)
@pytest.mark.parametrize("way", [way for way in WAYS if way is not by_multiappend])
def test_every_way_into_sent(server, way, listed):
    """Whatever sources are listed."""
    dovecot = server(extra=SLASH, plugin={"backscatter_sources": listed})
    sent = sent_message()
    without_plugin(dovecot, lambda: way(dovecot, sent, "Sent"))
    assert logged(dovecot) == 1
    assert judged(dovecot, dsn(sent)) == GENUINE
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT


@pytest.mark.parametrize("mail_format", ["sdbox", "mdbox"])
@pytest.mark.parametrize("way", [by_append, by_copy, by_doveadm_save, by_doveadm_copy, by_dsync])
def test_every_way_into_other_formats(server, way, mail_format):
    dovecot = server(extra=SLASH, mail_format=mail_format)
    sent = sent_message()
    without_plugin(dovecot, lambda: way(dovecot, sent, "Sent"))
    assert judged(dovecot, dsn(sent)) == GENUINE


def test_an_imap_that_never_had_the_plugin(dovecot_factory):
    """Only lmtp has it; the administrator says since when the Sent mailbox is complete."""
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"}, extra="protocol imap {\n  mail_plugins =\n}\n")
    sent = sent_message()
    dovecot.append(ALICE, "Sent", sent)
    cover(dovecot)
    assert SentLog.of(dovecot).counts() == {}
    assert judged(dovecot, dsn(sent)) == GENUINE
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT


@pytest.mark.parametrize("place", ["cur", "new"])
def test_a_file_dropped_into_the_maildir(server, place):
    dovecot = server()
    [sent] = fill_maildir(dovecot, 1)
    if place == "new":
        folder = maildir(dovecot.users[ALICE].home / "Maildir", "Sent")
        [path] = [path for path in (folder / "cur").iterdir() if ".elsewhere" in path.name]
        path.rename(folder / "new" / path.name.partition(":")[0])
    assert judged(dovecot, dsn(sent)) == GENUINE


@pytest.mark.parametrize("mail_format", FORMATS)
def test_nothing_changes_in_the_mailbox(server, mail_format):
    """\\Recent, flags, UIDVALIDITY; and none is created or subscribed."""
    dovecot = server(mail_format=mail_format)
    sent = sent_message()
    without_plugin(dovecot, lambda: dovecot.append(ALICE, "Sent", sent, flags=""))
    before = dovecot.mailboxes(ALICE)
    assert judged(dovecot, dsn(sent)) == GENUINE
    with dovecot.imap(ALICE) as client:
        client.select("Sent")
        _, lines = client.fetch("1:*", "FLAGS")
        assert [b"\\Recent" in line for line in lines][-1:] == [True]
        assert b"\\Seen" not in lines[-1]
    assert dovecot.mailboxes(ALICE) == before


def test_sent_mailboxes_that_are_not_there(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_sent_mailboxes": "Gesendet, Sent Items"})
    dovecot.append(ALICE, "INBOX", sent_message())
    cover(dovecot)
    dovecot.doveadm("backscatter", "sent", "add", "<1@client.example.test>", user=ALICE)
    before = dovecot.mailboxes(ALICE)
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    assert dovecot.mailboxes(ALICE) == sorted({*before, QUARANTINE})
    assert not (dovecot.users[ALICE].home / "Maildir" / ".Sent").exists()


@pytest.mark.parametrize("mailbox", ["Gesendet", "Archive/2026", "Envoyés"])
def test_sent_mailboxes_of_the_setting(server, mailbox):
    dovecot = server(plugin={"backscatter_sent_mailboxes": f"{mailbox}, Not there"}, extra=SLASH)
    dovecot.do(ALICE, "mailbox", "create", mailbox)
    sent = sent_message()
    without_plugin(dovecot, lambda: by_doveadm_save(dovecot, sent, mailbox))
    assert judged(dovecot, dsn(sent)) == GENUINE


# What lmtp and lda file there

@pytest.mark.parametrize("sender, verdict, rows", [(ALICE, GENUINE, 2),
                                                   ("spammer@elsewhere.example", unknown("other-sender"), 1)])
@pytest.mark.parametrize("way", ["lmtp", "lda"])
def test_what_sieve_files_into_sent_counts_with_an_own_sender(server, way, sender, verdict, rows):
    """Bcc to oneself. As lda writes no header of its own, an MTA's is there."""
    dovecot = server()
    dovecot.set_sieve(ALICE, 'require "fileinto"; if header :contains "subject" "confidential" { fileinto "Sent"; }')
    sent = b"Received: from client by mx.example.test; Tue, 24 Nov 2026 12:00:00 +0000\r\n" + sent_message(sender=sender)
    dovecot.deliver(way, ALICE, sent, "someone@elsewhere.example")
    assert len(dovecot.messages(ALICE, "Sent")) == 2
    assert judged(dovecot, dsn(sent)) == verdict
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    assert mark(dovecot) == (3, 0, 0)
    assert logged(dovecot) == rows


def test_mail_to_a_detail_address_does_not_fill_the_log(dovecot_factory):
    dovecot = dovecot_factory(sieve=False, lmtp_save_to_detail_mailbox=True, plugin={"backscatter_sources": "sent"})
    dovecot.append(ALICE, "Sent", sent_message())
    cover(dovecot)
    filler = sent_message(sender="spammer@elsewhere.example")
    for _ in range(5):
        assert dovecot.lmtp("spammer@elsewhere.example", ["alice+Sent@example.test"], filler)[0][0] == 250
    assert judged(dovecot, dsn(filler)) == unknown("other-sender")
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    assert mark(dovecot) == (7, 0, 0)
    assert logged(dovecot) == 1


@pytest.mark.parametrize("stored_days_ago", [200, 100_000], ids=["long ago", "before clocks"])
def test_a_copy_that_was_stored_by_a_broken_clock(server, stored_days_ago):
    """Its Date says when it was sent; a file's own time is lost by many a program that restores it."""
    dovecot = server()
    [sent] = fill_maildir(dovecot, 1)
    folder = maildir(dovecot.users[ALICE].home / "Maildir", "Sent") / "cur"
    [path] = [path for path in folder.iterdir() if ".elsewhere" in path.name]
    stored = max(0, time() - stored_days_ago * DAY)
    os.utime(path, (stored, stored))
    assert judged(dovecot, dsn(sent)) == GENUINE
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT


HORDE = "Received: from 192.0.2.7 ([192.0.2.7]) by webmail.example.test (Horde Framework)\r\n\twith HTTP; Tue, 24 Nov 2026 12:00:00 +0000"
ROUNDCUBE = "Received: from [192.0.2.7] by webmail.example.test with HTTP (HTTP/1.1 POST); Tue, 24 Nov 2026 12:00:00 +0000"


@pytest.mark.parametrize("trace", [HORDE, ROUNDCUBE])
def test_a_webmails_copy_has_a_received_line(server, trace):
    """Written by the webmail itself, below an identity that is not configured; the MTA returns it with the envelope's sender."""
    dovecot = server()
    sent = sent_message(sender="another-identity@example.test", headers=(trace,))
    without_plugin(dovecot, lambda: dovecot.append(ALICE, "Sent", sent))
    assert judged(dovecot, dsn(returned(sent))) == GENUINE
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT


# The mark

def test_saves_by_imap_raise_it(server):
    """Nothing of it has to be read again."""
    dovecot = server()
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    assert mark(dovecot) == (2, 0, 0)
    with dovecot.imap(ALICE) as client:
        for _ in range(3):
            assert client.append("Sent", None, None, sent_message())[0] == "OK"
    wait_until(lambda: mark(dovecot) == (5, 0, 0))


def test_a_save_above_what_is_unread_raises_nothing(server):
    dovecot = server()
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    [sent] = fill_maildir(dovecot, 1)
    with dovecot.imap(ALICE) as client:
        assert client.append("Sent", None, None, sent_message())[0] == "OK"
        client.create("Outgoing")
    assert judged(dovecot, dsn(sent)) == GENUINE
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    assert mark(dovecot) == (4, 0, 0)


def test_an_import_raises_it(server):
    """Unless a copy can't be read: a delivery tries that one again, and says so."""
    dovecot = server()
    fill_maildir(dovecot, 3)
    dovecot.doveadm("backscatter", "import", user=ALICE)
    assert mark(dovecot) == (5, 0, 0)
    [sent] = fill_maildir(dovecot, 1, first=3)
    path = maildir(dovecot.users[ALICE].home / "Maildir", "Sent") / "cur" / "1700000003.M3P1.elsewhere.3:2,S"
    path.chmod(0)
    os.chown(path, 0, 0)
    assert dovecot.doveadm("backscatter", "import", user=ALICE, check=False).code == 75
    assert mark(dovecot) == (5, 0, 0)
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_COVERED


def test_another_uidvalidity(server):
    """The mailbox was removed and made anew: its numbers begin anew, too."""
    dovecot = server()
    for _ in range(3):
        dovecot.append(ALICE, "Sent", sent_message())
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    sent = sent_message()

    def make_anew() -> None:
        dovecot.doveadm("mailbox", "delete", "Sent", user=ALICE)
        dovecot.append(ALICE, "Sent", sent)

    without_plugin(dovecot, make_anew)
    assert judged(dovecot, dsn(sent)) == GENUINE


@pytest.mark.parametrize("session", ["ends before", "ends behind"])
def test_a_restored_log(server, session):
    """The backup is older than what was sent since: read once more. A session that logged into the other file raises no mark in
    this one."""
    dovecot = server()
    log = SentLog.of(dovecot)
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    backup = log.path.with_name("backup")
    log.backup(backup)
    sent = sent_message()
    with dovecot.imap(ALICE) as client:
        assert client.append("Sent", None, None, sent)[0] == "OK"
        if session == "ends before":
            client.logout()
            wait_until(lambda: mark(dovecot) == (3, 0, 0))
        backup.rename(log.path)
        for suffix in ("-wal", "-shm"):
            log.beside(suffix).unlink(missing_ok=True)
        since = dovecot.log.mark()
    if session == "ends behind":
        dovecot.wait_log("imap.*Disconnected: Logged out", since=since)
    cover(dovecot)
    assert judged(dovecot, dsn(sent)) == GENUINE


# What can't be read

def make_unreadable(dovecot: Dovecot) -> Path:
    folder = maildir(dovecot.users[ALICE].home / "Maildir", "Sent") / "cur"
    [path] = [path for path in folder.iterdir() if ".elsewhere" in path.name]
    path.chmod(0)
    os.chown(path, 0, 0)
    return path


def test_a_copy_that_cannot_be_read(server):
    dovecot = server()
    [sent] = fill_maildir(dovecot, 1)
    path = make_unreadable(dovecot)
    named = r"Error: backscatter: The Sent copy with UID 2 in mailbox Sent can't be read"
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_COVERED
    # named once, but it is tried again
    wait_is_over(dovecot)
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_COVERED
    dovecot.wait_log(r"reason=not-covered .*\(1 copies in the Sent mailbox Sent can't be read\)")
    row = coverage(dovecot)
    assert row["covered"] == "no" and row["explanation"].endswith("; 1 copies in the Sent mailbox Sent can't be read")
    assert len(dovecot.log_lines(named)) == 1
    os.chown(path, dovecot.users[ALICE].uid, dovecot.users[ALICE].uid)
    path.chmod(0o600)
    wait_is_over(dovecot)
    assert judged(dovecot, dsn(sent)) == GENUINE
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    assert coverage(dovecot)["covered"] == "yes"


def test_a_copy_that_cannot_be_read_and_is_gone(server):
    dovecot = server()
    fill_maildir(dovecot, 1)
    path = make_unreadable(dovecot)
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_COVERED
    path.unlink()
    wait_is_over(dovecot)
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT


def test_a_copy_that_cannot_be_read_hides_no_other(server):
    dovecot = server()
    sent = fill_maildir(dovecot, 3)
    folder = maildir(dovecot.users[ALICE].home / "Maildir", "Sent") / "cur"
    path = folder / "1700000001.M1P1.elsewhere.1:2,S"
    path.chmod(0)
    os.chown(path, 0, 0)
    assert judged(dovecot, dsn(sent[0])) == GENUINE
    assert judged(dovecot, dsn(sent[2])) == GENUINE
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_COVERED


def test_types_that_are_not_opened_in_a_delivery(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_sent_mailboxes": "Old/Sent"}, extra="""
namespace old {
  prefix = Old/
  separator = /
  location = mbox:~/old
}
""" + SLASH)
    dovecot.append(ALICE, "Sent", sent_message())
    cover(dovecot)
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_COVERED
    dovecot.wait_log(r"reason=not-covered .*\(the Sent mailbox Old/Sent is of the type mbox, which is not opened when a report is")
    row = coverage(dovecot)
    assert row["covered"] == "no" and "; the Sent mailbox Old/Sent is of the type mbox, which is not opened" in row["explanation"]


def test_a_log_that_is_in_the_way(server):
    dovecot = server()
    [sent] = fill_maildir(dovecot, 1)
    with SentLog.of(dovecot).locked():
        assert judged(dovecot, dsn(sent)) == UNAVAILABLE
    assert judged(dovecot, dsn(sent)) == GENUINE


def lock_maildir(dovecot: Dovecot):
    """The lock that a Maildir's sync takes where a file is new, held by another program."""
    folder = maildir(dovecot.users[ALICE].home / "Maildir", "Sent")
    lock = folder / "dovecot-uidlist.lock"
    lock.write_text(f"{os.getpid()}:elsewhere")
    return lock


def test_a_lock_that_another_process_holds(server):
    """Nobody waits for it for long, and nothing is condemned on its word."""
    dovecot = server()
    [sent] = fill_maildir(dovecot, 1)
    lock = lock_maildir(dovecot)
    report = dsn(sent)
    assert judged(dovecot, report) == UNAVAILABLE
    lock.unlink()
    # not tried again within a minute
    assert judged(dovecot, dsn(sent)) == UNAVAILABLE
    wait_is_over(dovecot)
    assert judged(dovecot, dsn(sent)) == GENUINE


def test_locks_of_many_mailboxes(server):
    """Another process has all the indexes locked: the delivery waits for the first one, not for each."""
    others = [f"Sent{number}" for number in range(5)]
    dovecot = server(plugin={"backscatter_sent_mailboxes": ", ".join(others)})
    with ExitStack() as locks:
        for number, mailbox in enumerate(others):
            dovecot.do(ALICE, "mailbox", "create", mailbox)
            dovecot.doveadm("mailbox", "status", "messages", mailbox, user=ALICE)
            fill_maildir(dovecot, 1, mailbox=mailbox, first=number)
            index = maildir(dovecot.users[ALICE].home / "Maildir", mailbox) / "dovecot.index.log"
            fcntl.lockf(locks.enter_context(index.open("r+")), fcntl.LOCK_EX)
        assert judged(dovecot, dsn(sent_message(to=STRANGER))) == UNAVAILABLE
    [(tried,)] = SentLog.of(dovecot).query("SELECT count(*) FROM sent_mailbox WHERE stopped_at != 0")
    assert 1 <= tried <= 2
    # nor is it a fault
    assert not dovecot.log_lines("Error: backscatter")


# Judged again

def test_a_report_that_overtook_its_copy(server):
    """imap lacks the plugin: the next report has the Sent mailbox read, and the one in the quarantine comes back."""
    dovecot = server(extra="protocol imap {\n  mail_plugins =\n}\n")
    sent = sent_message()
    early = dsn(sent)
    assert judged(dovecot, early) == NOT_SENT
    dovecot.append(ALICE, "Sent", sent)
    forged = dsn(sent_message(to=STRANGER))
    assert judged(dovecot, forged) == NOT_SENT
    dovecot.wait_log(rf"<{re.escape(message_id_of(early))}>.* verdict=genuine .*action=moved-to-inbox")
    assert found(dovecot, early) == GENUINE
    assert found(dovecot, forged) == NOT_SENT


def test_a_report_that_is_genuine_brings_it_back_too(server):
    dovecot = server(extra="protocol imap {\n  mail_plugins =\n}\n")
    sent, other = sent_message(), sent_message()
    early = dsn(sent)
    assert judged(dovecot, early) == NOT_SENT
    dovecot.do(ALICE, "backscatter", "sent", "add", message_id_of(other))
    dovecot.append(ALICE, "Sent", sent)
    assert judged(dovecot, dsn(other)) == GENUINE
    assert found(dovecot, early) == GENUINE


@pytest.mark.parametrize("action", ["discard", "reject"])
def test_before_it_is_discarded_or_refused(server, action):
    dovecot = server(plugin={"backscatter_sources": "submission", "backscatter_action": action})
    sent = sent_message()
    without_plugin(dovecot, lambda: dovecot.append(ALICE, "Sent", sent))
    assert judged(dovecot, dsn(sent)) == GENUINE
    [(code, _)] = dovecot.lmtp("", [ALICE], dsn(sent_message(to=STRANGER)))
    assert code == (250 if action == "discard" else 550)
    assert len(dovecot.messages(ALICE)) == 1


# Ordinary mail

def test_nothing_is_read_for_any_other_message(server):
    dovecot = server()
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    fill_maildir(dovecot, 1)
    ordinary = sent_message(sender="friend@friends.example", to=ALICE)
    dovecot.deliver("lmtp", ALICE, ordinary, "friend@friends.example")
    assert mark(dovecot) == (2, 0, 0)
    assert logged(dovecot) == 1
