"""RFC 3464 reports and other messages for the tests, all with LF, and what is done with them again and again.

    sent(dovecot, ALICE, "mine@client.example.test")      # it is in Alice's log, and that is complete
    dovecot.deliver("lmtp", ALICE, report("mine@client.example.test"))
    assert_verdict(dovecot.message(ALICE), "genuine", "message-id")
"""

import re
from datetime import date, timedelta
from email.utils import formatdate
from itertools import count

from doveadm_server import Refused
from dovecot import ALICE, Dovecot, Message

NOBODY = "nobody@elsewhere.example"
DAEMON = "MAILER-DAEMON@mx.elsewhere.example"
QUARANTINE = "Backscatter"
TRACE_HEADERS = {"Return-Path", "Delivered-To", "Received"}   # what LMTP puts on top
FILES_BACKSCATTER = """
require ["fileinto", "mailbox"];
if header :contains "X-Backscatter" "backscatter" { fileinto :create "Forged"; stop; }
if header :contains "X-Backscatter" "genuine" { fileinto :create "Mine"; stop; }
"""
serial = count(1)


def new_id(kind: str) -> str:
    return f"{kind}-{next(serial)}@client.example.test"


def report(original_id: str | None, *, to: str | None = ALICE, message_id: str | None = None, action: str = "failed",
           sender: str | None = None, rcpt: str = NOBODY, head: str = "", returned_head: str = "", original_date: str | None = None) -> bytes:
    """A report about the message original_id (None: the returned headers have no Message-ID).

    to: the report's To:, None = it has none.   sender: the original's From:, without <> (None: whom the report is addressed to).   head: more header lines of the report, on top.
    returned_head: more lines of the returned headers."""
    message_id = message_id or f"report-{next(serial)}@mx.elsewhere.example"
    to_line = "" if to is None else f"To: {to}\n"
    from_line = f"From: Someone <{sender}>" if sender else f"From: {to or ALICE}"
    id_line = "" if original_id is None else f"Message-ID: <{original_id}>\n"
    return f"""{head}From: Mail Delivery System <{DAEMON}>
{to_line}Subject: Undelivered Mail Returned to Sender
Date: {formatdate()}
Message-ID: <{message_id}>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="limit"

--limit
Content-Type: text/plain; charset=us-ascii

<{rcpt}>: host mx.elsewhere.example said: 550 5.1.1 no such user

--limit
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.elsewhere.example

Final-Recipient: rfc822; {rcpt}
Action: {action}
Status: 5.1.1

--limit
Content-Type: text/rfc822-headers

{returned_head}{from_line}
To: {rcpt}
Subject: hello
Date: {original_date or formatdate()}
{id_line}
--limit--
""".encode()


def ordinary(size: int = 0, *, head: str = "", message_id: str | None = None) -> bytes:
    """A message that nobody takes for a report; at least so many bytes."""
    text = f"""{head}From: A Friend <friend@elsewhere.example>
To: <{ALICE}>
Subject: lunch
Date: Tue, 24 Nov 2026 12:00:00 +0000
Message-ID: <{message_id or new_id("ordinary")}>

Hello,
..
.
the end is not here
""".encode()
    line = b"The quick brown fox jumps over the lazy dog, and it does so again and again.\n"
    return text + line * -(-max(0, size - len(text)) // len(line))


def padding(size: int) -> str:
    """Header lines, together about so many bytes, some of them folded."""
    line = "X-Padding-%06d: " + "x" * 60 + "\n\t" + "y" * 60 + "\n"
    return "".join(line % number for number in range(size // len(line % 0) + 1))


# The log

def cover(dovecot: Dovecot, *users: str, days: int = 60) -> None:
    """The log of each is complete since then: what isn't in it was not sent."""
    since = date.today() - timedelta(days=days)
    for user in users or (ALICE,):
        try:
            dovecot.do(user, "backscatter", "coverage", "--since", since.isoformat())
        except Refused:
            # it is done, and a setting is wrong: some tests want it so
            result = dovecot.doveadm("backscatter", "coverage", "--since", since.isoformat(), user=user, check=False)
            assert result.code == 65 and " has the wrong value " in result.err, result


def sent(dovecot: Dovecot, user: str, message_id: str, *rcpts: str) -> None:
    dovecot.do(user, "backscatter", "sent", "add", message_id, *(rcpts or (NOBODY,)))


# What came of it

def assert_verdict(message: Message, verdict: str, reason: str, report_class: str = "dsn-failed") -> None:
    assert message.verdict is not None, message.raw[:2000].decode(errors="replace")
    found = message.verdict["verdict"], message.verdict["class"], message.verdict["reason"]
    assert found == (verdict, report_class, reason)


def stored(dovecot: Dovecot, user: str = ALICE) -> dict[str, int]:
    """How many messages lie where, Sent aside."""
    found = {name: len(dovecot.messages(user, name)) for name in mailboxes_with_files(dovecot, user) if name != "Sent"}
    return {name: number for name, number in found.items() if number > 0}


def mailboxes_with_files(dovecot: Dovecot, user: str) -> list[str]:
    """All that could hold a message. Of a Maildir without a process that lists them."""
    if dovecot.mail_format != "maildir":
        return dovecot.mailboxes(user)
    return ["INBOX"] + sorted(folder.parent.name[1:] for folder in (dovecot.users[user].home / "Maildir").glob(".*/cur"))


def added_headers(message: Message, rest: bytes) -> list[str]:
    """Names of the headers that stand in front of `rest`, which the message ends with, byte for byte."""
    assert message.raw.endswith(rest), difference(message.raw, rest)
    return re.findall(r"^([^\s:]+):", message.raw[:len(message.raw) - len(rest)].decode(), re.MULTILINE)


def difference(raw: bytes, rest: bytes) -> str:
    """Where `rest` and the end of `raw` begin to differ, seen from the end; pytest's own diff takes minutes for megabytes."""
    at = next((number for number in range(1, min(len(raw), len(rest)) + 1) if raw[-number] != rest[-number]), 0)
    return f"stored {len(raw)} bytes, sent {len(rest)}; differs {at} bytes before the end: " \
           f"{raw[max(0, len(raw) - at - 60):][:120]!r} is not {rest[max(0, len(rest) - at - 60):][:120]!r}"


def report_lines(dovecot: Dovecot, since: int = 0, *, expected: int = 0) -> list[str]:
    """Our line for each report. lmtp's come by way of the log process, often after its reply: waits until so many are there."""
    at = since
    for _ in range(expected):
        line = dovecot.wait_log(r".*backscatter: msgid=.*", since=at).group()
        at += dovecot.log_lines(since=at).index(line) + 1
    return dovecot.log_lines(r"backscatter: msgid=", since)


def errors(dovecot: Dovecot, since: int = 0) -> list[str]:
    return dovecot.log_lines(r"\b(Error|Fatal|Panic): ", since)
