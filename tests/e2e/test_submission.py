"""What leaves through Dovecot's submission service, and what the log knows of it (docs/design.md,
sections 5 and 8): a serial, the headers that were missing, and not a byte changed behind them."""

import base64
import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from time import time

import pytest

from dovecot import ALICE, crlf
from dovecot_config import IS_2_3
from marks import only_2_4
from relay import BOUNCED, READER, REFUSED
from sending import SERIAL, SERIAL_HEADER, genuine, logged_serials, octets, only, renamed, serial_of
from sentlog import DAY, FRIEND, STRANGER, dsn, judged, message_id_of, new_message_id, sent_message, unknown
from smtp import Received

HIGH = bytes(range(0x80, 0x100))


def added(received: Received, message: bytes) -> list[str]:
    """Names of the header fields in front of the message, which has to be there byte for byte."""
    assert received.message.endswith(message), (len(received.message), len(message), received.message[:2000])
    front = received.message[:len(received.message) - len(message)].decode()
    return re.findall(r"^([^\s:]+):", front, re.MULTILINE)


def envelope_id(received: Received) -> str | None:
    found = re.search(r"\bENVID=(\S+)", received.parameters)
    return found and found.group(1)


# Serial, header, ENVID, row

def test_a_message_leaves_with_its_serial_and_its_row(sending):
    message = sent_message()
    received = sending.sent(message)
    assert sorted(set(added(received, message))) == ["Received", SERIAL_HEADER]
    serial = serial_of(received.message)
    assert re.fullmatch(SERIAL, serial)
    version, day = octets(serial)[0], int.from_bytes(octets(serial)[3:5], "big")
    assert (version, day) in [(1, int(time() // DAY)), (1, int((time() - 60) // DAY))]
    assert sending.log.counts() == {"submission": 1}
    assert logged_serials(sending.log) == [serial]


def test_each_message_has_a_serial_of_its_own(sending):
    first, second = (serial_of(sending.sent(sent_message()).message) for _ in range(2))
    assert first != second
    assert octets(first)[1:3] == octets(second)[1:3], "both by the same key"


def test_several_messages_on_one_connection(sending):
    with sending.dovecot.submission(ALICE) as client:
        for _ in range(3):
            assert client.submit(ALICE, [READER], sent_message()).accepted
    sending.relay.settle()
    serials = [serial_of(received.message) for received in sending.received]
    assert len(set(serials)) == 3
    assert sorted(logged_serials(sending.log)) == sorted(serials)


def test_the_relay_gets_the_serial_as_envid(sending):
    received = sending.sent(sent_message())
    assert envelope_id(received) == serial_of(received.message)


def test_pipelined_commands(sending):
    """MAIL, RCPT and the whole message before the first reply. (A second transaction with them is more than Dovecot 2.3
    can bear, with or without us.)"""
    message = sent_message()
    with sending.dovecot.submission(ALICE) as client:
        for _ in range(2):
            client.send(f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{READER}>\r\nBDAT {len(message)} LAST\r\n".encode() + message)
            assert [client.getreply()[0] for _ in range(3)] == [250] * 3
    sending.relay.settle()
    for received in sending.received:
        assert envelope_id(received) == serial_of(received.message)


def test_the_clients_own_envid_is_kept_and_matched(sending):
    received = sending.sent(sent_message(), mail_parameters="ENVID=Client+2BOwn-7 RET=HDRS")
    assert envelope_id(received) == "Client+2BOwn-7" and "RET=HDRS" in received.parameters
    bounce = sending.bounce(REFUSED, mail_parameters="ENVID=Client+2BOwn-8")
    assert judged(sending.dovecot, only(bounce, "envid")) == genuine("envid")


@pytest.mark.parametrize("world", [[]], indirect=True)
def test_no_envid_where_the_relay_has_no_dsn(relayed_to_world, world):
    assert relayed_to_world().submit(ALICE, READER, sent_message()).accepted
    [received] = world.received
    assert envelope_id(received) is None and serial_of(received.message)


def test_the_row_stays_whatever_the_relay_answers(relayed_to_world):
    dovecot = relayed_to_world()
    refused = sent_message(headers=("X-Refuse: yes",))
    assert dovecot.submit(ALICE, READER, refused).code == 554
    assert judged(dovecot, dsn(refused, recipients=[READER])) == genuine("message-id")


# Message-ID and Date

@pytest.mark.parametrize("message_id, days_ago, names", [
    (None, 0, ["Message-ID"]), ("", None, ["Date"]), (None, None, ["Date", "Message-ID"]), ("", 0, [])])
def test_missing_headers_are_added(sending, message_id, days_ago, names):
    message = sent_message(message_id=message_id, days_ago=days_ago)
    received = sending.sent(message)
    assert sorted(set(added(received, message)) - {"Received", SERIAL_HEADER}) == names
    assert len(re.findall(rb"^Message-ID: <[^<>@\s]+@[^<>@\s]+>\r$", received.message, re.MULTILINE)) == 1
    assert len(re.findall(rb"^Date: .+\r$", received.message, re.MULTILINE)) == 1


def test_an_added_message_id_is_logged(sending):
    bounce = sending.bounce(REFUSED, sent_message(message_id=None, to=REFUSED))
    assert judged(sending.dovecot, only(bounce, "message-id")) == genuine("message-id")


@pytest.mark.parametrize("headers", [
    (b"MESSAGE-id:\t\r\n\t<odd.{id}>\r\nDATE: whenever\r\n"), b"Message-ID: {id} (no brackets)\r\nDate:\r\n"])
def test_odd_headers_are_left_alone(sending, headers):
    message = headers.replace(b"{id}", new_message_id().encode()) + sent_message(message_id=None, days_ago=None)
    assert set(added(sending.sent(message), message)) == {"Received", SERIAL_HEADER}


def test_all_message_ids_are_logged(sending):
    one, other = new_message_id(), new_message_id()
    message = sent_message(message_id=one, to=REFUSED, headers=(f"Message-ID: <{other}>",))
    bounce = only(sending.bounce(REFUSED, message), "message-id")
    for left_out in (one, other):
        report = re.sub(rb"^Message-ID: <%s>\n" % left_out.encode(), b"", bounce, flags=re.MULTILINE)
        assert judged(sending.dovecot, renamed(report)) == genuine("message-id")


def test_recipients_come_from_the_envelope(sending):
    """To: says something else, as with Bcc:."""
    bounce = sending.bounce(REFUSED, sent_message(to=FRIEND))
    report = only(bounce, "message-id")
    assert judged(sending.dovecot, report) == genuine("message-id")
    assert judged(sending.dovecot, renamed(report.replace(REFUSED.encode(), STRANGER.encode()))) == unknown("other-recipient")


# Tag

TAGGED = re.compile(rf"alice\+b=({SERIAL})@example\.test", re.IGNORECASE)


@pytest.fixture
def tagging(sending_factory):
    return sending_factory(plugin={"backscatter_tag": "yes"})


def test_the_return_address_has_a_tag(tagging):
    received = tagging.sent(sent_message())
    assert TAGGED.fullmatch(received.mail_from).group(1).upper() == serial_of(received.message)


def test_no_tag_unless_asked_for(sending):
    assert sending.sent(sent_message()).mail_from == ALICE


@pytest.mark.parametrize("mail_from", ["", "alice+lists@example.test", f"alice+b={'A' * 37}@example.test"])
def test_null_and_tagged_senders_get_no_tag(tagging, mail_from):
    received = tagging.sent(sent_message(), mail_from=mail_from)
    assert received.mail_from == mail_from and serial_of(received.message)


@pytest.mark.parametrize("length, is_tagged", [(24, True), (25, False)])
def test_a_local_part_has_64_octets(sending_factory, length, is_tagged):
    user = f"{'u' * length}@example.test"
    sending = sending_factory(users=[user], plugin={"backscatter_tag": "yes"})
    received = sending.sent(sent_message(sender=user), user)
    assert (received.mail_from != user) == is_tagged
    assert len(received.mail_from.partition("@")[0]) <= 64


@pytest.mark.parametrize("to_detail", [False, True])
def test_a_bounce_to_a_tagged_address_lies_in_the_inbox(sending_factory, to_detail):
    sending = sending_factory(plugin={"backscatter_tag": "yes"}, lmtp_save_to_detail_mailbox=to_detail)
    bounce = sending.bounce(REFUSED)
    assert bounce.verdict["verdict"] == "genuine"
    assert sending.dovecot.messages(ALICE) == [bounce]


@pytest.mark.parametrize("to_detail", [False, True])
def test_ordinary_mail_to_a_tagged_address_is_ordinary_mail(sending_factory, to_detail):
    sending = sending_factory(plugin={"backscatter_tag": "yes"}, lmtp_save_to_detail_mailbox=to_detail)
    address = sending.sent(sent_message()).mail_from
    answer = sent_message(sender=FRIEND, to=address)
    assert sending.dovecot.lmtp(FRIEND, [address], answer)[0][0] == 250
    stored = sending.dovecot.message(ALICE)
    assert stored.raw.endswith(answer.replace(b"\r\n", b"\n")) and stored.verdict is None


def test_other_details_still_pick_a_mailbox(sending_factory):
    sending = sending_factory(plugin={"backscatter_tag": "yes"}, lmtp_save_to_detail_mailbox=True)
    sending.dovecot.lmtp(FRIEND, ["alice+Sent@example.test"], sent_message(sender=FRIEND, to=ALICE))
    assert len(sending.dovecot.messages(ALICE, "Sent")) == 1


# Interoperability: the bytes behind our header are the client's

def thunderbird(attachment: bytes = b"", text: str = "Grüße,\n.\n..und Punkte\n") -> bytes:
    encoded = base64.encodebytes(attachment).decode()
    return crlf(f"""\
Message-ID: <{new_message_id()}>
Date: Tue, 24 Nov 2026 13:00:01 +0100
MIME-Version: 1.0
User-Agent: Mozilla Thunderbird
Content-Language: de-DE
To: =?UTF-8?Q?J=C3=B6rg?= <{READER}>
From: =?UTF-8?Q?Al=C3=ADce?= <{ALICE}>
Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe_aus_K=C3=B6ln=2C_und_eine_sehr_lange_Betreff?=
 =?UTF-8?Q?zeile?=
X-Mozilla-Draft-Info: internal/draft; vcard=0; receipt=0; DSN=0; uuencode=0;
 attachmentreminder=0; deliveryformat=1
Content-Type: multipart/mixed; boundary="------------limit"

This is a multi-part message in MIME format.
--------------limit
Content-Type: text/plain; charset=UTF-8; format=flowed
Content-Transfer-Encoding: 8bit

{text}
--------------limit
Content-Type: application/octet-stream; name="data.bin"
Content-Disposition: attachment; filename="data.bin"
Content-Transfer-Encoding: base64

{encoded}
--------------limit--
""".encode())


def eight_bit() -> bytes:
    return sent_message(to=READER, headers=("X-Note: Ünïcödé in clear",)) + HIGH + b"\r\n"


def no_final_newline() -> bytes:
    return sent_message(to=READER) + b"the end is near"


def long_lines() -> bytes:
    return sent_message(to=READER) + b"x" * 997 + b"\r\n"


def header_only() -> bytes:
    return sent_message(to=READER).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


MESSAGES = [thunderbird, eight_bit, no_final_newline, long_lines, header_only]


def digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def assert_unchanged(received: Received, message: bytes) -> None:
    """pytest's own comparison of megabytes takes minutes."""
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    start = len(received.message) - len(message)
    assert digest(received.message[start:]) == digest(message)
    assert serial_of(received.message[:start])


@pytest.mark.parametrize("make", MESSAGES)
def test_data_is_not_changed(sending, make):
    message = make()
    assert_unchanged(sending.sent(message, mail_parameters="BODY=8BITMIME"), message)


@pytest.mark.parametrize("make", MESSAGES)
def test_chunks_are_not_changed(sending, make):
    message = make()
    with sending.dovecot.submission(ALICE) as client:
        assert client.submit_chunks(ALICE, [READER], message, "BODY=8BITMIME").accepted
    sending.relay.settle()
    [received] = sending.received
    assert_unchanged(received, message)


@pytest.mark.parametrize("way", ["submit", "submit_chunks"])
def test_25_mib_are_not_changed(sending, way):
    message = thunderbird(os.urandom(25 * 1024 * 1024 * 3 // 4))
    assert len(message) > 25 * 1024 * 1024
    with sending.dovecot.submission(ALICE) as client:
        assert getattr(client, way)(ALICE, [READER], message).accepted
    sending.relay.settle()
    [received] = sending.received
    assert_unchanged(received, message)


def test_a_message_fetched_by_url_is_not_changed(sending):
    """BURL (RFC 4468): the server takes the draft from the user's own mailbox."""
    message = thunderbird()
    with sending.dovecot.imap(ALICE) as imap:
        imap.create("Drafts")
        imap.append("Drafts", None, None, message)
        imap.select("Drafts")
        validity = imap.response("UIDVALIDITY")[1][0].decode()
    with sending.dovecot.submission(ALICE) as client:
        reply = client.submit_urls(ALICE, [READER], f"imap://mx.example.test/Drafts;UIDVALIDITY={validity}/;UID=1")
        assert reply.accepted, reply
    sending.relay.settle()
    [received] = sending.received
    assert_unchanged(received, message)
    assert logged_serials(sending.log) == [serial_of(received.message)]


def test_what_the_service_offers(sending):
    """The same as without us. Dovecot 2.3 has no SMTPUTF8."""
    with sending.dovecot.submission(ALICE) as client:
        offered = set(client.esmtp_features)
    assert {"8bitmime", "chunking", "burl", "dsn", "pipelining", "size"} <= offered
    assert ("smtputf8" in offered) != IS_2_3


@only_2_4
@pytest.mark.parametrize("check", ["log", "both"])
def test_smtputf8(sending_factory, check):
    """An address with umlauts may be one's own; it gets a serial, and no tag."""
    own, foreign = "älice@example.test", "bösewicht@example.test"
    sending = sending_factory(plugin={"backscatter_addresses": own, "backscatter_sender_check": check, "backscatter_tag": "yes"})
    message = sent_message(sender=own, to="jörg@elsewhere.example")
    received = sending.sent(message, rcpt="jörg@elsewhere.example", mail_from=own, mail_parameters="SMTPUTF8 BODY=8BITMIME")
    assert_unchanged(received, message)
    assert received.mail_from == own
    reply = sending.dovecot.submit(ALICE, READER, message, mail_from=foreign, mail_parameters="SMTPUTF8")
    assert reply.code == (250 if check == "log" else 553)


def test_a_real_mta_gets_the_message_unchanged(sending):
    """Exim's report returns the whole message."""
    message = thunderbird(b"short")
    returned = sending.bounce(BOUNCED, message, mail_parameters="RET=FULL").raw
    assert message.replace(b"\r\n", b"\n") in returned


# Many at once

def test_concurrent_submissions_are_all_logged(sending):
    messages = [sent_message() for _ in range(20)]
    with ThreadPoolExecutor(5) as pool:
        replies = list(pool.map(lambda message: sending.dovecot.submit(ALICE, READER, message), messages))
    assert all(reply.accepted for reply in replies), replies
    sending.relay.settle()
    assert {message_id_of(each.message) for each in sending.received} == {message_id_of(message) for message in messages}
    assert sorted(logged_serials(sending.log)) == sorted(serial_of(each.message) for each in sending.received)
    assert not sending.dovecot.log_lines(r"\b(Error|Fatal|Panic): ")
