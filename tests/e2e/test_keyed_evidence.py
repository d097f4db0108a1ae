"""What comes back: real bounces of submitted mail, by the relay (a Postfix) and by somebody else's MTA (an Exim), judged by
one evidence at a time, changed, replayed, and sent to the wrong mailbox (docs/design.md, sections 4 and 6)."""

import re
import shutil
from pathlib import Path

import pytest

from dovecot import ALICE, BOB, Message
from relay import BOUNCED, FORWARDED, LIST, MEMBERS, REFUSED
from sending import (TAG, Sending, about_recipient, backscatter, flipped, genuine, only, renamed, serial_of, tagged_recipient,
                     with_serial)
from sentlog import QUARANTINE, STRANGER, Judged, SentLog, cover, coverage, judged, new_message_id, sent_message, unknown

INFO = "info@example.test"
BUDGET = 3      # of failed reports, for each recipient
IN_RETURNED_HEADER, IN_STATUS, IN_RECIPIENT = "serial", "envid", "tag"
KEYED = [IN_RETURNED_HEADER, IN_STATUS, IN_RECIPIENT]


@pytest.fixture
def tagging(sending_factory) -> Sending:
    return sending_factory(plugin={"backscatter_tag": "yes"})


def deliver(sending: Sending, report: bytes, user: str = ALICE, rcpt: str | None = None) -> Judged:
    return judged(sending.dovecot, report, user, rcpt=rcpt)


def address_for(evidence: str, bounce: Message) -> str:
    """Where a report with only this evidence goes to."""
    return tagged_recipient(bounce) if evidence == IN_RECIPIENT else ALICE


# One evidence at a time

@pytest.mark.parametrize("rcpt", [REFUSED, BOUNCED])
def test_a_bounce_comes_back_genuine(sending, rcpt):
    bounce = sending.bounce(rcpt)
    assert bounce.verdict["verdict"] == "genuine" and bounce.verdict["class"] == "dsn-failed"
    assert sending.dovecot.messages(ALICE) == [bounce]


@pytest.mark.parametrize("rcpt", [REFUSED, BOUNCED])
@pytest.mark.parametrize("evidence", [*KEYED, "message-id"])
def test_one_evidence_is_enough(tagging, rcpt, evidence):
    bounce = tagging.bounce(rcpt)
    assert deliver(tagging, only(bounce, evidence), rcpt=address_for(evidence, bounce)) == genuine(evidence)


def test_a_tag_in_the_to_field_is_enough(tagging):
    """An MTA has taken the detail off the envelope."""
    assert deliver(tagging, only(tagging.bounce(REFUSED), "tag"), rcpt=ALICE) == genuine("tag")


@pytest.mark.parametrize("evidence", KEYED)
def test_upper_or_lower_case(tagging, evidence):
    bounce = tagging.bounce(REFUSED)
    serial = serial_of(bounce.raw)
    report = with_serial(only(bounce, evidence), serial.lower())
    address = address_for(evidence, bounce).replace(serial, serial.lower())
    assert deliver(tagging, report, rcpt=address) == genuine(evidence)


@pytest.mark.parametrize("evidence", KEYED)
def test_keyed_evidence_needs_no_row(tagging, evidence):
    """It verifies by the key alone."""
    bounce = tagging.bounce(REFUSED)
    tagging.log.query("DELETE FROM message")
    assert deliver(tagging, only(bounce, evidence), rcpt=address_for(evidence, bounce)) == genuine(evidence)


@pytest.mark.parametrize("evidence", KEYED)
def test_keyed_evidence_stands_for_any_recipient(tagging, evidence):
    bounce = tagging.bounce(REFUSED)
    report = about_recipient(only(bounce, evidence), REFUSED, STRANGER)
    assert deliver(tagging, report, rcpt=address_for(evidence, bounce)) == genuine(evidence)


def test_a_message_id_does_not(sending):
    report = about_recipient(only(sending.bounce(REFUSED), "message-id"), REFUSED, STRANGER)
    assert deliver(sending, report) == unknown("other-recipient")


