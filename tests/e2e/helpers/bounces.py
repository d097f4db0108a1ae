"""Bounces of many MTAs about one message to READER: what those of mta.py really write, and what others do, as a text.

    sample = bounces("exchange")           # each call is about another message
    sample.original, sample.report         # the message, and the report on it; both with LF
"""

import re
from dataclasses import dataclass
from email.utils import formatdate
from itertools import count

from dovecot import ALICE
from messages import original
from mta import MTAS, NOBODY, READER

numbers = count(1)
PLACE = "bounced-%07d@client.example.test"
HOST = "mx.elsewhere.example"


@dataclass(frozen=True)
class Sample:
    message_id: str
    original: bytes
    report: bytes


class Bounces:
    """mtas: the fixture of that name."""

    def __init__(self, mtas):
        self._mtas, self._made = mtas, {}

    def __call__(self, kind: str) -> Sample:
        """A new one: as the first of its kind, but for the Message-ID."""
        if kind not in self._made:
            # READER is a recipient that the submission service's world takes; the MTAs' refuses NOBODY only
            message = original("bounced", sender=ALICE, rcpt=NOBODY, message_id=PLACE % 0)
            report = self._mtas(kind).bounce(ALICE, message).message if kind in MTAS else WRITTEN[kind](message.decode())
            self._made[kind] = tuple(text.replace(b"\r\n", b"\n").replace(NOBODY.encode(), READER.encode())
                                     for text in (message, report))
        old, new = (PLACE % 0).encode(), PLACE % next(numbers)
        message, report = (text.replace(old, new.encode()) for text in self._made[kind])
        # and a report of its own
        report = re.sub(rb"(?im)^(message-id: <)", rb"\g<1>%d." % next(numbers), report, count=1)
        assert new.encode() in report, report.decode()
        return Sample(new, message, report)


def head(who: str, subject: str, content_type: str = "text/plain; charset=us-ascii") -> str:
    return f"""From: {who}
To: <{ALICE}>
Subject: {subject}
Date: {formatdate()}
Message-ID: <{next(numbers)}.report@{HOST}>
MIME-Version: 1.0
Content-Type: {content_type}

"""


def multipart(who: str, subject: str, notice: str, status: str, returned_type: str, returned: str) -> bytes:
    return (head(who, subject, 'multipart/report; report-type=delivery-status; boundary="=_b"') + f"""\
--=_b
Content-Type: text/plain; charset=us-ascii

{notice}

--=_b
Content-Type: message/delivery-status

Reporting-MTA: dns; {HOST}
Arrival-Date: {formatdate()}

Final-Recipient: rfc822; {READER}
Action: failed
Status: 5.1.1
{status}
--=_b
Content-Type: {returned_type}

{returned}
--=_b--
""").replace("\r\n", "\n").encode()


def block(message: str) -> str:
    return message.replace("\r\n", "\n").partition("\n\n")[0] + "\n"


def sendmail(message: str) -> bytes:
    notice = f"""The original message was received at Sat, 28 Nov 2026 03:10:01 GMT
from client.example.test [203.0.113.9]

   ----- The following addresses had permanent fatal errors -----
<{READER}>
    (reason: 550 5.1.1 <{READER}>... User unknown)

   ----- Transcript of session follows -----
... while talking to mx.reject.example.test.:
>>> DATA
<<< 550 5.1.1 <{READER}>... User unknown"""
    return multipart(f"Mail Delivery Subsystem <MAILER-DAEMON@{HOST}>", "Returned mail: see transcript for details", notice,
                     "Diagnostic-Code: SMTP; 550 5.1.1 User unknown\n", "message/rfc822", f"Return-Path: <{ALICE}>\n" + message)


def exchange(message: str) -> bytes:
    notice = f"""Delivery has failed to these recipients or groups:

{READER}
The email address you entered couldn't be found.

Diagnostic information for administrators:

Generating server: EX01.elsewhere.example
Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound'"""
    return multipart(f"<postmaster@{HOST}>", "Undeliverable: bounced message", notice, "X-Display-Name: nobody\n",
                     "message/rfc822", message)


def qmail(message: str) -> bytes:
    return (head(f"MAILER-DAEMON@{HOST}", "failure notice") + f"""\
Hi. This is the qmail-send program at {HOST}.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<{READER}>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

Return-Path: <{ALICE}>
Received: (qmail 7181 invoked by uid 89); 28 Nov 2026 03:10:01 -0000
{message}""").replace("\r\n", "\n").encode()


WRITTEN = {"sendmail": sendmail, "exchange": exchange, "qmail": qmail}
KINDS = [*MTAS, *WRITTEN]
