"""SPF at delivery, end to end: NSD, a real Postfix in front of Dovecot, and what Sieve and the reader see."""

import re
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from dovecot import ALICE, BOB, CAROL, Dovecot, LmtpClient
from mta import PORT
from nameserver import NameServer
from process import Daemon, Log, loopback_address
from receiving import wait_for_port
from reports import TRACE_HEADERS, added_headers, assert_verdict, cover, errors, new_id, ordinary, report, stored
from spf_service import pids
from spf_site import (AUTHSERV_ID, CLIENT, HELO, INSIDE, LOCAL_PART, RESULTS, ZONE, Mx, from_outside, mailfrom, received,
                      result, results, settings)

SENDER = f"{LOCAL_PART}@pass.example"
FILES_RESULTS = f"""
require ["fileinto", "mailbox"];
if header :matches "Authentication-Results" "{AUTHSERV_ID}; spf=fail *" {{ fileinto :create "Spoofed"; }}
"""


@pytest.fixture(scope="module")
def names():
    with NameServer({"example": ZONE}) as names:
        yield names


@pytest.fixture(scope="module")
def site(names):
    """A Dovecot and its MX for many messages."""
    with Dovecot(plugin=settings(names.where)) as dovecot, Mx(dovecot) as mx:
        yield dovecot, mx


@pytest.fixture
def dovecot(site, attach_log):
    return emptied(site, attach_log)[0]


@pytest.fixture
def mx(site, attach_log):
    return emptied(site, attach_log)[1]


def emptied(site, attach_log):
    dovecot, mx = site
    attach_log("Dovecot", dovecot.log)
    attach_log("Postfix", mx.log)
    for user in dovecot.users.values():
        shutil.rmtree(user.home / "Maildir", ignore_errors=True)
        dovecot.set_sieve(user.name, None)
    return site


@pytest.fixture
def site_factory(names, dovecot_factory, attach_log):
    """site_factory({"backscatter_received_spf": "yes"}, smtpd_milters=...) -> a Dovecot with these settings, and its MX."""
    started = []

    def make(plugin: dict[str, str] | None = None, **postfix: str) -> tuple[Dovecot, Mx]:
        dovecot = dovecot_factory(plugin=settings(names.where) | (plugin or {}))
        mx = Mx(dovecot, **postfix).start()
        attach_log("Postfix", mx.log)
        started.append(mx)
        return dovecot, mx

    yield make
    for mx in started:
        mx.stop()


def arrived(dovecot: Dovecot, mx: Mx, send, user: str = ALICE):
    """The only message in the inbox, once Postfix has handed on what send() hands over."""
    since = mx.log.mark()
    send()
    mx.log.wait(rf"to=<{user}>.* status=sent", 30, since)
    return dovecot.message(user)


# Results

@pytest.mark.parametrize("domain, outcome", RESULTS.items())
def test_result(dovecot, mx, domain, outcome):
    message = ordinary()
    stored = arrived(dovecot, mx, lambda: mx.hand_over(f"{LOCAL_PART}@{domain}", ALICE, message))
    assert result(stored) == mailfrom(domain, outcome)
    assert stored.headers("Received-SPF") == []
    # Postfix adds nothing but a Received field
    added = added_headers(stored, message)
    assert added[-2:] == ["Authentication-Results", "Received"] and set(added[:-2]) <= TRACE_HEADERS
    assert errors(dovecot) == []


@pytest.mark.parametrize("helo, outcome", [("out.pass.example", "pass"), ("out.fail.example", "fail"),
                                           ("nowhere.example", "none")])
def test_null_sender(dovecot, mx, helo, outcome):
    stored = arrived(dovecot, mx, lambda: mx.hand_over("", ALICE, ordinary(), helo=helo))
    assert result(stored) == f"spf={outcome} smtp.helo={helo}"


def test_other_client(dovecot, mx):
    stored = arrived(dovecot, mx, lambda: mx.hand_over(SENDER, ALICE, ordinary(), client="127.3.2.98"))
    assert result(stored) == mailfrom("pass.example", "fail")


@pytest.mark.parametrize("domain", ["pass.example", "fail.example"])
def test_client_over_ipv6(dovecot, mx, domain):
    stored = arrived(dovecot, mx, lambda: mx.hand_over(f"{LOCAL_PART}@{domain}", ALICE, ordinary(), client="::1"))
    assert result(stored) == mailfrom(domain, RESULTS[domain])


