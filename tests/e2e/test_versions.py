"""Two Dovecots: modules of one loaded into the other, and one sent log that both write.

The other version is the one in Debian 13 that tests/tools/debian13 makes. Where it isn't there yet, these tests are skipped."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from dovecot import ALICE, BUILD, Dovecot
from dovecot_config import IS_2_3, ROOT
from reports import ordinary
from sentlog import GENUINE, NOT_SENT, STRANGER, cover, dsn, judged, sent_message

DEBIAN13 = Path(os.environ.get("BACKSCATTER_DEBIAN13", BUILD / "debian13"))
# tests/tools/debian13 takes ours there, and leaves the other's here
OTHER_MODULES = DEBIAN13 / "src/dovecot-backscatter/build/modules" if IS_2_3 else BUILD / "other-modules"

pytestmark = pytest.mark.skipif(not (OTHER_MODULES / "lib95_backscatter_plugin.so").exists(),
                                reason=f"no modules for the other Dovecot in {OTHER_MODULES}: run tests/tools/debian13")

# A module from Debian 13 wants Debian 13's libc, too, and that is looked for first.
REFUSED = r"(Module is for different ABI version|.*GLIBC_\S+. not found)"
CRASHES = r"Panic: |killed with signal"


@pytest.fixture
def mismatched(dovecot_factory) -> Dovecot:
    return dovecot_factory(modules=OTHER_MODULES)


def test_lmtp_refuses_the_other_versions_module(mismatched):
    # the connection ends, and the MTA keeps the mail until the module is replaced
    with pytest.raises((AssertionError, ConnectionError), match="closed|reset|Broken"):
        mismatched.lmtp("friend@elsewhere.example", [ALICE], ordinary())
    assert mismatched.messages(ALICE) == []
    mismatched.wait_log(rf"lib95_backscatter_plugin\.so: {REFUSED}")
    assert not mismatched.log_lines(CRASHES)


def test_lda_refuses_the_other_versions_module(mismatched):
    result = mismatched.lda(ALICE, ordinary(), mail_from="friend@elsewhere.example")
    assert result.code == os.EX_TEMPFAIL and re.search(f"lib95_backscatter_plugin.so: {REFUSED}", result.err), result


def test_doveadm_refuses_the_other_versions_module(mismatched):
    result = mismatched.doveadm("backscatter", "coverage", user=ALICE, check=False)
    assert result.code > 0 and re.search(REFUSED, result.err), result


@pytest.mark.skipif(not IS_2_3, reason="the other Dovecot is run from here, not from there")
def test_an_upgrade_and_a_way_back_keep_the_sent_log(dovecot_factory):
    dovecot = dovecot_factory(users=[ALICE], plugin={"backscatter_sources": "sent"})
    cover(dovecot)
    ours, theirs = sent_message(), sent_message()
    dovecot.append(ALICE, "Sent", ours)
    dovecot.halt()

    reports = [dsn(ours), dsn(theirs), dsn(sent_message(to=STRANGER))]
    answers = visit(dovecot.folder, judge=reports, send=[theirs])
    assert answers["version"] >= [2, 4, 0] and answers["errors"] == []
    assert [tuple(answer) for answer in answers["judged"]] == [GENUINE, GENUINE, NOT_SENT]
    assert answers["covered"] == "yes"

    dovecot.start()
    assert [judged(dovecot, dsn(sent)) for sent in (ours, theirs)] == [GENUINE, GENUINE]
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
    assert not dovecot.log_lines("backscatter: .*coverage")


def visit(folder: Path, **messages: list[bytes]) -> dict:
    """The Dovecot of Debian 13 in this folder: see visit.py."""
    command = f"make -s CI=1 >&2 && /usr/bin/python3 tests/e2e/helpers/visit.py {folder} {ALICE}"
    done = subprocess.run([ROOT / "tests" / "tools" / "debian13", "sh", "-c", command], capture_output=True, text=True, timeout=300,
                          input=json.dumps({name: [text.decode() for text in texts] for name, texts in messages.items()}),
                          env=os.environ | {"BACKSCATTER_SHARED": str(folder)})
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)
