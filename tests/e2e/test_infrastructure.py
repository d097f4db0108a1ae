"""What the other tests rely upon: that the private Dovecots and the MTAs do what they are said to."""

import email
import os
import signal

import pytest

from dovecot import ALICE, BOB, CAROL, KEEPING_NOTHING, Dovecot, crlf
from dovecots import Dovecots
from messages import original
from mta import BUSY, NOBODY, READER
from process import processes
from reports import cover, errors

PLAIN = b"From: a@elsewhere.example\nTo: b@elsewhere.example\nSubject: \xe4\n\n.\n..dots\n\xe4 \xff\nend\n"


@pytest.fixture
def plain(dovecot_factory) -> Dovecot:
    return dovecot_factory(backscatter=False)


def test_lmtp_stores_the_bytes_that_were_sent(plain):
    assert plain.lmtp("a@elsewhere.example", [ALICE], PLAIN)[0][0] == 250
    assert plain.message(ALICE).raw.endswith(PLAIN)


def test_lda_stores_the_bytes_that_were_sent(plain):
    assert plain.lda(ALICE, PLAIN).code == 0
    assert plain.message(ALICE).raw == PLAIN


@pytest.mark.parametrize("mail_format", ["maildir", "sdbox", "mdbox"])
def test_messages_come_in_order_of_delivery(dovecot_factory, mail_format):
    dovecot = dovecot_factory(backscatter=False, mail_format=mail_format)
    numbered = [f"Subject: {number}\n\nbody\n".encode() for number in range(12)]
    for message in numbered:
        dovecot.deliver("lmtp", ALICE, message, "a@elsewhere.example")
    assert [message.header("Subject") for message in dovecot.messages(ALICE)] == [str(number) for number in range(12)]


def test_each_recipient_gets_a_reply(plain):
    codes = [code for code, _ in plain.lmtp("a@elsewhere.example", [ALICE, "nobody@example.test", BOB], PLAIN)]
    assert codes == [250, 550, 250]
    assert [len(plain.messages(user)) for user in (ALICE, BOB, CAROL)] == [1, 1, 0]


def test_mail_belongs_to_the_users_own_uid(plain):
    plain.lmtp("a@elsewhere.example", [ALICE, BOB], PLAIN)
    owners = [os.stat(plain.message(user).path).st_uid for user in (ALICE, BOB)]
    assert owners == [plain.users[ALICE].uid, plain.users[BOB].uid] and owners[0] != owners[1]


def test_xclient_names_the_client(plain):
    plain.lmtp("a@elsewhere.example", [ALICE], PLAIN, xclient={"ADDR": "192.0.2.9", "HELO": "out.elsewhere.example"})
    assert "192.0.2.9" in plain.message(ALICE).headers("Received")[0]


def test_userdb_fields_hold_from_the_next_lookup_on(plain):
    for rule in ("*:storage=1M", "*:storage=2M"):
        plain.set_fields(ALICE, quota_rule=rule)
        assert rule in plain.doveadm("user", ALICE).out


def test_sieve_script_and_detail(plain):
    plain.set_sieve(BOB, 'require ["fileinto", "mailbox", "envelope", "subaddress"];'
                         'if envelope :detail "to" "work" { fileinto :create "Work"; }')
    plain.lmtp("a@elsewhere.example", ["bob+work@example.test"], PLAIN)
    assert plain.message(BOB, "Work").raw.endswith(PLAIN)


def test_detail_names_a_mailbox_if_so_configured(dovecot_factory):
    dovecot = dovecot_factory(backscatter=False, sieve=False, lmtp_save_to_detail_mailbox=True)
    dovecot.lmtp("a@elsewhere.example", ["alice+Sent@example.test"], PLAIN)
    assert len(dovecot.messages(ALICE, "Sent")) == 1


def test_quota_and_acl_forbid(dovecot_factory):
    dovecot = dovecot_factory(backscatter=False, quota="*:storage=10k", acl=True)
    big = b"Subject: big\n\n" + b"x" * 70 + b"\n" + b"y" * 20000 + b"\n"
    assert dovecot.lmtp("a@elsewhere.example", [ALICE], big)[0][0] // 100 in (4, 5)
    dovecot.append(BOB, "Sent", PLAIN)
    dovecot.set_acl(BOB, "Sent", "owner", "lookup")
    with dovecot.imap(BOB) as client:
        assert client.append("Sent", None, None, crlf(PLAIN))[0] == "NO"


