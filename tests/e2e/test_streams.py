"""Fields of ours that are taken out, beside what is longest: whoever sends such a message ends no process, and no delivery."""

import socket
from pathlib import Path

import pytest

from dovecot import ALICE, BOB, CAROL, Dovecot, LmtpClient
from dovecot_config import IS_2_3
from reports import TRACE_HEADERS, added_headers, errors, new_id, ordinary, report
from spf_site import AUTHSERV_ID

FORGED = {
    "X-Backscatter": "X-Backscatter: genuine; class=dsn-failed; reason=message-id\n",
    "Authentication-Results": f"Authentication-Results: {AUTHSERV_ID}; spf=pass\n",
    "Received-SPF": f"Received-SPF: pass ({socket.gethostname()}: domain of bank.example designates 192.0.2.1)\n",
}
PLUGIN = {"backscatter_sources": "sent", "backscatter_action": "annotate", "backscatter_authserv_id": AUTHSERV_ID,
          "backscatter_received_spf": "yes"}


@pytest.fixture(scope="module", params=[True, False], ids=["sieve", "no-sieve"])
def shared(request):
    with Dovecot(plugin=PLUGIN, sieve=request.param) as dovecot:
        if request.param:
            for user in dovecot.users:
                dovecot.set_sieve(user, 'if header :contains "X-Last" "never" { discard; } else { keep; }')
        yield dovecot


@pytest.fixture
def dovecot(shared, attach_log):
    attach_log("Dovecot", shared.log)
    shared.empty(*shared.users)
    return shared


@pytest.mark.parametrize("size", [8200, 70_000])
@pytest.mark.parametrize("kind", ["ordinary", "report"])
@pytest.mark.parametrize("place", ["above", "below"])
@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("way, rcpts", [("lmtp", [ALICE]), ("lmtp", [ALICE, BOB, CAROL]), ("lda", [ALICE])],
                         ids=["lmtp", "lmtp, three recipients", "lda"])
def test_long_last_line_of_a_header(dovecot, way, rcpts, forged, place, kind, size):
    """The part of the header that is kept ends in a line longer than any buffer's rest."""
    head, body = (report(new_id("forged")) if kind == "report" else ordinary()).split(b"\n\n", 1)
    kept = head + b"\nX-Last: " + b"x" * size + b"\n"
    field = FORGED[forged].encode()
    message = (field + kept if place == "above" else kept + field) + b"\n" + body
    mail_from = "" if kind == "report" else "friend@elsewhere.example"
    since = dovecot.log.mark()
    if way == "lda":
        assert dovecot.lda(ALICE, message, mail_from=mail_from, final_rcpt=ALICE).code == 0
    else:
        assert [code for code, _ in dovecot.lmtp(mail_from, rcpts, message)] == [250] * len(rcpts)
    for user in rcpts:
        added = added_headers(dovecot.message(user), kept + b"\n" + body)
        assert set(added) - TRACE_HEADERS == ({"X-Backscatter"} if kind == "report" else set())
    assert errors(dovecot, since) == []


@pytest.mark.parametrize("sender", ["friend@elsewhere.example", ""])
def test_header_of_twelve_megabytes(dovecot, sender):
    """Beyond what Dovecot's own readers of header fields keep in mind."""
    head, body = ordinary().split(b"\n\n", 1)
    kept = head + b"\n" + b"X-Many: abcdefgh\n" * 700_000
    replies = dovecot.lmtp(sender, [ALICE], FORGED["X-Backscatter"].encode() + kept + b"\n" + body)
    assert [code for code, _ in replies] == [250]
    assert set(added_headers(dovecot.message(ALICE), kept + b"\n" + body)) <= TRACE_HEADERS | {"X-Backscatter"}


# What a header may cost

X = FORGED["X-Backscatter"]
RESULTS = "Authentication-Results: "
EXPENSIVE = {
    "100,000 fields": X + "A: bcd\n" * 100_000,
    "100,000 fields, ours at the end": "A: bcd\n" * 100_000 + X,
    "100,000 fields, too long for the scan": "A: bcdefghi\n" * 100_000 + X,
    "50,000 of ours": "X-Backscatter: a\n" * 50_000,
    "one of ours with 100,000 lines": "X-Backscatter: a" + "\n bcdefgh" * 100_000 + "\n",
    "results with 100,000 lines": RESULTS + "a" + "\n bcdefgh" * 100_000 + "\n",
    "15,000 results": FORGED["Authentication-Results"] * 15_000,
    "one line of 900 kB": "X-Long: " + "x" * 900_000 + "\n" + X,
    "parentheses": RESULTS + "(" * 900_000 + "\n",
    "quotes": RESULTS + '"\\a' * 300_000 + "\n",
    "Received, words": "Received: from " + "a " * 400_000 + "\n",
    "Received, parentheses": "Received: from " + "(" * 900_000 + "\n",
}
# Measured: 5 where each field goes through the filter, 1 to 2 elsewhere. What grows with the square of a size is in the hundreds.
AT_MOST = 15
# 2.4 stores a long line at once: 10 there, from 225 kB to 900, and 15 once, on a busy machine.
AT_MOST_OF_ONE_LINE = 40


def milliseconds(dovecot: Dovecot, head: str, sender: str) -> float:
    """CPU of lmtp for a message with this header, the least of three."""
    message = ordinary(head=head)
    with LmtpClient(dovecot.lmtp_socket) as client:
        client.deliver(sender, [ALICE], ordinary())
        [pid] = dovecot.pids("lmtp")
        before = cpu(pid)
        took = []
        for _ in range(3):
            [(code, _)] = client.deliver(sender, [ALICE], message)
            assert code == 250
            took.append(cpu(pid) - before)
            before = cpu(pid)
    return min(took)


def cpu(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


@pytest.fixture(scope="module")
def pair():
    """Without and with the plugin; one lmtp process each."""
    one = "service lmtp {\n  process_limit = 1\n}\nmail_fsync = never\n"
    with Dovecot(backscatter=False, sieve=False, extra=one) as plain, \
            Dovecot(plugin=PLUGIN | {"backscatter_spf": "yes"}, sieve=False, extra=one) as ours:
        yield plain, ours


@pytest.mark.parametrize("sender", ["friend@elsewhere.example", ""], ids=["ordinary", "null sender"])
@pytest.mark.parametrize("head", EXPENSIVE)
def test_cost_grows_with_the_size_of_a_header(pair, head, sender):
    plain, ours = [milliseconds(dovecot, EXPENSIVE[head], sender) for dovecot in pair]
    at_most = AT_MOST_OF_ONE_LINE if head == "one line of 900 kB" and not IS_2_3 else AT_MOST
    assert ours < at_most * plain, f"{ours:.0f} ms, without the plugin {plain:.0f} ms"