def test_nothing_is_left_but_a_known_recipient(sending):
    assert deliver(sending, only(sending.bounce(REFUSED))) == unknown("recipient-known")


# Forwarded, fanned out, rewritten

def test_forwarded_at_the_far_end(sending):
    bounce = sending.bounce(FORWARDED)
    assert MEMBERS[0].encode() in bounce.raw and bounce.verdict["verdict"] == "genuine"
    for evidence in ("serial", "envid", "message-id"):
        assert deliver(sending, only(bounce, evidence)).mailbox == "INBOX"


def test_an_alias_for_ten_members_who_are_gone(sending):
    bounces = sending.bounces(LIST)
    assert len(bounces) == len(MEMBERS)
    assert {bounce.verdict["verdict"] for bounce in bounces} == {"genuine"}
    assert len(sending.dovecot.messages(ALICE)) == len(MEMBERS)


@pytest.mark.parametrize("evidence", ["serial", "envid", None])
def test_a_relay_rewrote_the_message_id(sending, evidence):
    message = sent_message(to=REFUSED)
    bounce = sending.bounce(REFUSED, message)
    rewritten = only(bounce, "message-id", *[evidence] * bool(evidence))
    rewritten, count = re.subn(rb"^Message-ID: <message-.*>$", f"Message-ID: <{new_message_id()}>".encode(), rewritten,
                               flags=re.MULTILINE)
    assert count == 1
    cover(sending.dovecot)
    assert deliver(sending, rewritten) == (genuine(evidence) if evidence else unknown("recipient-known"))


# Forged

@pytest.mark.parametrize("evidence", KEYED)
def test_one_digit_is_wrong(tagging, evidence):
    """From the day of issue to the last of the MAC."""
    bounce = tagging.bounce(REFUSED)
    cover(tagging.dovecot)
    report = about_recipient(only(bounce, evidence), REFUSED, STRANGER)
    for position in (6, 12, 24, 36):
        wrong = flipped(serial_of(bounce.raw), position)
        address = TAG.sub(f"+b={wrong}@", address_for(evidence, bounce))
        assert deliver(tagging, with_serial(renamed(report), wrong), rcpt=address) == backscatter("bad-serial"), position


@pytest.mark.parametrize("evidence", ["serial", "envid"])
def test_a_wrong_digit_does_not_outweigh_other_evidence(sending, evidence):
    bounce = sending.bounce(REFUSED)
    wrong = flipped(serial_of(bounce.raw), 20)
    assert deliver(sending, with_serial(only(bounce, evidence, "message-id"), wrong)) == genuine("message-id")
    assert deliver(sending, with_serial(only(bounce, evidence), wrong)) == unknown("recipient-known")


@pytest.mark.parametrize("position", [2, 3])
def test_a_key_that_nobody_knows_proves_nothing(sending, position):
    """Neither for the report nor against it: another host may have issued it."""
    bounce = sending.bounce(REFUSED)
    cover(sending.dovecot)
    report = about_recipient(only(bounce, "serial", "message-id"), REFUSED, STRANGER)
    report = re.sub(rb"^Message-ID: <message-", b"Message-ID: <forged-", report, flags=re.MULTILINE)
    assert deliver(sending, with_serial(report, flipped(serial_of(bounce.raw), position))) == unknown("unknown-key")


# Replayed

def test_a_report_is_believed_only_so_often(sending):
    bounce = sending.bounce(REFUSED)
    cover(sending.dovecot)
    for _ in range(BUDGET - 1):
        assert deliver(sending, renamed(bounce)).verdict == "genuine"
    for _ in range(2):
        assert deliver(sending, renamed(bounce)) == unknown("replayed")


@pytest.mark.parametrize("evidence", ["serial", "envid", "message-id"])
def test_every_evidence_counts_for_the_same_message(sending, evidence):
    bounce = sending.bounce(REFUSED)
    for each in ("serial", "message-id"):
        assert deliver(sending, only(bounce, each)) == genuine(each)
    assert deliver(sending, only(bounce, evidence)) == unknown("replayed")


