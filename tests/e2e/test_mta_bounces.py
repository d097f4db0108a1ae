"""The main job: real bounces by real MTAs, of mail that the mailbox sent (genuine) and of mail that it never saw (forged),
for each action, delivered over LMTP and by dovecot-lda. See docs/design.md, sections 4 to 7."""

import email
import re
from dataclasses import dataclass

import pytest

from dovecot import ALICE, Dovecot, Message
from messages import original
from mta import BUSY, MTAS, NOBODY, READER
from reports import stored
from sentlog import cover

QUARANTINE = "Backscatter"
ACTIONS = ["annotate", "quarantine", "discard", "reject"]
WAYS = ["lmtp", "lda"]


@dataclass(frozen=True)
class Bounce:
    """A message, and an MTA's report about it."""
    original: bytes
    report: bytes

    @property
    def original_id(self) -> str:
        return message_id(self.original)

    @property
    def report_id(self) -> str:
        return message_id(self.report)


def message_id(message: bytes) -> str:
    return email.message_from_bytes(message)["Message-ID"].strip("<> \r\n")


@pytest.fixture(scope="session")
def bounces(mtas):
    """bounces(mta, kind): made once, for many a mailbox can receive the same."""
    made: dict[tuple[str, str], Bounce] = {}

    def get(mta: str, kind: str) -> Bounce:
        if (mta, kind) not in made:
            message = original(kind, sender=ALICE, rcpt=NOBODY)
            made[mta, kind] = Bounce(message, mtas(mta).bounce(ALICE, message).message)
        return made[mta, kind]

    return get


@pytest.fixture(params=MTAS)
def genuine(request, bounces) -> Bounce:
    return bounces(request.param, "genuine")


@pytest.fixture(params=MTAS)
def forged(request, bounces) -> Bounce:
    return bounces(request.param, "forged")


@pytest.fixture
def server(dovecot_factory):
    """server(action): discard and reject act only where the log is written before anything leaves (section 6)."""
    def make(action: str) -> Dovecot:
        sources = "submission" if action in ("discard", "reject") else "sent"
        return dovecot_factory(plugin={"backscatter_sources": sources, "backscatter_action": action})
    return make


def log_as_sent(dovecot: Dovecot, action: str, bounce: Bounce) -> None:
    if action in ("discard", "reject"):
        dovecot.do(ALICE, "backscatter", "sent", "add", bounce.original_id, NOBODY)
    else:
        dovecot.append(ALICE, "Sent", bounce.original)


def assert_verdict(message: Message, verdict: str, reason: str, report_class: str = "dsn-failed") -> None:
    assert message.verdict is not None, message.raw.decode(errors="replace")
    assert (message.verdict["verdict"], message.verdict["class"], message.verdict["reason"]) == \
        (verdict, report_class, reason)


def assert_one_log_line(dovecot: Dovecot, bounce: Bounce, *words: str) -> None:
    lines = dovecot.log_lines(re.escape(bounce.original_id))
    assert len(lines) == 1, f"{len(lines)} log lines with the original's Message-ID: {lines}"
    for word in (ALICE, bounce.report_id, "dsn-failed", *words):
        assert word in lines[0], lines[0]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("action", ACTIONS)
def test_genuine_bounce_reaches_the_inbox(genuine, action, way, server):
    dovecot = server(action)
    log_as_sent(dovecot, action, genuine)
    cover(dovecot, since="60d")
    dovecot.deliver(way, ALICE, genuine.report)
    assert stored(dovecot) == {"INBOX": 1}
    assert_verdict(dovecot.message(ALICE), "genuine", "message-id")
    assert_one_log_line(dovecot, genuine, "genuine", "message-id")


@pytest.mark.parametrize("way", WAYS)
def test_forged_bounce_annotated(forged, way, server):
    dovecot = server("annotate")
    cover(dovecot, since="60d")
    dovecot.deliver(way, ALICE, forged.report)
    assert stored(dovecot) == {"INBOX": 1}
    assert_verdict(dovecot.message(ALICE), "backscatter", "not-sent")
    assert dovecot.message(ALICE).verdict["evidence"] == "message-id"
    assert_one_log_line(dovecot, forged, "backscatter", "not-sent", "annotate")


@pytest.mark.parametrize("way", WAYS)
def test_forged_bounce_quarantined(forged, way, server):
    dovecot = server("quarantine")
    cover(dovecot, since="60d")
    dovecot.deliver(way, ALICE, forged.report)
    assert stored(dovecot) == {QUARANTINE: 1}
    assert QUARANTINE in dovecot.subscriptions(ALICE)
    assert_verdict(dovecot.message(ALICE, QUARANTINE), "backscatter", "not-sent")
    assert_one_log_line(dovecot, forged, "backscatter", "not-sent", "quarantine")


@pytest.mark.parametrize("way", WAYS)
def test_forged_bounce_discarded(forged, way, server):
    dovecot = server("discard")
    cover(dovecot, since="60d")
    dovecot.deliver(way, ALICE, forged.report)
    assert stored(dovecot) == {}
    assert_one_log_line(dovecot, forged, "backscatter", "not-sent", "discard")


def test_forged_bounce_rejected_over_lmtp(forged, server):
    dovecot = server("reject")
    cover(dovecot, since="60d")
    [(code, text)] = dovecot.lmtp("", [ALICE], forged.report)
    assert code == 550 and text.startswith("5.7.1 "), (code, text)
    assert stored(dovecot) == {}
    assert_one_log_line(dovecot, forged, "backscatter", "not-sent", "reject")


def test_forged_bounce_is_not_rejected_by_lda(forged, server):
    dovecot = server("reject")
    cover(dovecot, since="60d")
    dovecot.deliver("lda", ALICE, forged.report)
    assert stored(dovecot) == {QUARANTINE: 1}
    assert_one_log_line(dovecot, forged, "backscatter", "not-sent", "quarantine")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("action", ["discard", "reject"])
def test_forged_bounce_is_not_lost_where_copies_are_the_source(bounces, action, way, dovecot_factory):
    """A Sent copy is logged after the message left: too late to lose a report for its absence."""
    forged = bounces("postfix", "forged")
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_action": action})
    cover(dovecot, since="60d")
    dovecot.deliver(way, ALICE, forged.report)
    assert stored(dovecot) == {QUARANTINE: 1}
    assert_verdict(dovecot.message(ALICE, QUARANTINE), "backscatter", "not-sent")


@pytest.mark.parametrize("make, rcpt, report_class", [
    ("delayed", BUSY, "dsn-delayed"), ("success", READER, "dsn-success")])
def test_other_reports_of_an_mta(mta, make, rcpt, report_class, server):
    dovecot = server("quarantine")
    sent = original("genuine", sender=ALICE, rcpt=rcpt)
    dovecot.append(ALICE, "Sent", sent)
    dovecot.deliver("lmtp", ALICE, getattr(mta, make)(ALICE, sent).message)
    assert_verdict(dovecot.message(ALICE), "genuine", "message-id", report_class)
