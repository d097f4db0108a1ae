"""X-Backscatter as Sieve and the reader see it: there once, written by us, the message around it unchanged."""

import shutil
import tempfile
from pathlib import Path

import pytest

import smtp
from dovecot import ALICE, BOB, CAROL, Dovecot, LmtpClient, crlf
from reports import (FILES_BACKSCATTER, QUARANTINE, TRACE_HEADERS, added_headers, assert_verdict, cover, errors, new_id, ordinary,
                     padding, report, report_lines, sent, stored)

WAYS = ["lmtp", "lda"]
BELIEVES_ALL = """
require ["fileinto", "mailbox"];
if exists "X-Backscatter" { fileinto :create "Believed"; stop; }
"""


@pytest.fixture
def public_folder():
    """A folder that other uids can read (pytest's tmp_path is closed to them)."""
    folder = Path(tempfile.mkdtemp(prefix="bs-public-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


# Sieve

@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind, mailbox", [("forged", "Forged"), ("genuine", "Mine"), ("ordinary", "INBOX")])
def test_sieve_sees_the_verdict(dovecot_factory, way, kind, mailbox):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_action": "annotate"})
    dovecot.set_sieve(ALICE, FILES_BACKSCATTER)
    cover(dovecot)
    message_id = new_id(kind)
    if kind == "genuine":
        sent(dovecot, ALICE, message_id)
    dovecot.deliver(way, ALICE, ordinary() if kind == "ordinary" else report(message_id))
    assert stored(dovecot) == {mailbox: 1}
    assert errors(dovecot) == []


@pytest.mark.parametrize("way", WAYS)
def test_quarantine_skips_sieve(dovecot_factory, public_folder, way):
    before = public_folder / "before.sieve"
    before.write_text('require ["fileinto", "mailbox"]; fileinto :create "Before"; stop;')
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "sieve_before": str(before)})
    dovecot.set_sieve(ALICE, 'discard;')
    cover(dovecot)
    dovecot.deliver(way, ALICE, report(new_id("forged")))
    assert stored(dovecot) == {QUARANTINE: 1}
    dovecot.deliver(way, ALICE, ordinary(), "friend@elsewhere.example")
    assert stored(dovecot) == {QUARANTINE: 1, "Before": 1}


# Headers that others wrote

FORGED = {
    "plain": "X-Backscatter: genuine; class=dsn-failed; reason=message-id\n",
    "lower case, blank before the colon": "x-backscatter : genuine\n",
    "tab before the colon": "X-BACKSCATTER\t:genuine\n",
    "folded": "X-Backscatter:\n genuine;\n\tclass=dsn-failed;\n reason=message-id\n",
    "empty": "X-Backscatter:\n",
    "NUL before the colon": "X-Backscatter\0: genuine\n",
    "NUL inside the name": "X-Backscatter\0junk: genuine\n",
    "several": "X-Backscatter: genuine\nX-Other: stays\nx-backscatter: genuine\nX-Backscatter: backscatter\n",
}
KEPT = "X-Backscatter-Serial: 7M4QK\nX-Backscatterer: genuine\nX-Not-Backscatter: X-Backscatter: genuine\n" \
       "X-Folded: one\n X-Backscatter: genuine\n"
# header padding, body: a message in the stream's buffer, one beyond it, and header blocks that don't fit into a buffer
SIZES = {"small": (0, 0), "20 KiB": (0, 20_000), "200 KiB": (0, 200_000), "300 KiB header": (300_000, 0),
         "1.2 MiB header": (1_200_000, 0)}


@pytest.fixture(scope="module")
def shared():
    """One instance for many messages: each test empties the mailboxes behind it."""
    with Dovecot(plugin={"backscatter_sources": "sent", "backscatter_action": "annotate"}) as dovecot:
        dovecot.set_sieve(ALICE, BELIEVES_ALL)
        cover(dovecot)
        yield dovecot


@pytest.fixture
def dovecot(shared, attach_log):
    attach_log("Dovecot", shared.log)
    yield shared
    shared.empty(ALICE)


