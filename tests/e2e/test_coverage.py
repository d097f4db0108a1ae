"""Which reports are condemned, and which are not because the log may not be believed (docs/design.md, sections 4 and 5)."""

import os
import re
from time import mktime, strptime, time

import pytest

from dovecot import ALICE, BOB, Dovecot
from sentlog import (DAY, FRIEND, GENUINE, NOT_COVERED, NOT_SENT, STRANGER, Judged, SentLog, auto_reply, cover,
                     coverage, dsn, found, judged, mdn, message_id_of, new_message_id, sent_message, unknown)


@pytest.fixture
def sent_server(dovecot_factory) -> Dovecot:
    """Sent copies are the source, and the log reaches back 30 days."""
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"})
    cover(dovecot)
    return dovecot


def forged(**fields) -> bytes:
    """A report about a message that nobody here has sent."""
    return dsn(sent_message(to=STRANGER, **fields))


# Coverage begins with the administrator's word (5.1, 5.2)

def test_without_sources_nothing_is_condemned(dovecot):
    cover(dovecot)
    assert judged(dovecot, forged()) == NOT_COVERED
    assert dovecot.wait_log(rf"{ALICE}.*reason=not-covered.*backscatter_sources")


def test_with_sources_and_coverage_a_forged_report_is_quarantined(sent_server):
    assert judged(sent_server, forged()) == NOT_SENT


def test_a_fresh_log_covers_nothing_yet(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"})
    assert judged(dovecot, forged()) == NOT_COVERED
    row = coverage(dovecot)
    assert (row["covered"], row["cause"]) == ("no", "created")


@pytest.mark.parametrize("made_by", ["import", "import --complete", "first report"])
@pytest.mark.parametrize("sources", ["sent", "submission", "submission sent"])
def test_a_mailbox_that_nothing_was_ever_logged_for_is_not_covered(dovecot_factory, made_by, sources):
    """A POP3 user: his bounces were filed from a day after the first one on."""
    dovecot = dovecot_factory(plugin={"backscatter_sources": sources})
    if made_by == "first report":
        assert judged(dovecot, forged(days_ago=0)) == NOT_COVERED
    else:
        dovecot.doveadm("backscatter", *made_by.split(), "-A", check=False)
    SentLog.of(dovecot).start_coverage(days_ago=2)
    assert judged(dovecot, forged(days_ago=0)) == NOT_COVERED
    SentLog.of(dovecot).start_coverage(days_ago=100)
    for report in (forged(days_ago=0), forged(days_ago=None), dsn(None)):
        assert judged(dovecot, report) == NOT_COVERED
    row = coverage(dovecot)
    assert row["covered"] == "no" and "no listed source has logged" in row["explanation"]
    assert dovecot.wait_log("reason=not-covered .*no listed source has logged")
    first, last = (row["explanation"].index(words) for words in ("sends past the listed sources", "--since"))
    assert first < last, "what invites the wrong cure comes last"


def test_where_another_source_has_logged_nobody_is_told_to_say_that_it_never_sends(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "submission"})
    dovecot.append(ALICE, "Sent", sent_message())
    row = coverage(dovecot)
    assert row["covered"] == "no" and "another one has" in row["explanation"] and "--since" not in row["explanation"]
    judged(dovecot, forged())
    assert "--since" not in dovecot.wait_log("reason=not-covered .*another one has.*").group()


