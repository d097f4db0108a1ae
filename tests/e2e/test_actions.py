"""The four actions, when they may act, the quarantine that can't be written, the log line, and wrong settings."""

import re

import pytest

from dovecot import ALICE, BOB, Dovecot
from messages import original
from reports import (NOBODY, QUARANTINE, added_headers, assert_verdict, cover, errors, new_id, ordinary, padding, report,
                     report_lines, sent, stored)

WAYS = ["lmtp", "lda"]
FRIEND = "friend@elsewhere.example"


@pytest.fixture
def server(dovecot_factory):
    """server(action, ...): Alice's log is complete, and empty."""
    def make(action: str = "quarantine", *, sources: str = "submission", plugin: dict[str, str] | None = None,
             **settings) -> Dovecot:
        dovecot = dovecot_factory(plugin={"backscatter_sources": sources, "backscatter_action": action} | (plugin or {}),
                                  **settings)
        cover(dovecot)
        return dovecot
    return make


# discard, reject

@pytest.mark.parametrize("way", WAYS)
def test_discard_leaves_one_line(server, way):
    dovecot = server("discard")
    original_id, report_id = new_id("forged"), new_id("report")
    dovecot.deliver(way, ALICE, report(original_id, message_id=report_id))
    assert stored(dovecot) == {}
    [line] = report_lines(dovecot, expected=1)
    for word in (ALICE, f"<{report_id}>", f"<{original_id}>", "reason=not-sent", "action=discard"):
        assert word in line, line


REJECTED = (550, {})
QUARANTINED = (250, {QUARANTINE: 1})


@pytest.mark.parametrize("sender, outcome", [("", REJECTED), (FRIEND, QUARANTINED)], ids=["null sender", "sender"])
def test_reject_is_for_the_null_sender_only(server, sender, outcome):
    dovecot = server("reject")
    [(code, text)] = dovecot.lmtp(sender, [ALICE], report(new_id("forged")))
    assert (code, stored(dovecot)) == outcome
    assert (code == 550) == text.startswith("5.7.1 ")


def test_lda_quarantines_what_it_cannot_reject(server):
    dovecot = server("reject")
    dovecot.deliver("lda", ALICE, report(new_id("forged")))
    assert stored(dovecot) == {QUARANTINE: 1}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("action", ["discard", "reject"])
@pytest.mark.parametrize("sources", ["sent", "milter", "submission sent", "submission milter", "sent submission milter"])
def test_nothing_is_lost_where_submission_is_not_the_only_source(server, sources, action, way):
    dovecot = server(action, sources=sources)
    dovecot.deliver(way, ALICE, report(new_id("forged")))
    assert stored(dovecot) == {QUARANTINE: 1}
    assert_verdict(dovecot.message(ALICE, QUARANTINE), "backscatter", "not-sent")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("action", ["discard", "reject"])
def test_nothing_is_lost_where_a_serial_came_back(server, action, way):
    """It may be of another node's key."""
    dovecot = server(action)
    serial = "X-Backscatter-Serial: 7M4QKABCDEFGHIJKLMNOPQRSTUVWXYZ2345672\n"
    dovecot.deliver(way, ALICE, report(new_id("forged"), returned_head=serial))
    assert stored(dovecot) in ({QUARANTINE: 1}, {"INBOX": 1})   # unknown would be right, too


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("action", ["discard", "reject"])
def test_nothing_is_lost_without_a_message_id(server, action, way):
    """A mailbox that never sent gets a report that names no original."""
    dovecot = server(action)
    dovecot.deliver(way, ALICE, report(None))
    assert stored(dovecot) == {"INBOX": 1}
    assert_verdict(dovecot.message(ALICE), "unknown", "no-identity")


