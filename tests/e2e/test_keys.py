"""Serial keys and "doveadm backscatter verify": whose is a serial, and why not (docs/design.md, section 8)."""

import hmac
import os
from base64 import b32encode
from hashlib import sha256
from time import time

import pytest

from dovecot import ALICE, BOB
from relay import REFUSED
from sending import Sending, only, serial_of, with_serial
from sentlog import DAY, judged, sent_message, unknown


def keys(sending: Sending, user: str = ALICE) -> list[dict[str, str]]:
    return sending.dovecot.doveadm("backscatter", "key", "list", user=user, formatter="tab").rows()


def verified(sending: Sending, text: str, user: str = ALICE) -> dict[str, str]:
    [row] = sending.dovecot.doveadm("backscatter", "verify", text, user=user, formatter="tab").rows()
    return row


def issued(secret: bytes, address: str, days_ago: int) -> str:
    """A serial as the format says, made without our code."""
    day = int(time() // DAY) - days_ago
    head = b"\x01" + sha256(secret).digest()[:2] + day.to_bytes(2, "big") + b"random"
    return b32encode(head + hmac.digest(secret, head + address.encode(), "sha256")[:12]).decode().rstrip("=")


@pytest.fixture
def secret(sending) -> bytes:
    sending.sent(sent_message())
    [(secret,)] = sending.log.query("SELECT secret FROM serial_key")
    return secret


# Keys

def test_a_key_is_made_at_first_use(sending):
    assert keys(sending) == []
    sending.sent(sent_message())
    [key] = keys(sending)
    assert (key["of"], key["use"], key["retired"]) == ("mailbox", "issues and verifies", "")


def test_the_newest_key_issues(sending, secret):
    sending.dovecot.doveadm("backscatter", "key", "rotate", user=ALICE)
    old, new = keys(sending)
    assert (old["use"], new["use"]) == ("verifies", "issues and verifies")
    assert old["key"] == sha256(secret).hexdigest()[:4] != new["key"]
    serial = serial_of(sending.sent(sent_message()).message)
    assert verified(sending, serial)["key"] == new["key"]


def test_a_site_key_takes_the_place_of_the_mailboxs(sending, secret):
    path = sending.dovecot.folder / "site-key"
    for _ in range(2):
        sending.dovecot.doveadm("backscatter", "key", "generate", str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    os.chown(path, sending.dovecot.users[ALICE].uid, -1)
    sending.dovecot.restart(plugin={"backscatter_site_key": str(path)})
    assert [(key["of"], key["use"]) for key in keys(sending)] == [
        ("site", "verifies"), ("site", "issues and verifies"), ("mailbox", "verifies")]
    refused = sending.dovecot.doveadm("backscatter", "key", "rotate", user=ALICE, check=False)
    assert refused.code == 65 and f"doveadm backscatter key generate {path}" in refused.err


def test_a_site_key_that_everybody_can_read_is_refused(sending):
    path = sending.dovecot.folder / "site-key"
    sending.dovecot.doveadm("backscatter", "key", "generate", str(path))
    path.chmod(0o644)
    sending.dovecot.restart(plugin={"backscatter_site_key": str(path)})
    sending.sent(sent_message())
    result = sending.dovecot.doveadm("backscatter", "key", "list", user=ALICE, formatter="tab", check=False)
    assert result.code != 0 and str(path) in result.err
    assert [(row["of"], row["use"]) for row in result.rows()] == [("mailbox", "issues and verifies")]
    coverage = sending.dovecot.doveadm("backscatter", "coverage", user=ALICE, check=False)
    assert coverage.code == 65 and f"backscatter_site_key: site key {path}" in coverage.err


def test_a_site_key_that_nobody_may_read(sending):
    path = sending.dovecot.folder / "site-key"
    sending.dovecot.doveadm("backscatter", "key", "generate", str(path))
    sending.dovecot.restart(plugin={"backscatter_site_key": str(path)})
    assert serial_of(sending.sent(sent_message()).message), "of the mailbox's own key"
    assert sending.dovecot.wait_log(rf"{path}: .*Permission denied: not readable for uid {sending.dovecot.users[ALICE].uid}: chown")


# verify

def test_verify_what_was_sent(sending):
    serial = serial_of(sending.sent(sent_message()).message)
    row = verified(sending, serial)
    assert (row["status"], row["logged"], row["address"]) == ("valid", "yes", ALICE)
    assert verified(sending, serial.lower())["status"] == "valid"
    local, domain = ALICE.split("@")
    assert verified(sending, f"{local}+b={serial}@{domain}")["status"] == "valid"


@pytest.mark.parametrize("address, days_ago, status", [
    (ALICE, 0, "valid"), (ALICE, 89, "valid"), (ALICE, 91, "expired"), (BOB, 0, "wrong-address")])
def test_verify_tells_why_not(sending, secret, address, days_ago, status):
    row = verified(sending, issued(secret, address, days_ago))
    assert (row["status"], row["logged"]) == (status, "no")


@pytest.mark.parametrize("text, status", [
    ("nonsense", "bad-form"), (ALICE, "bad-form"), ("alice+news@example.test", "bad-form"), ("", "bad-form"),
    (issued(b"k" * 32, ALICE, 0), "unknown-key")])
def test_verify_what_is_not_ours(sending, secret, text, status):
    assert verified(sending, text)["status"] == status


def test_verify_without_a_log(sending):
    assert verified(sending, issued(b"k" * 32, ALICE, 0), user=BOB)["status"] == "unknown-key"


# The verdict

def test_an_expired_serial(sending, secret):
    bounce = sending.bounce(REFUSED)
    report = with_serial(only(bounce, "serial"), issued(secret, ALICE, 91))
    assert judged(sending.dovecot, report) == unknown("expired")
