"""Mail that talks like a bounce and is none of a forged message (letters/KIND/NAME.eml), and what becomes of a batch of mail.

A letter's Return-Path is the sender that it usually has; others write the same with the null sender, and the reverse.
@ME@ in it is the mailbox's address, @ID@ a word of its own, @DATE@ now, @EARLIER@ a few hours ago.
"""

import re
from dataclasses import dataclass
from email.utils import formatdate
from itertools import count
from pathlib import Path
from time import time

from dovecot import ALICE, Dovecot, LmtpClient, Message
from sentlog import message_id_of

FOLDER = Path(__file__).resolve().parent / "letters"
QUARANTINE = "Backscatter"
STAND_IN = "bounces@elsewhere.example"   # the ordinary sender of what usually has none
EARLIER = 5 * 3600
numbers = count(1)


@dataclass(frozen=True)
class Letter:
    name: str   # KIND/NAME
    text: str   # without its Return-Path
    sender: str

    def message(self) -> bytes:
        text = self.text.replace("@ID@", f"letter{next(numbers)}").replace("@ME@", ALICE)
        return text.replace("@DATE@", formatdate()).replace("@EARLIER@", formatdate(time() - EARLIER)).encode()


def read_letter(path: Path) -> Letter:
    first, text = path.read_text().split("\n", 1)
    [sender] = re.fullmatch(r"Return-Path: <(.*)>", first).groups()
    return Letter(f"{path.parent.name}/{path.stem}", text, sender or STAND_IN)


def read_letters() -> list[Letter]:
    return [read_letter(path) for path in sorted(FOLDER.glob("*/*.eml"))]


@dataclass
class Sent:
    """A message of a batch, and where it ended: a mailbox, "refused" or "gone"."""
    name: str
    mark: bytes   # the queue id that our MX gave it
    message_id: str
    where: str = "gone"
    verdict: str = ""   # as X-Backscatter or the log says it

    @property
    def acquitted(self) -> bool:
        return self.where == "INBOX" and not self.verdict.startswith("backscatter")

    def __str__(self) -> str:
        return f"{self.where:12} {self.name:60} {self.verdict}"


class Batch:
    """Messages to Alice over one LMTP connection. Each gets the Received field of our MX, as all mail that Dovecot gets.

        batch = Batch(dovecot)
        batch.deliver("people/postmaster", "", message)
        lost = [sent for sent in batch.look() if sent.where == "gone"]
    """

    def __init__(self, dovecot: Dovecot):
        self._dovecot, self._client, self.sent = dovecot, LmtpClient(dovecot.lmtp_socket), []

    def deliver(self, name: str, mail_from: str, message: bytes) -> None:
        sent = Sent(name, b"QUEUE%06d" % next(numbers), message_id_of(message) or "unspecified")
        received = f"Received: from out.elsewhere.example (out.elsewhere.example [192.0.2.25])\r\n" \
            f"\tby mx.example.test (Postfix) with ESMTPS id {sent.mark.decode()}\r\n" \
            f"\tfor <{ALICE}>; {formatdate()}\r\n"
        [(code, _)] = self._client.deliver(mail_from, [ALICE], received.encode() + message)
        if code != 250:
            sent.where = "refused"
        self.sent.append(sent)

    def look(self) -> list[Sent]:
        """Ends the connection; where each one is."""
        with self._client:
            pass
        by_mark = {sent.mark: sent for sent in self.sent}
        for mailbox in ("INBOX", QUARANTINE):
            for message in self._dovecot.messages(ALICE, mailbox):
                if sent := by_mark.get(mark_of(message)):
                    assert sent.where == "gone", f"{sent.name} is stored twice"
                    sent.where, sent.verdict = mailbox, message.header("X-Backscatter") or "no report"
        for sent in self.sent:
            if sent.where in ("gone", "refused"):
                lines = self._dovecot.log_lines(re.escape(f"msgid=<{sent.message_id}>: report "))
                sent.verdict = lines[-1].partition(": report ")[2] if lines else "no line in the log"
        return self.sent


def mark_of(message: Message) -> bytes | None:
    found = re.search(rb"\(Postfix\) with ESMTPS id (QUEUE\d+)", message.raw)
    return found and found.group(1)


def listed(some: list[Sent], batch: list[Sent]) -> str:
    """A line for each, with the row that decided."""
    return "\n".join([f"{len(some)} of {len(batch)}:", *map(str, some)])