def test_a_mailbox_that_never_sends_is_covered_on_the_administrators_word(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"})
    cover(dovecot, since="15d")
    assert judged(dovecot, forged()) == NOT_SENT
    row = coverage(dovecot)
    assert row["covered"] == "yes" and row["word"].startswith("--since of ") and row["rows"] == "none"
    assert re.search("covered since .*, on your word of .*coverage --since", row["explanation"])
    dovecot.doveadm("backscatter", "coverage", "restart", user=ALICE)
    SentLog.of(dovecot).start_coverage(days_ago=100)
    assert judged(dovecot, forged()) == NOT_COVERED
    assert coverage(dovecot)["word"].startswith("ended (given ")


def test_one_logged_message_covers_a_mailbox_until_the_retention_ends(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"})
    dovecot.append(ALICE, "Sent", sent_message())
    SentLog.of(dovecot).start_coverage(days_ago=20)
    assert judged(dovecot, forged()) == NOT_SENT
    SentLog.of(dovecot).make_older(91 * DAY)
    SentLog.of(dovecot).start_coverage(days_ago=20)
    assert judged(dovecot, forged()) == NOT_COVERED


def test_the_administrators_word_for_all(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"})
    dovecot.doveadm("backscatter", "coverage", "--since", "30d", "-A")
    for user in (ALICE, BOB):
        assert judged(dovecot, dsn(sent_message(to=STRANGER, sender=user), to=user), user) == NOT_SENT


def test_a_report_without_identity_is_not_condemned_where_something_was_sent(sent_server):
    sent_server.append(ALICE, "Sent", sent_message())
    assert judged(sent_server, dsn(None)) == unknown("no-identity")


@pytest.mark.parametrize("setting, value, named, allowed", [
    ("backscatter_sources", "sent sendmail", "backscatter_sources", "submission, milter and sent"),
    ("backscatter_report_age", "often", "backscatter_report_age", "a time such as"),
    ("backscatter_retention", "1 day", "backscatter_report_age", "not longer than backscatter_retention, which is 1 day")])
def test_a_wrong_value_is_named_and_the_mail_is_delivered(dovecot_factory, setting, value, named, allowed):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"}, unchecked={setting: value})
    report = forged()
    assert dovecot.lmtp("", [ALICE], report)[0][0] == 250
    assert found(dovecot, report).mailbox == "INBOX"
    assert dovecot.wait_log(rf"Error: .*{named} has the wrong value .*{allowed}")


# Breaks (5.3)

def restore(log: SentLog) -> None:
    copy = log.path.with_name("copy")
    log.backup(copy)
    copy.rename(log.path)


def test_a_restored_file_is_not_covered(sent_server):
    sent = sent_message()
    sent_server.append(ALICE, "Sent", sent)
    restore(SentLog.of(sent_server))
    assert judged(sent_server, forged()) == NOT_COVERED
    assert coverage(sent_server)["cause"] == "restored"
    assert judged(sent_server, dsn(sent)) == GENUINE, "the rows are as good as before"
    assert sent_server.wait_log("Warning: .*copied or restored")


def test_coverage_of_a_restored_file_starts_once(sent_server):
    restore(SentLog.of(sent_server))
    assert judged(sent_server, forged()) == NOT_COVERED
    cover(sent_server)
    assert judged(sent_server, forged()) == NOT_SENT


def test_another_source_list_is_a_break_and_so_is_the_way_back(sent_server):
    for sources in ("submission sent", "sent"):
        sent_server.restart(plugin={"backscatter_sources": sources})
        assert judged(sent_server, forged()) == NOT_COVERED
        assert coverage(sent_server)["cause"] == "sources-changed"
        cover(sent_server)
        assert judged(sent_server, forged()) == NOT_SENT


def test_the_same_sources_in_another_order_are_no_break(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "submission sent"})
    cover(dovecot)
    for same in ("sent submission", "sent, submission", "sent sent submission"):
        dovecot.restart(plugin={"backscatter_sources": same})
        assert judged(dovecot, forged()) == NOT_SENT


def test_a_wrong_source_list_is_no_break(sent_server):
    sent_server.restart(unchecked={"backscatter_sources": "sent sendmail"})
    assert judged(sent_server, forged()) == NOT_COVERED
    sent_server.restart(unchecked={})
    assert judged(sent_server, forged()) == NOT_SENT


def test_sources_are_compared_at_delivery_only(sent_server):
    """imap and doveadm may be configured otherwise."""
    sent_server.restart(plugin={"backscatter_sources": "submission sent"})
    sent_server.append(ALICE, "Sent", sent_message())
    row = coverage(sent_server)
    assert row["covered"] == "no" and "restarts with the next delivered report" in row["explanation"]
    sent_server.restart(plugin={"backscatter_sources": "sent"})
    assert judged(sent_server, forged()) == NOT_SENT


def make_gap_mark(dovecot: Dovecot) -> None:
    gap, uid = SentLog.of(dovecot).gap, dovecot.users[ALICE].uid
    gap.touch(0o600)
    os.chown(gap, uid, uid)


def test_a_gap_mark_restarts_coverage_once(sent_server):
    make_gap_mark(sent_server)
    assert judged(sent_server, forged()) == NOT_COVERED
    assert coverage(sent_server)["cause"] == "gap"
    assert not list(SentLog.of(sent_server).path.parent.glob("*.gap*"))
    assert sent_server.wait_log("Warning: .*without being logged")
    cover(sent_server)
    assert judged(sent_server, forged()) == NOT_SENT


def test_a_gap_mark_is_taken_up_by_the_next_sent_message_too(sent_server):
    make_gap_mark(sent_server)
    sent_server.append(ALICE, "Sent", sent_message())
    assert not SentLog.of(sent_server).gap.exists()
    assert judged(sent_server, forged()) == NOT_COVERED


def test_a_start_in_the_future_is_a_break(sent_server):
    SentLog.of(sent_server).start_coverage(days_ago=-3)
    assert judged(sent_server, forged()) == NOT_COVERED
    [(start,)] = SentLog.of(sent_server).query("SELECT coverage_start FROM meta")
    assert start <= time()
    assert coverage(sent_server)["cause"] == "clock"


@pytest.mark.parametrize("sources, covered", [("sent", False), ("submission sent", True)])
def test_a_sent_copy_without_message_id(dovecot_factory, sources, covered):
    """Where only copies are logged, its bounce could not be told from backscatter."""
    dovecot = dovecot_factory(plugin={"backscatter_sources": sources})
    cover(dovecot)
    dovecot.append(ALICE, "Sent", sent_message(message_id=None))
    assert judged(dovecot, forged()) == (NOT_SENT if covered else NOT_COVERED)
    assert (coverage(dovecot)["cause"] == "no-message-id") == (not covered)


def test_coverage_restart(sent_server):
    sent_server.doveadm("backscatter", "coverage", "restart", user=ALICE)
    assert judged(sent_server, forged()) == NOT_COVERED
    assert coverage(sent_server)["cause"] == "restarted"


# Another way out (5.5)

def copy_in_sent(dovecot: Dovecot, *, hours: float, **fields) -> bytes:
    """A Sent copy that was saved some hours ago."""
    sent = sent_message(**fields)
    dovecot.append(ALICE, "Sent", sent)
    SentLog.of(dovecot).make_older(hours * 3600)
    return sent


@pytest.fixture
def submission_server(dovecot_factory) -> Dovecot:
    dovecot = dovecot_factory(plugin={"backscatter_sources": "submission"})
    cover(dovecot)
    return dovecot


def test_of_a_login_without_domain_the_local_part_is_own(dovecot_factory):
    dovecot = dovecot_factory(users=("dora",), plugin={"backscatter_sources": "submission",
                                                       "backscatter_addresses": "info@example.test"})
    cover(dovecot, "dora")
    report = dsn(sent_message(sender="info@example.test", to=STRANGER), to="info@example.test")
    assert judged(dovecot, report, "dora") == NOT_SENT
    dovecot.append("dora", "Sent", sent_message(sender="Dora+x@example.test"))
    SentLog.of(dovecot, "dora").make_older(7200)
    again = dsn(sent_message(sender="info@example.test", to=STRANGER), to="info@example.test")
    assert judged(dovecot, again, "dora") == NOT_COVERED


def test_a_user_without_any_address_is_named(dovecot_factory):
    dovecot = dovecot_factory(users={ALICE: {}, "erin": {}, "dora": {"backscatter_addresses": "dora@example.test"}})
    named = {user: "no address of its own: set backscatter_addresses" in coverage(dovecot, user)["explanation"]
             for user in dovecot.users}
    assert named == {ALICE: False, "erin": True, "dora": False}


@pytest.mark.parametrize("headers", [{}, {"sender": "Alice@Example.TEST"}, {"sender": "alice+shop@example.test"}],
                         ids=["login", "upper case", "detail"])
def test_a_copy_that_no_source_logged_suspends_coverage(submission_server, headers):
    copy_in_sent(submission_server, hours=2, **headers)
    assert judged(submission_server, forged()) == NOT_COVERED
    row = coverage(submission_server)
    assert row["covered"] == "no" and "no listed source logged" in row["explanation"]
    assert submission_server.wait_log("reason=not-covered .*another way out")


@pytest.mark.parametrize("copy", [
    {"hours": 0.5}, {"hours": 2, "days_ago": 31}, {"hours": 2, "days_ago": 29.9, "since": "29d"}, {"hours": 2, "days_ago": None},
    {"hours": 2, "sender": "info@example.test"}, {"hours": 2, "sender": "postmaster@example.test"},
    {"hours": 2, "message_id": None}],
    ids=["just saved", "old", "before the start", "no date", "another's", "a role's", "no message-id"])
def test_copies_that_say_nothing_about_another_way_out(submission_server, copy):
    cover(submission_server, since=copy.pop("since", "30d"))
    copy_in_sent(submission_server, **copy)
    assert judged(submission_server, forged()) == NOT_SENT


def test_coverage_names_the_copy_that_shows_another_way_out(submission_server):
    sent = copy_in_sent(submission_server, hours=2)
    named = coverage(submission_server)
    assert named["covered"] == "no" and f"Sent UID 1 (<{message_id_of(sent)}>)" in named["explanation"]
    submission_server.doveadm("expunge", "mailbox", "Sent", "all", user=ALICE)
    assert "a copy that is gone" in coverage(submission_server)["explanation"]


def test_a_copy_that_a_listed_source_logged_is_in_order(submission_server):
    copy_in_sent(submission_server, hours=2)
    log = SentLog.of(submission_server)
    log.query("INSERT INTO message SELECT 100, 1, logged_at, date, 0, NULL FROM message")
    log.query("INSERT INTO identity SELECT hash, 100 FROM identity")
    assert judged(submission_server, forged()) == NOT_SENT


def test_a_copy_that_the_administrator_added_is_still_another_way_out(submission_server):
    sent = copy_in_sent(submission_server, hours=2)
    submission_server.do(ALICE, "backscatter", "sent", "add", message_id_of(sent))
    assert judged(submission_server, forged()) == NOT_COVERED


def test_a_suspended_report_is_genuine_all_the_same(submission_server):
    sent = copy_in_sent(submission_server, hours=2)
    assert judged(submission_server, dsn(sent)) == GENUINE


def test_coverage_is_dated_where_only_dated_reports_are_judged(dovecot_factory):
    """It said no while a bounce that returned its Date was convicted."""
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"})
    cover(dovecot, since="3d")
    row = coverage(dovecot)
    assert (row["covered"], row["cause"]) == ("dated", "set")
    until, after = re.search(r"until (\S+ \S+) a report is judged only if .* Date, and that is (\S+ \S+) or", row["explanation"]).groups()
    assert abs(mktime(strptime(until, "%Y-%m-%d %H:%M:%S")) - time() - 11 * DAY) < 7200
    assert abs(mktime(strptime(after, "%Y-%m-%d %H:%M:%S")) - time() + 2 * DAY) < 7200
    assert judged(dovecot, forged(days_ago=1)) == NOT_SENT
    assert judged(dovecot, forged(days_ago=None)) == NOT_COVERED


# How far back the log has to reach (5.6, 5.7)

@pytest.mark.parametrize("start, original, expected", [
    pytest.param(5, 10, NOT_COVERED, id="sent before the start"),
    pytest.param(5, 5.5, NOT_COVERED, id="sent just before the start"),
    pytest.param(5, 4.5, NOT_COVERED, id="less than a day after the start"),
    pytest.param(5, 3, NOT_SENT, id="after the start"),
    pytest.param(5, None, NOT_COVERED, id="no date, young log"),
    pytest.param(15, None, NOT_SENT, id="no date, the log reaches back the report age"),
    pytest.param(5, -3, NOT_COVERED, id="a date in the future counts for nothing"),
    pytest.param(15, -3, NOT_SENT, id="a date in the future and an old log"),
    pytest.param(15, 20, NOT_COVERED, id="an old date before the start"),
    pytest.param(30, 20, NOT_SENT, id="an old date after the start"),
    pytest.param(95, 200, NOT_SENT, id="older than the retention")])
def test_returned_date(dovecot_factory, start, original, expected):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"})
    cover(dovecot)
    SentLog.of(dovecot).start_coverage(start)
    assert judged(dovecot, forged(days_ago=original)) == expected


def test_report_age_is_a_setting(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_report_age": "3 days"})
    cover(dovecot, since="4d")
    assert judged(dovecot, forged(days_ago=None)) == NOT_SENT


# Whom a report is addressed to, and whom the mailbox wrote to (rows 5, 8, 10)

@pytest.mark.parametrize("to", [
    "stranger@elsewhere.example", "alice@elsewhere.example", "postmaster@example.test", "abuse@example.test",
    "MAILER-DAEMON@example.test", "root@example.test", "undisclosed-recipients:;", "", None])
def test_a_report_to_a_foreign_address(sent_server, to):
    assert judged(sent_server, dsn(sent_message(to=STRANGER), to=to)) == unknown("other-address")


@pytest.mark.parametrize("to", [
    "alice@example.test", "Alice@EXAMPLE.test", '"Alice, private" <alice@example.test>', "alice+shop@example.test",
    "stranger@elsewhere.example, alice@example.test", "info@example.test", "anybody@all.example"])
def test_a_report_to_an_own_address(dovecot_factory, to):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent",
                                      "backscatter_addresses": "info@example.test, @all.example"})
    cover(dovecot)
    assert judged(dovecot, dsn(sent_message(to=STRANGER), to=to)) == NOT_SENT


def test_a_role_is_never_own(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent",
                                      "backscatter_addresses": "postmaster@example.test @example.test"})
    cover(dovecot)
    assert judged(dovecot, dsn(sent_message(to=STRANGER), to="postmaster@example.test")) == unknown("other-address")