def test_instances_live_side_by_side_and_leave_nothing(dovecot_factory):
    other = dovecot_factory(backscatter=False)
    with Dovecot(backscatter=False) as dovecot:
        pid, folder = dovecot.pid, dovecot.folder
        for instance in (other, dovecot):
            instance.deliver("lmtp", ALICE, PLAIN, "a@elsewhere.example")
        assert processes(pid)
    assert not processes(pid) and not folder.exists()
    assert len(other.messages(ALICE)) == 1


def returned_message_id(report: bytes) -> str:
    """Message-ID in the returned part; OpenSMTPD and Postfix call it rfc822-headers or rfc822."""
    parts = [part for part in email.message_from_bytes(report).walk()
             if part.get_content_type() in ("message/rfc822", "text/rfc822-headers")]
    returned = parts[0].get_payload()
    text = returned[0].as_string() if isinstance(returned, list) else returned
    return email.message_from_string(text)["Message-ID"]


@pytest.mark.parametrize("make, rcpt, action", [
    ("bounce", NOBODY, "failed"), ("delayed", BUSY, "delayed"), ("success", READER, "relayed|delivered")])
def test_mta_reports_to_the_envelope_sender(mta, make, rcpt, action):
    """Whoever wrote the message: From: is not what decides."""
    message = original("forged", sender="spammer@elsewhere.example", rcpt=rcpt)
    report = getattr(mta, make)(ALICE, message)
    assert (report.mail_from, report.rcpts) == ("", (ALICE,))
    assert returned_message_id(report.message) == email.message_from_bytes(message)["Message-ID"]
    status = [part for part in email.message_from_bytes(report.message).walk()
              if part.get_content_type() == "message/delivery-status"][0]
    fields = status.get_payload()[1]
    assert fields["Final-Recipient"].replace(" ", "") == f"rfc822;{rcpt}"
    assert fields["Action"] in action.split("|")


# A Dovecot goes on to the next test

@pytest.fixture
def shared():
    """Dovecots that no other test gets."""
    dovecots = Dovecots()
    yield dovecots
    dovecots.stop()


def test_the_next_test_finds_what_it_would_after_a_start(shared):
    dovecot = shared.take().start()
    as_started = dovecot.log_lines()
    for _ in range(2):
        cover(dovecot)
        dovecot.deliver("lmtp", ALICE, PLAIN, "a@elsewhere.example")
        dovecot.append(ALICE, "Sent", PLAIN)
        assert len(dovecot.messages(ALICE)) == len(dovecot.messages(ALICE, "Sent")) == 1
        assert len(dovecot.log_lines()) > len(as_started) and errors(dovecot) == []
        shared.give_back(dovecot)
        assert shared.take() is dovecot and dovecot.running
        assert dovecot.log_lines() == as_started
        assert [file for user in dovecot.users.values() for file in user.home.iterdir()] == []
    assert set(processes(dovecot.pid).values()) <= KEEPING_NOTHING | {"doveadm-server"}
    shared.give_back(dovecot)


CHANGES = {
    "users": lambda dovecot: dovecot.set_fields(ALICE, quota_rule="*:storage=1M"),
    "settings": lambda dovecot: dovecot.config.write_text("protocols =\n"),
    "file": lambda dovecot: (dovecot.folder / "left").touch(),
    "socket": lambda dovecot: dovecot.lmtp_socket.unlink(),
    "restarted": lambda dovecot: dovecot.restart(debug=True),
    "processes asked for": lambda dovecot: dovecot.pids("lmtp"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_dovecot_that_a_test_has_changed_ends(shared, change):
    dovecot = shared.take(backscatter=False).start()
    change(dovecot)
    shared.give_back(dovecot)
    assert not dovecot.running


def test_that_of_a_test_that_failed_ends(shared):
    dovecot = shared.take(backscatter=False).start()
    shared.give_back(dovecot, is_good=False)
    assert not dovecot.running


def test_a_process_that_crashed_is_seen(shared):
    dovecot = shared.take(backscatter=False).start()
    dovecot.deliver("lmtp", ALICE, PLAIN, "a@elsewhere.example")
    dovecot.append(ALICE, "INBOX", PLAIN)
    for pid in dovecot.pids("imap-login"):
        os.kill(pid, signal.SIGABRT)
    dovecot.wait_log("killed with signal 6")
    with pytest.raises(AssertionError, match="crashed"):
        shared.give_back(dovecot)
    assert not dovecot.running
