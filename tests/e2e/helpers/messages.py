"""Messages that the tests send."""

from email.utils import formatdate
from itertools import count

serial = count(1)


def original(kind: str, *, sender: str, rcpt: str, message_id: str | None = None) -> bytes:
    """A plain message, as a mail client would send it; each with a Message-ID of its own."""
    message_id = message_id or f"{kind}-{next(serial)}@client.example.test"
    return f"""\
From: Someone <{sender}>
To: {rcpt}
Subject: {kind} message
Date: {formatdate(localtime=True)}
Message-ID: <{message_id}>
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

The body of the {kind} message.
.
..a line that begins with dots
""".replace("\n", "\r\n").encode()
