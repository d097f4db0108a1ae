"""local_submissions: what programs on the MTA's own host send with sendmail(1), through a real Postfix (non_smtpd_milters)."""

import smtplib
import subprocess

import pytest

from dovecot import ALICE, DEADLINE
from milter import Milter, MilterRelay
from relay import READER, REFUSED
from sending import SERIAL_HEADER, genuine, logged_serials, only, serial_of
from sentlog import SentLog, judged, sent_message, stored


class LocalRelay(MilterRelay):
    """Postfix also asks the milter about what sendmail(1) brings."""

    def _settings(self) -> dict[str, str]:
        return super()._settings() | {"non_smtpd_milters": "$submission_milters"}

    def sendmail(self, sender: str, rcpt: str, message: bytes) -> None:
        subprocess.run(["sendmail", "-C", self.etc, "-i", "-f", sender, rcpt], input=message, check=True, timeout=DEADLINE)
        self.settle()


@pytest.fixture(scope="module")
def relay():
    with LocalRelay() as relay:
        yield relay


@pytest.fixture
def dovecot(relay, dovecot_factory, attach_log):
    """With a milter that has local_submissions."""
    milter = Milter(relay.socket_folder / "milter.sock", local_submissions="yes")
    attach_log("milter", milter.log)
    attach_log("relay", relay.log)
    dovecot = dovecot_factory(**milter.dovecot(relay))
    relay.deliver_to(dovecot)
    milter.start(dovecot)
    yield dovecot
    relay.settle()
    milter.stop()


def received(relay, since: int) -> bytes:
    [message] = relay.world.received[since:]
    return message.message


def test_sendmails_message_is_the_users_whose_address_sends_it(relay, dovecot):
    since = relay.world.mark()
    relay.sendmail("Alice+cron@example.test", READER, sent_message())
    assert logged_serials(SentLog.of(dovecot)) == [serial_of(received(relay, since))]
    relay.sendmail(ALICE, REFUSED, sent_message(to=REFUSED))
    [bounce] = stored(dovecot, ALICE, "INBOX")
    assert judged(dovecot, only(bounce, "serial")) == genuine("serial")


def test_sendmails_message_of_nobodys_address_leaves_all_the_same(relay, dovecot):
    since = relay.world.mark()
    relay.sendmail("root@elsewhere.example", READER, sent_message(sender="root@elsewhere.example"))
    assert serial_of(received(relay, since))
    assert not SentLog.of(dovecot).path.exists()


def test_what_comes_by_smtp_without_login_is_not_touched(relay, dovecot):
    """Also from this host: a content filter brings mail of others back like that."""
    since = relay.world.mark()
    with smtplib.SMTP(*relay.transit, timeout=DEADLINE) as client:
        client.sendmail(ALICE, [READER], sent_message())
    relay.settle()
    assert SERIAL_HEADER.encode() not in received(relay, since)
    assert not SentLog.of(dovecot).path.exists()