@pytest.mark.parametrize("report", [
    pytest.param({"recipients": [FRIEND.upper()]}, id="failed recipient"),
    pytest.param({"recipients": [STRANGER, FRIEND]}, id="one of the failed recipients"),
    pytest.param({"about": sent_message(to=f"{STRANGER}, <{FRIEND}>")}, id="returned To"),
    pytest.param({"about": sent_message(to=STRANGER, headers=(f"Cc: Friend <{FRIEND}>",))}, id="returned Cc")])
def test_a_recipient_that_this_mailbox_wrote_to(sent_server, report):
    sent_server.append(ALICE, "Sent", sent_message(to=FRIEND))
    fields = {"about": sent_message(to=STRANGER), "recipients": [STRANGER]} | report
    assert judged(sent_server, dsn(fields.pop("about"), **fields)) == unknown("recipient-known")


def test_a_recipient_of_the_same_domain_is_not_known(sent_server):
    sent_server.append(ALICE, "Sent", sent_message(to=FRIEND))
    assert judged(sent_server, dsn(sent_message(to="foe@friends.example"))) == NOT_SENT


@pytest.mark.parametrize("recipients, expected", [
    (["victim@strangers.example"], unknown("other-recipient")), (["foe@friends.example"], GENUINE), ([], GENUINE),
    ([STRANGER, FRIEND], GENUINE)], ids=["another", "same domain", "none named", "one of them"])
