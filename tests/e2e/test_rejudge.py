"""Bounces that come before their original is logged: judged again, and moved from the quarantine to INBOX (docs/design.md,
section 3).

Most of them are about mail that a client has just sent: the MTA refuses it at once, and only then the client stores its copy.
"""

import base64
import os
import random
import re
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dovecot import ALICE, Dovecot, LmtpClient, Message
from dovecot_config import doveadm
from reports import mailboxes_with_files
from sentlog import (FRIEND, GENUINE, NOT_SENT, QUARANTINE, STRANGER, SentLog, auto_reply, cover, dsn, found, judged, mdn,
                     message_id_of, sent_message, unknown)
from test_sources import FORMATS, SLASH, WAYS, by_append, by_dsync, by_move

MOVED, LEFT = "action=moved-to-inbox", "action=left-in-quarantine"
TROUBLE = "Error:|Panic:|Fatal:|[Ll]eak"


@pytest.fixture
def server(dovecot_factory):
    """server(...): Alice's log is complete, and empty."""
    def make(*, plugin: dict[str, str] | None = None, **settings) -> Dovecot:
        dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"} | (plugin or {}), **settings)
        cover(dovecot)
        return dovecot
    return make


def add(dovecot: Dovecot, sent: bytes, *recipients: str) -> None:
    """sent add: when it has ended, everything is done."""
    dovecot.do(ALICE, "backscatter", "sent", "add", message_id_of(sent), *(recipients or (FRIEND,)))


def quarantined(dovecot: Dovecot, sent: bytes, **report) -> bytes:
    """A report on this message; it is in the quarantine."""
    about = dsn(sent, **report)
    assert judged(dovecot, about) == NOT_SENT
    return about


def remembered(dovecot: Dovecot) -> int:
    [(number,)] = SentLog.of(dovecot).query("SELECT count(*) FROM remembered_report")
    return number


def places_of_all(dovecot: Dovecot, reports: list[bytes]) -> list[list[str]]:
    """For each report every mailbox that holds a copy of it."""
    stored = [(message_id_of(message.raw), mailbox)
              for mailbox in mailboxes_with_files(dovecot, ALICE) for message in dovecot.messages(ALICE, mailbox)]
    return [[mailbox for message_id, mailbox in stored if message_id == message_id_of(report)] for report in reports]


def places(dovecot: Dovecot, report: bytes) -> list[str]:
    return places_of_all(dovecot, [report])[0]


def without_verdict(message: Message) -> bytes:
    raw, number = re.subn(rb"^X-Backscatter: .*\r?\n", b"", message.raw, flags=re.MULTILINE)
    assert number == 1
    return raw


def internal_dates(dovecot: Dovecot, mailbox: str) -> list[str]:
    with dovecot.imap(ALICE) as client:
        client.select(mailbox, readonly=True)
        _, lines = client.fetch("1:*", "INTERNALDATE")
        return [re.search(rb'INTERNALDATE "([^"]+)"', line).group(1).decode() for line in lines]


# The ways in which an original is logged, beside those of test_sources

def by_sent_add(dovecot: Dovecot, sent: bytes, mailbox: str) -> None:
    """In a process of its own, whose end counts too."""
    said = dovecot.doveadm("backscatter", "sent", "add", message_id_of(sent), FRIEND, user=ALICE).err
    assert not re.search(TROUBLE, said), said


def by_import(dovecot: Dovecot, sent: bytes, mailbox: str) -> None:
    """A copy that was stored while nobody logged it."""
    dovecot.restart(backscatter=False)
    dovecot.append(ALICE, mailbox, sent)
    dovecot.restart(backscatter=True)
    dovecot.doveadm("backscatter", "import", user=ALICE)


EVERY_WAY = [(way, "maildir") for way in [*WAYS, by_sent_add, by_import]]
SOME_WAYS = [(way, mail_format) for way in (by_append, by_move, by_dsync, by_sent_add) for mail_format in ("sdbox", "mdbox")]


