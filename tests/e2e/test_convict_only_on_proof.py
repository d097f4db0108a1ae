"""What convicts is proof: legitimate mail that talks like a bounce, and genuine bounces that arrive in disguise, are neither
filed nor refused nor lost, whatever the action, while forged ones are. See docs/design.md, sections 3 to 6."""

from collections import Counter
from dataclasses import dataclass

import pytest

from bounces import KINDS, Bounces, Sample
from dovecot import ALICE, Dovecot, crlf
from letters import QUARANTINE, Batch, listed, read_letters
from mta import READER
from sentlog import FRIEND, SentLog, cover, dsn, sent_message
from wrapping import LOST, WRAPPINGS

LETTERS = read_letters()
ACTIONS = ["quarantine", "discard", "reject"]


@dataclass(frozen=True)
class Mailbox:
    """Whose log is how old, and why it counts as complete. On the administrator's word: the worst case."""
    sends: bool
    word: bool

    def __str__(self) -> str:
        return f"{'sends' if self.sends else 'never-sends'}{'-on-his-word' if self.word else ''}"


SENDS, NEVER_SENDS = Mailbox(sends=True, word=True), Mailbox(sends=False, word=True)
MAILBOXES = [SENDS, NEVER_SENDS, Mailbox(sends=True, word=False), Mailbox(sends=False, word=False)]


@pytest.fixture
def server(relayed_to_world):
    """server(action, mailbox): two months after switch-on."""
    def make(action: str, mailbox: Mailbox = SENDS) -> Dovecot:
        # discard and reject act only where the log is written before anything leaves
        sources = "sent" if action == "quarantine" else "submission"
        dovecot = relayed_to_world(plugin={"backscatter_sources": sources, "backscatter_action": action})
        if not mailbox.sends:
            dovecot.deliver("lmtp", ALICE, dsn(None))   # makes the log
        elif action == "quarantine":
            dovecot.append(ALICE, "Sent", sent_message())
        else:
            assert dovecot.submit(ALICE, FRIEND, sent_message()).accepted
        SentLog.of(dovecot).start_coverage(60)
        if mailbox.word:
            cover(dovecot, since="60d")
        return dovecot
    return make


@pytest.fixture(scope="session")
def bounces(mtas) -> Bounces:
    return Bounces(mtas)


# Legitimate mail

def test_the_letters_are_many():
    assert len(LETTERS) >= 60


@pytest.mark.parametrize("action, mailbox", [
    *[("quarantine", mailbox) for mailbox in MAILBOXES],
    *[(action, mailbox) for action in ("discard", "reject") for mailbox in (SENDS, NEVER_SENDS)]], ids=str)
def test_legitimate_mail_that_talks_like_a_bounce(server, action, mailbox):
    batch = Batch(server(action, mailbox))
    for letter in LETTERS:
        batch.deliver(f"{letter.name} (null sender)", "", letter.message())
        batch.deliver(letter.name, letter.sender, letter.message())
    sent = batch.look()
    assert len(sent) == 2 * len(LETTERS)
    convicted = [one for one in sent if not one.acquitted]
    assert not convicted, listed(convicted, sent)


# Genuine bounces, in disguise

def log_by_copy(dovecot: Dovecot, samples: list[Sample]) -> None:
    with dovecot.imap(ALICE) as client:
        for sample in samples:
            assert client.append("Sent", r"(\Seen)", None, crlf(sample.original))[0] == "OK"


def log_by_submission(dovecot: Dovecot, samples: list[Sample]) -> None:
    with dovecot.submission(ALICE) as client:
        for sample in samples:
            assert client.submit(ALICE, [READER], crlf(sample.original)).accepted


def log_by_admin(dovecot: Dovecot, samples: list[Sample]) -> None:
    """Without recipients: the Message-ID alone has to do."""
    for sample in samples:
        dovecot.do(ALICE, "backscatter", "sent", "add", sample.message_id)


def test_the_disguises_are_many():
    assert len(WRAPPINGS) >= 40


@pytest.mark.parametrize("action, log, kinds", [
    ("quarantine", log_by_copy, KINDS), ("discard", log_by_submission, KINDS[::2]), ("reject", log_by_admin, ["exchange"])],
    ids=ACTIONS)
def test_genuine_bounces_in_disguise(server, bounces, action, log, kinds):
    dovecot = server(action)
    cases = [(name, kind, bounces(kind)) for name in WRAPPINGS for kind in kinds]
    log(dovecot, [sample for _, _, sample in cases])
    batch = Batch(dovecot)
    for name, kind, sample in cases:
        batch.deliver(f"{name} {kind}", "", WRAPPINGS[name](sample.report))
    sent = batch.look()
    convicted = [one for one in sent if not one.acquitted]
    assert not convicted, listed(convicted, sent)
    missed = [one for one in sent if one.name.split()[0] not in LOST and not one.verdict.startswith("genuine")]
    assert not missed, listed(missed, sent)


# Forged ones

# Without delivery-status it is the daemon's word, which discards nothing.
ENDS = {"quarantine": {QUARANTINE: len(KINDS)}, "discard": {"gone": len(KINDS) - 1, QUARANTINE: 1},
        "reject": {"refused": len(KINDS) - 1, QUARANTINE: 1}}


@pytest.mark.parametrize("mailbox", MAILBOXES, ids=str)
@pytest.mark.parametrize("action", ACTIONS)
def test_forged_bounces_of_the_same_mtas(server, bounces, action, mailbox):
    batch = Batch(server(action, mailbox))
    for kind in KINDS:
        batch.deliver(kind, "", bounces(kind).report)
    sent = batch.look()
    believed = mailbox.sends or mailbox.word
    assert Counter(one.where for one in sent) == (ENDS[action] if believed else {"INBOX": len(KINDS)}), listed(sent, sent)