def test_a_report_about_a_sent_message_and_other_recipients(sent_server, recipients, expected):
    sent = sent_message(to=FRIEND)
    sent_server.append(ALICE, "Sent", sent)
    assert judged(sent_server, dsn(sent, recipients=recipients)) == expected


# Reports that are no bounces (rows 6, 7, 9)

@pytest.mark.parametrize("original", [
    sent_message(to=STRANGER, headers=(f"X-Sieve-Redirected-From: {ALICE}",)),
    sent_message(to=STRANGER, message_id="dovecot-sieve-1700000000-12345-0@mx.example.test")], ids=["redirect", "vacation"])
def test_a_bounce_of_what_sieve_sent(sent_server, original):
    assert judged(sent_server, dsn(original)) == unknown("automatic")


def test_a_redirect_of_somebody_else_protects_nothing(sent_server):
    original = sent_message(to=STRANGER, headers=("X-Sieve-Redirected-From: someone@elsewhere.example",))
    assert judged(sent_server, dsn(original)) == NOT_SENT


def test_an_auto_reply_is_matched_but_never_condemned(sent_server):
    sent = sent_message()
    sent_server.append(ALICE, "Sent", sent)
    assert judged(sent_server, auto_reply(sent)) == Judged("INBOX", "genuine", "reference")
    assert judged(sent_server, auto_reply(sent_message())) == unknown("no-match")


