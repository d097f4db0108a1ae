"""What the tests of the sent log share: messages, reports about them, and the SQLite file itself.

    sent = sent_message(to="friend@friends.example")
    dovecot.append(ALICE, "Sent", sent)
    assert judged(dovecot, dsn(sent)) == GENUINE

The file is opened from here as another program would: to look, to make rows older, or to hold its lock.
"""

import os
import sqlite3
import subprocess
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate, getaddresses
from itertools import count
from pathlib import Path
from time import time
from typing import NamedTuple

from dovecot import ALICE, Dovecot, Message, header_of, maildir, read_maildir

FRIEND = "friend@friends.example"
STRANGER = "victim@strangers.example"
QUARANTINE = "Backscatter"
DAY = 24 * 3600
numbers = count(1)


class Judged(NamedTuple):
    """Where a report ended, and why."""
    mailbox: str
    verdict: str
    reason: str


GENUINE = Judged("INBOX", "genuine", "message-id")
NOT_SENT = Judged(QUARANTINE, "backscatter", "not-sent")
NOT_COVERED = Judged("INBOX", "unknown", "not-covered")
UNAVAILABLE = Judged("INBOX", "unknown", "log-unavailable")


def unknown(reason: str) -> Judged:
    return Judged("INBOX", "unknown", reason)


# Messages

def new_message_id() -> str:
    return f"message-{next(numbers)}.{os.getpid()}@client.example.test"


def sent_message(*, message_id: str | None = "", to: str = FRIEND, sender: str = ALICE, days_ago: float | None = 0,
                 headers: tuple[str, ...] = ()) -> bytes:
    """As a mail client writes it. message_id: "" = a new one, None = without; days_ago: of its Date, None = without."""
    lines = [f"From: Someone <{sender}>", f"To: {to}", "Subject: confidential matter"]
    if days_ago is not None:
        lines.append(f"Date: {formatdate(time() - days_ago * DAY)}")
    if message_id is not None:
        lines.append(f"Message-ID: <{message_id or new_message_id()}>")
    return "\r\n".join([*lines, *headers, "", "Hello.", ""]).encode()


def message_id_of(message: bytes) -> str | None:
    value = header_of(message)["Message-ID"]
    return value.strip().strip("<>") if value else None


def recipients_of(message: bytes) -> list[str]:
    header = header_of(message)
    values = [value for name in ("To", "Cc", "Bcc") for value in header.get_all(name, [])]
    return [address for _, address in getaddresses(values)]


