"""Dovecot 2.4's typed settings: what doveconf says of them, and what the userdb may change. And the two files of conf.d."""

import re
import shutil

import pytest

from dovecot import ALICE, BOB, Dovecot
from dovecot_config import ROOT
from marks import only_2_4
from sentlog import Judged, NOT_SENT, STRANGER, cover, dsn, judged, sent_message


ACTIONS = "annotate, quarantine, discard and reject"
WRONG = [   # setting, a wrong value (without blanks: the userdb has it, too), what is said to be allowed
    ("backscatter_sources", "sent,sendmail", "submission, milter and sent"),
    ("backscatter_addresses", "info", "user@domain"),
    ("backscatter_action", "delete", ACTIONS),
    ("backscatter_action", "quarantine,dsn-failed=delete", ACTIONS),
    ("backscatter_action", "quarantine,dsn_failed=annotate", "the classes are dsn-failed, dsn-delayed"),
    ("backscatter_mailbox", "INBOX", "a mailbox other than INBOX"),
    ("backscatter_db", "backscatter.db", "starts with / or ~/"),
    ("backscatter_retention", "often", "90 days"),
    ("backscatter_report_age", "99d", "not longer than backscatter_retention"),
    ("backscatter_site_key", "site.key", "a path that starts with /"),
    ("backscatter_sender_check", "strict", "off, log, envelope and both"),
    ("backscatter_tag", "maybe", "yes and no"),
]
# Not a string in 2.4, but a section.
SENDER_DICT = "backscatter_sender_dict"


def table() -> dict[str, str]:
    """Every setting and its default, from the plugin's own table."""
    text = (ROOT / "plugin" / "settings" / "settings-table.h").read_text()
    return {f"backscatter_{name}": default
            for name, default in re.findall(r'^(?:USER|MESSAGE)_SETTING\(.+, (\w+), "(.*?)", \w+\)$', text, re.MULTILINE)}


def explained(file: str) -> list[tuple[str, str]]:
    """Settings and values that a file of conf.d shows, in its order."""
    return re.findall(r"^ *#(backscatter_\w+) =(.*)$", (ROOT / "conf.d" / file).read_text(), re.MULTILINE)


def test_both_configuration_files_explain_every_setting():
    old, new = explained("95-backscatter.conf"), explained("95-backscatter-2.4.conf")
    assert [setting for setting in old if setting[0] != SENDER_DICT] == new
    assert {name for name, _ in new} == set(table())
    assert SENDER_DICT in dict(old)
    assert f"\n#{SENDER_DICT} {{\n" in (ROOT / "conf.d" / "95-backscatter-2.4.conf").read_text()


def wrong_line(setting: str, value: str, allowed: str) -> str:
    return f"{setting} has the wrong value '{re.escape(value)}': .*{re.escape(allowed)}"


# doveconf

@pytest.fixture(scope="module")
def dovecot():
    """doveconf only reads."""
    with Dovecot(plugin={"backscatter_spf": None}) as dovecot:
        yield dovecot


@only_2_4
def test_doveconf_shows_what_was_changed(scratch):
    shown = scratch("backscatter_sources = sent\nbackscatter_report_age = 3 days").out
    assert re.findall(r"^ *(backscatter_.*)$", shown, re.MULTILINE) == [
        "backscatter_report_age = 3 days", "backscatter_sources = sent"]
    assert shown.count(" backscatter = yes") == 4 and shown.count("submission_backscatter = yes") == 1


@only_2_4
@pytest.mark.parametrize("setting, default", table().items())
def test_doveconf_prints_defaults(dovecot, setting, default):
    result = dovecot.doveconf(setting)
    assert (result.code, result.out.strip()) == (0, f"{setting} = {default}".strip())


@pytest.fixture
def scratch(dovecot):
    """scratch(text) -> doveconf -n's result for the configuration with that text at its end."""
    def check(text: str):
        before = dovecot.config.read_text()
        dovecot.config.write_text(before + text + "\n")
        result = dovecot.doveconf("-n")
        dovecot.config.write_text(before)
        return result
    return check


@only_2_4
@pytest.mark.parametrize("setting, value, allowed", WRONG)
def test_doveconf_refuses_a_wrong_value(scratch, setting, value, allowed):
    result = scratch(f"{setting} = {value}")
    assert result.code != 0
    assert re.search(wrong_line(setting, value, allowed), result.err), result.err


@only_2_4
def test_doveconf_takes_variables_that_it_does_not_know(scratch):
    assert scratch("backscatter_db = /srv/mail/%{user}.db\nbackscatter_addresses = info@%{user | domain}").code == 0


