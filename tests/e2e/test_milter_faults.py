"""What becomes of messages and of their rows while the milter or Dovecot is away: nothing is lost or refused, and what is not in
the log isn't believed to be. Through a real Postfix."""

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from dovecot import ALICE, BOB, CAROL, DEADLINE, Dovecot
from milter import DISCARDED, FILTERED_PORT, Milter
from milter_client import ACCEPT, CONTINUE, MilterClient
from milter_site import MilterSite, serials_of, wait_until
from relay import READER, REFUSED
from sending import SERIAL_HEADER, logged_serials, only
from sentlog import (GENUINE, NOT_COVERED, NOT_SENT, QUARANTINE, STRANGER, SentLog, cover, coverage, dsn, judged,
                     message_id_of, sent_message, stored)


def test_without_the_milter_mail_leaves_all_the_same(site):
    site.milter.halt()
    message = sent_message()
    assert SERIAL_HEADER.encode() not in site.sent(message).message


def test_a_before_queue_filter_keeps_the_milter_from_the_content(site):
    """Postfix gives no milter the content where smtpd_proxy_filter is set: such mail is told as a gap."""
    site.submit(sent_message())
    cover(site.dovecot)
    assert coverage(site.dovecot)["covered"] == "yes"
    with site.relay.submission(ALICE, FILTERED_PORT) as client:
        assert client.submit(ALICE, [READER], sent_message()).accepted
    site.milter.log.wait(f"error: {ALICE}: a message leaves without serial and row: .*smtpd_proxy_filter")
    wait_until(lambda: coverage(site.dovecot)["cause"] == "gap")
    site.relay.settle()
    assert serials_of(site.received[-1].message) == []


def test_a_bounce_that_overtakes_its_row_ends_in_the_inbox(site):
    """It waits in the quarantine until Dovecot has the row. (By its serial it is known without.)"""
    site.submit(sent_message())
    cover(site.dovecot)
    doveadm = site.dovecot.run / "http"
    doveadm.rename(doveadm.with_name("away"))
    bounce = site.bounce(REFUSED)
    assert bounce.verdict["verdict"] == "genuine"
    overtaking = only(bounce, "message-id")
    assert judged(site.dovecot, overtaking) == NOT_SENT
    doveadm.with_name("away").rename(doveadm)
    wait_until(lambda: places(site.dovecot, overtaking) == ["INBOX"])


def places(dovecot: Dovecot, report: bytes) -> list[str]:
    """Where it is just now: while it is moved, perhaps twice."""
    return [mailbox for mailbox in ("INBOX", QUARANTINE) for message in stored(dovecot, ALICE, mailbox)
            if message_id_of(message.raw) == message_id_of(report)]


MESSAGES, SESSIONS, USERS = 1000, 50, [ALICE, BOB, CAROL]


