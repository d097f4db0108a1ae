"""Name servers that are dead, slow or mad: every message is delivered, and soon; what can't be known is a temperror."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import dovecot_config
from dovecot import ALICE, DEADLINE, Dovecot, LmtpClient
from nameserver import BESIDE_THE_POINT, GARBAGE, BadNameServer, dead, nxdomain, reply, text_record
from process import loopback_address
from reports import assert_verdict, errors, new_id, report
from spf_site import CLIENT, HELO, LOCAL_PART, from_outside, mailfrom, received, result, results, settings

SENDER = f"{LOCAL_PART}@pass.example"
PASS, TEMPERROR = mailfrom("pass.example", "pass"), mailfrom("pass.example", "temperror")
WAYS = ["lmtp", "lda"]
# One evaluation may take this long; what a loaded machine adds; and what "late" is.
TIMEOUT, SLACK, LATE = 2, 10, 30


def answers(question: bytes) -> bytes:
    """Each name's record says that everybody may send."""
    return reply(question, 0, text_record(b"v=spf1 +all"), 1)


SERVFAIL, REFUSED = (lambda question: reply(question, 2)), (lambda question: reply(question, 5))
BAD = {"dead": (dead, 0), "late": (answers, LATE), "failing": (SERVFAIL, 0), "refusing": (REFUSED, 0)} | \
      {f"garbage: {name}": (answer, 0) for name, answer in GARBAGE.items()}


def delivered_within(dovecot: Dovecot, seconds: float, way: str, message: bytes, sender: str = SENDER):
    started = time.monotonic()
    dovecot.deliver(way, ALICE, message, sender)
    assert time.monotonic() - started < seconds
    return dovecot.messages(ALICE)[-1]


@pytest.fixture
def dovecot_with(dovecot_factory):
    """dovecot_with(where, ...) -> a Dovecot that asks there, and waits TIMEOUT seconds."""
    return lambda where, **more: dovecot_factory(plugin=settings(where, backscatter_spf_timeout=f"{TIMEOUT}s"), **more)


@pytest.mark.parametrize("kind", BAD)
def test_bad_server(dovecot_with, kind):
    answer, delay = BAD[kind]
    with BadNameServer(answer, delay) as names:
        dovecot = dovecot_with(names.where)
        for way in WAYS:
            assert result(delivered_within(dovecot, TIMEOUT + SLACK, way, from_outside())) == TEMPERROR
        assert names.queries() > 0
    assert errors(dovecot) == []


def test_nobody_listens(dovecot_with):
    dovecot = dovecot_with(f"{loopback_address()}:5353")
    for way in WAYS:
        assert result(delivered_within(dovecot, TIMEOUT + SLACK, way, from_outside())) == TEMPERROR


@pytest.mark.parametrize("kind", ["no such name", *BESIDE_THE_POINT])
def test_nothing_is_there(dovecot_with, kind):
    with BadNameServer(BESIDE_THE_POINT.get(kind, nxdomain)) as names:
        dovecot = dovecot_with(names.where)
        for way in WAYS:
            assert result(delivered_within(dovecot, TIMEOUT + SLACK, way, from_outside())) == mailfrom("pass.example", "none")


def test_reports_are_judged_all_the_same(dovecot_with):
    with BadNameServer(dead) as names:
        dovecot = dovecot_with(names.where)
        stored = delivered_within(dovecot, TIMEOUT + SLACK, "lmtp", report(new_id("foreign"), head=received()), "")
    assert_verdict(stored, "unknown", "not-covered")
    assert result(stored) == f'spf=temperror reason="DNS gave no answer" smtp.helo={HELO}'


def test_temperror_leaves_a_line_in_the_log(dovecot_with):
    with BadNameServer(SERVFAIL) as names:
        dovecot = dovecot_with(names.where)
        dovecot.deliver("lmtp", ALICE, from_outside(), SENDER)
    dovecot.wait_log(r"Info: .*backscatter: SPF of pass\.example: temperror: ")


def test_all_the_time_that_a_record_takes(dovecot_with):
    """Many slow answers: the time is that of the whole evaluation."""
    includes = " ".join(f"include:d{number}.example" for number in range(9))
    with BadNameServer(lambda question: reply(question, 0, text_record(f"v=spf1 {includes} +all".encode()), 1), 0.5) as names:
        dovecot = dovecot_with(names.where)
        started = time.monotonic()
        dovecot.deliver("lmtp", ALICE, from_outside(), SENDER)
        assert time.monotonic() - started < TIMEOUT + SLACK
        assert result(dovecot.message(ALICE)) in (TEMPERROR, mailfrom("pass.example", "permerror"))


# Dead for long

