"""dovecot-lda: which address counts as the recipient's own, what a null sender is, and the exit codes."""

import pytest

from dovecot import ALICE, Dovecot
from reports import (DAEMON, NOBODY, QUARANTINE, added_headers, assert_verdict, cover, errors, new_id, ordinary, report,
                     report_lines, sent, stored)

ALIAS = "alias@other.example"


@pytest.fixture
def dovecot(dovecot_factory) -> Dovecot:
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_action": "annotate"})
    cover(dovecot)
    return dovecot


@pytest.mark.parametrize("options, verdict, reason", [
    ({}, "unknown", "other-address"),
    ({"orig_rcpt": ALIAS}, "unknown", "other-address"),
    ({"final_rcpt": ALIAS}, "backscatter", "not-sent"),
    ({"final_rcpt": "alias+work@other.example"}, "backscatter", "not-sent"),
    ({"orig_rcpt": ALIAS, "final_rcpt": ALICE}, "unknown", "other-address"),
    ({"orig_rcpt": ALICE, "final_rcpt": ALIAS}, "backscatter", "not-sent"),
    # the hook can't tell this from -a alone, and in doubt the report is delivered
    ({"orig_rcpt": ALIAS, "final_rcpt": ALIAS}, "unknown", "other-address"),
], ids=["neither", "-a", "-r", "-r with detail", "-a, other -r", "other -a, -r", "-a and -r the same"])
def test_only_the_final_recipient_is_an_own_address(dovecot, options, verdict, reason):
    result = dovecot.lda(ALICE, report(new_id("forged"), to=ALIAS), mail_from="", **options)
    assert result.code == 0
    assert_verdict(dovecot.message(ALICE), verdict, reason)


@pytest.mark.parametrize("options", [{}, {"orig_rcpt": ALIAS}, {"final_rcpt": ALIAS}], ids=["neither", "-a", "-r"])
def test_the_login_is_always_own(dovecot, options):
    dovecot.lda(ALICE, report(new_id("forged")), mail_from="", **options)
    assert_verdict(dovecot.message(ALICE), "backscatter", "not-sent")


def test_a_genuine_report_needs_no_address(dovecot):
    message_id = new_id("mine")
    sent(dovecot, ALICE, message_id)
    dovecot.lda(ALICE, report(message_id, to=ALIAS), mail_from="", orig_rcpt=ALIAS)
    assert_verdict(dovecot.message(ALICE), "genuine", "message-id")


@pytest.mark.parametrize("mail_from", ["", "<>", DAEMON, f"<{DAEMON}>", None])
def test_a_report_is_judged_whatever_its_sender(dovecot, mail_from):
    assert dovecot.lda(ALICE, report(new_id("forged")), mail_from=mail_from, final_rcpt=ALICE).code == 0
    assert_verdict(dovecot.message(ALICE), "backscatter", "not-sent")


# A bounce in plain words that only the null sender tells from a friend's letter.
PLAIN_BOUNCE = f"""From: Robot <robot@elsewhere.example>
To: {ALICE}
Subject: Your letter
Message-ID: <plain@elsewhere.example>

Your message could not be delivered to the following recipient:

  <{NOBODY}>: 550 5.1.1 User unknown

------ This is a copy of the message, including all the headers. ------

From: <{ALICE}>
To: <{NOBODY}>
Subject: hello
Message-ID: <never-sent@client.example.test>

hello
""".encode()


@pytest.mark.parametrize("mail_from, is_report", [
    ("", True), ("<>", True), ("MAILER-DAEMON", True), ("mailer-daemon@elsewhere.example", False), ("robot@elsewhere.example", False), (None, False)])
def test_how_a_null_sender_is_written(dovecot, mail_from, is_report):
    """MAILER-DAEMON: by Postfix' pipe(8), unless null_sender= says otherwise."""
    dovecot.lda(ALICE, PLAIN_BOUNCE, mail_from=mail_from, final_rcpt=ALICE)
    assert (dovecot.message(ALICE).verdict is not None) == is_report


@pytest.mark.parametrize("action, where", [("annotate", {"Other": 1}), ("quarantine", {QUARANTINE: 1}),
                                           ("discard", {QUARANTINE: 1})])
def test_another_default_mailbox(dovecot_factory, action, where):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_action": action})
    dovecot.do(ALICE, "mailbox", "create", "Other")
    cover(dovecot)
    message = report(new_id("forged"))
    assert dovecot.lda(ALICE, message, mail_from="", final_rcpt=ALICE, mailbox="Other").code == 0
    assert stored(dovecot) == where
    [mailbox] = where
    assert_verdict(dovecot.message(ALICE, mailbox), "backscatter", "not-sent")
    assert added_headers(dovecot.message(ALICE, mailbox), message) == ["X-Backscatter"]