def test_references_inside_the_returned_original_are_no_evidence(sent_server):
    sent = sent_message()
    sent_server.append(ALICE, "Sent", sent)
    spam = sent_message(to=STRANGER, headers=(f"References: <{message_id_of(sent)}>", f"In-Reply-To: <{message_id_of(sent)}>"))
    assert judged(sent_server, dsn(spam)) == NOT_SENT


@pytest.mark.parametrize("since, expected", [("30d", NOT_COVERED), ("91d", unknown("no-identity"))])
def test_an_mdn_may_come_as_late_as_the_retention(sent_server, since, expected):
    sent = sent_message()
    sent_server.append(ALICE, "Sent", sent)
    cover(sent_server, since=since)
    assert judged(sent_server, mdn(sent)) == GENUINE
    assert judged(sent_server, mdn(sent_message(to=STRANGER))) == expected


# Retention, replays, and whose log it is

def add(dovecot: Dovecot, message: bytes, user: str = ALICE) -> None:
    """A row without a copy in Sent: what lies there is read again, and is as young as it says."""
    dovecot.do(user, "backscatter", "sent", "add", message_id_of(message), FRIEND)


@pytest.mark.parametrize("days, expected", [(89, GENUINE), (91, NOT_SENT)])
def test_retention(sent_server, days, expected):
    sent = sent_message()
    add(sent_server, sent)
    SentLog.of(sent_server).make_older(days * DAY)
    assert judged(sent_server, dsn(sent)) == expected


