"""The milter's spool: what was sent reaches Dovecot, whatever happens to either (issue 22, part 3)."""

import os
import random
import signal
import time

import pytest

import doveadm_http
from dovecot import ALICE, BOB, CAROL, Dovecot
from dovecot_config import IS_2_3
from milter_spool import CONNECTIONS, LISTENER, PROGRAM, Door, Spool
from sentlog import FRIEND, GENUINE, SentLog, cover, coverage, dsn, judged, message_id_of, sent_message

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="the milter is not built here")

NOBODY = "nobody@example.test"
SENT = {"backscatter_sources": "milter"}
# How long a question who may send waits, and what a busy machine adds.
PATIENCE, SLACK = 1, 4


@pytest.fixture
def dovecot(dovecot_factory) -> Dovecot:
    return dovecot_factory(plugin=SENT, extra=LISTENER)


@pytest.fixture
def spool_factory(attach_log):
    """spool_factory(dovecot, ...) -> a spool that runs (arguments: see Spool), and ends without a leak."""
    spools = []

    def make(*args, **settings) -> Spool:
        spool = Spool(*args, **settings)
        attach_log("the spool", spool.log)
        spools.append(spool)
        return spool.start()

    yield make
    for spool in spools:
        spool.__exit__()


@pytest.fixture
def spool(dovecot, spool_factory) -> Spool:
    return spool_factory(dovecot)


def rows(dovecot: Dovecot, user: str = ALICE) -> list[tuple]:
    """Source and time of each message in a user's log."""
    log = SentLog.of(dovecot, user)
    return log.query("SELECT source, logged_at FROM message") if log.path.exists() else []


def assert_known(dovecot: Dovecot, message_ids: set[str], user: str = ALICE) -> None:
    """Each of them, by its Message-ID, as doveadm finds it."""
    answers = []
    for begin in range(0, len(message_ids), 500):
        some = sorted(message_ids)[begin:begin + 500]
        answers += doveadm_http.calls(dovecot, [("backscatterSentFind", {"user": user, "messageId": one}) for one in some])
    assert [answer.rows[0]["known"] for answer in answers] == ["yes"] * len(message_ids)


# Rows

def test_a_row_is_there_before_its_message_goes_on(dovecot, spool):
    sent = sent_message()
    left = int(time.time()) - 3600
    ret, row, error = spool.add(ALICE, f"<{message_id_of(sent)}>", FRIEND, sent_at=left)
    assert (ret, error) == (0, "")
    assert spool.wait(row)
    assert rows(dovecot) == [(2, left)]
    assert judged(dovecot, dsn(sent)) == GENUINE
    spool.close()


def test_a_start_is_a_gap(dovecot, spool_factory):
    """Mail left while we were down."""
    for user in ALICE, BOB:
        cover(dovecot, user)
    spool = spool_factory(dovecot)
    spool.wait_until_idle()
    assert coverage(dovecot)["cause"] == coverage(dovecot, BOB)["cause"] == "gap"
    assert not SentLog.of(dovecot, CAROL).path.exists()
    spool.close()
    cover(dovecot)
    spool.start()
    spool.wait_until_idle()
    assert coverage(dovecot)["cause"] == "gap"
    spool.log.wait("0 rows wait; what left since 20.* is not logged")
    spool.close()


@pytest.mark.parametrize("connections", [1, CONNECTIONS])
def test_dovecot_is_stopped_meanwhile(dovecot, spool_factory, connections):
    """All arrive, once, with the time they left."""
    spool = spool_factory(dovecot, connections=connections)
    spool.wait_until_idle()
    dovecot.halt()
    left = int(time.time()) - 7200
    begin = time.monotonic()
    spool.burst(ALICE, "stopped", 500, sent_at=left)
    spool.burst(BOB, "stopped", 500, sent_at=left + 1)
    # nobody waits for a Dovecot that doesn't answer
    _, row, _ = spool.add(CAROL, "<1@client.example.test>", sent_at=left)
    assert [spool.wait(row, 200) for _ in range(20)] == [False] * 20
    assert time.monotonic() - begin < 60
    dovecot.start()
    spool.wait_until_idle()
    assert rows(dovecot) == [(2, left)] * 500 and rows(dovecot, BOB) == [(2, left + 1)] * 500
    assert rows(dovecot, CAROL) == [(2, left)]
    assert_known(dovecot, {f"<stopped-{number}@client.example.test>" for number in range(500)})
    spool.log.wait("not taken yet.*can't connect")
    spool.close()


