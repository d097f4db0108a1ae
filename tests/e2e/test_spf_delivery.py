"""SPF at delivery without an MTA: XCLIENT, lda, what is taken out of a header, and that nothing else of a message changes."""

import shutil
import socket
from base64 import b64encode

import pytest

from dovecot import ALICE, BOB, Dovecot, header_of
from nameserver import NameServer
from reports import (TRACE_HEADERS, added_headers, assert_verdict, cover, difference, errors, new_id, ordinary, padding, report,
                     stored)
from spf_site import (AUTHSERV_ID, CLIENT, HELO, INSIDE, LOCAL_PART, RELAYS, ZONE, from_outside, mailfrom, received, result,
                      results, settings)

SENDER = f"{LOCAL_PART}@pass.example"
PASS, FAIL = mailfrom("pass.example", "pass"), mailfrom("fail.example", "fail")
WAYS = ["lmtp", "lda"]
SIZES = {"small": (0, 0), "20 KiB": (0, 20_000), "200 KiB": (0, 200_000), "100 KiB header": (100_000, 0)}


@pytest.fixture(scope="module")
def names():
    with NameServer({"example": ZONE}) as names:
        yield names


@pytest.fixture(scope="module")
def shared(names):
    with Dovecot(plugin=settings(names.where)) as dovecot:
        yield dovecot


@pytest.fixture
def dovecot(shared, attach_log):
    attach_log("Dovecot", shared.log)
    for user in shared.users.values():
        shutil.rmtree(user.home / "Maildir", ignore_errors=True)
    return shared


# The message

