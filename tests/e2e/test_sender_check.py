"""Who may send as whom (docs/design.md, sections 3 and 9): backscatter_sender_check, by MAIL FROM and by the header."""

from time import time

import pytest

import doveadm_http
from dovecot import ALICE, BOB
from relay import READER
from sending import Sending, serial_of
from sentlog import sent_message

SALES = "sales@example.test"
CEO = "ceo@victim.example"
OWN = {"backscatter_addresses": f"{SALES} @own.example shop-*@example.test"}


@pytest.fixture
def both(sending_factory) -> Sending:
    return sending_factory(plugin=OWN | {"backscatter_sender_check": "both"})


def message(*fields: str) -> bytes:
    """With these header fields, and no other that names a sender."""
    return sent_message().replace(f"From: Someone <{ALICE}>\r\n".encode(), "".join(f"{field}\r\n" for field in fields).encode())


def assert_refused(sending: Sending, reply, command: str, address: str) -> None:
    """The text names the address and what is allowed; nothing left."""
    assert (reply.code, reply.command) == (553, command), reply
    assert reply.text.startswith("5.7.1 "), reply
    for named in (address, ALICE, SALES, "@own.example", "shop-*@example.test"):
        assert named in reply.text, reply
    assert len(f"553 {reply.text}") <= 510 and "\n" not in reply.text
    sending.relay.settle()
    assert not any(address.encode() in received.message for received in sending.received)


def submit(sending: Sending, *fields: str, mail_from: str = ALICE):
    return sending.dovecot.submit(ALICE, READER, message(*fields), mail_from=mail_from)


def test_a_user_without_any_address(sending_factory):
    sending = sending_factory(users=("erin",), plugin={"backscatter_sender_check": "both"})
    reply = sending.dovecot.submit("erin", READER, message("From: erin@example.test"), mail_from="erin@example.test")
    assert reply.code == 553 and reply.text.endswith("<erin@example.test>: Not an address of erin, who has no address of his own")
    assert sending.dovecot.wait_log(r"Refused: .*erin, who has no address of his own \(backscatter_addresses\)$")


# MAIL FROM

@pytest.mark.parametrize("mail_from", [CEO, BOB, "alice@example.test.example", "alicex@example.test", "x@sub.own.example",
                                       "sales@other.example", "shop@example.test", "root@localhost"])
@pytest.mark.parametrize("check", ["envelope", "both"])
def test_a_spoofed_return_address_is_refused(sending_factory, check, mail_from):
    sending = sending_factory(plugin=OWN | {"backscatter_sender_check": check})
    assert_refused(sending, submit(sending, f"From: {ALICE}", mail_from=mail_from), "MAIL", mail_from)


@pytest.mark.parametrize("mail_from", [ALICE, "ALICE@Example.TEST", "alice+lists@example.test", SALES, "sales+eu@example.test",
                                       "anybody@own.example", "shop-7@example.test", ""])
def test_own_return_addresses_pass(both, mail_from):
    received = both.sent(message(f"From: {ALICE}"), mail_from=mail_from)
    assert received.mail_from == mail_from and serial_of(received.message)


def test_the_connection_goes_on_after_a_refusal(both):
    with both.dovecot.submission(ALICE) as client:
        assert client.submit(CEO, [READER], message(f"From: {ALICE}")).code == 553
        assert client.submit(ALICE, [READER], message(f"From: {CEO}")).code == 553
        assert client.submit(ALICE, [READER], message(f"From: {ALICE}")).accepted


# The header

SPOOFED = {
    "From": [f"From: {CEO}"],
    "display name is ours": [f'From: "{ALICE}" <{CEO}>'],
    "third of three": [f"From: {ALICE}, Sales <{SALES}>, The Boss <{CEO}>", f"Sender: {ALICE}"],
    "second field": [f"From: {ALICE}", f"From: {CEO}"],
    "second field, first": [f"From: {CEO}", f"From: {ALICE}"],
    "Sender": [f"From: {ALICE}", f"Sender: {CEO}"],
    "Resent-From": [f"Resent-From: {CEO}", f"From: {ALICE}"],
    "folded": ["From:", f" The Boss\r\n\t<{CEO}>"],
    "blank before the colon": [f"From : {CEO}"],
    "other case": [f"fRoM: {CEO}"],
    "in a group": [f"From: Board: {ALICE}, {CEO};"],
    "comment": [f"From: {ALICE} (hello), (it is) {CEO}"],
    "encoded name": [f"From: =?utf-8?q?alice=40example=2Etest?= <{CEO}>"],
    "after a broken line": ["no field at all", f"From: {CEO}"],
    "behind much else": [*["X-Padding: " + "x" * 900] * 400, f"From: {CEO}"],
}

