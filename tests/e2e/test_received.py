"""Where a message came from, read from the Received field that each MTA really writes (docs/design.md,
section 11): the address and HELO name of its client, or that it was submitted."""

import subprocess

import pytest

from dovecot import BUILD
from receiving import CLIENT_WITH_NAME, MXS, SENDER, Refused, Session, is_there
from smtp import Received

ORIGIN = BUILD / "tests" / "programs" / "received-origin"
# In these tests all clients are on this host: nobody is trusted unless a test says so.
NOBODY = ""
EVERYBODY = "127.0.0.0/8 ::1"

FORGED = b"Received: from bank.example (bank.example [198.51.100.1])\r\n" \
         b"\tby mx.example.test (Postfix) with ESMTP id 1; Thu, 1 Apr 2021 00:00:00 +0000\r\n"

# What a client may call itself to look like another one.
HOSTILE_NAMES = [
    "[127.0.0.1]",
    "[IPv6:::1]",
    "a[127.0.0.1]",
    "by",
    "with",
    "from",
    "localhost",
    "x)",
    "(x",
    "((x",
    "x\\",
    "\"x",
    "\"x y\"",
    "x ([127.0.0.1])",
    "x (x [127.0.0.1])",
    "x [127.0.0.1]",
    "(x [127.0.0.1])",
    "x([127.0.0.1])",
    "x) ([127.0.0.1]",
    "x helo=y ident=z",
    "x) by mx.example.test with esmtpsa (y",
    "x) by mx.example.test with esmtpsa (y\\",
    "x) by mx.example.test with esmtpsa ((y",
    "x (x [127.0.0.1]) by mx.example.test with ESMTPSA; (",
    "x (x [127.0.0.1]) by mx.example.test with ESMTPSA id 1; Thu, 1 Apr 2021 00:00:00 +0000 (",
    "x\tby mx.example.test with ESMTPSA",
    "x\x01\x7f",
    "h\u00f6st.example",
    "=?utf-8?q?x?=",
    "x" * 255,
    "x" * 256,
    "x" * 990,
    "x" * 980 + " (x [127.0.0.1]) by y with ESMTPSA",
]


# How many of them each MTA takes. Had it refused them all, nothing would have been judged.
TAKEN = {"postfix": 33, "exim": 9, "careless exim": 33, "opensmtpd": 6, "sendmail": 9, "careless sendmail": 31}
TAKE_NO_HELO = ("postfix", "sendmail", "careless sendmail")


@pytest.fixture(scope="module", params=MXS)
def mx(request):
    if not is_there(request.param):
        pytest.skip(f"no {request.param} unpacked")
    with MXS[request.param]() as mx:
        mx.kind = request.param
        yield mx


def origin(received: Received, relays: str = NOBODY, networks: str = NOBODY) -> str:
    return subprocess.run([ORIGIN, relays, networks], input=received.message, check=True, timeout=10,
                          capture_output=True).stdout.decode().strip()


def received_field(received: Received) -> str:
    return received.message.partition(b"\r\nFrom:")[0].decode(errors="replace")


@pytest.mark.parametrize("verb", ["HELO", "EHLO"])
def test_client(mx, verb):
    session = Session(verb=verb)
    received = mx.take(session)
    assert origin(received) == f"client {session.client} {session.helo}", received_field(received)
    assert received.mail_from == SENDER


def test_client_whose_address_has_a_name(mx):
    session = Session(client=CLIENT_WITH_NAME)
    received = mx.take(session)
    assert origin(received) == f"client {session.client} {session.helo}", received_field(received)


def test_client_over_ipv6(mx):
    received = mx.take(Session(client="::1"))
    assert origin(received) == "client ::1 out.example.net", received_field(received)


def test_null_sender(mx):
    received = mx.take(Session(mail_from=""))
    assert origin(received) == f"client {Session.client} out.example.net", received_field(received)
    assert received.mail_from == ""


@pytest.mark.parametrize("client", [Session.client, "::1"])
def test_address_as_helo_name(mx, client):
    helo = f"[IPv6:{client}]" if ":" in client else f"[{client}]"
    received = mx.take(Session(client=client, helo=helo))
    # Exim says nothing where the name is the address
    assert origin(received) in (f"client {client} {helo}", f"client {client} -"), received_field(received)


def test_without_helo(mx):
    if mx.kind not in TAKE_NO_HELO:
        with pytest.raises(Refused):
            mx.take(Session(helo=None))
        return
    received = mx.take(Session(helo=None))
    # Postfix and Sendmail write what they know of the address
    assert origin(received) in [f"client {Session.client} {helo}" for helo in ("-", "unknown", f"[{Session.client}]")], \
        received_field(received)


def test_forged_fields_below(mx):
    received = mx.take(Session(), FORGED)
    assert received.message.count(b"198.51.100.1") == 1
    assert origin(received) == f"client {Session.client} out.example.net", received_field(received)


def test_trusted_relay(mx):
    """The client is a relay of ours: the field below is its own."""
    received = mx.take(Session(), FORGED)
    assert origin(received, EVERYBODY) == "client 198.51.100.1 bank.example", received_field(received)


def test_trusted_client(mx):
    received = mx.take(Session())
    assert origin(received, EVERYBODY) == "local - -", received_field(received)


def test_client_of_a_trusted_network(mx):
    received = mx.take(Session(), FORGED)
    assert origin(received, networks=EVERYBODY) == "network - -", received_field(received)


def test_authenticated_client(mx):
    if not mx.can_login:
        pytest.skip("offers no authentication here")
    received = mx.take(Session(login=True), FORGED)
    assert origin(received) == "local - -", received_field(received)


def test_submitted_on_the_host(mx):
    received = mx.submit_here(FORGED)
    assert origin(received) == "local - -", received_field(received)


def test_bounce_of_the_host_itself(mx):
    received = mx.bounce("alice@example.test", b"From: <alice@example.test>\r\nMessage-ID: <" + mx.name.encode()
                         + b"@example.test>\r\nSubject: x\r\n\r\nHello.\r\n")
    assert received.mail_from == ""
    assert origin(received) == "local - -", received_field(received)


def test_hostile_names(mx):
    taken = 0
    for helo in HOSTILE_NAMES:
        try:
            received = mx.take(Session(helo=helo), FORGED)
        except Refused:
            continue
        taken += 1
        # nobody trusted: the client or nothing; its address trusted: nothing of what it says about itself either
        for trusted in (NOBODY, "127.0.0.1 ::1"):
            kind, client, _ = origin(received, trusted).split()
            assert (kind, client) in (("client", Session.client), ("unknown", "-")), (helo, received_field(received))
    assert taken == TAKEN[mx.kind]
