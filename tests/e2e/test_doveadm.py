"""The administrator's commands: doveadm backscatter sent|import|coverage|explain (issue 10, parts 6 and 7)."""

import fcntl
import json
import os
import re
import time
from datetime import date, timedelta

import pytest

import doveadm_http
from dovecot import ALICE, BOB, CAROL, Dovecot, Result
from dovecot_config import IS_2_3, ROOT
from sentlog import (DAY, FRIEND, GENUINE, NOT_COVERED, NOT_SENT, STRANGER, SentLog, cover, coverage, dsn, judged, message_id_of,
                     sent_message, unknown)

EX_USAGE, EX_DATAERR, EX_NOUSER, EX_TEMPFAIL = 64, 65, 67, 75


def backscatter(dovecot: Dovecot, *args: str, **options) -> Result:
    return dovecot.doveadm("backscatter", *args, **options)


@pytest.fixture
def server(dovecot_factory) -> Dovecot:
    return dovecot_factory(plugin={"backscatter_sources": "sent"})


# sent add, find, count

@pytest.mark.parametrize("written", ["<{}>", "{}", " < {} > "])
def test_sent_add(server, written):
    sent = sent_message()
    backscatter(server, "sent", "add", written.format(message_id_of(sent).upper()), FRIEND.upper(), user=ALICE)
    assert SentLog.of(server).counts() == {"admin": 1}
    assert judged(server, dsn(sent)) == GENUINE
    assert judged(server, dsn(sent, recipients=[STRANGER])) == unknown("other-recipient")
    assert judged(server, dsn(sent_message(to=FRIEND))) == unknown("recipient-known")


def test_sent_add_without_recipients_fits_every_report(server):
    sent = sent_message()
    backscatter(server, "sent", "add", message_id_of(sent), user=ALICE)
    assert judged(server, dsn(sent, recipients=[STRANGER])) == GENUINE


def test_sent_add_gives_evidence_never_coverage(server):
    backscatter(server, "sent", "add", "1@client.example.test", user=ALICE)
    assert judged(server, dsn(sent_message(to=STRANGER))) == NOT_COVERED


@pytest.mark.parametrize("args, code, words", [
    (["sent", "add"], EX_USAGE, "backscatter sent add .*message-id"),
    (["sent", "add", ""], None, "no Message-ID"),
    (["sent", "add", "hello"], EX_USAGE, "'hello' is no Message-ID: .*neither brackets nor an @"),
    (["sent", "add", "--source", "submission", "a@b"], EX_USAGE, "--source .*'submission': allowed: milter admin"),
    (["sent", "gap", "--source", "admin"], EX_USAGE, "--source .*'admin': allowed: submission milter sent"),
    (["sent", "add", "--serial", "A1", "a@b"], EX_USAGE, "'A1' is no serial"),
    (["sent", "add", "--envelope-id", "", "a@b"], EX_USAGE, "no envelope id"),
    (["sent", "add", "--envelope-id", "a\tb", "a@b"], EX_USAGE, "no envelope id: .*printable"),
    (["sent", "add", "--date", "yesterday", "a@b"], EX_USAGE, "--date .*'yesterday': .*seconds"),
    (["sent", "add", "--sent-at", "-1", "a@b"], EX_USAGE, "--sent-at .*'-1': .*seconds"),
    (["sent", "add", "a@b", "friend@friends.example", "@friends.example"], EX_USAGE, "'@friends.example' is no address: "),
    (["sent", "add", "a@b", ""], EX_USAGE, "'' is no address: it is empty"),
    (["sent", "add", "a@b", "a b"], EX_USAGE, "'a b' is no address: .*blanks"),
    (["sent", "add", "a@b", "x" * 1100 + "@example.test"], EX_USAGE, "is no address: it is too long"),
    (["sent", "add", "a@b", "a\nb@example.test"], EX_USAGE, "is no address: .*control"),
    (["sent", "add", "a@b", "<friend@friends.example>"], EX_USAGE, "is no address: .*brackets"),
    (["sent", "find"], EX_USAGE, "backscatter sent find .*message-id"),
    (["coverage", "--since", "yesterday"], None, "--since .*'yesterday'.*YYYY-MM-DD"),
    (["coverage", "--since", "2025-13-45"], None, "--since .*YYYY-MM-DD"),
    (["coverage", "--since", ""], None, "--since .*YYYY-MM-DD"),
    (["coverage", "--since", "2999-01-01"], None, "2999-01-01 lies in the future"),
    (["coverage", "--since"], EX_USAGE, "since"),
    (["coverage", "-s", "--", "-A"], EX_USAGE, "--since needs a date"),
    (["coverage", "show", "--since", "30d"], EX_USAGE, "backscatter coverage"),
    (["coverage", "begin"], EX_USAGE, "backscatter coverage"),
    (["explain"], EX_USAGE, "backscatter explain"),
    (["explain", "/nonexistent"], None, "/nonexistent.*No such file"),
    (["explain", "/"], None, "directory"),
    (["import", "--compleet"], EX_USAGE, "compleet")])
def test_wrong_arguments(server, args, code, words):
    result = backscatter(server, *args, user=ALICE, check=False)
    assert result.code == code if code is not None else result.code not in (0, EX_TEMPFAIL), result
    assert re.search(words, result.err + result.out, re.DOTALL), result
    assert SentLog.of(server).counts() == {}


@pytest.mark.parametrize("args", [["sent", "find", "a@b"], ["sent", "count"], ["import"], ["coverage", "restart"], ["key", "list"]])
def test_a_user_has_to_be_named(server, args):
    result = server.doveadm("backscatter", *args, check=False)
    if IS_2_3:
        assert result.code == EX_USAGE
        assert re.fullmatch(r".*Error: backscatter [a-z ]+: user is missing: -u USER, or -A for all\n", result.err), result
    else:
        # Dovecot's own words and code
        assert (result.code, result.err.count("\n")) == (EX_TEMPFAIL, 1) and "One of -u, -F, -A" in result.err, result