@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", SIZES)
def test_nothing_else_changes(dovecot, way, size):
    header, body = SIZES[size]
    message = from_outside(padding(header) if header else "") + b"x" * 70 + b"\n" * 2 + b"line\n" * (body // 5)
    since = dovecot.log.mark()
    dovecot.deliver(way, ALICE, message, SENDER)
    found = dovecot.message(ALICE)
    assert result(found) == PASS
    assert set(added_headers(found, message)) - TRACE_HEADERS == {"Authentication-Results"}
    assert errors(dovecot, since) == []


@pytest.mark.parametrize("way", WAYS)
def test_field_stands_above_what_came(dovecot, way):
    dovecot.deliver(way, ALICE, from_outside("Authentication-Results: other.example; spf=fail\n"), SENDER)
    names = [name for name, _ in header_of(dovecot.message(ALICE).raw).items()]
    assert names.index("Authentication-Results") < names.index("From")
    assert [field.partition(";")[0] for field in dovecot.message(ALICE).headers("Authentication-Results")] == \
        [AUTHSERV_ID, "other.example"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("message", [b"", b"\n", b"\nonly a body\n", b"no header at all\n"], ids=repr)
def test_without_header(dovecot, way, message):
    """There is no header block that could name a client."""
    since = dovecot.log.mark()
    dovecot.deliver(way, ALICE, message, SENDER)
    assert [field.split(" reason=")[0] for field in results(dovecot.message(ALICE))] in ([], ["spf=none"])
    assert errors(dovecot, since) == []


def test_several_recipients_have_one_field_each(dovecot, names):
    names.queries()
    replies = dovecot.lmtp("x@softfail.example", [ALICE, BOB], from_outside())
    assert [code for code, _ in replies] == [250, 250]
    assert [result(dovecot.message(user)) for user in (ALICE, BOB)] == [mailfrom("softfail.example", "softfail")] * 2
    assert names.queries() <= 1


@pytest.mark.parametrize("way", WAYS)
def test_report_has_both_headers(dovecot, way):
    cover(dovecot)
    message = report(new_id("foreign"), head=received(helo="out.fail.example"))
    dovecot.deliver(way, ALICE, message)
    found = dovecot.message(ALICE)
    assert_verdict(found, "unknown", "not-covered")
    assert result(found) == "spf=fail smtp.helo=out.fail.example"
    assert set(added_headers(found, message)) - TRACE_HEADERS == {"X-Backscatter", "Authentication-Results"}


@pytest.mark.parametrize("sender, said", [
    ("\"a b\"@fail.example", FAIL), ("\"a;spf=pass\"@fail.example", FAIL), ("x@FAIL.example", FAIL),
    ("x@[192.0.2.1]", "spf=none"), ("x@localhost", "spf=none"),
    # Dovecot can't read this one
    ("a\"b;spf=pass\"@fail.example", 'spf=none reason="envelope sender is unknown"')])
def test_odd_senders(dovecot, sender, said):
    since = dovecot.log.mark()
    assert [code for code, _ in dovecot.lmtp(sender, [ALICE], from_outside())] == [250]
    assert result(dovecot.message(ALICE)).startswith(said)
    assert errors(dovecot, since) == []


# Who is the client

def test_xclient(dovecot):
    replies = dovecot.lmtp(SENDER, [ALICE], ordinary(), xclient={"ADDR": CLIENT, "HELO": HELO})
    assert [code for code, _ in replies] == [250]
    assert result(dovecot.message(ALICE)) == PASS


def test_xclient_beats_received(dovecot):
    dovecot.lmtp(SENDER, [ALICE], from_outside(), xclient={"ADDR": "127.3.2.98", "HELO": HELO})
    assert result(dovecot.message(ALICE)) == mailfrom("pass.example", "fail")


def test_xclient_of_a_trusted_host(dovecot):
    """One more hop: the Received fields say who the client was."""
    dovecot.lmtp(SENDER, [ALICE], from_outside(), xclient={"ADDR": "127.0.0.1", "HELO": "relay.example.test"})
    assert result(dovecot.message(ALICE)) == PASS


def test_xclient_over_ipv6(dovecot):
    dovecot.lmtp(SENDER, [ALICE], ordinary(), xclient={"ADDR": "IPV6:::1", "HELO": HELO})
    assert result(dovecot.message(ALICE)) == PASS


@pytest.mark.parametrize("helo, outcome", [("out.fail.example", "fail"), ("out.pass.example", "pass")])
def test_xclient_and_the_null_sender(dovecot, helo, outcome):
    dovecot.lmtp("", [ALICE], ordinary(), xclient={"ADDR": CLIENT, "HELO": helo})
    assert result(dovecot.message(ALICE)) == f"spf={outcome} smtp.helo={helo}"


def test_xclient_without_helo(dovecot):
    """The LHLO name is Postfix's, not the client's."""
    dovecot.lmtp("", [ALICE], ordinary(), xclient={"ADDR": CLIENT})
    assert result(dovecot.message(ALICE)).startswith("spf=none")
    assert "client.example.test" not in result(dovecot.message(ALICE))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("head", ["", "Received: nonsense\n"], ids=["none", "unknown shape"])
def test_nothing_trustworthy(dovecot, way, head):
    dovecot.deliver(way, ALICE, ordinary(head=head + received()) if head else ordinary(), SENDER)
    assert result(dovecot.message(ALICE)).startswith("spf=none reason=")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("protocol", ["ESMTPA", "ESMTPSA"])
def test_authenticated(dovecot, way, protocol):
    dovecot.deliver(way, ALICE, ordinary(head=received(protocol=protocol)), "x@fail.example")
    assert results(dovecot.message(ALICE)) == []


# Clients that may send without login

FORGED_CLIENT = received("192.0.2.1", "out.fail.example")     # SPF says pass for this one


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("head", ["", FORGED_CLIENT, received("127.0.0.1") + FORGED_CLIENT, received() + FORGED_CLIENT],
                         ids=["nothing", "outsider", "relay", "other outsider"])
def test_trusted_network_has_no_result(dovecot, names, way, head):
    """Whatever such a client writes: nobody checks it, and it can't have anything said in our name."""
    names.queries()
    dovecot.deliver(way, ALICE, from_outside(head, client=INSIDE, helo="pc.example.test"), "x@fail.example")
    assert results(dovecot.message(ALICE)) == []
    assert names.queries() == 0


def test_xclient_of_a_trusted_network(dovecot):
    dovecot.lmtp("x@fail.example", [ALICE], ordinary(head=FORGED_CLIENT), xclient={"ADDR": INSIDE, "HELO": "pc.example.test"})
    assert results(dovecot.message(ALICE)) == []


@pytest.mark.parametrize("way", WAYS)
def test_content_filter_before_a_trusted_network(dovecot, way):
    dovecot.deliver(way, ALICE, ordinary(head=received("127.0.0.1", "localhost") + received(INSIDE) + FORGED_CLIENT),
                    "x@fail.example")
    assert results(dovecot.message(ALICE)) == []


@pytest.mark.parametrize("way", WAYS)
def test_content_filter_before_a_client_from_outside(dovecot, way):
    """Who claims to be inside."""
    dovecot.deliver(way, ALICE, ordinary(head=received("127.0.0.1", "localhost") + received() + received(INSIDE)), SENDER)
    assert result(dovecot.message(ALICE)) == PASS


@pytest.mark.parametrize("way", WAYS)
def test_trusted_network_is_no_relay_for_the_trusted_authserv(dovecot_factory, names, way):
    """Milters let pass what such a client writes, in their own name too."""
    dovecot = trusting(dovecot_factory, names)
    head = "Authentication-Results: mx.example.test; spf=pass smtp.mailfrom=x@bank.example\n" \
           "Received-SPF: pass (mx.example.test: x) receiver=mx.example.test\n"
    dovecot.deliver(way, ALICE, from_outside(head, client=INSIDE), SENDER)
    assert results(dovecot.message(ALICE)) == []


# lda

def test_lda_with_sender(dovecot):
    dovecot.deliver("lda", ALICE, from_outside(), "x@fail.example")
    assert result(dovecot.message(ALICE)) == FAIL


@pytest.mark.parametrize("null_sender", ["", "MAILER-DAEMON"])
def test_lda_with_the_null_sender(dovecot, null_sender):
    dovecot.deliver("lda", ALICE, from_outside(), null_sender)
    assert result(dovecot.message(ALICE)) == f"spf=pass smtp.helo={HELO}"


def test_lda_without_sender(dovecot):
    """Not the null one: nobody knows."""
    assert dovecot.lda(ALICE, from_outside()).code == 0
    assert result(dovecot.message(ALICE)) == 'spf=none reason="envelope sender is unknown"'


def test_lda_with_sieve(dovecot):
    dovecot.set_sieve(ALICE, 'require ["fileinto", "mailbox"];\n'
                             'if header :contains "Authentication-Results" "spf=fail" { fileinto :create "Spoofed"; }')
    dovecot.deliver("lda", ALICE, from_outside(), "x@fail.example")
    dovecot.set_sieve(ALICE, None)
    assert stored(dovecot) == {"Spoofed": 1}
    assert result(dovecot.message(ALICE, "Spoofed")) == FAIL


# Forged fields

FORGED = {
    "plain": f"Authentication-Results: {AUTHSERV_ID}; spf=pass smtp.mailfrom=bank.example\n",
    "upper case": f"AUTHENTICATION-RESULTS: {AUTHSERV_ID.upper()}; spf=pass\n",
    "blank before the colon": f"Authentication-Results : {AUTHSERV_ID}; spf=pass\n",
    "no blank behind it": f"Authentication-Results:{AUTHSERV_ID};spf=pass\n",
    "folded": f"Authentication-Results:\n\t{AUTHSERV_ID};\n\tspf=pass\n",
    "quoted": f"Authentication-Results: \"{AUTHSERV_ID}\"; spf=pass\n",
    "quoted pair": f"Authentication-Results: \"\\{AUTHSERV_ID}\"; spf=pass\n",
    "comments": f"Authentication-Results: (a (b) c) {AUTHSERV_ID} (d); spf=pass\n",
    "with version": f"Authentication-Results: {AUTHSERV_ID} 1; spf=pass\n",
    "no result": f"Authentication-Results: {AUTHSERV_ID}; none\n",
    "broken": f"Authentication-Results: {AUTHSERV_ID} spf=pass\n",
    "in a comment": f"Authentication-Results: other.example; dkim=none ({AUTHSERV_ID}; spf=pass)\n",
    "in a reason": f"Authentication-Results: other.example; dkim=none reason=\"{AUTHSERV_ID}; spf=pass\"\n",
    "behind a comma": f"Authentication-Results: other.example; dkim=none, {AUTHSERV_ID}; spf=pass\n",
    "in a later line": f"Authentication-Results: other.example;\n\tdkim=none\n\t({AUTHSERV_ID};\n\tspf=pass)\n",
    "folded within": f"Authentication-Results: {AUTHSERV_ID[:12]}\n {AUTHSERV_ID[12:]}; spf=pass\n",
    "encoded": f"Authentication-Results: other.example; x=1 (=?utf-8?q?{AUTHSERV_ID.replace('.', '=2E')}=3B_spf=3Dpass?=)\n",
    "encoded, split": f"Authentication-Results: =?us-ascii?b?{b64encode(AUTHSERV_ID[:9].encode()).decode()}?=\n"
                      f"\t=?us-ascii?b?{b64encode(AUTHSERV_ID[9:].encode() + b'; spf=pass').decode()}?=\n",
    "encoded, UTF-16": f"Authentication-Results: =?utf-16be?b?{b64encode(AUTHSERV_ID.encode('utf-16-be')).decode()}?=; spf=pass\n",
    "longer id": f"Authentication-Results: x.{AUTHSERV_ID}; spf=pass\n",
    "several": f"Authentication-Results: {AUTHSERV_ID}; spf=pass\nX-Other: stays\n" * 3,
}
KEPT = "Authentication-Results: mx.example.test; spf=pass\nAuthentication-Results :\tother.example;\n  dkim=pass (gr=?utf-8?q?=C3=BC?=n)\n" \
       f"X-Authentication-Results: {AUTHSERV_ID}; spf=pass\nReceived-SPF: pass (elsewhere)\n" \
       f"Subject: Authentication-Results: {AUTHSERV_ID}\n"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", SIZES)
def test_forged_fields_go_and_others_stay(dovecot, way, size):
    header, body = SIZES[size]
    rest = (padding(header) if header else "").encode() + b"X-Last: one\n\n" + b"line\n" * (body // 5)
    forged = "".join(FORGED.values())
    kept = received() + forged.count("X-Other") * "X-Other: stays\n" + KEPT
    message = (received() + forged + KEPT).encode() + rest
    since = dovecot.log.mark()
    dovecot.deliver(way, ALICE, message, "x@fail.example")
    found = dovecot.message(ALICE)
    assert result(found) == FAIL
    assert set(added_headers(found, kept.encode() + rest)) - TRACE_HEADERS == {"Authentication-Results"}
    assert errors(dovecot, since) == []


@pytest.mark.parametrize("spelling", FORGED)
def test_forged_field_in_local_mail_goes(dovecot, spelling):
    """Nothing is written about this one: what claims to be ours would be all there is."""
    dovecot.deliver("lmtp", ALICE, ordinary(head=received(protocol="ESMTPSA") + FORGED[spelling]), "x@fail.example")
    assert b"Authentication-Results".lower() not in dovecot.message(ALICE).raw.lower()


@pytest.mark.parametrize("way", WAYS)
def test_sieve_sees_no_forged_result(dovecot, way):
    """Decoded and unfolded, as a script sees them: our id and what we said, and none of the forged fields."""
    dovecot.set_sieve(ALICE, 'require ["fileinto", "mailbox"];\n'
                             f'if header :contains "Authentication-Results" "{AUTHSERV_ID}; spf=pass" '
                             '{ fileinto :create "Believed"; }')
    for forged in FORGED.values():
        dovecot.deliver(way, ALICE, from_outside(forged), "x@fail.example")
    dovecot.set_sieve(ALICE, None)
    assert stored(dovecot) == {"INBOX": len(FORGED)}


@pytest.mark.parametrize("way", WAYS)
def test_header_block_beyond_all_bounds(dovecot, way):
    """All the same, but what goes on in another line is taken for ours."""
    forged = FORGED["plain"] + FORGED["upper case"] + FORGED["quoted"] + FORGED["folded"] + FORGED["in a later line"]
    other = "Authentication-Results: other.example; spf=pass\n"
    message = ordinary(head=received() + forged + other + padding(1_200_000) + FORGED["plain"])
    since = dovecot.log.mark()
    dovecot.deliver(way, ALICE, message, SENDER)
    found = dovecot.message(ALICE)
    assert found.headers("Authentication-Results") == [f"{AUTHSERV_ID}; {PASS}", "other.example; spf=pass"]
    body = message.partition(b"\n\n")[2]
    assert found.raw.endswith(body), difference(found.raw, body)
    assert errors(dovecot, since) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("start", [" spf=pass", "\t", " \n"], ids=repr)
def test_message_that_begins_with_a_blank(dovecot, way, start):
    """Its first line must not continue our field."""
    dovecot.deliver(way, ALICE, f"{start}\n".encode() + from_outside(), SENDER)
    field, = results(dovecot.message(ALICE))
    assert field.startswith(("spf=none reason=", PASS)) and field.count("spf=") == 1, field


def test_forged_received_spf_goes_where_we_write_one(dovecot_factory, names):
    dovecot = dovecot_factory(plugin=settings(names.where, backscatter_received_spf="yes"))
    host = socket.gethostname()
    forged = f"Received-SPF: pass ({host}: domain of bank.example designates 192.0.2.1 as permitted sender)\n" \
             f"received-spf: pass receiver={host}; identity=mailfrom\n"
    dovecot.deliver("lmtp", ALICE, from_outside(forged + "Received-SPF: fail (mx.elsewhere.example: no)\n"), SENDER)
    ours, theirs = dovecot.message(ALICE).headers("Received-SPF")
    assert ours.startswith(f"pass ({host}: domain of {SENDER} designates {CLIENT}")
    assert theirs == "fail (mx.elsewhere.example: no)"


# Trusted results

def trusting(dovecot_factory, names) -> Dovecot:
    return dovecot_factory(plugin=settings(names.where, backscatter_trusted_authserv="mx.example.test"))


@pytest.mark.parametrize("way", WAYS)
def test_trusted_result_in_place_of_a_question(dovecot_factory, names, way):
    dovecot = trusting(dovecot_factory, names)
    names.queries()
    head = "Authentication-Results: mx.example.test; dkim=none; spf=neutral smtp.mailfrom=x@checked.example\n"
    dovecot.deliver(way, ALICE, from_outside(head), SENDER)
    assert result(dovecot.message(ALICE)) == "spf=neutral smtp.mailfrom=checked.example"
    assert names.queries() == 0


def test_without_trusted_result_the_question_is_asked(dovecot_factory, names):
    dovecot = trusting(dovecot_factory, names)
    head = "Authentication-Results: other.example; spf=fail smtp.mailfrom=x@checked.example\n"
    dovecot.deliver("lmtp", ALICE, from_outside(head), SENDER)
    assert result(dovecot.message(ALICE)) == PASS


# As it comes

def test_default_id_is_the_hosts(dovecot_factory, names):
    dovecot = dovecot_factory(plugin={"backscatter_spf": "yes", "backscatter_spf_dns": names.where,
                                      "backscatter_trusted_relays": RELAYS})
    dovecot.deliver("lmtp", ALICE, from_outside(), SENDER)
    assert dovecot.message(ALICE).header("Authentication-Results") == f"delivery.{socket.gethostname()}; {PASS}"


def test_switched_off(dovecot_factory, names):
    """Nothing is asked and nothing written; the id is still ours alone."""
    dovecot = dovecot_factory(plugin=settings(names.where, backscatter_spf="no"))
    names.queries()
    for way in WAYS:
        dovecot.deliver(way, ALICE, from_outside(FORGED["plain"] + "Authentication-Results: other.example; spf=pass\n"), SENDER)
    assert [message.headers("Authentication-Results") for message in dovecot.messages(ALICE)] == \
        [["other.example; spf=pass"]] * 2
    assert names.queries() == 0


def test_no_user_can_change_it(dovecot_factory, names):
    dovecot = dovecot_factory(plugin=settings(names.where),
                              users={ALICE: {"backscatter_spf": "no", "backscatter_authserv_id": "mine.example"}, BOB: {}})
    for way in WAYS:
        dovecot.deliver(way, ALICE, from_outside(), SENDER)
    assert [result(message) for message in dovecot.messages(ALICE)] == [PASS] * 2