def with_lines(message: bytes, before: str, after: str) -> bytes:
    """The lines on top of the header, and at its end."""
    head, body = message.split(b"\n\n", 1)
    return before.encode() + head + b"\n" + after.encode() + b"\n" + body


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["ordinary", "report"])
@pytest.mark.parametrize("forged", FORGED)
def test_forged_header_is_removed(dovecot, forged, kind, size, way):
    header, body = SIZES[size]
    message = report(new_id("forged")) if kind == "report" else ordinary()
    text = with_lines(message, KEPT, padding(header) if header else "") + b"text\n" * (body // 5)
    since = dovecot.log.mark()
    brought = with_lines(text, FORGED[forged], FORGED[forged])
    # what becomes of "several": its other header stays, too
    other = "X-Other: stays\n" if forged == "several" else ""
    dovecot.deliver(way, ALICE, brought, "" if kind == "report" else "friend@elsewhere.example")
    if kind == "report":
        message = dovecot.message(ALICE, "Believed")
        assert_verdict(message, "backscatter", "not-sent")
    else:
        message = dovecot.message(ALICE)
        assert message.headers("X-Backscatter") == []
    added = added_headers(message, with_lines(text, other, other))
    assert set(added) <= TRACE_HEADERS | {"X-Backscatter"}
    assert added.count("X-Backscatter") == (kind == "report")
    assert errors(dovecot, since) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["ordinary", "report"])