@pytest.mark.parametrize("args", [["sent", "find", "a@b"], ["sent", "count"], ["import"], ["coverage"], ["sent", "add", "a@b"]])
def test_an_unknown_user(server, args):
    assert backscatter(server, *args, user="nobody@example.test", check=False).code == EX_NOUSER


def test_sent_find(server):
    """Does the log know this message, from which sources, and since when?"""
    sent = sent_message(to=f"{FRIEND}, {STRANGER}")
    server.append(ALICE, "Sent", sent)

    def find(message_id: str, user: str = ALICE) -> dict[str, str]:
        [row] = backscatter(server, "sent", "find", message_id, user=user, formatter="tab").rows()
        return row

    row = find(f"<{message_id_of(sent).upper()}>")
    assert (row["known"], row["sources"], row["recipients"]) == ("yes", "sent", "2")
    assert abs(time.time() - time.mktime(time.strptime(row["logged"], "%Y-%m-%d %H:%M:%S"))) < 60
    unknown_message = {"known": "no", "sources": "", "logged": "", "recipients": "0"}
    assert find("another@client.example.test") == unknown_message
    assert find(message_id_of(sent), BOB) == unknown_message and not SentLog.of(server, BOB).path.exists()
    backscatter(server, "sent", "add", message_id_of(sent), user=ALICE)
    assert find(message_id_of(sent))["sources"] == "sent admin"
    SentLog.of(server).make_older(91 * DAY)
    assert find(message_id_of(sent)) == unknown_message


def test_sent_count(server):
    for _ in range(3):
        server.append(ALICE, "Sent", sent_message())
    backscatter(server, "sent", "add", "1@client.example.test", user=ALICE)
    assert backscatter(server, "sent", "count", user=ALICE, formatter="json").json() == [
        {"submission": "0", "milter": "0", "sent": "3", "admin": "1"}]


def test_looking_makes_no_log(server):
    for args in (["sent", "find", "a@b"], ["sent", "count"], ["coverage"], ["coverage", "show"]):
        backscatter(server, *args, "-A")
    assert SentLog.of(server).files() == []
    assert coverage(server)["cause"] == "no-log"


# All users, all formatters

@pytest.mark.parametrize("formatter", ["table", "tab", "json", "flow", "pager"])
@pytest.mark.parametrize("args", [["sent", "find", "a@b"], ["sent", "count"], ["import"], ["coverage"]])
def test_every_command_for_all_users_and_formatters(server, args, formatter):
    for user in (ALICE, BOB):
        server.append(user, "Sent", sent_message(sender=user))
    one = backscatter(server, *args, user=ALICE, formatter=formatter).out
    everybody = backscatter(server, *args, "-A", formatter=formatter).out
    assert one.strip() and ALICE not in one
    users = {ALICE, BOB, CAROL}
    assert set(re.findall(r"\w+@example\.test", everybody)) == users
    if formatter == "json":
        assert len(json.loads(one)) == 1 and {row["username"] for row in json.loads(everybody)} == users


@pytest.mark.parametrize("command, says", [(["sent", "add", "1@client.example.test"], None),
                                           (["coverage", "restart"], "no .* restarted"),
                                           (["coverage", "--since", "30d"], "yes .* set")])
def test_commands_that_change_something_work_for_all_users_too(server, command, says):
    out = backscatter(server, *command, "-A").out
    for user in (ALICE, BOB, CAROL):
        assert SentLog.of(server, user).path.exists()
        assert not out.strip() if says is None else re.search(f"{user} +{says}", out)


def test_one_broken_log_does_not_stop_the_others(server):
    SentLog.of(server).path.mkdir()
    result = backscatter(server, "import", "-A", check=False)
    assert result.code == EX_TEMPFAIL and ALICE in result.err
    assert SentLog.of(server, BOB).path.exists() and SentLog.of(server, CAROL).path.exists()


OTHER_SERIAL = "AE" + "A" * 35


def add_as_the_milter(dovecot: Dovecot, *args: str, **options) -> Result:
    return backscatter(dovecot, "sent", "add", "--source", "milter", *args, user=ALICE, **options)


def test_sent_add_as_a_milter_tells_of_it(server):
    """With all that a report may come back with, and the time it left."""
    sent = sent_message()
    left = int(time.time()) - 3 * 3600
    add_as_the_milter(server, "--serial", OTHER_SERIAL.lower(), "--envelope-id", "Client's own 1", "--date", str(left - 60),
                      "--sent-at", str(left), f"<{message_id_of(sent)}>", FRIEND)
    log = SentLog.of(server)
    assert log.query("SELECT source, logged_at, date, serial FROM message") == [(2, left, left - 60, OTHER_SERIAL)]
    assert judged(server, dsn(sent)) == GENUINE
    for about, reason in ((("X-Backscatter-Serial: " + OTHER_SERIAL,), "serial"), ((), "envid")):
        report = dsn(sent_message(headers=about), recipients=[FRIEND])
        if reason == "envid":
            report = report.replace(b"Reporting-MTA:", b"Original-Envelope-Id: Client's+20own+201\r\nReporting-MTA:")
        assert judged(server, report) == ("INBOX", "genuine", reason)


@pytest.mark.parametrize("serial", [[], ["--serial", OTHER_SERIAL]], ids=["without serial", "with serial"])
def test_sent_add_of_the_same_again_changes_nothing(server, serial):
    """An answer that was lost is asked for again: that is no second message, of which more reports would be genuine."""
    sent = sent_message()
    left = str(int(time.time()) - 60)
    rows = []
    for _ in range(2):
        add_as_the_milter(server, *serial, "--date", left, "--sent-at", left, message_id_of(sent), FRIEND)
        rows.append([SentLog.of(server).query(f"SELECT * FROM {table}") for table in ("message", "identity", "recipient")])
    assert rows[0] == rows[1] and len(rows[0][0]) == 1
    assert [judged(server, dsn(sent)) for _ in range(4)] == [GENUINE] * 3 + [unknown("replayed")]


