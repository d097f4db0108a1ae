"""A mail client that sends: SMTP AUTH, then a message by DATA, BDAT (RFC 3030) or BURL (RFC 4468)."""

import smtplib
from typing import NamedTuple

CHUNK = 100_000


class Reply(NamedTuple):
    """What a transaction ended with: its first refusal, or the reply to the whole message."""
    code: int
    text: str
    command: str    # that was replied to: MAIL, RCPT, DATA, BDAT, BURL

    @property
    def accepted(self) -> bool:
        return self.code == 250 and self.command in ("DATA", "BDAT", "BURL")


class SubmissionClient(smtplib.SMTP):
    def __init__(self, where: tuple[str, int], user: str, password: str, timeout: float):
        super().__init__(*where, "client.example.test", timeout)
        self.ehlo()
        self.login(user, password)
        self.ehlo()
        self.command_encoding = "utf-8"

    def submit(self, mail_from: str, rcpts: list[str], message: bytes, mail_parameters: str = "",
             rcpt_parameters: str = "") -> Reply:
        """By DATA. If the envelope or a recipient is refused, nothing of the message is sent."""
        refused = self.envelope(mail_from, rcpts, mail_parameters, rcpt_parameters)
        return refused or Reply(*decoded(self.data(message)), "DATA")

    def submit_chunks(self, mail_from: str, rcpts: list[str], message: bytes, mail_parameters: str = "") -> Reply:
        """By BDAT, in several pieces."""
        if refused := self.envelope(mail_from, rcpts, mail_parameters):
            return refused
        starts = range(0, len(message), CHUNK)
        for start in starts:
            piece = message[start:start + CHUNK]
            last = " LAST" if start == starts[-1] else ""
            self.send(f"BDAT {len(piece)}{last}\r\n".encode() + piece)
            reply = Reply(*decoded(self.getreply()), "BDAT")
            if reply.code != 250:
                break
        return reply

    def submit_urls(self, mail_from: str, rcpts: list[str], *urls: str) -> Reply:
        """By BURL: the server fetches the pieces from its IMAP mailboxes."""
        if refused := self.envelope(mail_from, rcpts):
            return refused
        for number, url in enumerate(urls, 1):
            last = " LAST" if number == len(urls) else ""
            reply = Reply(*decoded(self.docmd(f"BURL {url}{last}")), "BURL")
            if reply.code != 250:
                break
        return reply

    def envelope(self, mail_from: str, rcpts: list[str], mail_parameters: str = "",
                 rcpt_parameters: str = "") -> Reply | None:
        """MAIL and RCPT; the first refusal."""
        commands = [("MAIL", f"MAIL FROM:<{mail_from}> {mail_parameters}")]
        commands += [("RCPT", f"RCPT TO:<{rcpt}> {rcpt_parameters}") for rcpt in rcpts]
        for name, line in commands:
            code, text = decoded(self.docmd(line.rstrip()))
            if code != 250:
                return Reply(code, text, name)
        return None


def decoded(reply: tuple[int, bytes]) -> tuple[int, str]:
    code, text = reply
    return code, text.decode(errors="replace")