@pytest.mark.parametrize("name", SPOOFED)
def test_a_spoofed_header_is_refused(both, name):
    assert_refused(both, submit(both, *SPOOFED[name]), "DATA", CEO)


# What can't be read, or in two ways: the reply says what. (Many more in tests/unit/sender/test-outgoing-message.c.)
UNREADABLE = {
    "unquoted display name is ours": ([f"From: {ALICE} <{CEO}>"], "From: Field can't be read: not a list of addresses: alice@"),
    "two addresses in one": (["From: ceo@victim@own.example"], "can't be read: not a list of addresses: ceo@victim@own.example"),
    "two addresses in one, quoted": (['From: "ceo@victim"@own.example'], "an address with special characters"),
    "no comma": ([f"From: <{ALICE}> <{CEO}>"], "not a list of addresses"),
    "no address": (["From: ceo"], "no address where one has to be: ceo"),
    "empty": (["From: <>"], "no address"),
    "empty group": (["From: undisclosed:;"], "From: Field can't be read: no address: undisclosed:;"),
    "two fields": ([f"From: {ALICE}", f"From: {SALES}"], f"From: Field can't be read: a second field of this name: {SALES}"),
    "source route": ([f"From: <@a.example,@b.example:{ALICE}>"], "a route in front of an address"),
    "in pieces": (["From: ceo(@victim.example)@own.example"], "an address that is not in one piece"),
    "open comment": ([f"From: {ALICE} ({CEO}"], "can't be read"),
    "encoded word in an address": (["From: =?utf-8?q?ceo?=@own.example"], "an encoded word in an address"),
    "bare CR": ([f"From: {ALICE}\rFrom: {CEO}"], "From: Field can't be read: a NUL, or a CR without LF"),
    "bare CR elsewhere": ([f"X-Note: x\rFrom: {CEO}", f"From: {ALICE}"], "X-Note: Field can't be read: a NUL, or a CR without LF"),
    "NUL": ([f"From: {ALICE}\0, {CEO}"], "From: Field can't be read: a NUL"),
    "Sender": ([f"From: {ALICE}", "Sender: ceo"], "Sender: Field can't be read"),
}