def test_sent_add_of_what_was_sent_again_counts_twice(server):
    sent = sent_message()
    for serial in (OTHER_SERIAL, OTHER_SERIAL[:-2] + "BA"):
        add_as_the_milter(server, "--serial", serial, message_id_of(sent), FRIEND)
    assert SentLog.of(server).counts() == {"milter": 1}
    assert [judged(server, dsn(sent)) for _ in range(7)] == [GENUINE] * 6 + [unknown("replayed")]


@pytest.mark.parametrize("sent_at", ["4000000000", "0", None], ids=["in the future", "not known", "not given"])
def test_sent_add_is_never_later_than_now(server, sent_at):
    add_as_the_milter(server, *(["--sent-at", sent_at, "--date", "0"] if sent_at else []), "1@client.example.test")
    [(logged_at, date_of)] = SentLog.of(server).query("SELECT logged_at, date FROM message")
    assert abs(time.time() - logged_at) < 60 and date_of == 0


def test_sent_add_of_what_is_older_than_the_retention(server):
    add_as_the_milter(server, "--sent-at", str(int(time.time() - 91 * DAY)), "1@client.example.test")
    assert SentLog.of(server).counts() == {}


@pytest.mark.parametrize("recipient", ["postmaster", '"a b"@example.test', "a@[192.0.2.1]", "a@[IPv6:2001:db8::1]",
                                       "müller@bücher.example", "x" * 300 + "@example.test"])
def test_sent_add_takes_what_an_mta_would_send_to(server, recipient):
    add_as_the_milter(server, "1@client.example.test", recipient)
    assert SentLog.of(server).query("SELECT count(*) FROM recipient") == [(1,)]


# sent gap

def test_sent_gap(server):
    cover(server)
    assert coverage(server)["covered"] == "yes"
    backscatter(server, "sent", "gap", user=ALICE)
    now = coverage(server)
    assert (now["covered"], now["cause"]) == ("no", "gap") and now["word"].startswith("ended (given ")
    assert "; coverage started anew: a message may have left without being logged" in now["explanation"]
    assert abs(time.time() - time.mktime(time.strptime(now["since"], "%Y-%m-%d %H:%M:%S"))) < 60
    assert judged(server, dsn(sent_message(to=STRANGER))) == NOT_COVERED


def test_a_gap_that_is_told_again_changes_nothing(server):
    """As by a milter to which nobody answered: nor does it undo what the administrator has said since."""
    cover(server)
    SentLog.of(server).query("UPDATE meta SET word_given = word_given - 1000")
    until = int(time.time()) - 100
    told = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(until))
    for _ in range(2):
        backscatter(server, "sent", "gap", "--until", str(until), user=ALICE)
        assert (coverage(server)["cause"], coverage(server)["since"]) == ("gap", told)
    backscatter(server, "coverage", "--since", "30 days", user=ALICE)
    backscatter(server, "sent", "gap", "--until", str(until), user=ALICE)
    assert coverage(server)["covered"] == "yes"
    backscatter(server, "sent", "gap", "--until", str(until + 1000), user=ALICE)
    now = coverage(server)
    assert now["cause"] == "gap" and now["since"] > told, "never in the future"


def test_a_gap_of_a_log_whose_folder_is_away(dovecot_factory):
    """It would come back with its old coverage."""
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_db": "/tmp/away/%u.db"})
    result = backscatter(dovecot, "sent", "gap", user=ALICE, check=False)
    assert result.code == 75 and "/tmp/away" in result.err


def test_sent_gap_makes_no_log(server):
    cover(server, BOB)
    backscatter(server, "sent", "gap", "-A")
    assert SentLog.of(server).files() == [] and SentLog.of(server, CAROL).files() == []
    assert coverage(server, BOB)["cause"] == "gap"


@pytest.mark.parametrize("source, concerned", [("milter", [BOB]), ("sent", [ALICE, BOB]), ("submission", [])])
def test_sent_gap_of_one_source_concerns_those_who_list_it(dovecot_factory, source, concerned):
    """A milter that was down says nothing of users who send past it."""
    dovecot = dovecot_factory(users={ALICE: {"backscatter_sources": "sent"}, BOB: {"backscatter_sources": "sent,milter"}})
    for user in (ALICE, BOB):
        cover(dovecot, user)
    backscatter(dovecot, "sent", "gap", "--source", source, "-A")
    assert [user for user in (ALICE, BOB) if coverage(dovecot, user)["cause"] == "gap"] == concerned


def test_sent_gap_while_the_log_is_locked(server):
    """Nobody has to come again."""
    cover(server)
    with SentLog.of(server).locked():
        result = backscatter(server, "sent", "gap", user=ALICE)
    assert "gap not logged: " in result.err and "locked" in result.err
    assert judged(server, dsn(sent_message(to=STRANGER))) == NOT_COVERED
    assert coverage(server)["cause"] == "gap"


def test_sent_gap_that_can_not_even_be_marked(server):
    """Not "try again": that would start everybody's coverage anew each time."""
    cover(server, BOB)
    SentLog.of(server).path.mkdir()
    server.users[ALICE].home.chmod(0o500)
    result = backscatter(server, "sent", "gap", "-A", check=False)
    assert result.code == EX_DATAERR and f"coverage restart -u {ALICE}" in result.err
    assert coverage(server, BOB)["cause"] == "gap"


# Over HTTP

@pytest.fixture
def http(dovecot_factory) -> Dovecot:
    return dovecot_factory(plugin={"backscatter_sources": "milter"}, extra=doveadm_http.LISTENER)


