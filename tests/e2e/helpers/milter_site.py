"""What the tests of the milter beside Postfix share: a message is submitted, leaves with a serial, and its bounce comes back.

    bounce = site.bounce(REFUSED)
    assert judged(site.dovecot, only(bounce, "serial")) == genuine("serial")
"""

import re
import smtplib
import time
from dataclasses import dataclass

from dovecot import ALICE, DEADLINE, Dovecot, Message, crlf
from milter import Milter, MilterRelay
from relay import BOUNCED, READER
from sentlog import QUARANTINE, SentLog, sent_message, stored
from smtp import PORT, Received


@dataclass
class MilterSite:
    """Postfix, the milter and Dovecot."""
    relay: MilterRelay
    milter: Milter
    dovecot: Dovecot

    def __post_init__(self):
        self._since = self.relay.world.mark()

    @property
    def received(self) -> list[Received]:
        """What has reached the world."""
        return self.relay.world.received[self._since:]

    def submit(self, message: bytes, rcpts: list[str] | str = READER, user: str = ALICE, mail_from: str | None = None,
               mail_parameters: str = "") -> None:
        """Has to be accepted; returns once all that it brings about is where it goes."""
        with self.relay.submission(user) as client:
            reply = client.submit(user if mail_from is None else mail_from, [rcpts] if isinstance(rcpts, str) else rcpts,
                                  crlf(message), mail_parameters)
        assert reply.accepted, reply
        self.relay.settle()

    def sent(self, message: bytes, **envelope) -> Received:
        """What of it reaches the world."""
        before = len(self.received)
        self.submit(message, **envelope)
        [received] = self.received[before:]
        return received

    def bounce(self, rcpt: str, user: str = ALICE, **envelope) -> Message:
        """The report that comes back, from wherever it was stored."""
        before = {report.path for report in self._reports(user)}
        self.submit(sent_message(to=rcpt, sender=user), rcpt, user, **envelope)
        [report] = [report for report in self._reports(user) if report.path not in before]
        return report

    def forged_bounce(self, user: str = ALICE) -> Message:
        """The same of a message that somebody else sends from elsewhere in the user's name."""
        before = {report.path for report in self._reports(user)}
        with smtplib.SMTP(self.relay.remote.address, PORT, "spammer.example", timeout=DEADLINE) as client:
            client.sendmail(user, [BOUNCED], sent_message(to=BOUNCED, sender=user))
        self.relay.settle()
        [report] = [report for report in self._reports(user) if report.path not in before]
        return report

    def _reports(self, user: str) -> list[Message]:
        return [report for name in ("INBOX", QUARANTINE) for report in stored(self.dovecot, user, name)]

    @property
    def log(self) -> SentLog:
        return SentLog.of(self.dovecot)


def serials_of(message: bytes) -> list[str]:
    return [serial.decode() for serial in re.findall(rb"^X-Backscatter-Serial: (\S+)\r?$", message, re.MULTILINE)]


def wait_until(condition, timeout: float = 40) -> None:
    """Nothing tells when: it can only be looked at."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
