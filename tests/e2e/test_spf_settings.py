"""Wrong values of SPF's settings, and `doveadm backscatter spf`."""

import re

import pytest

from dovecot import ALICE, Dovecot
from dovecot_config import IS_2_3
from marks import only_2_4
from nameserver import BadNameServer, NameServer, dead
from reports import errors
from spf_site import CLIENT, HELO, LOCAL_PART, RESULTS, ZONE, from_outside, mailfrom, result, settings

SENDER = f"{LOCAL_PART}@pass.example"
YES_NO, TIME, ID = "yes and no", "a time from 1 ms to 60 s", "an authserv-id such as "
NETWORKS, SERVERS = "networks such as 192.0.2.0/24", "addresses of name servers such as 127.0.0.1:5353"
WRONG = [   # setting, a wrong value, what is said to be allowed
    ("backscatter_spf", "maybe", YES_NO),
    ("backscatter_spf_timeout", "soon", TIME),
    ("backscatter_spf_timeout", "61s", TIME),
    ("backscatter_spf_timeout", "0", TIME),
    ("backscatter_spf_dns", "ns.example.net", SERVERS),
    ("backscatter_spf_dns", "127.0.0.1:99999", SERVERS),
    ("backscatter_received_spf", "both", YES_NO),
    ("backscatter_trusted_relays", "127.0.0.0/33", NETWORKS),
    ("backscatter_trusted_relays", "mx.example.net", NETWORKS),
    ("backscatter_trusted_networks", "127.0.0.0/33", NETWORKS),
    ("backscatter_trusted_networks", "mx.example.net", NETWORKS),
    ("backscatter_trusted_authserv", "mx example", ID),
    ("backscatter_authserv_id", "mx;example", ID),
    ("backscatter_authserv_id", "x" * 256, ID),
]


@pytest.fixture(scope="module")
def names():
    with NameServer({"example": ZONE}) as names:
        yield names


def wrong_line(setting: str, value: str, allowed: str) -> str:
    return f"{setting} has the wrong value '{re.escape(value)}': allowed: {re.escape(allowed)}"


@pytest.mark.skipif(not IS_2_3, reason="Dovecot 2.4 does not start with them")
@pytest.mark.parametrize("way", ["lmtp", "lda"])
@pytest.mark.parametrize("setting, value, allowed", WRONG)
def test_wrong_value(dovecot_factory, names, way, setting, value, allowed):
    """An error line, and the message is there."""
    dovecot = dovecot_factory(plugin=settings(names.where), unchecked={setting: value})
    dovecot.deliver(way, ALICE, from_outside(), SENDER)
    dovecot.wait_log(rf"{way}.*Error: backscatter: Setting {wrong_line(setting, value, allowed)}")
    assert dovecot.message(ALICE).raw.endswith(from_outside()[-20:])


@only_2_4
@pytest.mark.parametrize("setting, value, allowed", WRONG)
def test_dovecot_does_not_start_with_a_wrong_value(names, setting, value, allowed):
    dovecot = Dovecot(plugin=settings(names.where) | {setting: value})
    try:
        with pytest.raises(RuntimeError, match=wrong_line(setting, value, allowed)):
            dovecot.start()
    finally:
        dovecot.stop()


@pytest.mark.parametrize("trusted", ["MX.example", "spf.mx.example.net"])
def test_our_id_is_not_the_trusted_one(names, trusted):
    """Nor a part of it: its fields would be taken out."""
    dovecot = Dovecot(plugin=settings(names.where, backscatter_authserv_id="mx.example",
                                      backscatter_trusted_authserv=trusted))
    try:
        if IS_2_3:
            dovecot.start().deliver("lmtp", ALICE, from_outside(), SENDER)
            dovecot.wait_log(wrong_line("backscatter_authserv_id", "mx.example", ID))
            assert len(dovecot.messages(ALICE)) == 1
        else:
            with pytest.raises(RuntimeError, match=wrong_line("backscatter_authserv_id", "mx.example", ID)):
                dovecot.start()
    finally:
        dovecot.stop()


@pytest.mark.parametrize("way", ["lmtp", "lda"])
def test_no_userdb_field_overrides_them(dovecot_factory, names, way):
    """They belong to the message, not to a user."""
    fields = {"backscatter_spf": "no", "backscatter_authserv_id": "alice.example", "backscatter_spf_timeout": "soon",
              "backscatter_trusted_networks": "0.0.0.0/0"}
    dovecot = dovecot_factory(plugin=settings(names.where), users={ALICE: fields})
    dovecot.deliver(way, ALICE, from_outside(), SENDER)
    assert result(dovecot.message(ALICE)) == mailfrom("pass.example", "pass")
    assert errors(dovecot) == []


# doveadm backscatter spf

@pytest.fixture(scope="module")
def server(names):
    with Dovecot(plugin=settings(names.where)) as dovecot:
        yield dovecot


def evaluation(server: Dovecot, *args: str) -> list[tuple[str, str]]:
    rows = server.doveadm("backscatter", "spf", *args, formatter="tab").rows()
    return [(row["what"], row["text"]) for row in rows]


def words(server: Dovecot, *args: str) -> dict[str, str]:
    """All but the steps."""
    return {what: text for what, text in evaluation(server, *args) if what != "step"}


@pytest.mark.parametrize("domain, outcome", RESULTS.items())
def test_doveadm(server, domain, outcome):
    found = words(server, CLIENT, HELO, f"{LOCAL_PART}@{domain}")
    assert (found["result"], found["identity"], found["domain"]) == (outcome, "mailfrom", domain)
    assert ("problem" in found) == (outcome in ("none", "temperror", "permerror"))
    assert ("mechanism" in found) == (outcome in ("pass", "fail", "softfail", "neutral"))


def test_doveadm_shows_the_steps(server):
    steps = [text for what, text in evaluation(server, CLIENT, HELO, "x@mx.example") if what == "step"]
    for step in (r"mx\.example TXT.*", r"v=spf1 mx -all", r"mx\.example MX.*", rf"out\.pass\.example A.*{CLIENT}"):
        assert any(re.search(step, line) for line in steps), (step, steps)


def test_doveadm_null_sender(server):
    for null in ("", "<>"):
        found = words(server, "::1", "out.fail.example", null)
        assert (found["result"], found["identity"], found["domain"]) == ("fail", "helo", "out.fail.example")


def test_doveadm_with_a_dead_server(dovecot_factory):
    with BadNameServer(dead) as names:
        server = dovecot_factory(plugin=settings(names.where, backscatter_spf_timeout="500ms"))
        assert words(server, CLIENT, HELO, SENDER)["result"] == "temperror"


@pytest.mark.parametrize("args, said", [
    ((), "IP, HELO and MAILFROM"), ((CLIENT,), "IP, HELO and MAILFROM"), ((CLIENT, HELO), "IP, HELO and MAILFROM"),
    (("mx.example", HELO, SENDER), "'mx.example' is no IP address")])
def test_doveadm_with_wrong_arguments(server, args, said):
    result = server.doveadm("backscatter", "spf", *args, check=False)
    assert result.code == 64 and said in result.err, result


def test_doveadm_table(server):
    """As an administrator sees it."""
    out = server.doveadm("backscatter", "spf", CLIENT, HELO, SENDER).out
    assert re.search(r"^result +pass *$", out, re.MULTILINE), out