def test_both_are_stopped_meanwhile(dovecot, spool_factory):
    spool = spool_factory(dovecot)
    dovecot.halt()
    left = int(time.time()) - 7200
    spool.burst(ALICE, "first", 100, sent_at=left)
    spool.close()
    spool.start()
    spool.burst(ALICE, "second", 100, sent_at=left)
    dovecot.start()
    spool.wait_until_idle()
    assert rows(dovecot) == [(2, left)] * 200
    spool.close()


def test_killed_at_random_moments(dovecot, spool_factory):
    """Every row that was in arrives, and that something may have left without one is known."""
    cover(dovecot)
    spool, told = spool_factory(dovecot), set()
    for number in range(50):
        spool.start_burst(ALICE, f"killed{number}", 40, threads=4)
        for _ in range(random.randrange(20)):
            told.add(spool.expect("in"))
        spool._process.kill()
        while (line := spool.line())[0] == "in":
            told.add(line[1])
        spool._end(-9)
        spool.start()
    since = int(time.time())
    spool.close()
    spool.start()
    spool.wait_until_idle()
    assert len(told) > 50
    assert_known(dovecot, told)
    # those that were in, but not yet told
    assert len(told) <= len(rows(dovecot)) <= len(told) + 50 * 4
    now = coverage(dovecot)
    assert now["cause"] == "gap" and time.mktime(time.strptime(now["since"], "%Y-%m-%d %H:%M:%S")) >= since
    spool.close()


def test_full(dovecot, spool_factory):
    """There is always room to say that something is missing."""
    spool = spool_factory(dovecot, max_rows=5)
    spool.wait_until_idle()
    for user in ALICE, BOB:
        cover(dovecot, user)
    dovecot.halt()
    answers = [spool.add(ALICE, f"<{number}@client.example.test>") for number in range(7)]
    assert [ret for ret, _, _ in answers] == [0] * 5 + [1] * 2
    assert "is full: 5 rows wait" in answers[5][2]
    dovecot.start()
    spool.wait_until_idle()
    assert len(rows(dovecot)) == 5
    assert coverage(dovecot)["cause"] == "gap" and coverage(dovecot, BOB)["cause"] == "set"
    assert spool.add(ALICE, "<8@client.example.test>")[0] == 0
    spool.close()


def test_no_spool_any_more(dovecot, spool_factory):
    cover(dovecot)
    (dovecot.folder / "spool.db").write_bytes(b"no database" * 1000)
    spool = spool_factory(dovecot)
    spool.burst(ALICE, "after", 20)
    spool.wait_until_idle()
    assert len(rows(dovecot)) == 20 and coverage(dovecot)["cause"] == "gap"
    spool.log.wait("error: spool .*: moved to .*broken-")
    spool.close()


def test_a_gap_concerns_those_who_list_the_milter(dovecot, spool_factory):
    for user in ALICE, BOB:
        cover(dovecot, user)
    dovecot.set_fields(BOB, backscatter_sources="submission")
    cover(dovecot, BOB)
    spool = spool_factory(dovecot)
    spool.wait_until_idle()
    assert coverage(dovecot)["cause"] == "gap" and coverage(dovecot, BOB)["cause"] == "set"
    spool.close()


# Answers

def test_unknown_user(dovecot, spool):
    """Of another system, perhaps: nobody's log wants it."""
    _, row, _ = spool.add(NOBODY, "<1@client.example.test>")
    _, other, _ = spool.add(ALICE, "<2@client.example.test>")
    assert spool.wait(row) and spool.wait(other)
    spool.wait_until_idle()
    assert len(rows(dovecot)) == 1
    spool.log.wait(f"row of user {NOBODY} dropped: Dovecot has no such user")
    spool.close()


def test_a_locked_log_holds_up_only_its_user(dovecot, spool):
    spool.burst(ALICE, "before", 1)
    spool.wait_until_idle()
    with SentLog.of(dovecot).locked():
        # alone: of a whole batch each row waits for the lock
        spool.burst(ALICE, "locked", 1)
        spool.log.wait(f"row of user {ALICE} not taken yet.*exit code 75", timeout=30)
        spool.burst(ALICE, "behind", 199)
        for number in range(20):
            _, row, _ = spool.add(BOB, f"<{number}@client.example.test>")
            assert spool.wait(row)
        assert len(rows(dovecot, BOB)) == 20
    spool.wait_until_idle()
    assert len(rows(dovecot)) == 201
    spool.close()


