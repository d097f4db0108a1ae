"""A message that was sent, and whose copy didn't get into the Sent mailbox to its end: the header that came is logged."""

import pytest

from dovecot import ALICE, Dovecot
from sentlog import (GENUINE, STRANGER, SentLog, cover, dsn, fill, judged, mail_elsewhere, sent_message, tmpfs)
from test_catch_up import NOT_SENT, wait_until
from test_sources import FORMATS

BODY = b"The same again.\r\n" * 2000
LIMIT = 64 * 1024


@pytest.fixture
def server(dovecot_factory):
    def make(**settings) -> Dovecot:
        return dovecot_factory(plugin={"backscatter_sources": "sent"} | settings.pop("plugin", {}), **settings)
    return make


def literal(message: bytes) -> bytes:
    return b" {%d+}\r\n%s" % (len(message), message)


def cut_off(dovecot: Dovecot, *messages: bytes, mailbox: str = "Sent", end: int) -> None:
    """The connection is lost behind `end` bytes of the last message."""
    complete = b"".join(literal(each) for each in messages[:-1])
    since = dovecot.log.mark()
    client = dovecot.imap(ALICE)
    client.send(b'A1 APPEND "%s"%s {%d+}\r\n%s' % (mailbox.encode(), complete, len(messages[-1]), messages[-1][:end]))
    client.shutdown()
    dovecot.wait_log(r"imap\(.*Disconnected.*APPEND", since=since)


def stored(dovecot: Dovecot) -> int:
    return len(dovecot.messages(ALICE, "Sent"))


def is_logged(dovecot: Dovecot, *messages: bytes) -> None:
    log = SentLog.of(dovecot)
    wait_until(lambda: log.counts() == {"sent": len(messages)})
    assert not log.gap.exists()
    cover(dovecot)
    for message in messages:
        assert judged(dovecot, dsn(message)) == GENUINE
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT


@pytest.mark.parametrize("mail_format", FORMATS)
@pytest.mark.parametrize("body", [b"", BODY])
def test_in_the_middle_of_the_body(server, mail_format, body):
    dovecot = server(mail_format=mail_format)
    sent = sent_message(to="friend-1@friends.example") + body
    cut_off(dovecot, sent, end=len(sent) - 1)
    is_logged(dovecot, sent)
    assert stored(dovecot) == 0


def test_of_several(server):
    dovecot = server()
    sent = [sent_message(to=f"friend-{number}@friends.example") for number in range(3)]
    cut_off(dovecot, *sent, end=len(sent[-1]) - 1)
    is_logged(dovecot, *sent)
    assert stored(dovecot) == 0


def test_with_line_ends_of_unix(server):
    dovecot = server()
    sent = sent_message(to="friend-1@friends.example").replace(b"\r\n", b"\n") + BODY
    cut_off(dovecot, sent, end=len(sent) - 1)
    is_logged(dovecot, sent)


def test_folded_fields(server):
    dovecot = server()
    sent = sent_message(message_id=None, to="friend-1@friends.example,\r\n\tfriend-2@friends.example",
                        headers=("Message-ID:\r\n <folded.1@client.example.test>",))
    cut_off(dovecot, sent, end=len(sent) - 1)
    is_logged(dovecot, sent)
    assert SentLog.of(dovecot).query("SELECT count(*) FROM recipient") == [(2,)]


@pytest.mark.parametrize("size, rows", [(LIMIT, {"sent": 1}), (LIMIT + 1, {})])
def test_a_long_header(server, size, rows):
    """So much of it is kept."""
    dovecot = server()
    head = sent_message().partition(b"\r\n\r\n")[0]
    filler = b"X-Filler: " + b"x" * 500 + b"\r\n"
    header = head + b"\r\n" + filler * ((size - len(head) - 600) // len(filler))
    header += b"X-Last: " + b"x" * (size - len(header) - len("X-Last: \r\n\r\n")) + b"\r\n\r\n"
    assert len(header) == size
    cut_off(dovecot, header + BODY, end=size + 100)
    wait_until(lambda: SentLog.of(dovecot).counts() == rows)


@pytest.mark.parametrize("mailbox, end", [("Sent", -1), ("Sent", 10), ("INBOX", 0)])
def test_nothing_is_logged_of_less(server, mailbox, end):
    """In the middle of the header; or elsewhere, where nothing is looked at."""
    dovecot = server()
    sent = sent_message()
    header = sent.index(b"\r\n\r\n") + 4
    cut_off(dovecot, sent + BODY, mailbox=mailbox, end=end if end > 0 else header + end)
    assert SentLog.of(dovecot).counts() == {}
    assert not dovecot.log_lines("Error:|Panic:|Fatal:")


# Refused

def test_by_a_full_disk(server):
    dovecot = server()
    dovecot.restart(extra=mail_elsewhere(dovecot.folder))
    sent = sent_message(to="friend-1@friends.example") + BODY
    with tmpfs(dovecot.folder / "mail") as disk:
        disk.chmod(0o1777)
        with dovecot.imap(ALICE) as client:
            assert client.append("INBOX", None, None, sent_message())[0] == "OK"
            client.create("Sent")
            filler = fill(disk)
            assert client.append("Sent", None, None, sent)[0] == "NO"
            filler.unlink()
        is_logged(dovecot, sent)


def test_by_the_quota_at_the_end(server):
    """Where the size is not known before."""
    dovecot = server(quota="*:storage=20k")
    sent = sent_message(to="friend-1@friends.example") + BODY
    with dovecot.imap(ALICE) as client:
        client.send(b"A1 APPEND Sent CATENATE (TEXT {%d+}\r\n%s)\r\n" % (len(sent), sent))
        while not (line := client.readline()).startswith(b"A1 "):
            assert line
    assert b"OVERQUOTA" in line
    is_logged(dovecot, sent)
    assert stored(dovecot) == 0