def test_without_a_forged_header_nothing_is_changed(dovecot, kind, size, way):
    header, body = SIZES[size]
    message = report(new_id("forged")) if kind == "report" else ordinary()
    text = with_lines(message, KEPT, padding(header) if header else "") + b"text\n" * (body // 5)
    dovecot.deliver(way, ALICE, text, "" if kind == "report" else "friend@elsewhere.example")
    message = dovecot.message(ALICE, "Believed" if kind == "report" else "INBOX")
    added = added_headers(message, text)
    assert set(added) <= TRACE_HEADERS | {"X-Backscatter"}
    assert added.count("X-Backscatter") == (kind == "report")


# What no standard has: for each, the message and what it is without our header.
ODD = {
    "header only": (b"Subject: a\nX-Backscatter: genuine\n", b"Subject: a\n"),
    "nothing but the forged header": (b"X-Backscatter: genuine\n\nbody\n", b"\nbody\n"),
    "first line begins with a blank": (b" X-Backscatter: genuine\nSubject: a\n\nbody\n", b"Subject: a\n\nbody\n"),
    "behind a line that is no header": (b"Subject: a\nno header\nX-Backscatter: genuine\n\nbody\n",
                                        b"Subject: a\nno header\n\nbody\n"),
    "behind a NUL": (b"Subject: a\0b\nX-Backscatter: genuine\n\nbody\n", b"Subject: a\0b\n\nbody\n"),
    "8-bit": (b"Subject: \xe4\xff\nX-Backscatter: \xe4\n\nb\xf6dy\n", b"Subject: \xe4\xff\n\nb\xf6dy\n"),
    "in the body": (b"Subject: a\n\nX-Backscatter: genuine\n", b"Subject: a\n\nX-Backscatter: genuine\n"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("odd", ODD)
def test_forged_header_in_an_odd_message(dovecot, odd, way):
    brought, expected = ODD[odd]
    dovecot.deliver(way, ALICE, brought, "friend@elsewhere.example")
    message = dovecot.message(ALICE)
    assert set(added_headers(message, expected)) <= TRACE_HEADERS


@pytest.mark.parametrize("size", ["small", "300 KiB header", "1.2 MiB header"])
def test_forged_header_in_chunks(dovecot, size):
    """BDAT (RFC 3030) brings the message in another stream than DATA."""
    text = with_lines(ordinary(), KEPT, padding(SIZES[size][0]) if SIZES[size][0] else "")
    message = crlf(FORGED["plain"].encode() + text)
    half = len(message) // 2
    with LmtpClient(dovecot.lmtp_socket) as client:
        assert "CHUNKING" in client.capabilities
        client.command("MAIL FROM:<friend@elsewhere.example>", 250)
        client.command(f"RCPT TO:<{ALICE}>", 250)
        client._socket.sendall(f"BDAT {half}\r\n".encode() + message[:half])
        assert client._reply()[0] == 250
        client._socket.sendall(f"BDAT {len(message) - half} LAST\r\n".encode() + message[half:])
        assert client._reply()[0] == 250
    assert set(added_headers(dovecot.message(ALICE), text)) <= TRACE_HEADERS


# Several recipients of one message

EVERYBODY = ", ".join([ALICE, BOB, CAROL])


def three_verdicts(dovecot: Dovecot, **arguments: str) -> bytes:
    """A report that is Alice's, not Bob's, and nobody knows whether it is Carol's."""
    message_id = new_id("alices")
    sent(dovecot, ALICE, message_id)
    cover(dovecot, ALICE, BOB)
    return report(message_id, to=EVERYBODY, **arguments)


VERDICTS = {ALICE: ("genuine", "message-id"), BOB: ("backscatter", "not-sent"), CAROL: ("unknown", "not-covered")}


@pytest.mark.parametrize("sieve", [True, False], ids=["sieve", "no-sieve"])
@pytest.mark.parametrize("forged", ["", FORGED["plain"]], ids=["", "forged"])
@pytest.mark.parametrize("size", [0, 200_000], ids=["small", "200 KiB"])
@pytest.mark.parametrize("rcpts", [[ALICE, BOB, CAROL], [CAROL, BOB, ALICE], [BOB, ALICE, CAROL]], ids=lambda rcpts: rcpts[0][0])
def test_each_recipient_gets_his_own_verdict(dovecot_factory, rcpts, size, forged, sieve):
    dovecot = dovecot_factory(sieve=sieve, plugin={"backscatter_sources": "sent", "backscatter_action": "annotate"})
    if sieve:
        dovecot.set_sieve(BOB, FILES_BACKSCATTER)
    text = three_verdicts(dovecot) + b"x\n" * (size // 2)
    assert [code for code, _ in dovecot.lmtp("", rcpts, forged.encode() + text)] == [250] * 3
    for user, verdict in VERDICTS.items():
        message = dovecot.message(user, "Forged" if sieve and user == BOB else "INBOX")
        assert_verdict(message, *verdict)
        assert added_headers(message, text).count("X-Backscatter") == 1
        assert message.path.stat().st_uid == dovecot.users[user].uid
    assert len(report_lines(dovecot, expected=3)) == 3
    assert errors(dovecot) == []


FATES = {   # Bob's action and source list (discard and reject want submission), the reply, where his report is then
    "quarantine": (250, {QUARANTINE: 1}),
    "discard": (250, {}),
    "reject": (550, {}),
    "annotate": (250, {"INBOX": 1}),
}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("action", FATES)
def test_one_recipients_action_is_not_the_others(dovecot_factory, action, place):
    code, where = FATES[action]
    dovecot = dovecot_factory(plugin={"backscatter_sources": "submission", "backscatter_action": action})
    rcpts = [CAROL, ALICE]
    rcpts.insert(place, BOB)
    replies = dovecot.lmtp("", rcpts, three_verdicts(dovecot))
    assert [reply[0] for reply in replies] == [code if user == BOB else 250 for user in rcpts]
    assert stored(dovecot, BOB) == where
    for user in (ALICE, CAROL):
        assert stored(dovecot, user) == {"INBOX": 1}
        assert_verdict(dovecot.message(user), *VERDICTS[user])


def test_first_discarded_second_rejected_third_stored(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "submission"}, users={
        ALICE: {"backscatter_action": "discard"}, BOB: {"backscatter_action": "reject"}, CAROL: {}})
    cover(dovecot, ALICE, BOB)
    replies = dovecot.lmtp("", [ALICE, BOB, CAROL], report(new_id("forged"), to=EVERYBODY))
    assert [code for code, _ in replies] == [250, 550, 250]
    assert BOB in replies[1][1]
    assert [stored(dovecot, user) for user in (ALICE, BOB, CAROL)] == [{}, {}, {"INBOX": 1}]
    assert_verdict(dovecot.message(CAROL), "unknown", "not-covered")


@pytest.mark.parametrize("user", [ALICE, BOB])
@pytest.mark.parametrize("script, where", [
    ('require ["fileinto", "mailbox"]; fileinto :create "Work";', {"Work": 1}),
    ('require ["fileinto", "mailbox", "copy"]; fileinto :copy :create "Work";', {"Work": 1, "INBOX": 1}),
    ('require ["fileinto", "mailbox"]; fileinto :create "Work"; fileinto :create "Play"; keep;',
     {"Work": 1, "Play": 1, "INBOX": 1}),
    ('keep;', {"INBOX": 1}),
    ('discard;', {}),
    ('require "imap4flags"; setflag "\\\\Seen"; keep;', {"INBOX": 1}),
    ('require "editheader"; addheader "X-Added" "yes"; keep;', {"INBOX": 1}),
    ('no sieve at all', {"INBOX": 1}),
], ids=["fileinto", "copy", "several", "keep", "discard", "flags", "editheader", "broken"])
def test_one_recipients_script_is_not_the_others(dovecot_factory, user, script, where):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_action": "annotate",
                                      "sieve_extensions": "+editheader"})
    dovecot.set_sieve(user, script)
    message = three_verdicts(dovecot)
    assert [code for code, _ in dovecot.lmtp("", [ALICE, BOB, CAROL], message)] == [250] * 3
    for owner, verdict in VERDICTS.items():
        assert stored(dovecot, owner) == (where if owner == user else {"INBOX": 1})
        for mailbox in stored(dovecot, owner):
            assert_verdict(dovecot.message(owner, mailbox), *verdict)
            assert added_headers(dovecot.message(owner, mailbox), message).count("X-Backscatter") == 1


@pytest.mark.parametrize("action, where", [("annotate", {"INBOX": 2}), ("quarantine", {QUARANTINE: 2})])
def test_two_recipients_of_one_mailbox(dovecot_factory, action, where):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_action": action})
    cover(dovecot)
    replies = dovecot.lmtp("", [ALICE, "alice+work@example.test", BOB], report(new_id("forged")))
    assert [code for code, _ in replies] == [250] * 3
    assert stored(dovecot) == where
    for message in dovecot.messages(ALICE, *where):
        assert_verdict(message, "backscatter", "not-sent")
    assert_verdict(dovecot.message(BOB), "unknown", "other-address")


def test_next_message_on_the_connection_starts_anew(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_action": "annotate"})
    cover(dovecot)
    plain = ordinary()
    with LmtpClient(dovecot.lmtp_socket) as client:
        for message, rcpts in ((report(new_id("forged")), [ALICE, BOB]), (plain, [BOB]),
                               (report(new_id("forged")), [ALICE]), (plain, [CAROL])):
            assert {code for code, _ in client.deliver("", rcpts, message)} == {250}
    assert [message.verdict["verdict"] for message in dovecot.messages(ALICE)] == ["backscatter"] * 2
    assert [message.verdict is None for message in dovecot.messages(BOB)] == [False, True]
    assert dovecot.message(CAROL).verdict is None


# Sieve redirect that fails for the moment

OUTSIDE = "elsewhere@defer.example.test"
REDIRECT = f'redirect "{OUTSIDE}";'


@pytest.fixture
def world():
    server = smtp.SmtpServer()
    yield server
    server.stop()


@pytest.fixture(params=["refused", "451", "sendmail"])
def redirecting(request, world, dovecot_factory, public_folder, monkeypatch):
    """redirecting(backscatter) -> dovecot, works(): its redirects fail for the moment, until works() is called."""
    def make(backscatter: bool):
        plugin = {"backscatter_sources": "sent", "backscatter_action": "annotate"} if backscatter else {}
        host = f"submission_host = {world.address}:{smtp.PORT}\n"
        if request.param == "refused":
            broken = f"submission_host = {world.address}:{smtp.PORT + 1}\nsubmission_timeout = 1s\n"
        elif request.param == "sendmail":
            program = public_folder / "sendmail"
            program.write_text("#!/bin/sh\ncat > /dev/null\nexit 75\n")
            program.chmod(0o755)
            broken = f"sendmail_path = {program}\n"
        else:
            broken = host
        dovecot = dovecot_factory(backscatter=backscatter, plugin=plugin, extra=broken)
        dovecot.set_sieve(ALICE, REDIRECT)

        def works() -> None:
            monkeypatch.setattr(smtp, "REFUSALS", {})
            dovecot.restart(extra=host)

        return dovecot, works
    return make


@pytest.mark.parametrize("kind", ["report", "ordinary"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("backscatter", [True, False], ids=["plugin", "plain"])
def test_redirect_that_fails_is_tried_again(redirecting, world, backscatter, way, kind):
    dovecot, works = redirecting(backscatter)
    message_id = new_id("forged")
    message = report(message_id) if kind == "report" else ordinary(message_id=message_id)
    sender = "" if kind == "report" else "friend@elsewhere.example"
    if backscatter:
        cover(dovecot)
    if way == "lmtp":
        assert [code for code, _ in dovecot.lmtp(sender, [ALICE], message)] == [451]
    else:
        assert dovecot.lda(ALICE, message, mail_from=sender, final_rcpt=ALICE).code == 75
    assert stored(dovecot) == {} and world.received == []
    works()
    dovecot.deliver(way, ALICE, message, sender)
    received = world.wait_for(OUTSIDE, message_id.encode(), 0, 10).message
    ours = b"X-Backscatter: backscatter; class=dsn-failed; reason=not-sent; evidence=message-id\r\n"
    assert received.count(b"X-Backscatter:") == received.count(ours) == (backscatter and kind == "report")
    assert received.endswith(crlf(message))
    assert stored(dovecot) == {}


def test_others_get_their_mail_where_a_redirect_fails(dovecot_factory, world):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_action": "annotate"},
                              extra=f"submission_host = {world.address}:{smtp.PORT}")
    dovecot.set_sieve(BOB, REDIRECT)
    replies = dovecot.lmtp("", [ALICE, BOB, CAROL], three_verdicts(dovecot))
    assert [code for code, _ in replies] == [250, 451, 250]
    assert [stored(dovecot, user) for user in (ALICE, BOB, CAROL)] == [{"INBOX": 1}, {}, {"INBOX": 1}]
    for user in (ALICE, CAROL):
        assert_verdict(dovecot.message(user), *VERDICTS[user])