def test_classes_and_recipients_have_their_own_budgets(sending):
    other = "somebody-else@reject.example.test"
    [bounce] = sending.bounces([REFUSED, other])
    assert all(address.encode() in bounce.raw for address in (REFUSED, other))
    for _ in range(BUDGET - 1):
        deliver(sending, renamed(bounce))
    assert deliver(sending, renamed(bounce)) == unknown("replayed")
    delayed = renamed(bounce).replace(b"Action: failed", b"Action: delayed")
    assert deliver(sending, delayed).verdict == "genuine"


# The wrong mailbox

def to_bob(bounce: Message, *evidence: str) -> bytes:
    """As if it had been sent in Bob's name."""
    return only(bounce, *evidence).replace(ALICE.encode(), BOB.encode())


def test_another_mailboxs_report(sending):
    bounce = sending.bounce(REFUSED)
    cover(sending.dovecot, BOB)
    assert deliver(sending, to_bob(bounce, "message-id"), BOB) == backscatter("not-sent")


@pytest.mark.parametrize("evidence", ["serial", "envid"])
def test_another_mailboxs_serial(sending, evidence):
    """A colleague may have sent it in this mailbox's name."""
    bounce = sending.bounce(REFUSED)
    cover(sending.dovecot, BOB)
    assert deliver(sending, to_bob(bounce, evidence, "message-id"), BOB) == unknown("unknown-key")


@pytest.mark.parametrize("action", ["discard", "reject"])
def test_a_serial_of_an_unknown_key_is_never_thrown_away(sending_factory, action):
    """A colleague may have sent it in this mailbox's name."""
    sending = sending_factory(plugin={"backscatter_action": action})
    bounce = sending.bounce(REFUSED)
    cover(sending.dovecot, BOB)
    assert deliver(sending, to_bob(bounce, "serial", "message-id"), BOB) == unknown("unknown-key")
    replies = sending.dovecot.lmtp("", [BOB], to_bob(bounce, "message-id"))
    assert [code for code, _ in replies] == [250 if action == "discard" else 550]
    assert len(sending.dovecot.messages(BOB)) == 1 and not sending.dovecot.messages(BOB, QUARANTINE)


# What discards and rejects

@pytest.mark.parametrize("sources, acts", [("submission", True), ("submission sent", False), ("sent", False)])
@pytest.mark.parametrize("action, code", [("discard", 250), ("reject", 550)])
def test_discard_and_reject_need_a_source_that_logs_first(sending_factory, action, code, sources, acts):
    sending = sending_factory(plugin={"backscatter_sources": sources, "backscatter_action": action})
    bounce = sending.bounce(REFUSED)
    cover(sending.dovecot)
    report = about_recipient(only(bounce, "serial"), REFUSED, STRANGER)
    report = with_serial(report, flipped(serial_of(bounce.raw), 20))
    replies = sending.dovecot.lmtp("", [ALICE], report)
    assert [reply[0] for reply in replies] == [code if acts else 250]
    line = sending.dovecot.wait_log(r"backscatter: .*reason=bad-serial.*action=(\S+)").group(1)
    assert line == (action if acts else "quarantine")
    assert len(sending.dovecot.messages(ALICE, QUARANTINE)) == (0 if acts else 1)
    assert sending.dovecot.messages(ALICE) == [bounce]


@pytest.mark.parametrize("action", ["quarantine", "discard", "reject"])
def test_without_sources_not_even_a_wrong_serial_condemns(sending_factory, action):
    sending = sending_factory(plugin={"backscatter_sources": "", "backscatter_action": action})
    bounce = sending.bounce(REFUSED)
    cover(sending.dovecot)
    report = about_recipient(only(bounce, "serial"), REFUSED, STRANGER)
    assert deliver(sending, with_serial(report, flipped(serial_of(bounce.raw), 20))) == unknown("not-covered")


# Lost rows