def test_sent_add_over_http(http):
    sent = sent_message()
    left = int(time.time()) - 60
    row = {"user": ALICE, "source": "milter", "serial": OTHER_SERIAL, "envelopeId": "E1", "date": left, "sentAt": left,
           "messageId": f"<{message_id_of(sent)}>", "recipient": [FRIEND]}
    answers = doveadm_http.calls(http, [("backscatterSentAdd", row)] * 2)
    assert [answer.code for answer in answers] == [0, 0]
    assert SentLog.of(http).query("SELECT source, logged_at, date, serial FROM message") == [(2, left, left, OTHER_SERIAL)]
    assert SentLog.of(http).query("SELECT count(*) FROM identity") == [(3,)]
    assert judged(http, dsn(sent)) == GENUINE


def test_sent_gap_over_http(http):
    cover(http)
    cover(http, BOB)
    # 2.3 leaves the process with BOB's rights, with which auth lists no users
    assert doveadm_http.call(http, "backscatterSentGap", user=BOB).code == 0
    assert coverage(http, BOB)["cause"] == "gap" and coverage(http)["cause"] == "set"
    assert doveadm_http.call(http, "backscatterSentGap", allUsers=True).code == 0
    assert coverage(http)["cause"] == "gap"
    assert doveadm_http.call(http, "backscatterSentGap", user="nobody@example.test").code == EX_NOUSER


def test_only_allowed_commands_are_answered_over_http(dovecot_factory):
    """As docs/sending.md has it."""
    allowed = re.search(r"^ +doveadm_allowed_commands " + (r"= .*$" if IS_2_3 else r"\{$[^}]*\}$"),
                        (ROOT / "docs" / "sending.md").read_text(), re.MULTILINE).group()
    dovecot = dovecot_factory(extra=f"{doveadm_http.LISTENER}{allowed}\n")
    errors = [doveadm_http.call(dovecot, f"backscatterSent{name}", user=ALICE, **parameters).error
              for name, parameters in (("Add", MESSAGE_ID), ("Gap", {}), ("Find", MESSAGE_ID))]
    assert errors == ["", "", "unAuthorized"]


MESSAGE_ID = {"messageId": "1@client.example.test"}
WRONG_ARGUMENTS = [
    ("SentAdd", {}), ("SentAdd", {"messageId": ""}), ("SentAdd", {"messageId": "hello"}),
    ("SentAdd", MESSAGE_ID | {"source": "sent"}), ("SentGap", {"source": "admin"}), ("SentAdd", MESSAGE_ID | {"serial": "A"}),
    ("SentAdd", MESSAGE_ID | {"envelopeId": ""}), ("SentAdd", MESSAGE_ID | {"envelopeId": "a\nb"}),
    ("SentAdd", MESSAGE_ID | {"date": "today"}), ("SentAdd", MESSAGE_ID | {"sentAt": -1}),
    ("SentAdd", MESSAGE_ID | {"recipient": [FRIEND, "@x"]}), ("SentFind", {}), ("Verify", {}), ("Explain", {}),
    ("Coverage", {"since": "yesterday"}), ("Coverage", {"since": "30d", "command": "show"}), ("Coverage", {"command": "begin"}),
    ("Import", {"except": ["Archive"]})]


@pytest.mark.parametrize("who", [{"user": ALICE}, {"allUsers": True}, {"user": "*"}], ids=["one", "all", "mask"])
def test_wrong_arguments_over_http_end_no_process(http, who):
    [pid] = {doveadm_pid(http) for _ in range(2)}
    for command, parameters in WRONG_ARGUMENTS:
        answer = doveadm_http.call(http, f"backscatter{command}", **who, **parameters)
        assert answer.code == EX_USAGE, (command, parameters, answer)
    assert doveadm_pid(http) == pid and SentLog.of(http).files() == []
    assert not http.log_lines("Fatal|Panic")


@pytest.mark.parametrize("command, parameters", [
    ("SentAdd", MESSAGE_ID), ("SentGap", {}), ("SentFind", MESSAGE_ID), ("SentCount", {}), ("Coverage", {"allUsers": False}),
    ("Import", {}), ("Addresses", {}), ("KeyList", {}), ("Verify", {"addressOrSerial": "A"}), ("Spf", {}), ("KeyGenerate", {})])
def test_nobody_named_over_http_ends_no_process(http, command, parameters):
    pid = doveadm_pid(http)
    assert doveadm_http.call(http, f"backscatter{command}", **parameters).code == EX_USAGE
    assert doveadm_pid(http) == pid and not http.log_lines("Fatal|Panic")


def doveadm_pid(dovecot: Dovecot) -> int:
    """Of the one process that answers."""
    assert doveadm_http.call(dovecot, "backscatterSentCount", user=ALICE).code == 0
    [pid] = dovecot.pids("doveadm")
    return pid


# import

def save_history(dovecot: Dovecot, mailbox: str, count: int, *, days_ago: float = 1, **fields) -> list[bytes]:
    """Copies that lie there from before the plugin was switched on."""
    messages = [sent_message(days_ago=days_ago, **fields) for _ in range(count)]
    dovecot.restart(backscatter=False)
    with dovecot.imap(ALICE) as client:
        for message in messages:
            status, reply = client.append(f'"{mailbox}"', None, f'"{internal_date(days_ago)}"', message)
            assert status == "OK", reply
    dovecot.restart(backscatter=True)
    return messages


def internal_date(days_ago: float) -> str:
    return time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(time.time() - days_ago * DAY))


