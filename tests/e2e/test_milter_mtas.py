"""Where the MTA takes the submissions: the milter's serial leaves with each message, its row is in the sender's log before a
bounce can come, and nothing of it ever costs a message. Real MTAs, with the pieces of conf.d/milter."""

import email
import re
import smtplib
import time

import pytest

from dovecot import ALICE, BOB, DEADLINE, Dovecot, Message, crlf
from dovecot_config import IS_2_3
from milter import MAPPED, SIGNING_PORT, AskingExim, AskingOpenSmtpd, MilterSendmail, SigningOpenDkim
from milter_site import serials_of, wait_until
from relay import BOUNCED, READER, REFUSED
from sending import SERIAL_HEADER, genuine, logged_serials, only, serial_of
from sentlog import GENUINE, NOT_SENT, SentLog, cover, coverage, dsn, found, judged, message_id_of, sent_message, stored
from smtp import PORT

EVIDENCE = ["serial", "envid", "message-id"]


# Postfix: what leaves, and what comes back

def test_a_message_leaves_with_its_serial_and_its_row(site):
    message = sent_message()
    received = site.sent(message)
    assert received.message.endswith(message)
    serial = serial_of(received.message)
    assert logged_serials(site.log) == [serial] and site.log.counts() == {"milter": 1}
    assert f"ENVID={serial}" in received.parameters and "RET=" not in received.parameters
    [(logged_at,)] = site.log.query("SELECT logged_at FROM message")
    assert abs(time.time() - logged_at) < 60


@pytest.mark.parametrize("rcpt, evidence", [*((REFUSED, evidence) for evidence in EVIDENCE),
                                            (BOUNCED, "serial"), (BOUNCED, "message-id")])
def test_its_bounce_is_genuine_by_each_evidence(site, rcpt, evidence):
    """By Postfix, and by the remote MTA, which knows no ENVID."""
    bounce = site.bounce(rcpt)
    assert bounce.verdict["verdict"] == "genuine"
    assert judged(site.dovecot, only(bounce, evidence)) == genuine(evidence)


@pytest.mark.parametrize("sources", ["milter", "milter sent"])
def test_a_forged_bounce_is_backscatter(site_factory, sources):
    site = site_factory(plugin={"backscatter_sources": sources})
    site.submit(sent_message())
    cover(site.dovecot)
    report = site.forged_bounce()
    assert found(site.dovecot, report.raw) == NOT_SENT
    assert site.bounce(REFUSED).verdict["verdict"] == "genuine"


def test_the_copy_in_sent_of_what_the_milter_logged_is_no_other_way_out(site):
    """And one that it never saw is (docs/coverage.md)."""
    seen, unseen = sent_message(), sent_message()
    site.submit(seen)
    site.dovecot.append(ALICE, "Sent", seen)
    cover(site.dovecot)
    site.log.make_older(2 * 3600)
    assert coverage(site.dovecot)["covered"] == "yes"
    assert site.log.counts() == {"milter": 1, "sent": 1}
    site.dovecot.append(ALICE, "Sent", unseen)
    site.log.make_older(2 * 3600)
    assert coverage(site.dovecot)["covered"] == "no"


def test_the_clients_own_envelope_id_stays_and_is_evidence(site):
    bounce = site.bounce(REFUSED, mail_parameters="RET=HDRS ENVID=the-client")
    assert bounce.raw.count(b"Original-Envelope-Id: the-client") == 1
    assert judged(site.dovecot, only(bounce, "envid")) == genuine("envid")
    assert judged(site.dovecot, only(bounce, "serial")) == genuine("serial")


def test_a_tag(site_factory):
    site = site_factory(milter={"tag": "yes"})
    bounce = site.bounce(BOUNCED)
    to = bounce.header("Delivered-To").strip("<>")
    assert re.fullmatch(r"alice\+b=[^@]+@example\.test", to), to
    assert judged(site.dovecot, only(bounce, "tag"), rcpt=to) == genuine("tag")


def test_an_address_that_postfix_maps(site_factory):
    """The serial is for the address before sender_canonical_maps; with both among the own ones the key alone proves it."""
    site = site_factory(plugin={"backscatter_addresses": MAPPED})
    bounce = site.bounce(REFUSED, mail_from=MAPPED)
    [serial] = logged_serials(site.log)
    site.log.query("DELETE FROM identity")
    site.log.query("DELETE FROM message")
    assert serial_of(bounce.raw) == serial
    assert judged(site.dovecot, only(bounce, "serial")) == genuine("serial")


# Postfix: what isn't ours

STRANGE = (b"Received: from a by b; Sun, 1 Nov 2026 00:00:00 +0000\r\nFrom: x@elsewhere.example\r\nTo: y@elsewhere.example\r\n"
           b"subject:  \xe4 odd \t\r\nX-Long: " + b"x" * 900 + b"\r\n folded\r\nX-Backscatter-Serial: AAAA\r\n\r\n"
           b".\r\n..dots\r\n\x80\xff 8-bit\r\n" + b"z" * 990 + b"\r\nno line end")