@only_2_4
def test_doveconf_shows_the_senders_dict(scratch):
    result = scratch("backscatter_sender_dict {\n  dict redis {\n    redis_socket_path = /run/redis.sock\n  }\n}")
    assert result.code == 0, result.err
    assert "backscatter_sender_dict { dict redis { redis_socket_path = /run/redis.sock } }" in " ".join(result.out.split())


@only_2_4
@pytest.mark.parametrize("section, said", [
    ("backscatter_sender_dict {\n}", "dict"),
    ("backscatter_sender_dict {\n  dict redis {\n    redis_sockt_path = /x\n  }\n}", "redis_sockt_path"),
    ("backscatter_sender_dict = proxy::senders", "backscatter_sender_dict")])
def test_doveconf_refuses_a_wrong_senders_dict(scratch, section, said):
    result = scratch(section)
    assert result.code != 0 and said in result.err, result


@only_2_4
def test_doveconf_refuses_a_setting_that_does_not_exist(scratch):
    result = scratch("backscatter_action_dsn_failed = annotate")
    assert result.code != 0 and "Unknown setting: backscatter_action_dsn_failed" in result.err


@only_2_4
@pytest.mark.parametrize("setting, value, allowed", WRONG)
def test_dovecot_does_not_start_with_a_wrong_value(setting, value, allowed):
    dovecot = Dovecot(plugin={setting: value})
    try:
        with pytest.raises(RuntimeError, match=wrong_line(setting, value, allowed)):
            dovecot.start()
    finally:
        dovecot.stop()


@only_2_4
def test_the_file_works_beside_debians_own(dovecot):
    """As README says: among the others in conf.d, and with every setting that it shows switched on."""
    etc = dovecot.folder / "etc"
    shutil.copytree("/etc/dovecot", etc, ignore=shutil.ignore_patterns("private"))
    text = (ROOT / "conf.d" / "95-backscatter-2.4.conf").read_text()
    shown = re.sub(r"^#(backscatter_\w+ =|backscatter_\w+ \{|service lmtp \{|namespace inbox \{|  .*[{}=]|\}$)", r"\1", text, flags=re.MULTILINE)
    assert f"\n{SENDER_DICT} {{\n  dict proxy {{\n" in shown
    assert "\nnamespace inbox {\n  mailbox Backscatter {\n    autoexpunge = 30d\n" in shown
    for file_text in (text, shown):
        (etc / "conf.d" / "95-backscatter.conf").write_text(file_text)
        result = dovecot.doveconf("-c", str(etc / "dovecot.conf"), "-n")
        assert result.code == 0, result.err
        assert result.out.count(" backscatter = yes") == 4


# The userdb

@pytest.fixture
def per_user(dovecot_factory):
    """per_user({fields of ALICE}): BOB has none."""
    def make(fields: dict[str, str]) -> Dovecot:
        dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"}, users={ALICE: fields, BOB: {}})
        for user in (ALICE, BOB):
            cover(dovecot, user)
        return dovecot
    return make


def forged(to: str) -> bytes:
    return dsn(sent_message(to=STRANGER, sender=to), to=to)


def test_the_userdb_overrides_one_users_settings(per_user):
    dovecot = per_user({"backscatter_action": "annotate"})
    assert judged(dovecot, forged(ALICE)) == Judged("INBOX", "backscatter", "not-sent")
    assert judged(dovecot, forged(BOB), BOB) == NOT_SENT
    dovecot.set_fields(ALICE, backscatter_action="annotate,dsn-failed=quarantine")
    assert judged(dovecot, forged(ALICE)) == NOT_SENT


@pytest.mark.parametrize("setting, value, allowed", WRONG)
def test_a_wrong_value_in_the_userdb_is_an_error_line(per_user, setting, value, allowed):
    dovecot = per_user({})
    dovecot.set_fields(ALICE, **{setting: value})
    since = dovecot.log.mark()
    assert [code for code, _ in dovecot.lmtp("", [ALICE, BOB], forged(f"{ALICE}, {BOB}"))] == [250, 250]
    dovecot.wait_log(rf"lmtp\({ALICE}\).*: Error: backscatter: .*{wrong_line(setting, value, allowed)}", since=since)
    assert sum(len(dovecot.messages(ALICE, mailbox)) for mailbox in ("INBOX", "Backscatter")) == 1
    assert dovecot.message(BOB, "Backscatter").verdict["reason"] == "not-sent"
    assert not dovecot.log_lines(rf"lmtp\({BOB}\).*Error", since)