def test_expired_rows_are_removed_by_later_writes(sent_server):
    log = SentLog.of(sent_server)
    for _ in range(30):
        sent_server.append(ALICE, "Sent", sent_message())
    log.make_older(91 * DAY)
    for _ in range(10):
        sent_server.append(ALICE, "Sent", sent_message())
    assert log.counts() == {"sent": 10}
    for table, rows in (("identity", 10), ("recipient", 10)):
        assert log.query(f"SELECT count(*) FROM {table}") == [(rows,)]


def test_the_retention_may_differ_per_user(dovecot_factory):
    dovecot = dovecot_factory(users={ALICE: {"backscatter_retention": "20d"}, BOB: {}},
                              plugin={"backscatter_sources": "sent"})
    originals = {user: sent_message(sender=user) for user in (ALICE, BOB)}
    for user, sent in originals.items():
        add(dovecot, sent, user)
        SentLog.of(dovecot, user).make_older(21 * DAY)
        cover(dovecot, user)
    assert judged(dovecot, dsn(originals[ALICE])) == NOT_SENT
    assert judged(dovecot, dsn(originals[BOB], to=BOB), BOB) == GENUINE


REPLAYED = unknown("replayed")


def test_three_bounces_of_one_message_are_genuine_the_fourth_is_a_replay(sent_server):
    sent = sent_message(to=f"{FRIEND}, other@friends.example")
    sent_server.append(ALICE, "Sent", sent)
    verdicts = [judged(sent_server, dsn(sent, recipients=[FRIEND])) for _ in range(5)]
    assert verdicts == [GENUINE] * 3 + [REPLAYED] * 2
    assert judged(sent_server, dsn(sent, recipients=["other@friends.example"])) == GENUINE, "another recipient"
    assert judged(sent_server, dsn(sent, recipients=[FRIEND], action="delayed")) == GENUINE, "another class"
    assert judged(sent_server, dsn(sent, recipients=[FRIEND, "other@friends.example"])) == GENUINE, "not all used up"