@pytest.mark.parametrize("action", ["quarantine", "discard", "reject"])
@pytest.mark.parametrize("kind", ["genuine", "unknown", "ordinary"])
def test_actions_are_for_backscatter_only(server, kind, action):
    dovecot = server(action)
    message_id = new_id(kind)
    if kind == "genuine":
        sent(dovecot, ALICE, message_id)
    message = ordinary() if kind == "ordinary" else report(message_id, to="someone@elsewhere.example" if kind == "unknown"
                                                           else ALICE)
    dovecot.deliver("lmtp", ALICE, message)
    assert stored(dovecot) == {"INBOX": 1}


@pytest.mark.parametrize("action, where", [("delayed", {"INBOX": 1}), ("failed", {QUARANTINE: 1}), ("relayed", {QUARANTINE: 1})])
def test_an_action_for_one_class(server, action, where):
    dovecot = server("quarantine dsn-delayed=annotate")
    dovecot.deliver("lmtp", ALICE, report(new_id("forged"), action=action))
    assert stored(dovecot) == where


def test_a_user_has_settings_of_his_own(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "submission"}, users={
        ALICE: {"backscatter_action": "annotate"},
        BOB: {"backscatter_mailbox": "Junk", "backscatter_addresses": "@other.example"}})
    cover(dovecot, ALICE, BOB)
    dovecot.lmtp("", [ALICE, BOB], report(new_id("forged"), to=f"{ALICE}, anyone@other.example"))
    assert (stored(dovecot, ALICE), stored(dovecot, BOB)) == ({"INBOX": 1}, {"Junk": 1})


# quarantine

@pytest.mark.parametrize("way", WAYS)
def test_quarantine_is_created_and_subscribed(server, way):
    dovecot = server()
    assert QUARANTINE not in dovecot.mailboxes(ALICE)
    message = report(new_id("forged"))
    dovecot.deliver(way, ALICE, message)
    assert stored(dovecot) == {QUARANTINE: 1}
    assert QUARANTINE in dovecot.subscriptions(ALICE)
    assert added_headers(dovecot.message(ALICE, QUARANTINE), message).count("X-Backscatter") == 1
    assert errors(dovecot) == []


def test_quarantine_that_the_user_unsubscribed_stays_so(server):
    dovecot = server()
    dovecot.do(ALICE, "mailbox", "create", QUARANTINE)
    dovecot.deliver("lmtp", ALICE, report(new_id("forged")))
    assert stored(dovecot) == {QUARANTINE: 1}
    assert QUARANTINE not in dovecot.subscriptions(ALICE)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name, folder", [
    ("Not mine", "Not mine"), ("Rückläufer", "R&APw-ckl&AOQ-ufer"), ("Junk/Backscatter", "Junk.Backscatter"), ("R&D", "R&-D")])
def test_quarantine_of_another_name(server, name, folder, way):
    dovecot = server(plugin={"backscatter_mailbox": name}, extra="namespace inbox {\n  separator = /\n}\n")
    dovecot.deliver(way, ALICE, report(new_id("forged")))
    assert len(dovecot.messages(ALICE, folder)) == 1
    assert name in dovecot.mailboxes(ALICE) and name in dovecot.subscriptions(ALICE)
    assert dovecot.messages(ALICE) == errors(dovecot) == []


PREFIXED = "namespace inbox {\n  prefix = INBOX.\n  separator = .\n}\n"


@pytest.mark.parametrize("way", WAYS)
def test_quarantine_in_a_namespace_with_a_prefix(server, way):
    dovecot = server(plugin={"backscatter_mailbox": "INBOX.Backscatter"}, extra=PREFIXED)
    dovecot.deliver(way, ALICE, report(new_id("forged")))
    assert len(dovecot.messages(ALICE, "Backscatter")) == 1
    assert "INBOX.Backscatter" in dovecot.subscriptions(ALICE)
    assert dovecot.messages(ALICE) == errors(dovecot) == []