def test_bounce_has_both_headers(dovecot, mx):
    cover(dovecot)
    stored = arrived(dovecot, mx, lambda: mx.hand_over("", ALICE, report(new_id("foreign")), helo="out.fail.example"))
    assert_verdict(stored, "unknown", "not-covered")
    assert result(stored) == "spf=fail smtp.helo=out.fail.example"


# Where a message came from

def test_through_a_trusted_relay(dovecot, mx, attach_log):
    with Mx(dovecot, myhostname="edge.example.test", relayhost=f"[{mx.address}]:{PORT}", virtual_mailbox_domains="") as edge:
        attach_log("edge", edge.log)
        stored = arrived(dovecot, mx, lambda: edge.hand_over(SENDER, ALICE, ordinary()))
    assert len(stored.headers("Received")) >= 2
    assert result(stored) == mailfrom("pass.example", "pass")


def test_from_a_trusted_network(dovecot, mx):
    """One Received line that names a client of whatever domain: nobody is checked, nothing is said of it."""
    message = ordinary(head=received("192.0.2.1", "out.fail.example"))
    stored = arrived(dovecot, mx, lambda: mx.hand_over("x@fail.example", ALICE, message, client=INSIDE))
    assert results(stored) == []


def test_through_a_relay_that_is_not_trusted(dovecot, mx, attach_log):
    """SPF is about the relay then."""
    with Mx(dovecot, myhostname="edge.example.test", relayhost=f"[{mx.address}]:{PORT}", virtual_mailbox_domains="",
            smtp_bind_address="127.3.2.98") as edge:
        attach_log("edge", edge.log)
        stored = arrived(dovecot, mx, lambda: edge.hand_over(SENDER, ALICE, ordinary()))
    assert result(stored) == mailfrom("pass.example", "fail")


def test_authenticated_submission(dovecot, mx):
    stored = arrived(dovecot, mx, lambda: mx.hand_over("alice@fail.example", ALICE, ordinary(), login=True))
    assert results(stored) == []


def test_submission_by_command(dovecot, mx):
    stored = arrived(dovecot, mx, lambda: mx.submit_as_user("alice@fail.example", ALICE, ordinary()))
    assert results(stored) == []


def test_trusted_client(dovecot, mx):
    stored = arrived(dovecot, mx, lambda: mx.hand_over("alice@fail.example", ALICE, ordinary(), client="127.0.0.1"))
    assert results(stored) == []


# Several recipients

def test_one_evaluation_for_all_recipients(site_factory, names):
    dovecot, mx = site_factory()
    names.queries()
    since = mx.log.mark()
    mx.hand_over(SENDER, [ALICE, BOB, CAROL], ordinary())
    for user in (ALICE, BOB, CAROL):
        mx.log.wait(rf"to=<{user}>.* status=sent", 30, since)
        assert result(dovecot.message(user)) == mailfrom("pass.example", "pass")
    assert names.queries() == 1


def test_an_answer_is_remembered(dovecot, names):
    """... by the process that asked."""
    names.queries()
    with LmtpClient(dovecot.lmtp_socket) as client:
        for _ in range(3):
            client.deliver("x@remembered.example", [ALICE], from_outside())
    assert [result(message) for message in dovecot.messages(ALICE)] == [mailfrom("remembered.example", "pass")] * 3
    assert names.queries() == 1


def test_an_answer_is_remembered_beyond_a_connection(dovecot_factory, names):
    """The service's processes live on, whatever lmtp's do."""
    dovecot = dovecot_factory(plugin=settings(names.where))
    names.queries()
    for _ in range(3):
        dovecot.deliver("lmtp", ALICE, from_outside(), SENDER)
    assert len(results(dovecot.messages(ALICE)[-1])) == 1
    # the master may start another before it has heard that the first one is free again
    assert 1 <= names.queries() <= len(pids(dovecot))


# What others wrote