def test_dovecot_stopped_during_a_thousand_submissions(site):
    """All rows arrive once, with the time they left."""
    messages = [[sent_message(sender=user_of(number), to=DISCARDED) for _ in range(MESSAGES // SESSIONS)]
                for number in range(SESSIONS)]
    began = int(time.time())
    with ExitStack() as stack:
        # who is logged in can go on without Dovecot
        clients = [stack.enter_context(site.relay.submission(user_of(number))) for number in range(SESSIONS)]
        stopped = threading.Event()

        def send(number: int) -> None:
            for index, message in enumerate(messages[number]):
                if index == 1:
                    stopped.wait(DEADLINE)
                assert clients[number].submit(user_of(number), [DISCARDED], message).accepted

        with ThreadPoolExecutor(SESSIONS) as pool:
            sending = [pool.submit(send, number) for number in range(SESSIONS)]
            wait_until(lambda: len(rows_of(site)) > SESSIONS // 2)
            # 2.4's doveadm would go on asking for an auth service that has ended
            site.dovecot.halt(patience=1)
            stopped.set()
            for one in sending:
                one.result()
    ended = int(time.time())
    assert len(rows_of(site)) < MESSAGES // 2
    site.dovecot.start()
    wait_until(lambda: len(rows_of(site)) >= MESSAGES, 180)
    rows = rows_of(site)
    assert len(rows) == len({serial for _, serial in rows}) == MESSAGES
    assert all(began <= logged_at <= ended for logged_at, _ in rows)
    for number in random.sample(range(SESSIONS), 5):
        assert judged(site.dovecot, dsn(messages[number][-1], to=user_of(number)), user_of(number)) == GENUINE


def user_of(session: int) -> str:
    return USERS[session % len(USERS)]


def rows_of(site: MilterSite) -> list[tuple[int, str]]:
    """Time and serial of all that is logged."""
    logs = [SentLog.of(site.dovecot, user) for user in USERS]
    return [row for log in logs if log.path.exists() for row in log.query("SELECT logged_at, serial FROM message")]


KILLS = int(os.environ.get("BACKSCATTER_KILLS", "12"))


class Attackers:
    """Threads that call send(number) again and again, until they are stopped; the first error in one is an error here."""

    def __init__(self, count: int, send):
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(count)
        self._running = [self._pool.submit(self._go_on, send) for _ in range(count)]

    def _go_on(self, send) -> None:
        while not self._stop.is_set():
            send()

    def __enter__(self) -> "Attackers":
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._pool.shutdown()
        for one in self._running:
            one.result()


def kill_at_random_moments(milter: Milter, dovecot: Dovecot, sent: list, threads: int) -> list[tuple[float, float]]:
    """Each time after some messages more than were under way when it was started. Returns when it was there: from, to."""
    there = []
    for _ in range(KILLS):
        began = time.time()
        enough = len(sent) + threads + random.randint(1, 2 * threads)
        wait_until(lambda: len(sent) >= enough)
        time.sleep(random.uniform(0, 0.02))
        there.append((began, time.time()))
        milter.kill()
        milter.start(dovecot)
    return there


def test_killed_at_random_moments_no_message_is_lost_and_the_gap_is_marked(site):
    sent = []

    def send() -> None:
        message = sent_message(to=READER)
        began = time.time()
        with site.relay.submission(ALICE) as client:
            assert client.submit(ALICE, [READER], message).accepted
        sent.append((message, began, time.time()))

    site.submit(sent_message())
    cover(site.dovecot)
    with Attackers(4, send):
        there = kill_at_random_moments(site.milter, site.dovecot, sent, 4)
        last_start = time.time()
        wait_until(lambda: sent[-1][1] > last_start)
        there.append((last_start, time.time()))
    site.relay.settle()
    arrived = {message_id_of(received.message): received.message for received in site.received}
    assert {message_id_of(message) for message, _, _ in sent} <= set(arrived)

    def without_row() -> list[tuple[float, float]]:
        rows = set(logged_serials(site.log))
        return [(began, ended) for message, began, ended in sent
                if not any(serial in rows for serial in serials_of(arrived[message_id_of(message)]))]

    # a row may still be on its way
    wait_until(lambda: not [began for began, ended in without_row()
                            if any(first < began and ended < last for first, last in there)])
    print(f"{KILLS} kills, {len(sent)} messages, {len(without_row())} without a row")
    # Coverage starts after the last kill. A session that began before may send without a row later, and is dated within a day
    # after that, as this report is.
    last_kill = there[-2][1]
    wait_until(lambda: since(site.dovecot) >= int(last_kill))
    assert coverage(site.dovecot)["cause"] == "gap"
    assert judged(site.dovecot, dsn(sent_message(to=STRANGER))) == NOT_COVERED


def test_killed_at_random_moments_what_was_answered_has_its_row(site):
    """The same without Postfix, which doesn't tell what it was answered."""
    answered = []

    def send() -> None:
        message = sent_message()
        try:
            with MilterClient(site.milter.socket) as mta:
                mta.negotiate()
                mta.connect()
                fields = [("From", ALICE), ("Message-ID", f"<{message_id_of(message)}>")]
                answer = mta.message(ALICE, [READER], fields, login=ALICE)
        except OSError:
            return   # killed
        assert answer.verdict in (CONTINUE, ACCEPT)
        answered.append(answer.header(SERIAL_HEADER))

    with Attackers(8, send):
        kill_at_random_moments(site.milter, site.dovecot, answered, 8)
    print(f"{KILLS} kills, {len(answered)} answers")
    wait_until(lambda: set(answered) <= set(logged_serials(site.log)))
    rows = logged_serials(site.log)
    assert len(rows) == len(set(rows)), "each once"


def since(dovecot: Dovecot) -> float:
    return time.mktime(time.strptime(coverage(dovecot)["since"], "%Y-%m-%d %H:%M:%S"))