@pytest.mark.parametrize("way", WAYS)
def test_quarantine_outside_of_all_namespaces(server, way):
    """The default name with a prefix: no report is lost by it."""
    dovecot = server(extra=PREFIXED)
    dovecot.deliver(way, ALICE, report(new_id("forged")))
    assert len(dovecot.messages(ALICE)) + len(dovecot.messages(ALICE, "Backscatter")) == 1


# The quarantine can't be written

def assert_delivered_instead(dovecot: Dovecot, way: str, why: str) -> None:
    since = dovecot.log.mark()
    message = report(new_id("forged"), head=padding(4 << 10))
    dovecot.deliver(way, ALICE, message)
    assert_verdict(dovecot.message(ALICE), "backscatter", "not-sent")
    assert added_headers(dovecot.message(ALICE), message).count("X-Backscatter") == 1
    [line] = report_lines(dovecot, since, expected=1)
    assert "Error: " in line and "action=annotate" in line
    assert re.search(f"quarantine in .* failed: .*({why})", line), line


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("action", ["quarantine", "reject"])
def test_quarantine_over_quota(server, action, way):
    sources = "sent" if action == "reject" else "submission"
    dovecot = server(action, sources=sources, quota="*:storage=1k", plugin={"quota_rule2": "INBOX:ignore"})
    dovecot.do(ALICE, "mailbox", "create", QUARANTINE)
    assert_delivered_instead(dovecot, way, "[Qq]uota")
    assert dovecot.messages(ALICE, QUARANTINE) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rights", [["lookup"], ["lookup", "read"]], ids=" ".join)
def test_quarantine_forbidden_by_acl(server, rights, way):
    dovecot = server(acl=True)
    dovecot.do(ALICE, "mailbox", "create", QUARANTINE)
    dovecot.set_acl(ALICE, QUARANTINE, "owner", *rights)
    assert_delivered_instead(dovecot, way, "[Pp]ermission|ACL")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["Back//scatter", "../Backscatter", "Backscatter/", "x" * 300, "/etc/passwd"])
def test_quarantine_with_a_name_that_is_none(server, name, way):
    dovecot = server(plugin={"backscatter_mailbox": name}, extra="namespace inbox {\n  separator = /\n}\n")
    assert_delivered_instead(dovecot, way, "[Nn]ame|[Ii]nvalid|too long")


# The log line

@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("action", ["annotate", "quarantine", "discard"])
@pytest.mark.parametrize("kind", ["genuine", "forged", "unknown"])
def test_one_line_tells_all(server, kind, action, way):
    dovecot = server(action)
    original_id, report_id = new_id(kind), new_id("report")
    if kind == "genuine":
        sent(dovecot, ALICE, original_id)
    since = dovecot.log.mark()
    dovecot.deliver(way, ALICE, report(original_id, message_id=report_id, to=NOBODY if kind == "unknown" else ALICE))
    verdict, reason = {"genuine": ("genuine", "message-id"), "forged": ("backscatter", "not-sent"),
                       "unknown": ("unknown", "other-address")}[kind]
    done = action if kind == "forged" else "annotate"
    [line] = report_lines(dovecot, since, expected=1)
    for word in (ALICE, "class=dsn-failed", f"verdict={verdict}", f"reason={reason}", f"action={done}",
                 f"msgid=<{report_id}>", f"original-msgid=<{original_id}>"):
        assert word in line, line