def test_a_snapshot_that_was_rolled_back(sending):
    """Nothing about the file tells; a serial of its own key that has no row does."""
    sending.sent(sent_message())
    cover(sending.dovecot)
    snapshot = sending.log.path.with_name("snapshot")
    sending.log.backup(snapshot)
    bounce = sending.bounce(REFUSED)
    for name in ("-wal", "-shm"):
        Path(f"{sending.log.path}{name}").unlink(missing_ok=True)
    sending.log.path.write_bytes(snapshot.read_bytes())   # the same inode
    assert coverage(sending.dovecot)["cause"] == "set"
    assert deliver(sending, only(bounce, "serial")) == genuine("serial")
    sending.dovecot.wait_log(r"Warning: .*backscatter: .*rows were lost")
    assert coverage(sending.dovecot)["cause"] == "rows-lost"
    report = about_recipient(only(bounce, "message-id"), REFUSED, STRANGER)
    assert deliver(sending, report) == unknown("not-covered"), "its row is gone, too"


# Keys

def site_key(sending: Sending, name: str = "site-key"):
    """A new site key, for those who have the group "mail"."""
    path = sending.dovecot.folder / name
    sending.dovecot.doveadm("backscatter", "key", "generate", str(path))
    shutil.chown(path, group="mail")
    path.chmod(0o640)
    return path


@pytest.fixture
def shared_mailbox(sending_factory) -> Sending:
    """Alice and Bob send as info@ too; its reports go to a mailbox of its own."""
    members = {"backscatter_addresses": INFO, "backscatter_sender_check": "both"}
    return sending_factory(users={ALICE: members, BOB: members, INFO: {}}, extra="mail_access_groups = mail\n")


@pytest.mark.parametrize("evidence", ["serial", "envid"])
@pytest.mark.parametrize("member", [ALICE, BOB])
def test_a_shared_mailbox_with_a_site_key(shared_mailbox, member, evidence):
    sending = shared_mailbox
    sending.dovecot.restart(plugin={"backscatter_site_key": str(site_key(sending))})
    sending.send(sent_message(to=REFUSED, sender=INFO), REFUSED, member, mail_from=INFO)
    bounce = sending.dovecot.message(INFO)
    assert bounce.verdict["verdict"] == "genuine"
    assert deliver(sending, only(bounce, evidence), INFO) == genuine(evidence)
    assert "submission" not in SentLog.of(sending.dovecot, INFO).counts()


def test_a_shared_mailbox_without_one_gets_its_bounces_all_the_same(shared_mailbox):
    sending = shared_mailbox
    sending.dovecot.restart(plugin={"backscatter_action": "discard"})
    cover(sending.dovecot, INFO)
    sending.send(sent_message(to=REFUSED, sender=INFO), REFUSED, ALICE, mail_from=INFO)
    assert sending.dovecot.message(INFO).verdict["reason"] == "our-host"


def test_keys_rotate(sending):
    before = sending.bounce(REFUSED)
    sending.dovecot.doveadm("backscatter", "key", "rotate", user=ALICE)
    after = sending.bounce(REFUSED)
    for bounce in (before, after):
        assert deliver(sending, only(bounce, "serial")) == genuine("serial")
    assert coverage(sending.dovecot)["since"] and sending.log.counts() == {"submission": 2}


def test_a_site_key_takes_over_and_nothing_is_lost(sending_factory):
    sending = sending_factory(extra="mail_access_groups = mail\n")
    before = sending.bounce(REFUSED)
    sending.dovecot.restart(plugin={"backscatter_site_key": str(site_key(sending))})
    after = sending.bounce(REFUSED)
    for bounce in (before, after):
        assert deliver(sending, only(bounce, "serial")) == genuine("serial")
        assert deliver(sending, only(bounce, "message-id")) == genuine("message-id")


def test_a_site_key_that_cannot_be_read_stops_no_mail(sending_factory):
    sending = sending_factory(plugin={"backscatter_site_key": "/nonexistent/site-key"})
    bounce = sending.bounce(REFUSED)
    assert bounce.verdict["verdict"] == "genuine"
    assert sending.dovecot.log_lines("Error: .*/nonexistent/site-key")