@pytest.mark.parametrize("fields, said", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_refused(both, fields, said):
    reply = submit(both, *fields)
    assert (reply.code, reply.command) == (553, "DATA") and reply.text.startswith("5.7.1 "), reply
    assert said in reply.text and len(f"553 {reply.text}") <= 510, reply
    both.relay.settle()
    assert not both.received


def test_an_address_in_an_encoded_word_is_a_sender(both):
    """Some clients show nothing else; an own one may stand there, and any other name."""
    for name in ("=?utf-8?q?ceo=40victim.example?=", "=?utf-8?b?Y2VvQHZpY3RpbS5leGFtcGxl?=", "=?utf-8?q?ceo=40?= =?utf-8?q?victim.example?="):
        assert_refused(both, submit(both, f"From: {name} <{ALICE}>"), "DATA", CEO)
    for name in ("=?utf-8?q?J=C3=B6rg?=", "=?utf-8?q?J=C3=B6rg_=40_home?=", "=?utf-8?q?alice=40example=2Etest?="):
        assert submit(both, f"From: {name} <{ALICE}>").accepted


def test_a_line_may_end_in_lf(both):
    with both.dovecot.submission(ALICE) as client:
        reply = client.submit(ALICE, [READER], message("X-Other: field", f"From: {CEO}").replace(b"\r\n", b"\n"))
    assert_refused(both, reply, "DATA", CEO)


OWNED = {
    "own address": [f"From: Alice <{ALICE}>"],
    "alias": [f"From: Sales <{SALES}>"],
    "three, all own": [f"From: {ALICE}, Sales <{SALES}>, x@own.example", f"Sender: {SALES}"],
    "foreign display name": [f'From: "The Boss, {CEO}" <{ALICE}>'],
    "detail": ["From: alice+news@example.test"],
    "other case": ["From: Alice@EXAMPLE.test"],
    "its own display name, unquoted": [f"From: {ALICE} <{ALICE}>"],
    "Reply-To is free": [f"From: {ALICE}", f"Reply-To: {CEO}"],
    "own resend of own mail": [f"Resent-From: {ALICE}", f"From: {SALES}"],
}


@pytest.mark.parametrize("fields", OWNED.values(), ids=OWNED)
def test_own_headers_pass(both, fields):
    assert submit(both, *fields).accepted


def test_a_resend_of_foreign_mail(sending_factory):
    """Its author stays in From:, so `both` refuses it, and `envelope` is for those who need it."""
    fields = [f"Resent-From: {ALICE}", "Resent-Date: Tue, 24 Nov 2026 12:00:00 +0000", f"From: {CEO}"]
    for check, code in (("both", 553), ("envelope", 250)):
        assert submit(sending_factory(plugin={"backscatter_sender_check": check}), *fields).code == code


@pytest.mark.parametrize("field", ["From: undisclosed", "From: <>", "From: ", "From: @own.example", "From: <alice"])
def test_what_is_no_address_is_not_own(both, field):
    reply = submit(both, field)
    assert (reply.code, reply.command) == (553, "DATA"), reply


def test_a_refusal_stays_one_line(both):
    """Whatever is in the address."""
    reply = submit(both, f"From: <\"a\\\r\n b\x01\xff{'x' * 600}\"@victim.example>")
    assert reply.code == 553 and "\n" not in reply.text and len(reply.text) < 500
    assert all(" " <= letter <= "~" for letter in reply.text)


def test_hundreds_of_senders_take_no_time(both):
    many = ",\r\n ".join([f"x{number}@own.example" for number in range(900)])
    began = time()
    assert submit(both, f"From: {many}").accepted
    assert_refused(both, submit(both, f"From: {many},\r\n {CEO}"), "DATA", CEO)
    assert time() - began < 5


# The other values

def test_log_is_the_default_and_says_what_both_would_refuse(sending_factory):
    sending = sending_factory(plugin=OWN)
    for mail_from, fields, culprit in [(BOB, [f"From: {ALICE}"], BOB), (ALICE, [f"From: {CEO}"], CEO)]:
        since = sending.dovecot.log.mark()
        assert submit(sending, *fields, mail_from=mail_from).accepted
        line = sending.dovecot.wait_log(rf".*backscatter_sender_check=both would refuse.*{culprit}.*", since=since).group()
        assert ALICE in line and SALES in line
    assert submit(sending, f"From: {SALES}").accepted
    assert len(sending.dovecot.log_lines("would refuse")) == 2


def test_log_says_what_cannot_be_read(sending_factory):
    sending = sending_factory(plugin=OWN)
    for fields, said in UNREADABLE.values():
        since = sending.dovecot.log.mark()
        assert submit(sending, *fields).accepted
        line = sending.dovecot.wait_log(r".*backscatter_sender_check=both would refuse.*", since=since).group()
        assert said in line and all(" " <= letter <= "~" for letter in line)


def test_envelope_leaves_the_header_alone(sending_factory):
    sending = sending_factory(plugin={"backscatter_sender_check": "envelope"})
    assert submit(sending, f"From: {CEO}").accepted
    assert submit(sending, f"From: {ALICE}", mail_from=CEO).code == 553


def test_off_says_nothing(sending_factory):
    sending = sending_factory(plugin={"backscatter_sender_check": "off"})
    assert submit(sending, f"From: {CEO}", mail_from=CEO).accepted
    assert not sending.dovecot.log_lines("refuse")


def test_a_setting_of_one_user(sending_factory):
    sending = sending_factory(users={ALICE: {"backscatter_sender_check": "both"}, BOB: {}})
    assert submit(sending, f"From: {CEO}").code == 553
    assert sending.dovecot.submit(BOB, READER, message(f"From: {CEO}")).accepted


def test_delivery_is_never_checked(both):
    assert both.dovecot.lmtp(CEO, [ALICE], message(f"From: {CEO}"))[0][0] == 250
    assert both.dovecot.lmtp(ALICE, [ALICE], message(f"From: {CEO}"))[0][0] == 250


# doveadm backscatter sender: the same, for whoever takes submissions in another way

def sender(sending: Sending, *fields: str, user: str = ALICE):
    return doveadm_http.call(sending.dovecot, "backscatterSender", user=user, field=list(fields))


@pytest.fixture
def asked(sending_factory) -> Sending:
    return sending_factory(plugin=OWN | {"backscatter_sender_check": "both"}, extra=doveadm_http.LISTENER)


# libmilter joins what is folded and knows no line that is no field; JSON has no NUL here
FOREIGN = {name: [f"From:\r\n The Boss\r\n\t<{CEO}>"] if name == "folded" else fields
           for name, fields in (SPOOFED | {name: fields for name, (fields, _) in UNREADABLE.items()}).items()
           if name not in ("after a broken line", "NUL")}


def test_doveadm_says_what_the_service_says(asked):
    for name, fields in FOREIGN.items():
        [row] = sender(asked, *fields).rows
        reply = submit(asked, *fields)
        assert reply.code == 553 and f"5.7.1 {row['reason']}" == reply.text and row["sender"] == "refused", (name, row, reply)
    for name, fields in OWNED.items():
        assert sender(asked, *fields).rows == [{"sender": "allowed", "reason": ""}], name


@pytest.mark.parametrize("check", ["off", "log", "envelope"])
def test_doveadm_goes_by_the_rules_whatever_the_setting(sending_factory, check):
    sending = sending_factory(plugin={"backscatter_sender_check": check}, extra=doveadm_http.LISTENER)
    [row] = sender(sending, f"From: {CEO}").rows
    assert row["sender"] == "refused" and row["reason"].startswith(f"From: <{CEO}>: Not an address of {ALICE}")


@pytest.mark.parametrize("fields", [[], [""], [ALICE], ["Subject: hello"], [f"From: {ALICE}", ""], [": x"], [f"From: {ALICE}", "From"],
                                    [f"From: {ALICE}\r\n", f"From: {CEO}"], [f"From: {ALICE}\nFrom: {CEO}"]])
def test_what_is_no_field_ends_no_process(asked, fields):
    """A blank line would hide what comes behind it."""
    assert sender(asked, *fields).code == 64
    assert not asked.dovecot.log_lines("Fatal|Panic")
    assert sender(asked, f"From: {ALICE}").rows[0]["sender"] == "allowed"


def test_the_sender_command(asked):
    def ask(*fields: str, **options):
        return asked.dovecot.doveadm("backscatter", "sender", *fields, **{"user": ALICE, "formatter": "tab"} | options)

    assert ask(f"From: {ALICE}", f"Sender: {SALES}").rows() == [{"sender": "allowed", "reason": ""}]
    assert ask(f"From: {ALICE}", f"Sender: {CEO}").rows()[0]["sender"] == "refused"
    wrong = ask(ALICE, check=False)
    assert wrong.code == 64 and f"'{ALICE}' is no header field" in wrong.err
    assert ask(f"From: {ALICE}", user="nobody@example.test", check=False).code == 67
    rows = asked.dovecot.doveadm("backscatter", "sender", "-A", f"From: {BOB}", formatter="json").json()
    assert {row["username"]: row["sender"] for row in rows}[BOB] == "allowed" and len(rows) == 3


def test_fields_that_another_doveadm_has_joined_are_not_judged(asked):
    """As a proxy passes the command on: Dovecot joins an array of this name."""
    socket = asked.dovecot.run / "doveadm-server"
    for fields, code in (([f"From: {ALICE}"], 0), ([f"From: {ALICE}", f"Sender: {ALICE}"], 75)):
        result = asked.dovecot.doveadm("backscatter", "sender", "-S", str(socket), *fields, user=ALICE, check=False)
        assert result.code == code, result