@pytest.mark.parametrize("way, mail_format", EVERY_WAY + SOME_WAYS)
def test_the_report_moves_to_inbox(server, way, mail_format):
    dovecot = server(mail_format=mail_format, extra=SLASH)
    sent = sent_message()
    report = quarantined(dovecot, sent)
    way(dovecot, sent, "Sent")
    dovecot.wait_log(rf"Info: backscatter: msgid=<{re.escape(message_id_of(report))}>: report class=dsn-failed verdict=genuine "
                     rf"reason=message-id evidence=message-id original-msgid=<{re.escape(message_id_of(sent))}> {MOVED}")
    assert found(dovecot, report) == GENUINE
    assert places(dovecot, report) == ["INBOX"]
    assert remembered(dovecot) == 0
    assert not dovecot.log_lines(TROUBLE)


@pytest.mark.parametrize("way", ["lmtp", "lda"])
def test_every_way_of_delivery(server, way):
    """lda writes no Return-Path: nothing in the stored message tells of the null sender."""
    dovecot = server()
    sent = sent_message()
    report = dsn(sent)
    dovecot.deliver(way, ALICE, report)
    assert places(dovecot, report) == [QUARANTINE]
    add(dovecot, sent)
    assert found(dovecot, report) == GENUINE


def test_a_bounce_that_only_its_null_sender_tells(server):
    dovecot = server(plugin={"backscatter_action": "quarantine"})
    sent = sent_message()
    report = plain_bounce(sent)
    dovecot.deliver("lda", ALICE, report)
    assert places(dovecot, report) == [QUARANTINE]
    add(dovecot, sent)
    assert places(dovecot, report) == ["INBOX"]


def plain_bounce(about: bytes) -> bytes:
    """No RFC 3464, and nobody who speaks for a mail system."""
    return f"""\
From: Jo <jo@mx.elsewhere.example>
To: {ALICE}
Subject: Undelivered mail
Message-ID: <plain-{message_id_of(about)}>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="limit"

--limit
Content-Type: text/plain

The following message to <{FRIEND}> was undeliverable. The reason for the problem:
5.1.1 - Bad destination email address

--limit
Content-Type: message/rfc822

""".replace("\n", "\r\n").encode() + about + b"\r\n--limit--\r\n"


# What moves

@pytest.mark.parametrize("mail_format", FORMATS)
def test_only_the_header_changes(server, mail_format):
    dovecot = server(mail_format=mail_format)
    sent = sent_message()
    report = quarantined(dovecot, sent)
    before, dates = dovecot.message(ALICE, QUARANTINE), internal_dates(dovecot, QUARANTINE)
    with dovecot.imap(ALICE) as client:
        client.select(QUARANTINE)
        client.store("1", "+FLAGS", r"(\Seen \Flagged $Important work)")
    add(dovecot, sent)
    after = dovecot.message(ALICE)
    assert without_verdict(after) == without_verdict(before)
    assert after.raw.startswith(b"X-Backscatter: genuine; class=dsn-failed; reason=message-id; evidence=message-id")
    assert internal_dates(dovecot, "INBOX") == dates
    with dovecot.imap(ALICE) as client:
        client.select("INBOX", readonly=True)
        _, [flags] = client.fetch("1", "FLAGS")
    assert set(re.search(rb"FLAGS \(([^)]*)\)", flags).group(1).split()) - {rb"\Recent"} \
        == {rb"\Seen", rb"\Flagged", b"$Important", b"work"}
    assert places(dovecot, report) == ["INBOX"]


