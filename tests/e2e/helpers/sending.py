"""What the tests of the sending side share: a message is submitted, leaves, and its bounce comes back.

    bounce = sending.bounce(REFUSED)                     # by the relay; BOUNCED: by the remote MTA
    assert judged(sending.dovecot, only(bounce, "serial"), rcpt=ALICE) == Judged("INBOX", "genuine", "serial")
"""

import re
from base64 import b32decode
from dataclasses import dataclass
from itertools import count

from dovecot import ALICE, Dovecot, Message
from relay import READER, Relay
from sentlog import QUARANTINE, Judged, SentLog, sent_message, stored
from smtp import Received

SERIAL_HEADER = "X-Backscatter-Serial"
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
SERIAL = f"[{BASE32}]{{37}}"
TAG = re.compile(r"\+b=[^@]*@")
numbers = count(1)


@dataclass
class Sending:
    dovecot: Dovecot
    relay: Relay

    def __post_init__(self):
        self._since = self.relay.world.mark()

    @property
    def received(self) -> list[Received]:
        """What has reached the world."""
        return self.relay.world.received[self._since:]

    def send(self, message: bytes, rcpts: list[str] | str, user: str = ALICE, **envelope) -> None:
        """Has to be accepted; returns once all that it brings about is where it goes. envelope: see Dovecot.submit()."""
        reply = self.dovecot.submit(user, rcpts, message, **envelope)
        assert reply.accepted, reply
        self.relay.settle()

    def sent(self, message: bytes, user: str = ALICE, rcpt: str = READER, **envelope) -> Received:
        """What of it reaches the world."""
        before = len(self.received)
        self.send(message, rcpt, user, **envelope)
        [received] = self.received[before:]
        return received

    def bounces(self, rcpts: list[str] | str, message: bytes | None = None, user: str = ALICE, **envelope) -> list[Message]:
        """The reports that come back, from wherever they were stored."""
        before = {name: len(stored(self.dovecot, user, name)) for name in ("INBOX", QUARANTINE)}
        to = rcpts if isinstance(rcpts, str) else ", ".join(rcpts)
        self.send(message or sent_message(to=to, sender=user), rcpts, user, **envelope)
        return [report for name, number in before.items() for report in stored(self.dovecot, user, name)[number:]]

    def bounce(self, rcpt: str, message: bytes | None = None, user: str = ALICE, **envelope) -> Message:
        [report] = self.bounces(rcpt, message, user, **envelope)
        return report

    @property
    def log(self) -> SentLog:
        return SentLog.of(self.dovecot)


def genuine(reason: str) -> Judged:
    return Judged("INBOX", "genuine", reason)


def backscatter(reason: str) -> Judged:
    return Judged(QUARANTINE, "backscatter", reason)


# Serials

def serial_of(message: bytes) -> str:
    """The serial in its header; of a report: in the returned header."""
    [serial] = re.findall(rf"^{SERIAL_HEADER}: (\S+)\r?$".encode(), message, re.MULTILINE)
    return serial.decode()


def octets(serial: str) -> bytes:
    """What the text stands for (plugin/sent-log/serial.h)."""
    return b32decode(serial.ljust(40, "="))


def logged_serials(log: SentLog) -> list[str]:
    return [serial for serial, in log.query("SELECT serial FROM message WHERE serial IS NOT NULL ORDER BY logged_at")]


# Reports, changed. All work on what was stored, with LF or CRLF.

EVIDENCE = {
    "envid": rb"Original-Envelope-I[dD]",
    "serial": SERIAL_HEADER.encode(),
    "message-id": rb"Message-I[dD]",
}


def only(report: Message | bytes, *evidence: str) -> bytes:
    """The report, with a Message-ID of its own, and of all that speaks for the original only this evidence: not the Received
    lines of our own MTA either."""
    header, end, body = renamed(report).partition(b"\n\n")
    body = without_fields(body, b"Received")
    for name, field in EVIDENCE.items():
        if name not in evidence:
            body = without_fields(body, field)
    if "reference" not in evidence:
        header = without_fields(header, rb"References|In-Reply-To")
    report = header + end + body
    return report if "tag" in evidence else re.sub(TAG.pattern.encode(), b"@", report)


def without_fields(text: bytes, names: bytes) -> bytes:
    return re.sub(rb"^(%s):.*\n([ \t].*\n)*" % names, b"", text, flags=re.MULTILINE)


def renamed(report: Message | bytes) -> bytes:
    """The same report once more: a copy with another Message-ID."""
    raw = report.raw if isinstance(report, Message) else report
    header, end, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    own = f"Message-ID: <again-{next(numbers)}@mx.elsewhere.example>".encode()
    header, replaced = re.subn(rb"^Message-ID:.*$", own, header, flags=re.MULTILINE | re.IGNORECASE)
    assert replaced == 1, header
    return header + end + body


def about_recipient(report: bytes, old: str, new: str) -> bytes:
    """As if another recipient had failed, one that this report's original was never sent to."""
    assert old.encode() in report
    return report.replace(old.encode(), new.encode())


def with_serial(report: bytes, serial: str) -> bytes:
    """With another text wherever its serial stands."""
    return re.sub(SERIAL.encode(), serial.encode(), report)


def flipped(serial: str, position: int) -> str:
    """One digit is another; still the text of 23 octets."""
    digit = BASE32[BASE32.index(serial[position]) ^ 2]
    return serial[:position] + digit + serial[position + 1:]


def tagged_recipient(report: Message) -> str:
    """Whom it was delivered to."""
    address = report.header("Delivered-To").strip("<>")
    assert TAG.search(address), address
    return address