POSTFIX_ADDS = re.compile(rb"\AReceived: .*\r\n(?:[ \t].*\r\n)*|^Message-Id: <.*@mx\.example\.test>\r\n|^Date: .* \(UTC\)\r\n",
                          re.MULTILINE)


@pytest.mark.parametrize("message_id", [True, False], ids=["complete", "without Message-ID and Date"])
def test_mail_in_transit_is_not_touched(site, message_id):
    """The same as without a milter, but for what Postfix writes into its own field."""
    message = b"Message-ID: <1@elsewhere.example>\r\nDate: Sun, 1 Nov 2026 00:00:00 +0000\r\n" * message_id + STRANGE
    received = []
    for where in (site.relay.where, site.relay.transit):
        before = len(site.received)
        with smtplib.SMTP(*where, "out.elsewhere.example", timeout=DEADLINE) as client:
            client.sendmail("x@elsewhere.example", [READER], message, ["BODY=8BITMIME"])
        site.relay.settle()
        received += site.received[before:]
    plain, asked = [re.sub(POSTFIX_ADDS, b"", one.message) for one in received]
    assert plain == asked == message + b"\r\n"
    assert [one.parameters for one in received][0] == [one.parameters for one in received][1]
    assert site.log.counts() == {}


def test_who_may_use_which_mail_from_is_for_postfix_to_say(site):
    with site.relay.submission(ALICE) as client:
        reply = client.submit(BOB, [READER], crlf(sent_message(sender=BOB)))
    assert (reply.code, reply.command) == (553, "RCPT") and not site.received


def test_a_header_that_is_somebody_elses_is_refused_if_wanted(site_factory):
    site = site_factory(milter={"sender_check": "header"})
    with site.relay.submission(ALICE) as client:
        reply = client.submit(ALICE, [READER], crlf(sent_message(sender=BOB)))
        assert reply.code == 553 and reply.text.startswith("5.7.1 ") and BOB in reply.text, reply
        assert client.submit(ALICE, [READER], crlf(sent_message())).accepted


# Postfix: other milters

def test_opendkim_signs_the_serial(site):
    with SigningOpenDkim(site.relay.dkim_address) as opendkim:
        with site.relay.submission(ALICE, SIGNING_PORT) as client:
            assert client.submit(ALICE, [READER], sent_message()).accepted
        site.relay.settle()
    [received] = site.received
    mail = email.message_from_bytes(received.message)
    signed = re.search(r"\bh=([^;]*)", mail["DKIM-Signature"])[1]
    assert SERIAL_HEADER in re.split(r"[:\s]+", signed), mail["DKIM-Signature"]


# Exim and OpenSMTPD: over the line socket

@pytest.fixture
def asking_factory(running_milter_relay, dovecot_factory, milter_factory, attach_log, cleanup):
    """asking_factory(AskingExim, milter={...}) -> (the MTA, Dovecot), with the milter in between."""
    relay = running_milter_relay
    attach_log("relay", relay.log)
    attach_log("remote", relay.remote.log)

    def make(mta_class, *options: str, milter: dict[str, str] | None = None, **settings):
        mta = mta_class(relay, *options)
        attach_log(mta.name, mta.log)
        cleanup.enter_context(mta)
        daemon = milter_factory(None, mta.line_socket, **(milter or {}))
        dovecot = dovecot_factory(**daemon.dovecot(**settings))
        relay.deliver_to(dovecot)
        daemon.start(dovecot)
        return mta, dovecot

    yield make
    relay.settle()


needs_opensmtpd_7 = pytest.mark.skipif(IS_2_3, reason="OpenSMTPD 7 comes with Debian 13: before, it can't do TLS, and has no such "
                                       "filters")
ASKING = [pytest.param(AskingExim, id="exim"), pytest.param(AskingOpenSmtpd, id="opensmtpd", marks=needs_opensmtpd_7)]


def submit_to(mta, message: bytes, rcpt: str, mail_parameters: str = "") -> None:
    with mta.submission(ALICE) as client:
        reply = client.submit(ALICE, [rcpt], crlf(message), mail_parameters)
    assert reply.accepted, reply


def bounce_by(mta, dovecot: Dovecot, rcpt: str, mail_parameters: str = "") -> Message:
    before = len(stored(dovecot, ALICE, "INBOX"))
    submit_to(mta, sent_message(to=rcpt), rcpt, mail_parameters)
    wait_until(lambda: len(stored(dovecot, ALICE, "INBOX")) > before)
    return stored(dovecot, ALICE, "INBOX")[before]


@pytest.mark.parametrize("rcpt", [REFUSED, BOUNCED], ids=["by itself", "by the remote"])
@pytest.mark.parametrize("mta_class", ASKING)
def test_another_mtas_bounce_is_genuine_by_serial_and_message_id(asking_factory, mta_class, rcpt):
    mta, dovecot = asking_factory(mta_class)
    bounce = bounce_by(mta, dovecot, rcpt)
    assert SentLog.of(dovecot).counts() == {"milter": 1}
    assert serials_of(bounce.raw) == logged_serials(SentLog.of(dovecot))
    for evidence in ("serial", "message-id"):
        assert judged(dovecot, only(bounce, evidence)) == genuine(evidence)