@pytest.mark.parametrize("sieve", [True, False], ids=["sieve", "no-sieve"])
@pytest.mark.parametrize("backscatter", [True, False], ids=["plugin", "plain"])
@pytest.mark.parametrize("kind", ["report", "ordinary", "with an SPF result"])
def test_default_mailbox_that_is_not_there(dovecot_factory, kind, backscatter, sieve):
    """lda stores it in INBOX then, and so it has to be with us, and with our header."""
    dovecot = dovecot_factory(backscatter=backscatter, sieve=sieve, plugin={
        "backscatter_sources": "sent", "backscatter_action": "annotate",
        "backscatter_spf": "yes" if kind == "with an SPF result" else "no"} if backscatter else {})
    if backscatter:
        cover(dovecot)
    message = report(new_id("forged")) if kind == "report" else ordinary()
    assert dovecot.lda(ALICE, message, mail_from="", final_rcpt=ALICE, mailbox="Missing").code == 0
    assert stored(dovecot) == {"INBOX": 1}
    added = {"report": ["X-Backscatter"], "ordinary": [], "with an SPF result": ["Authentication-Results"]}[kind]
    assert added_headers(dovecot.message(ALICE), message) == (added if backscatter else [])


@pytest.mark.parametrize("sieve", [True, False], ids=["sieve", "no-sieve"])
@pytest.mark.parametrize("tempfail", ["no", "yes"])
@pytest.mark.parametrize("kind", ["report", "ordinary", "forged header", "with an SPF result"])
def test_exit_code_of_a_failed_save_is_dovecots_own(dovecot_factory, kind, tempfail, sieve):
    message = (report(new_id("forged")) if kind == "report" else ordinary()) + b"x" * 70_000 + b"\n"
    if kind == "forged header":
        message = b"X-Backscatter: genuine\n" + message
    results = []
    for backscatter in (False, True):
        plugin = {"backscatter_sources": "sent", "backscatter_action": "annotate",
                  "backscatter_spf": "yes" if kind == "with an SPF result" else "no"} if backscatter else {}
        dovecot = dovecot_factory(backscatter=backscatter, sieve=sieve, quota="*:storage=10k", plugin=plugin,
                                  extra=f"quota_full_tempfail = {tempfail}\nsendmail_path = /bin/true\n")
        if backscatter:
            cover(dovecot)
        result = dovecot.lda(ALICE, message, mail_from="", final_rcpt=ALICE)
        results.append(result.code)
        assert stored(dovecot) == {}
    assert results[0] == results[1] != 0


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("from_line", [b"", b"From MAILER-DAEMON  Tue Nov 24 12:00:00 2026\n"], ids=["", "From_"])
@pytest.mark.parametrize("by_path", [False, True], ids=["stdin", "-p"])
@pytest.mark.parametrize("kind", ["genuine", "forged", "ordinary"])
def test_message_from_a_file(dovecot, kind, by_path, from_line, ending):
    message_id = new_id(kind)
    if kind == "genuine":
        sent(dovecot, ALICE, message_id)
    message = (ordinary() if kind == "ordinary" else report(message_id)).replace(b"\n", ending)
    text = from_line.replace(b"\n", ending) + message
    file = dovecot.folder / "message"
    file.write_bytes(text)
    file.chmod(0o644)
    options = ("-p", str(file)) if by_path else ()
    assert dovecot.lda(ALICE, text, mail_from=None if from_line else "", final_rcpt=ALICE, options=options).code == 0
    stored_message = dovecot.message(ALICE)
    if kind == "ordinary":
        assert stored_message.verdict is None
    else:
        assert_verdict(stored_message, *{"genuine": ("genuine", "message-id"), "forged": ("backscatter", "not-sent")}[kind])
    if by_path and from_line:
        return   # lda takes a From_ line away only from what it reads from standard input
    added = added_headers(stored_message, message.replace(b"\r\n", b"\n"))
    assert added == ([] if kind == "ordinary" else ["X-Backscatter"])


def test_settings_from_the_configuration_file(dovecot):
    """As for an MTA whose user may not ask the running Dovecot."""
    assert dovecot.lda(ALICE, report(new_id("forged")), mail_from="", final_rcpt=ALICE, reads_file=True).code == 0
    assert_verdict(dovecot.message(ALICE), "backscatter", "not-sent")


def test_ordinary_mail_is_stored_as_it_is(dovecot):
    message = ordinary()
    since = dovecot.log.mark()
    assert dovecot.lda(ALICE, message, mail_from="friend@elsewhere.example", final_rcpt=ALICE).code == 0
    assert dovecot.message(ALICE).raw == message
    assert report_lines(dovecot, since) == errors(dovecot, since) == []