def header_block(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[0] + b"\r\n"


# Reports

def automatic(headers: list[str], parts: list[tuple[str, bytes]], *, to: str | None, report_type: str) -> bytes:
    lines = [f"Message-ID: <report-{next(numbers)}.{os.getpid()}@mx.elsewhere.example>", f"Date: {formatdate()}",
             *headers, "MIME-Version: 1.0",
             f'Content-Type: multipart/report; report-type={report_type}; boundary="=_part"', ""]
    if to is not None:
        lines.insert(0, f"To: {to}")
    body = b"".join(b"\r\n--=_part\r\nContent-Type: %s\r\n\r\n%s" % (kind.encode(), text) for kind, text in parts)
    return "\r\n".join([*lines, ""]).encode() + body + b"\r\n--=_part--\r\n"


def dsn(about: bytes | None, *, to: str | None = ALICE, recipients: list[str] | None = None, action: str = "failed",
        headers: tuple[str, ...] = ()) -> bytes:
    """RFC 3464, with the headers of the message `about` (None: nothing returned, hence no identity).

    recipients: that failed; default: those of the message."""
    if recipients is None:
        recipients = [STRANGER] if about is None else recipients_of(about)
    status = b"Reporting-MTA: dns; mx.elsewhere.example\r\n" + b"".join(
        f"\r\nFinal-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: 5.1.1\r\n".encode()
        for recipient in recipients)
    parts = [("text/plain", b"Your message could not be delivered.\r\n"), ("message/delivery-status", status)]
    if about is not None:
        parts.append(("text/rfc822-headers", header_block(about)))
    return automatic(["From: Mail Delivery System <MAILER-DAEMON@mx.elsewhere.example>",
                      "Subject: Undelivered Mail Returned to Sender", "Auto-Submitted: auto-replied", *headers],
                     parts, to=to, report_type="delivery-status")


def mdn(about: bytes, *, returned: bool = False) -> bytes:
    """RFC 8098. returned: with the original's headers; without, nothing tells its date."""
    fields = f"Final-Recipient: rfc822; {recipients_of(about)[0]}\r\nOriginal-Message-ID: <{message_id_of(about)}>\r\n" \
        "Disposition: manual-action/MDN-sent-manually; displayed\r\n"
    parts = [("text/plain", b"It was read.\r\n"), ("message/disposition-notification", fields.encode())]
    if returned:
        parts.append(("text/rfc822-headers", header_block(about)))
    return automatic([f"From: {recipients_of(about)[0]}", "Subject: Read: your message"], parts,
                     to=ALICE, report_type="disposition-notification")


def auto_reply(about: bytes) -> bytes:
    message_id = message_id_of(about)
    return f"""\
From: {recipients_of(about)[0]}
To: {ALICE}
Subject: Out of office
Date: {formatdate()}
Message-ID: <reply-{next(numbers)}.{os.getpid()}@elsewhere.example>
In-Reply-To: <{message_id}>
References: <{message_id}>
Auto-Submitted: auto-replied (vacation)

Back on Monday.
""".replace("\n", "\r\n").encode()


# Judging

def judged(dovecot: Dovecot, report: bytes, user: str = ALICE, *, rcpt: str | None = None) -> Judged:
    """Delivers over LMTP, which has to accept it; where it ended."""
    replies = dovecot.lmtp("", [rcpt or user], report)
    assert [code for code, _ in replies] == [250], replies
    return found(dovecot, report, user)


def found(dovecot: Dovecot, report: bytes, user: str = ALICE) -> Judged:
    """The one stored message with this report's Message-ID."""
    places = [(mailbox, message) for mailbox in ("INBOX", QUARANTINE) for message in stored(dovecot, user, mailbox)
              if message_id_of(message.raw) == message_id_of(report)]
    assert len(places) == 1, f"{len(places)} copies of the report are stored for {user}\n{dovecot.log}"
    [(mailbox, message)] = places
    assert message.verdict is not None, message.raw.decode(errors="replace")
    return Judged(mailbox, message.verdict["verdict"], message.verdict["reason"])


def stored(dovecot: Dovecot, user: str, mailbox: str) -> list[Message]:
    """As dovecot.messages(); also where the mail does not lie in the home (mail_elsewhere())."""
    root = mail_root(dovecot, user)
    return read_maildir(maildir(root, mailbox)) if root.exists() else dovecot.messages(user, mailbox)


def mail_root(dovecot: Dovecot, user: str) -> Path:
    return dovecot.folder / "mail" / user


def mail_elsewhere(folder: Path) -> str:
    """Configuration that keeps the mail out of the home, so that only the log suffers from what befalls a home."""
    mail = folder / "mail"
    mail.mkdir()
    mail.chmod(0o1777)
    return f"mail_location = maildir:{mail}/%u\n"


def cover(dovecot: Dovecot, user: str = ALICE, since: str = "30d") -> None:
    """As the administrator's word: the log is complete since then."""
    dovecot.do(user, "backscatter", "coverage", "--since", since)


def coverage(dovecot: Dovecot, user: str = ALICE) -> dict[str, str]:
    """doveadm backscatter coverage: {"covered": "yes", "since": ..., "cause": ..., "sources": ..., "explanation": ...}"""
    return dovecot.doveadm("backscatter", "coverage", "show", user=user, formatter="tab").rows()[0]


# The file

SOURCES = {1: "submission", 2: "milter", 4: "sent", 8: "admin"}


@dataclass
class SentLog:
    path: Path

    @classmethod
    def of(cls, dovecot: Dovecot, user: str = ALICE) -> "SentLog":
        return cls(dovecot.users[user].home / ".backscatter.db")

    def beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    @property
    def gap(self) -> Path:
        return self.beside(".gap")

    @property
    def corrupt(self) -> list[Path]:
        """Databases that were moved aside."""
        return [path for path in self.path.parent.glob(self.path.name + ".corrupt-*")
                if not path.name.endswith(("-wal", "-shm", "-journal"))]

    def files(self) -> list[Path]:
        return sorted(self.path.parent.glob(self.path.name + "*"))

    @contextmanager
    def connection(self):
        db = sqlite3.connect(f"file:{self.path}?mode=rw", uri=True, isolation_level=None, timeout=10)
        try:
            yield db
        finally:
            db.close()

    def query(self, sql: str, *values) -> list[tuple]:
        with self.connection() as db:
            return db.execute(sql, values).fetchall()

    def counts(self) -> dict[str, int]:
        """Messages per source; those without any are left out."""
        if not self.path.exists():
            return {}
        return dict(Counter(SOURCES[source] for source, in self.query("SELECT source FROM message")))

    def make_older(self, seconds: float) -> None:
        """All rows, as if they had been logged that much earlier."""
        self.query("UPDATE message SET logged_at = logged_at - ?", int(seconds))

    def start_coverage(self, days_ago: float) -> None:
        """As if the log had been made then."""
        self.query("UPDATE meta SET created = ?1, coverage_start = ?1", int(time() - days_ago * DAY))

    def backup(self, path: Path) -> None:
        """A copy as a backup program makes it, with the rows that are still in the -wal; owner and mode as here."""
        with self.connection() as db:
            copy = sqlite3.connect(path)
            db.backup(copy)
            copy.close()
        status = self.path.stat()
        os.chown(path, status.st_uid, status.st_gid)
        path.chmod(status.st_mode & 0o7777)

    @contextmanager
    def locked(self):
        """Nobody else can write."""
        with self.connection() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("ROLLBACK")


# File systems

@contextmanager
def tmpfs(folder: Path, size: str = "256k"):
    """A small file system at a folder, with the same owner and mode."""
    stat = folder.stat()
    options = f"size={size},uid={stat.st_uid},gid={stat.st_gid},mode={stat.st_mode & 0o7777:o}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "bs-test", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, *options: str) -> None:
    subprocess.run(["mount", "-o", ",".join(["remount", *options]), str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Writes until the file system is full; removing the file that is returned makes room again."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    return path
