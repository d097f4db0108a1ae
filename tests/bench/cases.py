"""What is delivered: ordinary messages of a size, and reports."""

from dataclasses import dataclass
from email.utils import formatdate
from typing import Callable

USERS = [f"user{number}@example.test" for number in range(10)]
OWNER = USERS[0]
SENDER = "sender@example.net"
# Message-IDs, and to whom: the mailbox has written to the one and never to the other.
GENUINE_ID, CORRESPONDENT = "genuine-{}@client.example.test", "nobody@example.net"
FORGED_ID, STRANGER = "forged-{}@client.example.test", "nobody@example.org"


@dataclass(frozen=True)
class Case:
    """`message(serial)` is delivered to `rcpts`, `batch` times a measurement; `verdict`, `spf`: what the plugin has to say. The
    Sent mailbox gets `unread` copies before each measurement that the log doesn't have; `anew`: it has none."""
    name: str
    message: Callable[[int], bytes]
    batch: int
    rcpts: tuple[str, ...] = (OWNER,)
    mail_from: str = SENDER
    verdict: str | None = None
    spf: str | None = None
    unread: int = 0
    anew: bool = False


def ordinary(size: int, results: str = "dkim=pass header.d=example.net header.s=s20260101;") -> bytes:
    """As many mail servers send it: 2 KiB of header fields and a text, to an exact size. results: of our MX."""
    signature = "".join(f"\n\t{line:02d}{'Zm9ydHktc2V2ZW4gY2hhcmFjdGVycyBvZiBzaWdu' * 2:.70s}" for line in range(5))
    header = f"""\
Received: from out.example.net (out.example.net [192.0.2.9])
\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)
\t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)
\t(No client certificate requested)
\tby mx.example.test (Postfix) with ESMTPS id 4Xk2Zb1Q9mz9sRK
\tfor <{OWNER}>; Tue, 24 Nov 2026 12:00:03 +0000 (UTC)
Received: from [198.51.100.7] (helo=laptop.example.net)
\tby out.example.net with esmtpsa (TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256)
\t(Exim 4.96) (envelope-from <{SENDER}>) id 1tFqXh-0003Vz-1k
\tfor {OWNER}; Tue, 24 Nov 2026 13:00:02 +0100
DKIM-Signature: v=1; a=rsa-sha256; q=dns/txt; c=relaxed/relaxed; d=example.net;
\ts=s20260101; h=Content-Type:MIME-Version:Subject:To:From:Message-ID:Date;{signature}
Authentication-Results: mx.example.test; {results}
\tdmarc=pass header.from=example.net
Message-ID: <2b6f0cc9-9fb8-4d4a-8e2c-6a2c77a1d6f1@example.net>
Date: Tue, 24 Nov 2026 13:00:01 +0100
MIME-Version: 1.0
User-Agent: Mozilla Thunderbird
Subject: The minutes of our meeting last week, and what comes next
Content-Language: en-GB
To: A User <{OWNER}>
References: <a1b2c3d4-0001@example.test> <a1b2c3d4-0002@example.net>
In-Reply-To: <a1b2c3d4-0002@example.net>
From: A Sender <{SENDER}>
Content-Type: text/plain; charset=UTF-8; format=flowed
Content-Transfer-Encoding: 7bit
X-Spam-Status: No, score=-2.1

"""
    message = header.replace("\n", "\r\n").encode()
    line = b"The quick brown fox jumps over the lazy dog, and over the quick one.\r\n"
    body = line * (size // len(line) + 1)
    return (message + body)[:size - 2] + b"\r\n"


def original(message_id: str, rcpt: str) -> bytes:
    """What a report is about: as it lies in Sent, and its header as the report returns it."""
    return f"""\
Message-ID: <{message_id}>
Date: {formatdate(localtime=True)}
MIME-Version: 1.0
User-Agent: Mozilla Thunderbird
Subject: The minutes of our meeting last week
To: {rcpt}
From: A User <{OWNER}>
Content-Type: text/plain; charset=UTF-8

The minutes are attached.
""".replace("\n", "\r\n").encode()


def report(message_id: str, rcpt: str) -> bytes:
    """A bounce as Postfix writes it."""
    returned = original(message_id, rcpt).split(b"\r\n\r\n")[0].decode().replace("\r\n", "\n")
    return f"""\
Return-Path: <>
Received: by mail.example.net (Postfix) id 4Xk2Zc3P1hz9sRL; {formatdate(localtime=True)}
Date: {formatdate(localtime=True)}
From: MAILER-DAEMON@mail.example.net (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: {OWNER}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4Xk2Zc2pJ0z9sRK.1732449603/mail.example.net"
Content-Transfer-Encoding: 8bit
Message-Id: <4Xk2Zc3P1hz9sRL@mail.example.net>

This is a MIME-encapsulated message.

--4Xk2Zc2pJ0z9sRK.1732449603/mail.example.net
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mail.example.net.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

For further assistance, please send mail to postmaster.

If you do so, please include this problem report. You can
delete your own text from the attached returned message.

                   The mail system

<{rcpt}>: unknown user: "nobody"

--4Xk2Zc2pJ0z9sRK.1732449603/mail.example.net
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.net
X-Postfix-Queue-ID: 4Xk2Zc2pJ0z9sRK
X-Postfix-Sender: rfc822; {OWNER}
Arrival-Date: {formatdate(localtime=True)}

Final-Recipient: rfc822; {rcpt}
Original-Recipient: rfc822;{rcpt}
Action: failed
Status: 5.1.1
Diagnostic-Code: X-Postfix; unknown user: "nobody"

--4Xk2Zc2pJ0z9sRK.1732449603/mail.example.net
Content-Description: Undelivered Message Headers
Content-Type: text/rfc822-headers
Content-Transfer-Encoding: 8bit

Return-Path: <{OWNER}>
Received: from mx.example.test (mx.example.test [192.0.2.25])
\tby mail.example.net (Postfix) with ESMTPS id 4Xk2Zc2pJ0z9sRK
\tfor <{rcpt}>; {formatdate(localtime=True)}
{returned}

--4Xk2Zc2pJ0z9sRK.1732449603/mail.example.net--
""".replace("\n", "\r\n").encode()


def genuine_original(serial: int) -> bytes:
    return original(GENUINE_ID.format(serial), CORRESPONDENT)


def genuine_report(serial: int) -> bytes:
    return report(GENUINE_ID.format(serial), CORRESPONDENT)


def forged_report(serial: int) -> bytes:
    return report(FORGED_ID.format(serial), STRANGER)


def forged_catch_up(name: str, unread: int, anew: bool = False) -> Case:
    """A conviction, before which the Sent mailbox is read."""
    return Case(name, forged_report, batch=1, mail_from="", verdict="backscatter", unread=unread, anew=anew)


SMALL, LARGE = ordinary(4 * 1024), ordinary(100 * 1024)

CASES = [
    Case("lmtp-ham-4k", lambda serial: SMALL, batch=10),
    Case("lmtp-ham-4k-10-recipients", lambda serial: SMALL, batch=2, rcpts=tuple(USERS)),
    Case("lmtp-ham-100k", lambda serial: LARGE, batch=5),
    Case("lmtp-report-forged", forged_report, batch=5, mail_from="", verdict="backscatter"),
    Case("lmtp-report-genuine", genuine_report, batch=5, mail_from="", verdict="genuine"),
]

CATCH_UP_CASES = [
    forged_catch_up("lmtp-catch-up-nothing", 0),
    forged_catch_up("lmtp-catch-up-100", 100),
    forged_catch_up("lmtp-catch-up-10000-at-first", 10_000, anew=True),
]

# SPF: the MX has checked it; the answers are in the process's cache; the answers have to be asked for.
TRUSTED = ordinary(4 * 1024, "spf=pass smtp.mailfrom=sender@example.net;")
SPF_ZONE = {"example.net": """\
@ 3600 TXT "v=spf1 include:_spf.example.net ~all"
_spf 3600 TXT "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"
asked 0 TXT "v=spf1 include:_spf.asked.example.net ~all"
_spf.asked 0 TXT "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"
"""}
ASKED_SENDER = "sender@asked.example.net"
PASS = "spf=pass smtp.mailfrom="

SPF_CASES = [
    Case("lmtp-spf-trusted-4k", lambda serial: TRUSTED, batch=10, spf=f"{PASS}example.net"),
    Case("lmtp-spf-trusted-4k-10-recipients", lambda serial: TRUSTED, batch=2, rcpts=tuple(USERS), spf=f"{PASS}example.net"),
    Case("lmtp-spf-cached-4k", lambda serial: SMALL, batch=10, spf=f"{PASS}example.net"),
    Case("lmtp-spf-asked-4k", lambda serial: SMALL, batch=10, mail_from=ASKED_SENDER, spf=f"{PASS}asked.example.net"),
]