def test_import_reads_the_history_of_all_sent_mailboxes(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_sent_mailboxes": "Sent Items"})
    for mailbox in ("Sent Items", "Other"):
        dovecot.do(ALICE, "mailbox", "create", mailbox)
    history = save_history(dovecot, "Sent", 300)
    history += save_history(dovecot, "Sent Items", 2)
    other = save_history(dovecot, "Other", 1)
    assert SentLog.of(dovecot).counts() == {}
    [row] = backscatter(dovecot, "import", user=ALICE, formatter="tab").rows()
    assert list(row.values()) == ["2", "302", "0", "", ""]
    assert SentLog.of(dovecot).counts() == {"sent": 302}
    for sent in (history[0], history[150], history[-1]):
        assert judged(dovecot, dsn(sent)) == GENUINE
    assert judged(dovecot, dsn(other[0], recipients=[])).verdict == "unknown"


def test_import_gives_evidence_never_coverage(server):
    save_history(server, "Sent", 2, days_ago=40)
    backscatter(server, "import", user=ALICE)
    assert judged(server, dsn(sent_message(to=STRANGER))) == NOT_COVERED


def test_import_complete_is_the_administrators_word(server):
    [sent] = save_history(server, "Sent", 1, days_ago=40)
    backscatter(server, "import", "--complete", user=ALICE)
    assert judged(server, dsn(sent)) == GENUINE
    assert judged(server, dsn(sent_message(to=STRANGER))) == NOT_SENT
    assert coverage(server)["covered"] == "yes"


def test_imported_rows_are_as_old_as_their_copies(server):
    [sent] = save_history(server, "Sent", 1, days_ago=40)
    backscatter(server, "import", user=ALICE)
    [(logged_at, sent_on)] = SentLog.of(server).query("SELECT logged_at, date FROM message")
    for when in (logged_at, sent_on):
        assert abs(time.time() - 40 * DAY - when) < 600


def test_copies_older_than_the_retention_are_not_imported(server):
    save_history(server, "Sent", 3, days_ago=91)
    [row] = backscatter(server, "import", user=ALICE, formatter="tab").rows()
    assert list(row.values())[:3] == ["1", "0", "3"]
    assert SentLog.of(server).counts() == {}


def test_import_again_changes_nothing(server):
    save_history(server, "Sent", 5)
    for _ in range(2):
        backscatter(server, "import", "--complete", user=ALICE)
    assert SentLog.of(server).counts() == {"sent": 5}
    assert judged(server, dsn(sent_message(to=STRANGER))) == NOT_SENT


def test_import_again_with_a_copy_without_message_id_changes_nothing(server):
    save_history(server, "Sent", 1, days_ago=10, message_id=None)
    for _ in range(2):
        backscatter(server, "import", user=ALICE)
    assert SentLog.of(server).counts() == {"sent": 1}


def test_an_old_copy_without_message_id_breaks_coverage_when_it_was_saved(server):
    """5.3: the break is where the copy was sent, and not where somebody reads it once more."""
    save_history(server, "Sent", 1, days_ago=10, message_id=None)
    cover(server)
    backscatter(server, "import", user=ALICE)
    assert judged(server, dsn(sent_message(to=STRANGER))) == NOT_SENT
    assert judged(server, dsn(sent_message(to=STRANGER, days_ago=11))) == NOT_COVERED


def test_import_complete_stops_at_a_copy_without_message_id(server):
    save_history(server, "Sent", 1, days_ago=10, message_id=None)
    backscatter(server, "import", "--complete", user=ALICE)
    assert judged(server, dsn(sent_message(to=STRANGER))) == NOT_SENT
    assert judged(server, dsn(sent_message(to=STRANGER, days_ago=11))) == NOT_COVERED


def test_import_of_a_mailbox_that_nobody_used(server):
    [row] = backscatter(server, "import", user=CAROL, formatter="tab").rows()
    assert row[list(row)[1]] == "0"
    assert SentLog.of(server, CAROL).path.exists(), "a mailbox that never sends has a log, too"


# import --complete: what it calls complete

@pytest.fixture
def with_sent_copy(server) -> Dovecot:
    save_history(server, "Sent", 1)
    return server


def import_complete(dovecot: Dovecot, *options: str, user: str = ALICE, code: int = 0) -> dict[str, str]:
    result = backscatter(dovecot, "import", "--complete", *options, user=user, formatter="tab", check=False)
    assert result.code == code, result.out + result.err
    [row] = result.rows()
    assert row["complete"] == ("yes" if code == 0 else "no")
    return row


DELIVERED = ("Return-Path: <alice@example.test>", f"Delivered-To: {ALICE}")


@pytest.mark.parametrize("user", [BOB, CAROL], ids=["auto-created", "never used"])
def test_import_is_not_complete_without_a_sent_copy(server, user):
    """A POP3 user became covered by it."""
    if user == BOB:
        server.append(BOB, "Sent", sent_message(sender=BOB))
        server.doveadm("expunge", "mailbox", "Sent", "all", user=BOB)
        SentLog.of(server, BOB).query("DELETE FROM message")
    row = import_complete(server, user=user, code=EX_DATAERR)
    assert "no listed source has logged" in row["explanation"]
    assert ("no Sent mailbox found" in row["explanation"]) == (user == CAROL)
    assert judged(server, dsn(sent_message(to=STRANGER, sender=user), to=user), user) == NOT_COVERED


def test_import_is_not_complete_while_copies_lie_elsewhere(with_sent_copy):
    for mailbox, count in (("Gesendet", 3), ("Archive", 2)):
        with_sent_copy.do(ALICE, "mailbox", "create", mailbox)
        history = save_history(with_sent_copy, mailbox, count, to="other@elsewhere.example")
    row = import_complete(with_sent_copy, code=EX_DATAERR)
    assert "Gesendet (3)" in row["explanation"] and "Archive (2)" in row["explanation"]
    assert judged(with_sent_copy, dsn(history[0])) == NOT_COVERED
    with_sent_copy.restart(plugin={"backscatter_sent_mailboxes": "Gesendet"})
    row = import_complete(with_sent_copy, code=EX_DATAERR)
    assert "Gesendet" not in row["explanation"] and "Archive (2)" in row["explanation"]
    import_complete(with_sent_copy, "--except", "Archive")
    assert judged(with_sent_copy, dsn(sent_message(to=STRANGER))) == NOT_SENT


def test_import_finds_what_lies_elsewhere_where_there_is_no_sent_mailbox(server):
    server.do(ALICE, "mailbox", "create", "Gesendet")
    save_history(server, "Gesendet", 1)
    row = import_complete(server, code=EX_DATAERR)
    assert row["mailboxes"] == "0" and "no Sent mailbox found" in row["explanation"]
    assert "messages of this user lie in Gesendet (1): list it in backscatter_sent_mailboxes" in row["explanation"]


ANEW = "the log counted as complete since your word of .*: coverage starts anew"


@pytest.mark.parametrize("word", [["import", "--complete"], ["coverage", "--since", "30d"]])
def test_what_lies_elsewhere_ends_an_earlier_word(with_sent_copy, word):
    """It showed that the log lacks messages, and their bounces were condemned all the same."""
    backscatter(with_sent_copy, *word, user=ALICE)
    with_sent_copy.do(ALICE, "mailbox", "create", "Gesendet")
    [lost] = save_history(with_sent_copy, "Gesendet", 1, to=STRANGER)
    row = import_complete(with_sent_copy, code=EX_DATAERR)
    assert "Gesendet (1)" in row["explanation"] and re.search(ANEW, row["explanation"])
    assert judged(with_sent_copy, dsn(lost)) == NOT_COVERED
    now = coverage(with_sent_copy)
    assert (now["covered"], now["cause"]) == ("no", "incomplete") and now["word"].startswith("ended (given ")
    assert "anew" not in import_complete(with_sent_copy, code=EX_DATAERR)["explanation"], "it has started after what was found"


def test_what_lies_elsewhere_ends_a_coverage_without_a_word(with_sent_copy):
    backscatter(with_sent_copy, "import", user=ALICE)
    SentLog.of(with_sent_copy).start_coverage(days_ago=30)
    assert coverage(with_sent_copy)["covered"] == "yes"
    with_sent_copy.do(ALICE, "mailbox", "create", "Gesendet")
    save_history(with_sent_copy, "Gesendet", 1, to=STRANGER)
    assert "counted as complete since 20" in import_complete(with_sent_copy, code=EX_DATAERR)["explanation"]
    assert coverage(with_sent_copy)["covered"] == "no"


@pytest.mark.parametrize("moved, answer", [
    ({"days_ago": 1}, None), ({"days_ago": 95}, "no"), ({"days_ago": 40}, "no"), ({"days_ago": 5, "to": ""}, "no")],
    ids=["its row exists", "its row has expired", "sent before the word", "written to nobody"])
def test_what_does_not_end_an_earlier_word(with_sent_copy, moved, answer):
    cover(with_sent_copy)
    with_sent_copy.do(ALICE, "mailbox", "create", "Archive")
    message = sent_message(**moved)
    if answer is None:
        with_sent_copy.append(ALICE, "Sent", message)
        with_sent_copy.doveadm("move", "Archive", "mailbox", "Sent", "header", "Message-ID", message_id_of(message), user=ALICE)
    else:
        with_sent_copy.append(ALICE, "Archive", message)    # as if it had come there today
    row = import_complete(with_sent_copy, code=EX_DATAERR if answer else 0)
    assert "anew" not in row["explanation"]
    assert coverage(with_sent_copy)["covered"] == "yes"
    assert judged(with_sent_copy, dsn(sent_message(to=STRANGER))) == NOT_SENT


@pytest.mark.parametrize("sources", ["submission", "none"])
def test_import_is_not_asked_for_completeness_where_sent_is_not_listed(dovecot_factory, sources):
    dovecot = dovecot_factory(plugin={"backscatter_sources": sources})
    save_history(dovecot, "Sent", 1)
    result = backscatter(dovecot, "import", "--complete", user=ALICE, formatter="tab")
    [row] = result.rows()
    assert row["complete"] == "-" and row["explanation"] == "not asked: backscatter_sources of this user has no 'sent'"
    assert SentLog.of(dovecot).counts() == {"sent": 1}, "evidence all the same"


def test_import_is_not_complete_where_coverage_objects(with_sent_copy):
    with_sent_copy.restart(plugin={"backscatter_sent_mailboxes": "Sent/*"})
    row = import_complete(with_sent_copy, code=EX_DATAERR)
    assert "Sent/* is a pattern of names" in row["explanation"]
    now = coverage(with_sent_copy)
    assert (now["covered"], now["word"]) == ("no", "") and "is a pattern of names" in now["explanation"]


def test_import_except_a_mailbox_that_is_not_there(with_sent_copy):
    result = backscatter(with_sent_copy, "import", "--complete", "--except", "Archvie", user=ALICE, formatter="tab", check=False)
    assert result.code != 0 and "--except: there is no mailbox Archvie" in result.err and result.rows()[0]["complete"] == "no"
    backscatter(with_sent_copy, "import", "--complete", "--except", "Archvie", "-A", check=False)
    assert coverage(with_sent_copy)["covered"] == "yes", "of many users, not each has it"


@pytest.mark.parametrize("mailbox, message, complete", [
    ("INBOX", {"to": ALICE, "headers": DELIVERED}, True), ("INBOX", {"to": ALICE}, False),
    ("INBOX", {"to": "list@lists.example", "headers": (*DELIVERED, "List-Id: <l.lists.example>")}, True),
    ("INBOX", {"to": FRIEND, "headers": DELIVERED}, False), ("INBOX", {"sender": FRIEND}, True),
    ("Junk", {"headers": DELIVERED}, True), ("Drafts", {}, True), ("Trash", {"headers": DELIVERED}, True),
    ("Trash", {}, True), ("Backscatter", {}, True), ("Other", {"days_ago": 91}, True)],
    ids=["note to oneself", "saved in INBOX", "mail to a list", "by Bcc to oneself", "somebody else's", "junk", "draft",
         "deleted spam", "deleted copy", "quarantine", "old"])
def test_what_shows_that_sent_messages_are_missing(dovecot_factory, mailbox, message, complete):
    uses = "".join(f" mailbox {name} {{\n auto = create\n special_use = \\{name}\n }}\n" for name in ("Drafts", "Junk", "Trash"))
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"}, extra=f"namespace inbox {{\n{uses}}}\n")
    save_history(dovecot, "Sent", 1)
    if mailbox in ("Backscatter", "Other"):
        dovecot.do(ALICE, "mailbox", "create", mailbox)
    [other] = save_history(dovecot, mailbox, 1, **message)
    row = import_complete(dovecot, code=0 if complete else EX_DATAERR)
    assert (f"{mailbox} (1)" in row["explanation"]) == (not complete)
    if mailbox == "Trash" and not message:
        assert judged(dovecot, dsn(other)) == GENUINE, "it was sent, and the copy deleted"


def test_a_copy_that_is_known_is_no_matter_where_it_lies(with_sent_copy):
    with_sent_copy.do(ALICE, "mailbox", "create", "Archive")
    with_sent_copy.doveadm("copy", "Archive", "mailbox", "Sent", "all", user=ALICE)
    import_complete(with_sent_copy)


def test_import_is_not_complete_with_a_copy_that_cannot_be_read(with_sent_copy):
    [path] = (with_sent_copy.users[ALICE].home / "Maildir" / ".Sent").glob("*/*.*")
    path.unlink()
    path.mkdir()
    result = backscatter(with_sent_copy, "import", "--complete", user=ALICE, check=False)
    assert result.code != 0 and "Sent" in result.err
    assert judged(with_sent_copy, dsn(sent_message(to=STRANGER))) == NOT_COVERED


def test_except_needs_complete(server):
    assert backscatter(server, "import", "--except", "Archive", user=ALICE, check=False).code == EX_USAGE


# coverage

def test_coverage_counts_rows_and_misses_mailboxes(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent", "backscatter_sent_mailboxes": "Gesendet, Sent"})
    assert "no Sent mailbox found" in coverage(dovecot, CAROL)["explanation"]
    dovecot.append(ALICE, "Sent", sent_message())
    backscatter(dovecot, "sent", "add", "1@client.example.test", user=ALICE)
    row = coverage(dovecot)
    assert row["rows"] == "sent=1 admin=1"
    assert row["explanation"].endswith("; in backscatter_sent_mailboxes, but not there: Gesendet")


@pytest.mark.parametrize("wrong, says", [("missing", "doesn't exist"), ("read-only", "can't be written by uid .*Permission denied")])
def test_coverage_says_what_is_wrong_with_the_directory(dovecot_factory, wrong, says):
    dovecot = dovecot_factory()
    folder = dovecot.folder / "logs"
    if wrong == "read-only":
        folder.mkdir(0o755)
    dovecot.restart(plugin={"backscatter_db": f"{folder}/%u.db"})
    result = backscatter(dovecot, "coverage", user=ALICE, check=False)
    assert result.code == EX_TEMPFAIL and re.search(f"directory {folder} {says}", result.err), result


def test_a_user_whose_log_is_unavailable_stays_in_the_list(server):
    SentLog.of(server, BOB).path.mkdir()
    result = backscatter(server, "coverage", "-A", formatter="json", check=False)
    assert result.code == EX_TEMPFAIL and "not a regular file" in result.err
    rows = {row["username"]: row for row in result.json()}
    assert set(rows) == {ALICE, BOB, CAROL}
    assert (rows[BOB]["covered"], rows[BOB]["cause"]) == ("no", "log-unavailable")
    assert "not a regular file" in rows[BOB]["explanation"]
    set_word = backscatter(server, "coverage", "--since", "30d", user=BOB, formatter="tab", check=False)
    assert set_word.code == EX_TEMPFAIL and set_word.rows()[0]["cause"] == "log-unavailable"


def test_coverage_names_a_wrong_setting_once_and_fails(dovecot_factory):
    dovecot = dovecot_factory(unchecked={"backscatter_action": "destroy"})
    result = backscatter(dovecot, "coverage", user=ALICE, formatter="tab", check=False)
    assert result.code == EX_DATAERR and len(result.rows()) == 1
    assert result.err.count("backscatter_action has the wrong value 'destroy'") == 1
    everybody = backscatter(dovecot, "coverage", "-A", check=False)
    assert everybody.code == EX_DATAERR and everybody.err.count("wrong value 'destroy'") == len(dovecot.users)


@pytest.mark.skipif(not IS_2_3, reason="2.4 refuses it when it starts")
def test_coverage_names_a_wrong_setting_of_spf(dovecot_factory):
    dovecot = dovecot_factory(unchecked={"backscatter_trusted_relays": "nonsense"})
    result = backscatter(dovecot, "coverage", user=ALICE, check=False)
    assert result.code == EX_DATAERR and result.err.count("backscatter_trusted_relays has the wrong value 'nonsense'") == 1


@pytest.mark.parametrize("since, days", [("30d", 30), ("30 days", 30), ("15 days", 15),
                                         ((date.today() - timedelta(days=20)).isoformat(), 20)])
def test_coverage_since(server, since, days):
    cover(server, since=since)
    row = coverage(server)
    assert (row["covered"], row["cause"], row["sources"]) == ("yes", "set", "sent")
    start = time.mktime(time.strptime(row["since"], "%Y-%m-%d %H:%M:%S"))
    assert abs(time.time() - start - days * DAY) < 1.1 * DAY


def test_coverage_never_reaches_beyond_the_retention(server):
    cover(server, since="2000-01-01")
    row = coverage(server)
    assert (row["covered"], row["cause"]) == ("yes", "retention")
    start = time.mktime(time.strptime(row["since"], "%Y-%m-%d %H:%M:%S"))
    assert abs(time.time() - start - 90 * DAY) < 0.1 * DAY


def test_coverage_names_what_is_missing(dovecot):
    cover(dovecot)
    row = coverage(dovecot)
    assert row["covered"] == "no" and "backscatter_sources is empty" in row["explanation"]


def test_coverage_without_a_command_is_show(server):
    cover(server)
    assert backscatter(server, "coverage", user=ALICE).out == backscatter(server, "coverage", "show", user=ALICE).out


# explain

def write_report(dovecot: Dovecot, report: bytes, mode: int = 0o644) -> str:
    path = dovecot.folder / "report.eml"
    path.write_bytes(report)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("case, last_row, verdict, reason, action", [
    ("genuine", 6, "genuine", "message-id", "annotate"), ("forged", 17, "backscatter", "not-sent", "quarantine"),
    ("foreign", 8, "unknown", "other-address", "annotate"), ("no identity", 18, "unknown", "no-identity", "annotate")])
def test_explain_shows_every_row_up_to_the_deciding_one(server, case, last_row, verdict, reason, action):
    cover(server)
    sent = sent_message()
    server.append(ALICE, "Sent", sent)
    report = {"genuine": dsn(sent), "forged": dsn(sent_message(to=STRANGER)), "no identity": dsn(None),
              "foreign": dsn(sent_message(to=STRANGER), to="x@elsewhere.example")}[case]
    path = write_report(server, report)
    rows = backscatter(server, "explain", path, user=ALICE, formatter="json").json()
    assert [row["row"] for row in rows] == [str(number) for number in range(1, last_row + 1)]
    assert all(re.fullmatch(r".+\? .+", row["saw"]) for row in rows)
    assert {(row["verdict"], row["reason"], row["action"]) for row in rows[:-1]} <= {("-", "-", "-")}
    assert (rows[-1]["verdict"], rows[-1]["reason"], rows[-1]["action"]) == (verdict, reason, action)
    assert judged(server, report)[1:] == (verdict, reason), "as it is delivered"


def test_explain_counts_nothing(server):
    sent = sent_message()
    server.append(ALICE, "Sent", sent)
    path = write_report(server, dsn(sent))
    for _ in range(5):
        rows = backscatter(server, "explain", path, user=ALICE, formatter="tab").rows()
        assert rows[-1]["verdict"] == "genuine"


def test_explain_a_file_that_only_root_can_read(server):
    path = write_report(server, dsn(sent_message(to=STRANGER)), mode=0o600)
    assert backscatter(server, "explain", path, user=ALICE, formatter="tab").rows()[-1]["reason"] == "not-covered"


def test_explain_for_all_users(server):
    sent = sent_message()
    server.append(ALICE, "Sent", sent)
    path = write_report(server, dsn(sent, to=f"{ALICE}, {BOB}"))
    rows = backscatter(server, "explain", path, "-A", formatter="json").json()
    last = {row["username"]: row["reason"] for row in rows}
    assert last == {ALICE: "message-id", BOB: "not-covered", CAROL: "other-address"}


@pytest.mark.parametrize("message, why", [
    (b"Subject: hello\n\nordinary mail\n", "no mark"),
    (b"From: mailer-daemon@example.test\nTo: x@example.test\nSubject: hello\n\nnothing\n", "not a report when read")])
def test_explain_what_is_no_report(server, message, why):
    [row] = backscatter(server, "explain", write_report(server, message), user=ALICE, formatter="json").json()
    assert (row["row"], row["verdict"]) == ("0", "-") and re.match(f"not a report: .*{why}", row["saw"])


def test_explain_recipient_is_own(server):
    """-r: as if it had been delivered to this address."""
    cover(server)
    path = write_report(server, dsn(sent_message(to=STRANGER), to="sales@example.test"))
    for options, reason in (([], "other-address"), (["-r", "sales+x@example.test"], "not-sent")):
        rows = backscatter(server, "explain", *options, path, user=ALICE, formatter="tab").rows()
        assert rows[-1]["reason"] == reason


def test_explain_why_the_sent_mailboxes_were_not_read(server):
    cover(server)
    server.append(ALICE, "Sent", sent_message())
    lock = SentLog.of(server).beside(".catch-up")
    path = write_report(server, dsn(sent_message(to=STRANGER)))
    with lock.open("w") as file:
        os.chown(lock, server.users[ALICE].uid, server.users[ALICE].uid)
        fcntl.lockf(file, fcntl.LOCK_EX)
        [*_, row] = backscatter(server, "explain", path, user=ALICE, formatter="json").json()
    assert row["reason"] == "log-unavailable"
    assert row["saw"].endswith("the log is unavailable: another process is reading the Sent mailboxes into the log")


def test_explain_an_unavailable_log(server):
    SentLog.of(server).path.mkdir()
    result = backscatter(server, "explain", write_report(server, dsn(sent_message())), user=ALICE, formatter="tab",
                         check=False)
    assert result.rows()[-1]["reason"] == "log-unavailable"
    assert result.code == EX_TEMPFAIL and "not a regular file" in result.err


@pytest.mark.parametrize("word", [["import", "--complete"], ["coverage", "--since", "30d"]])
def test_the_administrators_word_is_about_the_sources_listed_now(dovecot_factory, word):
    """Switch-on as README tells it: the log was made before, while no source was listed."""
    dovecot = dovecot_factory()
    dovecot.append(ALICE, "Sent", sent_message())
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_COVERED
    dovecot.restart(plugin={"backscatter_sources": "sent"})
    backscatter(dovecot, *word, "-u", ALICE)
    assert coverage(dovecot)["covered"] == "yes"
    assert judged(dovecot, dsn(sent_message(to=STRANGER))) == NOT_SENT