def test_forged_results_go_and_a_milters_stay(site_factory, attach_log):
    with OpenDkim() as milter:
        attach_log("OpenDKIM", milter.log)
        dovecot, mx = site_factory(smtpd_milters=milter.where)
        forged = f"Authentication-Results: {AUTHSERV_ID}; spf=pass smtp.mailfrom=pass.example\n" \
                 f"authentication-results : \"{AUTHSERV_ID.upper()}\" 1;\n\tspf=pass\n" \
                 f"Authentication-Results: (who) {AUTHSERV_ID} (knows); spf=pass\n" \
                 f"Authentication-Results: other.example; spf=pass smtp.mailfrom=other.example\n"
        stored = arrived(dovecot, mx, lambda: mx.hand_over("x@fail.example", ALICE, ordinary(head=forged)))
    ours, other, milters = sorted(stored.headers("Authentication-Results"), key=lambda field: field.startswith("mx."))
    assert ours == f"{AUTHSERV_ID}; {mailfrom('fail.example', 'fail')}"
    assert milters.startswith("mx.example.test; dkim=none")
    assert other == "other.example; spf=pass smtp.mailfrom=other.example"


def test_trusted_result_of_the_mx(site_factory, names):
    """An MX that strips its own id from what comes in, and adds its result."""
    with tempfile.TemporaryDirectory(prefix="bs-checks-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        checks = Path(folder) / "checks"
        checks.write_text("/^Authentication-Results:\\s*mx\\.example\\.test\\s*;/ IGNORE\n"
                          "/^Message-ID:/ PREPEND Authentication-Results: mx.example.test;"
                          " spf=softfail smtp.mailfrom=sender@checked.example\n")
        dovecot, mx = site_factory({"backscatter_trusted_authserv": "mx.example.test"}, header_checks=f"regexp:{checks}")
        names.queries()
        forged = "Authentication-Results: mx.example.test; spf=pass smtp.mailfrom=bank.example\n"
        stored = arrived(dovecot, mx, lambda: mx.hand_over(SENDER, ALICE, ordinary(head=forged)))
    assert result(stored) == "spf=softfail smtp.mailfrom=checked.example"
    assert names.queries() == 0


# Sieve

@pytest.mark.parametrize("domain, mailbox", [("fail.example", "Spoofed"), ("pass.example", "INBOX")])
def test_sieve_files_by_result(dovecot, mx, domain, mailbox):
    dovecot.set_sieve(ALICE, FILES_RESULTS)
    since = mx.log.mark()
    mx.hand_over(f"{LOCAL_PART}@{domain}", ALICE, ordinary())
    mx.log.wait(rf"to=<{ALICE}>.* status=sent", 30, since)
    assert stored(dovecot) == {mailbox: 1}


# Received-SPF

def test_received_spf(site_factory):
    dovecot, mx = site_factory({"backscatter_received_spf": "yes"})
    stored = arrived(dovecot, mx, lambda: mx.hand_over(SENDER, ALICE, ordinary(head="Received-SPF: pass (elsewhere)\n")))
    ours, theirs = stored.headers("Received-SPF")
    assert re.fullmatch(rf"pass \(\S+: domain of {SENDER} designates {CLIENT} as permitted sender\) receiver=\S+;"
                        rf" client-ip={CLIENT}; envelope-from=\"{SENDER}\"; helo={HELO};"
                        rf" mechanism=\"ip4:{CLIENT}\"; identity=mailfrom", ours), ours
    assert theirs == "pass (elsewhere)"
    assert result(stored) == mailfrom("pass.example", "pass")


class OpenDkim:
    """Verifies in Postfix, as Debian's package does it, and says so of every message."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="bs-dkim-", dir="/tmp"))
        self.log = Log(self.folder / "log")
        self.address = loopback_address()

    @property
    def where(self) -> str:
        """For Postfix."""
        return f"inet:{self.address}:{PORT}"

    def __enter__(self) -> "OpenDkim":
        config = self.folder / "opendkim.conf"
        config.write_text(f"""
Mode v
Socket inet:{PORT}@{self.address}
AuthservID mx.example.test
AlwaysAddARHeader yes
Syslog no
UserID opendkim
""")
        shutil.chown(self.folder, "opendkim")
        # It doesn't say when it is ready.
        self._daemon = Daemon(["sh", "-c", 'echo started; exec "$0" "$@"', "opendkim", "-f", "-x", str(config)], self.log,
                              "started")
        try:
            wait_for_port(socket.AF_INET, self.address, PORT)
        except TimeoutError:
            self._daemon.stop()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._daemon.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