@pytest.mark.parametrize("mta_class", ASKING)
def test_another_mtas_mail_in_transit_is_not_touched(asking_factory, running_milter_relay, mta_class):
    mta, dovecot = asking_factory(mta_class)
    world = running_milter_relay.world
    mark = world.mark()
    with smtplib.SMTP(mta.address, PORT, "out.elsewhere.example", timeout=DEADLINE) as client:
        client.sendmail("x@elsewhere.example", [READER], b"Message-ID: <1@elsewhere.example>\r\n"
                        b"Date: Sun, 1 Nov 2026 00:00:00 +0000\r\n" + STRANGE)
    received = world.wait_for(READER, b"1@elsewhere.example", mark, DEADLINE)
    assert received.message.endswith(STRANGE + b"\r\n") and serials_of(received.message) == ["AAAA"]
    assert SentLog.of(dovecot).counts() == {}


@pytest.mark.parametrize("mta_class", ASKING)
def test_another_mtas_message_without_message_id_gets_one(asking_factory, running_milter_relay, mta_class):
    mta, dovecot = asking_factory(mta_class)
    world = running_milter_relay.world
    mark = world.mark()
    submit_to(mta, sent_message(message_id=None, days_ago=None), READER)
    received = world.wait_for(READER, b"confidential", mark, DEADLINE)
    mail = email.message_from_bytes(received.message)
    assert mail["Date"] and len(mail.get_all("Message-ID")) == 1
    assert judged(dovecot, dsn(received.message, recipients=[READER])) == genuine("serial")
    without = re.sub(rb"^X-Backscatter-Serial:.*\r\n", b"", received.message, flags=re.MULTILINE)
    assert judged(dovecot, dsn(without, recipients=[READER])) == GENUINE


@pytest.mark.parametrize("mta_class", ASKING)
def test_another_mta_refuses_a_header_that_is_somebody_elses_if_wanted(asking_factory, mta_class):
    mta, dovecot = asking_factory(mta_class, milter={"sender_check": "header"})
    with mta.submission(ALICE) as client:
        reply = client.submit(ALICE, [READER], sent_message(sender=BOB))
        assert reply.code in (550, 553) and "5.7.1" in reply.text and BOB in reply.text, reply
        assert client.submit(ALICE, [READER], sent_message()).accepted


@pytest.mark.parametrize("mta_class", ASKING)
def test_another_mta_without_the_milter_sends_all_the_same(asking_factory, running_milter_relay, mta_class, milter_factory):
    mta, dovecot = asking_factory(mta_class)
    mta.line_socket.unlink()
    world = running_milter_relay.world
    mark = world.mark()
    message = sent_message(to=READER)
    submit_to(mta, message, READER)
    received = world.wait_for(READER, message_id_of(message).encode(), mark, DEADLINE)
    assert serials_of(received.message) == []


def test_exim_tags(asking_factory):
    mta, dovecot = asking_factory(AskingExim, milter={"tag": "yes"})
    bounce = bounce_by(mta, dovecot, BOUNCED)
    to = bounce.header("Delivered-To").strip("<>")
    assert re.fullmatch(r"alice\+b=[^@]+@example\.test", to), to
    assert judged(dovecot, only(bounce, "tag"), rcpt=to) == genuine("tag")


@needs_opensmtpd_7
def test_opensmtpds_filter_sets_envid_and_tag_if_wanted(asking_factory):
    mta, dovecot = asking_factory(AskingOpenSmtpd, "-e -t", milter={"tag": "yes"})
    bounce = bounce_by(mta, dovecot, BOUNCED, "BODY=8BITMIME")
    [serial] = logged_serials(SentLog.of(dovecot))
    assert serials_of(bounce.raw) == [serial]
    to = bounce.header("Delivered-To").strip("<>")
    assert judged(dovecot, only(bounce, "tag"), rcpt=to) == genuine("tag")
    refused = bounce_by(mta, dovecot, REFUSED)
    assert b"Original-Envelope-Id" in refused.raw or serials_of(refused.raw)


# Sendmail

def test_sendmails_bounce_is_genuine_by_serial_and_message_id(milter_factory, dovecot_factory, attach_log, cleanup):
    mta = MilterSendmail()
    attach_log("sendmail", mta.log)
    cleanup.enter_context(mta)
    daemon = milter_factory(mta.socket)
    dovecot = dovecot_factory(**daemon.dovecot())
    daemon.start(dovecot)
    mark = mta.world.mark()
    message = sent_message(to=REFUSED)
    submit_to(mta, message, REFUSED)
    bounce = mta.world.wait_for(ALICE, message_id_of(message).encode(), mark, DEADLINE).message
    assert serials_of(bounce) == logged_serials(SentLog.of(dovecot))
    for evidence in ("serial", "message-id"):
        assert judged(dovecot, only(bounce, evidence)) == genuine(evidence)