def test_a_dead_server_costs_less(dovecot_factory):
    """... the process that waits for it; when it answers again, there are results again."""
    timeout = 2 * TIMEOUT
    with BadNameServer(dead) as names:
        dovecot = dovecot_factory(plugin=settings(names.where, backscatter_spf_timeout=f"{timeout}s"))
        took = []
        with LmtpClient(dovecot.lmtp_socket) as client:
            for _ in range(8):
                started = time.monotonic()
                client.deliver(SENDER, [ALICE], from_outside())
                took.append(time.monotonic() - started)
            names.answer = answers
            client.deliver(SENDER, [ALICE], from_outside())
    assert [result(stored) for stored in dovecot.messages(ALICE)] == [TEMPERROR] * 8 + [PASS]
    assert took[0] > timeout * 0.9
    assert sum(took) < 8 * timeout / 2, took


def test_second_server_where_the_first_is_dead(dovecot_with):
    with BadNameServer(dead) as first, BadNameServer(answers) as second:
        dovecot = dovecot_with(f"{first.where} {second.where}")
        for way in WAYS:
            assert result(delivered_within(dovecot, TIMEOUT + SLACK, way, from_outside())) == PASS


# Many at once

# a loaded machine lets no process of the service say hello within a second, and none other says whose record it would be
UNASKED = 'spf=temperror reason="SPF was not checked"'


@pytest.mark.parametrize("delay, outcomes", [(0.5, {PASS, TEMPERROR, UNASKED}), (LATE, {TEMPERROR, UNASKED})], ids=["slow", "late"])
def test_a_hundred_deliveries_at_once(dovecot_factory, delay, outcomes):
    # 2.4 refuses the eleventh for the same user
    users = [f"user{number}@example.test" for number in range(20)]
    with BadNameServer(answers, delay) as names:
        dovecot = dovecot_factory(plugin=settings(names.where, backscatter_spf_timeout="5s"), users=users,
                                  extra="service lmtp {\n  process_limit = 100\n}")

        def deliver(number: int) -> int:
            with LmtpClient(dovecot.lmtp_socket, 4 * DEADLINE) as client:
                (code, _), = client.deliver(SENDER, [users[number % len(users)]], from_outside())
                return code

        with ThreadPoolExecutor(100) as pool:
            assert set(pool.map(deliver, range(100))) == {250}
        found = [result(stored) for user in users for stored in dovecot.messages(user)]
    assert len(found) == 100 and set(found) <= outcomes
    if delay < 1:
        assert found.count(PASS) > 50


# resolv.conf, and the plugin as it is installed

def as_shipped(dovecot_factory, **more) -> Dovecot:
    return dovecot_factory(plugin={"backscatter_spf": "yes"}, **more)


def shipped_result(dovecot: Dovecot) -> str:
    field = dovecot.messages(ALICE)[-1].header("Authentication-Results")
    assert field.startswith("delivery.")
    return field.partition("; ")[2]


@pytest.mark.parametrize("way", WAYS)
def test_as_shipped_without_a_name_server(dovecot_factory, way):
    dovecot = as_shipped(dovecot_factory, resolv_conf=f"nameserver {loopback_address()}\n")
    delivered_within(dovecot, 5 + SLACK, way, from_outside(client="192.0.2.9"))
    assert shipped_result(dovecot) == TEMPERROR


def test_as_shipped_with_a_dead_name_server(dovecot_factory):
    with BadNameServer(dead, port=53) as names:
        dovecot = as_shipped(dovecot_factory, resolv_conf=f"nameserver {names.address}\n")
        delivered_within(dovecot, 5 + SLACK, "lmtp", from_outside(client="192.0.2.9"))
        assert names.queries() > 0
    assert shipped_result(dovecot) == TEMPERROR


def test_as_shipped_with_a_name_server(dovecot_factory):
    with BadNameServer(answers, port=53) as names:
        dovecot = as_shipped(dovecot_factory, resolv_conf=f"nameserver {names.address}\nsearch example.test\noptions ndots:5\n")
        dovecot.deliver("lmtp", ALICE, from_outside(client="192.0.2.9"), SENDER)
        assert names.queries() == 1
    assert shipped_result(dovecot) == PASS


def test_a_resolv_conf_that_comes_later(dovecot_factory):
    """As after a boot without a network: nobody has to reload Dovecot."""
    with BadNameServer(answers, port=53) as names:
        dovecot = as_shipped(dovecot_factory, resolv_conf=f"nameserver {loopback_address()}\n")
        dovecot.deliver("lmtp", ALICE, from_outside(client="192.0.2.9"), SENDER)
        assert shipped_result(dovecot) == TEMPERROR
        dovecot_config.resolv_conf(dovecot.folder).write_text(f"nameserver {names.address}\n")
        dovecot.deliver("lmtp", ALICE, from_outside(client="192.0.2.9"), SENDER)
        assert shipped_result(dovecot) == PASS


def test_as_shipped_trusts_loopback(dovecot_factory):
    dovecot = as_shipped(dovecot_factory)
    dovecot.deliver("lmtp", ALICE, from_outside(client=CLIENT), SENDER)
    assert results(dovecot.message(ALICE)) == []