def test_a_row_that_ends_doveadms_process(dovecot, spool_factory):
    """It is sent alone, and set aside after some tries; the others arrive meanwhile."""
    for user in ALICE, BOB:
        cover(dovecot, user)
    with Door(dovecot, "killer") as door:
        spool = spool_factory(dovecot, listener=door.path)
        spool.wait_until_idle()
        cover(dovecot, BOB)
        dovecot.halt()
        spool.burst(ALICE, "a", 50)
        assert spool.add(ALICE, "<killer@client.example.test>")[0] == 0
        spool.burst(BOB, "b", 50)
        dovecot.start()
        number = 0
        while not spool.log.lines("set aside"):
            # what others send meanwhile is taken
            _, row, _ = spool.add(BOB, f"<c-{number}@client.example.test>")
            assert spool.wait(row)
            number += 1
        spool.wait_until_idle()
    assert len(rows(dovecot)) == 50 and len(rows(dovecot, BOB)) == 50 + number
    assert len([request for request in door.cut if b"a-1@" not in request and b"b-1@" not in request]) <= 6
    assert coverage(dovecot)["cause"] == "gap" and coverage(dovecot, BOB)["cause"] == "set"
    spool.close()


def test_the_wrong_key(dovecot, spool_factory):
    """A new one is read from its file."""
    spool = spool_factory(dovecot, key="another key")
    spool.burst(ALICE, "a", 10)
    spool.log.wait("not taken yet.*HTTP 401")
    assert rows(dovecot) == []
    spool.write_key(doveadm_http.KEY)
    spool.wait_until_idle()
    assert len(rows(dovecot)) == 10
    spool.close()


def test_a_dovecot_without_the_plugin(dovecot_factory, spool_factory):
    dovecot = dovecot_factory(backscatter=False, extra=LISTENER)
    spool = spool_factory(dovecot)
    spool.burst(ALICE, "a", 100)
    spool.log.wait("not taken yet.*unknownMethod")
    dovecot.restart(backscatter=True, plugin=SENT)
    spool.wait_until_idle()
    assert len(rows(dovecot)) == 100
    spool.close()


def test_a_command_that_is_not_allowed(dovecot_factory, spool_factory):
    """No gap can be told: that holds up no row."""
    allowed = "doveadm_allowed_commands = backscatter sent add" if IS_2_3 else \
        'doveadm_allowed_commands {\n  "backscatter sent add" = yes\n}'
    dovecot = dovecot_factory(plugin=SENT, extra=f"{LISTENER}\n{allowed}\n")
    spool = spool_factory(dovecot)
    for number in range(20):
        _, row, _ = spool.add(ALICE, f"<{number}@client.example.test>")
        assert spool.wait(row)
    spool.log.wait("gap of user .all. not taken yet.*unAuthorized")
    spool.close()


def test_wrong_settings(dovecot, spool_factory):
    for listener in ("relative", "https://127.0.0.1:1", "http://127.0.0.1", "http://a:b@127.0.0.1:1/", "/" + "x" * 200):
        spool = Spool(dovecot, listener=listener)
        with pytest.raises(AssertionError, match="failed doveadm_socket = "):
            spool.start()
        spool._end(1)


# Who may write what

def test_sender(dovecot, spool):
    spool.wait_until_idle()
    assert spool.sender(ALICE, f"From: Alice <{ALICE}>") == ("allowed", "")
    verdict, reason = spool.sender(ALICE, f"From: Alice <{BOB}>")
    assert verdict == "refused" and BOB in reason and ALICE in reason
    assert spool.sender(ALICE, f"From: \u00e9 <{ALICE}>", f"Sender: {BOB}")[0] == "refused"
    verdict, reason = spool.sender(NOBODY, f"From: <{NOBODY}>")
    assert (verdict, reason) == ("unknown", "backscatterSender: exit code 67")
    dovecot.halt()
    # remembered
    assert spool.sender(ALICE, f"From: Alice <{ALICE}>") == ("allowed", "")
    assert spool.sender(ALICE, f"From: Alice <{BOB}>")[0] == "refused"
    begin = time.monotonic()
    verdict, reason = spool.sender(BOB, f"From: Alice <{ALICE}>")
    assert verdict == "unknown" and "can't connect" in reason
    assert time.monotonic() - begin < PATIENCE + SLACK
    spool.close()


def test_a_sender_that_gets_no_answer_in_time(dovecot, spool):
    """doveadm's processes are all busy, or its host is."""
    spool.wait_until_idle()
    # as a process that is stuck
    pids = dovecot.pids("doveadm")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    begin = time.monotonic()
    verdict, reason = spool.sender(ALICE, f"From: Alice <{ALICE}>")
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert verdict == "unknown" and "no answer" in reason
    assert 0.9 * PATIENCE < time.monotonic() - begin < PATIENCE + SLACK
    assert spool.sender(ALICE, f"From: Alice <{ALICE}>") == ("allowed", "")
    spool.close()
