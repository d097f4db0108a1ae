"""Mutated messages, delivered by a plain Dovecot and by one with the plugin: the same replies, the same bytes but for our
own fields, and no process that ends. 5,000 in all, the same in each run; TEST_SEED=n in the environment: 5,000 others."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from dovecot import ALICE, BOB, Dovecot, LmtpClient
from mutations import Case, cases, without_ours
from nameserver import NameServer
from reports import cover, difference, errors
from spf_site import AUTHSERV_ID

SEED = int(os.environ.get("TEST_SEED", "0")) * 1000
BATCHES, BATCH = 10, 500
VARIANTS = ["no SPF", "SPF", "SPF and Received-SPF"]
# Sieve reads the header in its own way, and stores what it has read.
SCRIPT = 'if header :contains "X-Long" "never" { discard; } else { keep; }'
# what LMTP writes on top
VERDICT = rb"(?:X-Backscatter: [^\n]*\n)?"
TRACE = re.compile(VERDICT + rb"Return-Path: [^\n]*\n(?:Delivered-To: [^\n]*\n)?"
                   rb"Received: [^\n]*\n\tby [^\n]*\n\tid [^\n:]*(?::T(?P<transaction>\d+))?\n\t[^\n]*(?:\n\tfor [^\n]*)?\n")
RESULTS = rb"Authentication-Results: %s;[^\n]*(?:\n\t[^\n]*)*\n" % AUTHSERV_ID.encode()
RECEIVED_SPF = rb"Received-SPF: [^\n]*(?:\n\t[^\n]*)*\n"
# what we write below that
ADDED = {"no SPF": rb"", "SPF": RESULTS, "SPF and Received-SPF": RESULTS + RECEIVED_SPF}
# user and transaction -> files
Stored = dict[tuple[str, int], list[Path]]


class Site:
    """A Dovecot with a connection that stays open."""

    def __init__(self, **settings):
        self.dovecot = Dovecot(extra="mail_fsync = never\n", **settings)

    def __enter__(self) -> "Site":
        self.dovecot.start()
        self.dovecot.set_sieve(BOB, SCRIPT)
        self.client = LmtpClient(self.dovecot.lmtp_socket)
        self.pids = self.dovecot.pids("lmtp")
        return self

    def __exit__(self, *_) -> None:
        self.client.__exit__()
        self.dovecot.stop()

    def deliver(self, numbered: list[tuple[int, Case]]) -> list[list[tuple[int, str]]]:
        """The replies of each transaction."""
        replies = []
        for number, case in numbered:
            try:
                replies.append(self._transaction(case))
            except (AssertionError, OSError) as error:
                raise AssertionError(f"message {number}: {error}; its process has ended?") from error
        return replies

    def _transaction(self, case: Case) -> list[tuple[int, str]]:
        """All in one go where that is allowed (PIPELINING)."""
        body = " BODY=8BITMIME" if case.eight_bit else ""
        commands = [f"MAIL FROM:<{case.mail_from}>{body}", *(f"RCPT TO:<{user}>" for user in case.users)]
        if case.cuts is None:
            self.client._socket.sendall(lines([*commands, "DATA"]))
            before = [self.client._reply() for _ in [*commands, "DATA"]]
            self.client._socket.sendall(stuffed(case.message))
        else:
            self.client._socket.sendall(lines(commands) + in_chunks(case.message, case.cuts))
            before = [self.client._reply() for _ in [*commands, *case.cuts]]
        return before + [self.client._reply() for _ in case.users]

    def stored(self) -> Stored:
        """(user, transaction) -> what lies there, wherever it does."""
        found: dict[tuple[str, int], list[Path]] = {}
        for folder in sorted(self.dovecot.folder.glob("home/*/Maildir/**/new")):
            user = folder.relative_to(self.dovecot.folder / "home").parts[0]
            for path in folder.iterdir():
                found.setdefault((user, transaction(path.read_bytes())), []).append(path)
        return found

    def faults(self) -> list[str]:
        return self.dovecot.log_lines(r"\b(Error|Fatal|Panic): |killed with signal|core dumped")


def transaction(stored: bytes) -> int:
    """Which one of its connection it was: LMTP writes it into its Received field, from the second on."""
    trace = TRACE.match(stored)
    assert trace is not None, stored[:700]
    return int(trace["transaction"] or 1)


def lines(commands: list[str]) -> bytes:
    return "".join(command + "\r\n" for command in commands).encode()


def in_chunks(message: bytes, cuts: tuple[int, ...]) -> bytes:
    chunks = [message[start:end] for start, end in zip((0, *cuts), cuts)]
    last = message[cuts[-1]:] if cuts else message
    return b"".join(f"BDAT {len(chunk)}\r\n".encode() + chunk for chunk in chunks) + f"BDAT {len(last)} LAST\r\n".encode() + last


def stuffed(message: bytes) -> bytes:
    """Each line that begins with a dot, also behind a bare LF."""
    return re.sub(rb"(^|\n)\.", rb"\1..", message) + b".\r\n"


# Same as plain

def message_of(stored: bytes, added_fields: bytes) -> bytes:
    """What stands below the fields on top: the verdict, LMTP's, the results."""
    return without_added(stored[TRACE.match(stored).end():], added_fields)


def without_added(message: bytes, added_fields: bytes) -> bytes:
    added = re.match(added_fields, message)
    assert added is not None, message[:500]
    # a line that must not continue our field has a name of its own
    return re.sub(rb"^X-Nameless:(?=[ \t])", b"", message[added.end():]) if added.end() else message