def test_a_replay_needs_no_sources(dovecot):
    """Counting begins before backscatter_sources is filled in."""
    sent = sent_message()
    dovecot.append(ALICE, "Sent", sent)
    assert [judged(dovecot, dsn(sent)) for _ in range(4)] == [GENUINE] * 3 + [REPLAYED]


def test_an_alias_that_fans_out_fails_for_each_member(sent_server):
    sent = sent_message(to="list@friends.example")
    sent_server.append(ALICE, "Sent", sent)
    members = [f"member-{number}@friends.example" for number in range(20)]
    assert {judged(sent_server, dsn(sent, recipients=[member])) for member in members} == {GENUINE}


def test_evidence_belongs_to_the_mailbox_that_receives_the_report(sent_server):
    sent = sent_message(sender=f"{ALICE}>, <{BOB}")
    sent_server.append(BOB, "Sent", sent)
    report = dsn(sent, to=f"{ALICE}, {BOB}")
    assert [code for code, _ in sent_server.lmtp("", [ALICE, BOB], report)] == [250, 250]
    assert found(sent_server, report, ALICE) == NOT_SENT
    assert found(sent_server, report, BOB) == GENUINE


def test_hashes_differ_between_mailboxes(sent_server):
    """The same Message-ID and recipient in two logs: who reads one file learns nothing about the other."""
    sent = sent_message(message_id=new_message_id())
    for user in (ALICE, BOB):
        sent_server.append(user, "Sent", sent)
    for column in ("identity.hash", "recipient.address", "recipient.domain"):
        table = column.partition(".")[0]
        alice, bob = (SentLog.of(sent_server, user).query(f"SELECT {column} FROM {table}") for user in (ALICE, BOB))
        assert len(alice) == len(bob) == 1 and alice != bob


def test_the_report_line_tells_an_administrator_everything(sent_server):
    original = sent_message(to=STRANGER)
    report = dsn(original)
    judged(sent_server, report)
    line = sent_server.wait_log(f".*original-msgid=<{re.escape(message_id_of(original))}>.*").group()
    for words in (f"lmtp({ALICE})", f"msgid=<{message_id_of(report)}>", "class=dsn-failed", "verdict=backscatter",
                  "reason=not-sent", "evidence=message-id", f"original-msgid=<{message_id_of(original)}>",
                  "action=quarantine"):
        assert words in line, line