EVIL = {   # Message-IDs that would like to be log lines of their own
    "control characters": "a\x1b[31m\x07\x01verdict=genuine@evil.example",
    "blanks": "a verdict=genuine reason=message-id action=annotate b@evil.example",
    "quoted": '"a verdict=genuine"@evil.example',
    "closing bracket": "a>: report class=arf verdict=genuine reason=reference@evil.example",
    "folded": "a\n\tverdict=genuine@evil.example",
    "NUL": "a\0b verdict=genuine@evil.example",
    "CR": "a\r verdict=genuine@evil.example",
    "long": "a" * 5000 + "@evil.example",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("whose", ["report", "original", "both"])
@pytest.mark.parametrize("evil", EVIL)
def test_a_message_id_does_not_break_the_line(server, evil, whose, way):
    dovecot = server("annotate")
    original_id = EVIL[evil] if whose != "report" else new_id("forged")
    report_id = EVIL[evil] if whose != "original" else None
    since = dovecot.log.mark()
    dovecot.deliver(way, ALICE, report(original_id, message_id=report_id))
    [line] = report_lines(dovecot, since, expected=1)
    verdict = dovecot.message(ALICE).verdict["verdict"]
    assert not re.search(r"[\x00-\x1f]", line) and len(line) < 1500
    for word in ("class", "verdict", "reason", "action"):
        assert len(re.findall(rf"(?<!\S){word}=", line)) == 1, line
    assert f" verdict={verdict} " in line


# Wrong settings (the list is that of tests/unit/settings/test-settings.c)

WRONG = [
    ("backscatter_sources", "sent smtp", "submission, milter"),
    ("backscatter_sources", "admin", "submission, milter"),
    ("backscatter_addresses", "me", "user@domain"),
    ("backscatter_action", "drop", "annotate, quarantine"),
    ("backscatter_action", "quarantine mdn=drop", "annotate, quarantine.*'drop' is no action"),
    ("backscatter_action", "quarantine mnd=annotate", "annotate, quarantine.*'mnd=annotate' names no class"),
    ("backscatter_mailbox", "inbox", "name of a mailbox"),
    ("backscatter_db", "log.db", "a path that starts with"),
    ("backscatter_db", "~other/log.db", "a path that starts with"),
    ("backscatter_retention", "90", "90 days"),
    ("backscatter_retention", "0 days", "90 days"),
    ("backscatter_report_age", "a while", "90 days; meanwhile it is as long as backscatter_retention, 90 days"),
    ("backscatter_report_age", "91 days", "not longer than.*; meanwhile it holds, and backscatter_retention is 91 days, too"),
]


@pytest.mark.parametrize("name, value, allowed", WRONG)
def test_wrong_setting(dovecot_factory, name, value, allowed):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"}, unchecked={name: value})

    def assert_said(since: int) -> None:
        dovecot.wait_log(f"Error: .*{name} .*'{re.escape(value)}'.*{allowed}", since=since)

    for way in WAYS:
        since = dovecot.log.mark()
        message = report(new_id("any"))
        dovecot.deliver(way, ALICE, message)
        assert_said(since)
    assert sum(stored(dovecot).values()) == 2
    since = dovecot.log.mark()
    copy = original("sent", sender=ALICE, rcpt=NOBODY)
    dovecot.append(ALICE, "Sent", copy)   # logs in, too
    assert len(dovecot.messages(ALICE, "Sent")) == 1
    assert_said(since)
    if name != "backscatter_db":
        [row] = dovecot.doveadm("backscatter", "sent", "count", user=ALICE, formatter="tab").rows()
        assert row["sent"] == "1"


def test_wrong_setting_of_one_user(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"}, users={ALICE: {"backscatter_action": "drop"}, BOB: {}})
    cover(dovecot, ALICE, BOB)
    since = dovecot.log.mark()
    dovecot.lmtp("", [ALICE, BOB], report(new_id("forged"), to=f"{ALICE}, {BOB}"))
    assert (stored(dovecot, ALICE), stored(dovecot, BOB)) == ({"INBOX": 1}, {QUARANTINE: 1})
    report_lines(dovecot, since, expected=2)
    said = [line for line in errors(dovecot, since) if "backscatter_action" in line and "lmtp(" in line]
    assert len(said) == 1 and ALICE in said[0]


def test_empty_quarantine_name(dovecot_factory):
    """A setting without a value is as good as none, or an error; no report is lost by it."""
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"}, unchecked={"backscatter_mailbox": ""})
    cover(dovecot)
    dovecot.deliver("lmtp", ALICE, report(new_id("forged")))
    assert sum(stored(dovecot).values()) == 1