def without_cr(message: bytes) -> bytes:
    """Dovecot may give a later recipient a copy of what it has saved: CR CR LF has lost both, not one."""
    return re.sub(rb"\r+\n", b"\n", message)


def assert_size_in_name(path: Path, stored: bytes) -> None:
    """Maildir's S= and W= are what IMAP believes: the size, and the size with CRLF."""
    sizes = re.search(r",S=(\d+),W=(\d+)", path.name)
    assert sizes is not None, path
    assert int(sizes[1]) == len(stored), path
    assert int(sizes[2]) == len(stored) + len(re.findall(rb"(?<!\r)\n", stored)), path


@pytest.fixture(scope="module")
def names():
    with NameServer({"example": ""}) as names:
        yield names


def plugin(variant: str, where: str) -> dict[str, str]:
    return {"backscatter_sources": "sent", "backscatter_authserv_id": AUTHSERV_ID, "backscatter_spf_dns": where,
            "backscatter_spf": "no" if variant == "no SPF" else "yes",
            "backscatter_received_spf": "yes" if variant == "SPF and Received-SPF" else "no"}


def replies_without_names(replies: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """A stored message's reply has a session id, that to a chunk its size."""
    return [(code, re.sub(r"> \S+ Saved|Added \d+ octets", "", text)) for code, text in replies]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_differs_from_plain_in_our_fields_only(names, batch, attach_log):
    variant = VARIANTS[batch % len(VARIANTS)]
    numbered = list(enumerate(cases(SEED + batch, BATCH), 1))
    with Site(backscatter=False) as plain, Site(plugin=plugin(variant, names.where)) as ours, ThreadPoolExecutor(2) as both:
        attach_log("plain", plain.dovecot.log)
        attach_log("with the plugin", ours.dovecot.log)
        cover(ours.dovecot, ALICE, BOB)
        replies = [both.submit(plain.deliver, without(numbered, variant)), both.submit(ours.deliver, numbered)]
        compare_replies(numbered, *[each.result() for each in replies])
        compare_stored(numbered, plain.stored(), ours.stored(), variant)
        assert ours.faults() == plain.faults() == []
        assert (ours.dovecot.pids("lmtp"), plain.dovecot.pids("lmtp")) == (ours.pids, plain.pids)


def without(numbered: list[tuple[int, Case]], variant: str) -> list[tuple[int, Case]]:
    """What the plain Dovecot is given: the same messages, without what the plugin has to take out. (Stored ones can't be
    compared instead: with its last CR taken from CR CR LF, a line that was none may end the header.)"""
    received_spf = "Received-SPF" in variant
    return [(number, replace(case, message=without_ours(case.message, received_spf))) for number, case in numbered]


def compare_replies(numbered, plain, ours) -> None:
    for (number, case), one, other in zip(numbered, plain, ours, strict=True):
        assert replies_without_names(one) == replies_without_names(other), (number, case)


def compare_stored(numbered, plain: Stored, ours: Stored, variant: str) -> None:
    every = {(user, number): 1 for number, case in numbered for user in case.users}
    assert [{key: len(paths) for key, paths in stored.items()} for stored in (plain, ours)] == [every, every]
    for number, case in numbered:
        for user in case.users:
            [path], [plain_path] = ours[user, number], plain[user, number]
            stored = path.read_bytes()
            found, wanted = message_of(stored, ADDED[variant]), message_of(plain_path.read_bytes(), b"")
            if user == case.users[0]:
                assert_size_in_name(path, stored)
            else:
                found, wanted = without_cr(found), without_cr(wanted)
            # pytest's own diff takes minutes
            same = found == wanted
            assert same, f"message {number} for {user}: {difference(found, wanted)}"


# lda: a process for each message, so fewer of them

LDA_BATCH = 20


@pytest.mark.parametrize("variant", VARIANTS)
def test_lda_differs_from_plain_in_our_fields_only(names, variant, attach_log):
    numbered = list(enumerate(cases(SEED + 900 + VARIANTS.index(variant), LDA_BATCH), 1))
    with Dovecot(backscatter=False) as plain, Dovecot(plugin=plugin(variant, names.where)) as ours:
        attach_log("plain", plain.log)
        attach_log("with the plugin", ours.log)
        cover(ours, ALICE)
        for (number, case), (_, clean) in zip(numbered, without(numbered, variant)):
            wanted, found = [lda(dovecot, each) for dovecot, each in ((plain, clean), (ours, case))]
            assert found[0] == wanted[0], f"message {number}: exit codes {found[0]}, {wanted[0]}"
            same = without_added(found[1], VERDICT + ADDED[variant]) == wanted[1]
            assert same, f"message {number}: {difference(found[1], wanted[1])}"
        assert errors(ours) == errors(plain) == []


def lda(dovecot: Dovecot, case: Case) -> tuple[int, bytes]:
    """The exit code, and what lies there then, in whichever mailbox; that is taken away."""
    code = dovecot.lda(ALICE, case.message, mail_from=case.mail_from, final_rcpt=ALICE).code
    paths = [path for folder in dovecot.folder.glob("home/*/Maildir/**/new") for path in folder.iterdir()]
    assert len(paths) == (code == 0), paths
    stored = b"".join(path.read_bytes() for path in paths)
    for path in paths:
        path.unlink()
    return code, stored