@pytest.mark.parametrize("header_size, body_size", [(100_000, 0), (300_000, 0), (0, 3_000_000)])
def test_large_headers_and_bodies(server, header_size, body_size):
    dovecot = server()
    sent = sent_message()
    padding = "".join(f"\r\nX-Padding-{number}: {'x' * 60}" for number in range(header_size // 80)).encode()
    report = dsn(sent).replace(b"\r\n\r\n", padding + b"\r\n\r\n", 1) + (b"x" * 70 + b"\r\n") * (body_size // 72)
    assert judged(dovecot, report) == NOT_SENT
    before = without_verdict(dovecot.message(ALICE, QUARANTINE))
    add(dovecot, sent)
    assert without_verdict(dovecot.message(ALICE)) == before


def test_two_reports_on_one_original(server):
    """And one on another, which nobody has sent."""
    dovecot = server()
    sent = sent_message(to=f"{FRIEND}, other@friends.example")
    reports = [quarantined(dovecot, sent, recipients=[recipient], action=action)
               for recipient in (FRIEND, "other@friends.example") for action in ("failed", "delayed")]
    forged = quarantined(dovecot, sent_message(to=STRANGER))
    dovecot.append(ALICE, "Sent", sent)
    wait_for_lines(dovecot, MOVED, 4)
    assert [found(dovecot, report) for report in reports] == [GENUINE] * 4
    assert found(dovecot, forged) == NOT_SENT
    assert remembered(dovecot) == 1


def wait_for_lines(dovecot: Dovecot, regex: str, number: int) -> None:
    at = 0
    for _ in range(number):
        dovecot.wait_log(regex, since=at)
        at = next(index for index, line in enumerate(dovecot.log.lines()) if index >= at and re.search(regex, line)) + 1


def test_more_than_the_original_has_earned_are_not_called_genuine(server):
    """The fourth report on one recipient: nobody knows, so it is delivered."""
    dovecot = server()
    sent = sent_message()
    reports = [quarantined(dovecot, sent) for _ in range(5)]
    add(dovecot, sent)
    assert places_of_all(dovecot, reports) == [["INBOX"]] * 5
    assert [found(dovecot, report) for report in reports] == [GENUINE] * 3 + [unknown("replayed")] * 2
    assert remembered(dovecot) == 0
    # and they have been counted
    assert judged(dovecot, dsn(sent)).reason == "replayed"


def test_a_report_on_another_recipient_moves_as_unknown(server):
    dovecot = server()
    sent = sent_message()
    report = quarantined(dovecot, sent, recipients=[STRANGER])
    add(dovecot, sent, FRIEND)
    assert found(dovecot, report) == unknown("other-recipient")
    assert dovecot.log_lines(f"verdict=unknown reason=other-recipient .*{MOVED}")


def test_an_mdn_is_remembered_for_as_long_as_its_original(server):
    dovecot = server(plugin={"backscatter_action": "quarantine mdn=quarantine", "backscatter_retention": "60 days"})
    cover(dovecot, since="60d")
    report = mdn(sent_message(to=STRANGER), returned=True)
    assert judged(dovecot, report).mailbox == QUARANTINE
    quarantined(dovecot, sent_message())
    ages = SentLog.of(dovecot).query("SELECT round((expires - strftime('%s')) / 86400.0) FROM remembered_report ORDER BY id")
    assert ages == [(60,), (14,)]


def test_everything_that_a_report_tells_is_remembered(server):
    """Message-ID, envelope id, serial (as our header and as envelope id), and what it refers to."""
    dovecot = server()
    dovecot.doveadm("backscatter", "key", "rotate", user=ALICE)
    [key] = dovecot.doveadm("backscatter", "key", "list", user=ALICE, formatter="tab").rows()
    # of a key of ours, and wrong: any other would keep the report out of the quarantine
    serial = base64.b32encode(b"\x01" + bytes.fromhex(key["key"]) + bytes(20)).decode().rstrip("=")
    report = dsn(sent_message(headers=(f"X-Backscatter-Serial: {serial}",)), headers=("References: <1@a.example> <2@a.example>",))
    report = report.replace(b"Reporting-MTA:", f"Original-Envelope-Id: {serial.lower()}\r\nReporting-MTA:".encode())
    dovecot.deliver("lmtp", ALICE, report)
    assert SentLog.of(dovecot).query("SELECT count(*) FROM remembered_identity") == [(5,)]


# What the user has done meanwhile

def user_moves_it(client) -> None:
    client.create("Keep")
    assert client.uid("MOVE", "1", "Keep")[0] == "OK"


def user_copies_it_and_marks_it_deleted(client) -> None:
    client.create("Keep")
    client.copy("1", "Keep")
    client.store("1", "+FLAGS", r"\Deleted")


def user_deletes_it(client) -> None:
    client.store("1", "+FLAGS", r"\Deleted")
    client.expunge()


def user_removes_the_mailbox(client) -> None:
    client.unselect()
    assert client.delete(QUARANTINE)[0] == "OK"


def user_makes_the_mailbox_anew(client) -> None:
    """What lies there now has the number of the report."""
    user_removes_the_mailbox(client)
    client.create(QUARANTINE)
    client.append(QUARANTINE, None, None, sent_message())


def user_renames_the_mailbox(client) -> None:
    client.unselect()
    assert client.rename(QUARANTINE, "Keep")[0] == "OK"


@pytest.mark.parametrize("mail_format", FORMATS)
@pytest.mark.parametrize("act", [user_moves_it, user_copies_it_and_marks_it_deleted, user_deletes_it, user_removes_the_mailbox,
                                 user_makes_the_mailbox_anew, user_renames_the_mailbox])
def test_what_the_user_has_done_stays(server, act, mail_format):
    dovecot = server(mail_format=mail_format)
    sent = sent_message()
    report = quarantined(dovecot, sent)
    with dovecot.imap(ALICE) as client:
        client.select(QUARANTINE)
        act(client)
    before = places(dovecot, report)
    add(dovecot, sent)
    assert places(dovecot, report) == before
    assert "INBOX" not in before
    assert remembered(dovecot) == 0
    assert not dovecot.log_lines(TROUBLE)


def test_a_client_has_both_mailboxes_open(server):
    """It sees the report come and go, and its session goes on."""
    dovecot = server()
    sent = sent_message()
    quarantined(dovecot, sent)
    with dovecot.imap(ALICE) as reader, dovecot.imap(ALICE) as sender:
        reader.select("INBOX")
        sender.select(QUARANTINE)
        assert sender.append("Sent", None, None, sent)[0] == "OK"
        dovecot.wait_log(MOVED)
        sender.noop()
        assert sender.response("EXPUNGE")[1] == [b"1"]
        reader.noop()
        assert reader.response("EXISTS")[1][-1] == b"1"
        assert sender.append("Sent", None, None, sent_message())[0] == "OK"


# What isn't moved

@pytest.mark.parametrize("plugin, sieve", [
    ({"backscatter_action": "annotate"}, None),
    ({"backscatter_action": "annotate"}, f'require ["fileinto", "mailbox"]; fileinto :create "{QUARANTINE}";'),
    ({"backscatter_sources": ""}, 'require ["fileinto", "mailbox"]; fileinto :create "Reports";'),
    ({"backscatter_sources": ""}, 'require ["fileinto", "mailbox", "copy"]; fileinto :copy :create "Reports";'),
], ids=["annotate", "annotate and Sieve", "unknown and Sieve", "unknown, twice"])
def test_what_was_not_quarantined_stays_where_it_is(server, plugin, sieve):
    dovecot = server(plugin=plugin)
    dovecot.set_sieve(ALICE, sieve)
    sent = sent_message()
    report = dsn(sent)
    dovecot.deliver("lmtp", ALICE, report)
    before = {mailbox: [message.raw for message in dovecot.messages(ALICE, mailbox)] for mailbox in places(dovecot, report)}
    assert before
    assert remembered(dovecot) == 0
    add(dovecot, sent)
    assert {mailbox: [message.raw for message in dovecot.messages(ALICE, mailbox)] for mailbox in before} == before
    assert not dovecot.log_lines(f"{MOVED}|{TROUBLE}")


@pytest.mark.parametrize("action", ["discard", "reject"])
def test_what_was_never_stored_is_not_remembered(server, action):
    dovecot = server(plugin={"backscatter_sources": "submission", "backscatter_action": action})
    sent = sent_message()
    dovecot.lmtp("", [ALICE], dsn(sent))
    assert remembered(dovecot) == 0
    add(dovecot, sent)
    assert not dovecot.log_lines(f"{MOVED}|{TROUBLE}")


def test_what_sieve_discards_is_not_remembered(server):
    dovecot = server(plugin={"backscatter_action": "annotate"})
    dovecot.set_sieve(ALICE, "discard;")
    dovecot.deliver("lmtp", ALICE, dsn(sent_message()))
    assert remembered(dovecot) == 0


def test_a_reply_that_the_log_knows_is_not_remembered(server):
    dovecot = server()
    sent = sent_message()
    add(dovecot, sent)
    assert judged(dovecot, auto_reply(sent)).verdict == "genuine"
    assert judged(dovecot, dsn(sent, recipients=[STRANGER])) == unknown("other-recipient")
    assert remembered(dovecot) == 0


# Namespaces, faults

def test_a_namespace_with_a_prefix(server):
    dovecot = server(plugin={"backscatter_mailbox": "INBOX/Backscatter"}, mail_format="sdbox",
                     extra="namespace inbox {\n  prefix = INBOX/\n  separator = /\n}\n")
    sent = sent_message()
    report = dsn(sent)
    dovecot.deliver("lmtp", ALICE, report)
    assert places(dovecot, report) == ["INBOX/Backscatter"]
    add(dovecot, sent)
    assert places(dovecot, report) == ["INBOX"]


def test_inbox_over_quota(server):
    """The report stays until there is room; the delivery of another report looks again."""
    dovecot = server(quota="*:storage=100k", plugin={"quota_rule2": f"{QUARANTINE}:ignore"})
    sent = sent_message()
    report = quarantined(dovecot, sent)
    dovecot.append(ALICE, "INBOX", sent_message() + (b"x" * 70 + b"\r\n") * (99 * 1024 // 72))
    add(dovecot, sent)
    assert places(dovecot, report) == [QUARANTINE]
    assert dovecot.log_lines("Error: backscatter: Judging the report with UID 1 in mailbox Backscatter again failed: "
                             ".*INBOX: .*[Qq]uota")
    assert remembered(dovecot) == 1

    dovecot.doveadm("expunge", "mailbox", "INBOX", "all", user=ALICE)
    judged(dovecot, dsn(sent_message(to=STRANGER)))
    assert found(dovecot, report) == GENUINE


def test_a_log_that_can_not_be_written_moves_nothing(server):
    dovecot = server()
    sent = sent_message()
    report = quarantined(dovecot, sent)
    with SentLog.of(dovecot).locked():
        dovecot.append(ALICE, "Sent", sent)
        dovecot.wait_log("Error: .*Sent copy not logged: .*locked by another process")
    assert places(dovecot, report) == [QUARANTINE]
    assert remembered(dovecot) == 1


# Races

@pytest.mark.parametrize("mail_format", FORMATS)
def test_delivery_and_sent_copy_at_the_same_time(server, mail_format):
    """Whoever comes first: the report ends in INBOX, once."""
    dovecot = server(mail_format=mail_format)
    together = threading.Barrier(2)
    reports = []

    def save(client, sent: bytes) -> None:
        together.wait()
        assert client.append("Sent", None, None, sent)[0] == "OK"

    def deliver(client: LmtpClient, report: bytes) -> None:
        together.wait()
        assert client.deliver("", [ALICE], report)[0][0] == 250

    with ThreadPoolExecutor() as pool, dovecot.imap(ALICE) as imap, LmtpClient(dovecot.lmtp_socket) as lmtp:
        for number in range(30):
            sent = sent_message(to=f"friend-{number}@domain-{number}.example")
            reports.append(dsn(sent))
            tasks = [pool.submit(save, imap, sent), pool.submit(deliver, lmtp, reports[-1])]
            for task in tasks:
                task.result()
            # its last line; unknown: it came between two looks into the log
            dovecot.wait_log(rf"msgid=<{re.escape(message_id_of(reports[-1]))}>: .*verdict=(genuine|unknown)")
    assert places_of_all(dovecot, reports) == [["INBOX"]] * len(reports), dovecot.log
    assert remembered(dovecot) == 0
    assert not dovecot.log_lines(TROUBLE)


def test_many_processes_judge_the_same_report_again(server):
    dovecot = server()
    sent = sent_message()
    reports = [quarantined(dovecot, sent, action=action) for action in ("failed", "delayed", "delivered") for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        for task in [pool.submit(by_sent_add, dovecot, sent, "Sent") for _ in range(8)]:
            task.result()
    assert places_of_all(dovecot, reports) == [["INBOX"]] * len(reports)
    assert len(dovecot.log_lines(MOVED)) == len(reports)
    assert not dovecot.log_lines(TROUBLE)


@pytest.mark.parametrize("mail_format", ["maildir", "sdbox"])
def test_killed_while_reports_are_moved(server, mail_format):
    """Every report reaches INBOX, once. (sdbox may repair itself first.)"""
    dovecot = server(mail_format=mail_format)
    for ended in killed_again_and_again(dovecot):
        assert ended == [["INBOX"]] * len(ended), dovecot.log


def test_killed_while_reports_are_moved_in_mdbox_where_a_second_copy_may_stay(server):
    """Every report reaches INBOX. mdbox repairs itself, and finds mails again that were already expunged."""
    dovecot = server(mail_format="mdbox")
    for ended in killed_again_and_again(dovecot):
        assert all("INBOX" in where for where in ended), dovecot.log


def killed_again_and_again(dovecot: Dovecot):
    """At 20 moments: where the reports are when the original was logged once more."""
    moment, killed = random.Random(13), 0
    for number in range(20):
        sent = sent_message(to=f"friend-{number}@domain-{number}.example")
        reports = [quarantined(dovecot, sent, action=action) for action in ("failed", "delayed", "delivered")]
        killed += kill_add(dovecot, sent, moment.uniform(0, 0.05))
        add(dovecot, sent)
        if remembered(dovecot) > 0:
            add(dovecot, sent)
        yield places_of_all(dovecot, reports)
    assert remembered(dovecot) == 0
    assert killed > 0, "each ended before its moment came"


def kill_add(dovecot: Dovecot, sent: bytes, seconds: float) -> bool:
    """sent add, killed when it has been judging for so long; whether it had not ended before."""
    program = doveadm(dovecot, "backscatter", "sent", "add", "-u", ALICE, message_id_of(sent))
    lock = SentLog.of(dovecot).beside(".rejudge")
    process = subprocess.Popen(program, cwd="/", stderr=subprocess.PIPE)
    while process.poll() is None and not lock.exists():
        pass
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # Maildir's own, which Dovecot would wait for, for minutes
    for dotlock in dovecot.users[ALICE].home.rglob("dovecot-uidlist.lock"):
        dotlock.unlink()
    assert process.returncode in (0, -signal.SIGKILL), process.stderr.read()
    process.stderr.close()
    return process.returncode != 0


def test_something_else_in_the_locks_place(server):
    """A link would have any file of the user's locked, and another user's file be locked by him for ever."""
    dovecot = server()
    sent = sent_message()
    report = quarantined(dovecot, sent)
    lock = SentLog.of(dovecot).beside(".rejudge")
    target = lock.parent / "target"
    target.touch()
    os.chown(target, dovecot.users[ALICE].uid, -1)
    lock.symlink_to(target)
    add(dovecot, sent)
    assert places(dovecot, report) == [QUARANTINE]
    assert dovecot.wait_log(rf"Error: .*Locking {lock} failed: .*is a symbolic link.*: move it away")
    lock.unlink()
    add(dovecot, sent_message())
    assert places(dovecot, report) == ["INBOX"]


def test_killed_before_the_lock_lost_its_second_name(server):
    """Dovecot makes a lock under another name, links it, and takes that name away."""
    dovecot = server()
    sent = sent_message()
    report = quarantined(dovecot, sent)
    lock = SentLog.of(dovecot).beside(".rejudge")
    lock.touch()
    os.chown(lock, dovecot.users[ALICE].uid, dovecot.users[ALICE].uid)
    lock.with_name(lock.name + ".0123456789abcdef").hardlink_to(lock)
    add(dovecot, sent)
    assert places(dovecot, report) == ["INBOX"]
    assert not lock.exists() and not dovecot.log_lines(TROUBLE)


@pytest.mark.parametrize("mail_format", FORMATS)
def test_interrupted_between_copy_and_expunge(server, mail_format):
    """The lock that the process left behind tells: what is in INBOX already is only taken out of the quarantine."""
    dovecot = server(mail_format=mail_format)
    sent = sent_message()
    report = quarantined(dovecot, sent)
    dovecot.doveadm("copy", "INBOX", "mailbox", QUARANTINE, "all", user=ALICE)
    lock = SentLog.of(dovecot).beside(".rejudge")
    lock.touch()
    os.chown(lock, dovecot.users[ALICE].uid, dovecot.users[ALICE].uid)
    add(dovecot, sent)
    assert places(dovecot, report) == ["INBOX"]
    assert not lock.exists()
    assert not dovecot.log_lines(TROUBLE)
