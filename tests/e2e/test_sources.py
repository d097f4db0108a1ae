"""What fills the sent log: every way by which a client saves to a Sent mailbox, and no other (docs/design.md,
sections 2 and 8)."""

import stat
import subprocess

import pytest

from dovecot import ALICE, BOB, Dovecot
from sentlog import (FRIEND, GENUINE, NOT_COVERED, NOT_SENT, STRANGER, SentLog, cover, coverage, dsn, found, judged,
                     message_id_of, new_message_id, recipients_of, sent_message, unknown)

FORMATS = ["maildir", "sdbox", "mdbox"]
# the same in every format
SLASH = "namespace inbox {\n  separator = /\n}\n"


# Ways into Sent

def by_append(dovecot: Dovecot, message: bytes, mailbox: str) -> None:
    dovecot.append(ALICE, mailbox, message)


def by_multiappend(dovecot: Dovecot, message: bytes, mailbox: str) -> None:
    with dovecot.imap(ALICE) as client:
        literals = b"".join(b" {%d+}\r\n%s" % (len(each), each) for each in (message, sent_message(to=STRANGER)))
        client.send(b'M1 APPEND "%s"%s\r\n' % (mailbox.encode(), literals))
        while not (line := client.readline()).startswith(b"M1 "):
            pass
        assert line.startswith(b"M1 OK"), line
        client.select(f'"{mailbox}"')
        client.store("2", "+FLAGS", r"\Deleted")
        client.expunge()


def by_copy(dovecot: Dovecot, message: bytes, mailbox: str) -> None:
    _from_inbox(dovecot, message, "COPY", mailbox)


def by_move(dovecot: Dovecot, message: bytes, mailbox: str) -> None:
    _from_inbox(dovecot, message, "MOVE", mailbox)


def _from_inbox(dovecot: Dovecot, message: bytes, command: str, mailbox: str) -> None:
    with dovecot.imap(ALICE) as client:
        client.append("INBOX", None, None, message)
        client.select("INBOX")
        status, reply = client.uid(command, "1:*", f'"{mailbox}"')
        assert status == "OK", reply


def by_doveadm_save(dovecot: Dovecot, message: bytes, mailbox: str) -> None:
    dovecot.doveadm("save", "-m", mailbox, user=ALICE, stdin=message)


def by_doveadm_copy(dovecot: Dovecot, message: bytes, mailbox: str) -> None:
    dovecot.append(ALICE, "INBOX", message)
    dovecot.doveadm("copy", mailbox, "mailbox", "INBOX", "all", user=ALICE)


def by_doveadm_move(dovecot: Dovecot, message: bytes, mailbox: str) -> None:
    dovecot.append(ALICE, "INBOX", message)
    dovecot.doveadm("move", mailbox, "mailbox", "INBOX", "all", user=ALICE)


def by_dsync(dovecot: Dovecot, message: bytes, mailbox: str) -> None:
    """From a Maildir that was brought here from another server."""
    other = dovecot.users[ALICE].home / "other"
    folder = other / f".{mailbox}"
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "cur" / "1700000000.M1P1.elsewhere:2,S").write_bytes(message)
    # without its own UIDVALIDITY it has this second's, and so may have the mailbox here
    (folder / "dovecot-uidlist").write_text("3 V1700000000 N1\n")
    subprocess.run(["chown", "-R", str(dovecot.users[ALICE].uid), str(other)], check=True)
    dovecot.doveadm("sync", "-1", "-R", f"maildir:{other}", user=ALICE)


WAYS = [by_append, by_multiappend, by_copy, by_move, by_doveadm_save, by_doveadm_copy, by_doveadm_move, by_dsync]


@pytest.mark.parametrize("mail_format", FORMATS)
@pytest.mark.parametrize("way", WAYS)
def test_what_is_saved_to_sent_is_logged(dovecot_factory, way, mail_format):
    dovecot = dovecot_factory(mail_format=mail_format, extra=SLASH)
    sent = sent_message()
    way(dovecot, sent, "Sent")
    assert len(dovecot.messages(ALICE, "Sent")) == 1
    assert SentLog.of(dovecot).counts() == {"sent": 2 if way is by_multiappend else 1}
    assert judged(dovecot, dsn(sent)) == GENUINE


@pytest.mark.parametrize("way", WAYS)
def test_what_is_saved_elsewhere_is_not(dovecot_factory, way):
    dovecot = dovecot_factory(extra="namespace inbox {\n mailbox Drafts {\n auto = create\n special_use = \\Drafts\n }\n}\n")
    way(dovecot, sent_message(), "Drafts")
    assert SentLog.of(dovecot).counts() == {}


def test_a_draft_that_is_sent_is_logged_when_it_is_moved(dovecot_factory):
    dovecot = dovecot_factory(extra="namespace inbox {\n mailbox Drafts {\n auto = create\n }\n}\n")
    sent = sent_message()
    dovecot.append(ALICE, "Drafts", sent)
    assert SentLog.of(dovecot).counts() == {}
    dovecot.doveadm("move", "Sent", "mailbox", "Drafts", "all", user=ALICE)
    assert judged(dovecot, dsn(sent)) == GENUINE


def test_the_same_message_again_is_one_row_with_the_recipients_of_both(dovecot):
    """A client that saves every revision, or a resent one."""
    message_id = new_message_id()
    for to in (FRIEND, STRANGER):
        dovecot.append(ALICE, "Sent", sent_message(message_id=message_id, to=to))
    assert SentLog.of(dovecot).counts() == {"sent": 1}
    original = sent_message(message_id=message_id)
    for recipient in (FRIEND, STRANGER):
        assert judged(dovecot, dsn(original, recipients=[recipient])) == GENUINE


# Which mailboxes

SENT_MAILBOXES = {"backscatter_sent_mailboxes": "Sent Items, Gesendet ,Archive/2026,Envoyés"}


@pytest.mark.parametrize("mailbox, logged", [
    ("Sent", True), ("Sent Items", True), ("Gesendet", True), ("Archive/2026", True), ("Envoyés", True),
    ("Items", False), ("gesendet", False), ("Archive", False), ("Trash", False)])
def test_sent_mailboxes(dovecot_factory, mailbox, logged):
    dovecot = dovecot_factory(plugin=SENT_MAILBOXES, extra=SLASH)
    if mailbox != "Sent":
        dovecot.do(ALICE, "mailbox", "create", mailbox)
    dovecot.doveadm("save", "-m", mailbox, user=ALICE, stdin=sent_message())
    assert SentLog.of(dovecot).counts() == ({"sent": 1} if logged else {})


def test_special_use_goes_by_use_not_by_name(dovecot_factory):
    dovecot = dovecot_factory(
        extra="namespace inbox {\n mailbox Outgoing {\n auto = create\n special_use = \\Important \\Sent\n }\n}\n")
    dovecot.append(ALICE, "Outgoing", sent_message())
    assert SentLog.of(dovecot).counts() == {"sent": 1}


@pytest.mark.parametrize("kind", ["public", "shared"])
def test_others_mailboxes_are_not_logged(dovecot_factory, kind):
    """What is saved there was sent by whoever saved it, and reports go to another."""
    dovecot = dovecot_factory(extra=f"""
namespace {kind} {{
  type = {kind}
  prefix = {"Others/%%u/" if kind == "shared" else "Public/"}
  separator = /
  location = maildir:{"%%h/Maildir" if kind == "shared" else "~/Public"}
  subscriptions = no
  mailbox Sent {{
    special_use = \\Sent
    auto = create
  }}
}}
service auth {{
  unix_listener auth-userdb {{
    mode = 0777
  }}
}}
plugin {{
  backscatter_sent_mailboxes = Public/Sent
}}
{SLASH}""", acl=kind == "shared")
    mailbox = "Public/Sent"
    if kind == "shared":
        mailbox = f"Others/{BOB}/Sent"
        dovecot.append(BOB, "INBOX", sent_message(sender=BOB))
        dovecot.set_acl(BOB, "Sent", f"user={ALICE}", "lookup", "read", "insert", "write", "create", "post")
        subprocess.run(["chmod", "-R", "a+rwX", str(dovecot.users[BOB].home)], check=True)
    dovecot.append(ALICE, mailbox, sent_message())
    assert SentLog.of(dovecot).counts() == {}
    assert SentLog.of(dovecot, BOB).counts() == {}


# Incoming mail never fills the log

def test_mail_to_a_detail_address_is_no_sent_mail(dovecot_factory):
    dovecot = dovecot_factory(sieve=False, lmtp_save_to_detail_mailbox=True)
    message = sent_message()
    assert dovecot.lmtp("spammer@elsewhere.example", ["alice+Sent@example.test"], message)[0][0] == 250
    assert len(dovecot.messages(ALICE, "Sent")) == 1
    assert SentLog.of(dovecot).counts() == {}


def test_lda_into_sent_is_no_sent_mail(dovecot):
    assert dovecot.lda(ALICE, sent_message(), mail_from="spammer@elsewhere.example", mailbox="Sent").code == 0
    assert len(dovecot.messages(ALICE, "Sent")) == 1
    assert SentLog.of(dovecot).counts() == {}


@pytest.mark.parametrize("way", ["lmtp", "lda"])
def test_what_sieve_files_into_sent_is_no_sent_mail(dovecot, way):
    dovecot.set_sieve(ALICE, 'require "fileinto"; fileinto "Sent";')
    dovecot.deliver(way, ALICE, sent_message(), "spammer@elsewhere.example")
    assert len(dovecot.messages(ALICE, "Sent")) == 1
    assert SentLog.of(dovecot).counts() == {}


# What a row holds

RECIPIENTS = {"To": "to@to.example", "Cc": "cc@cc.example", "Bcc": "bcc@bcc.example", "Resent-To": "resent@resent.example"}


@pytest.mark.parametrize("recipient", [*RECIPIENTS.values(), "second@to.example", "inside@group.example", "quoted@q.example"])
def test_every_recipient_is_known(dovecot, recipient):
    headers = tuple(f"{name}: {value}" for name, value in RECIPIENTS.items() if name != "To")
    dovecot.append(ALICE, "Sent", sent_message(
        to='To@TO.example,\r\n Second <second@to.example>, Friends: inside@group.example;, "a, b" <quoted@q.example>',
        headers=headers))
    assert judged(dovecot, dsn(sent_message(to=recipient))) == unknown("recipient-known")


@pytest.mark.parametrize("field", [
    "Message-ID:\r\n <{}>", "Message-Id: {}", "message-id:<{}>", "Message-ID: <{}> (added by a client)", "Message-ID: \t<{}> "])
@pytest.mark.parametrize("returned", ["Message-ID: <{}>", "Message-Id:\r\n\t<{}>", "MESSAGE-ID: {}"])
def test_forms_of_a_message_id(dovecot, field, returned):
    message_id = f"Mixed.{new_message_id()}"
    dovecot.append(ALICE, "Sent", sent_message(message_id=None, headers=(field.format(message_id),)))
    original = sent_message(message_id=None, headers=(returned.format(message_id.lower()),))
    assert judged(dovecot, dsn(original)) == GENUINE


def test_a_message_of_many_recipients(dovecot):
    many = [f"member-{number}@list.example" for number in range(1500)]
    dovecot.append(ALICE, "Sent", sent_message(to=",\r\n ".join(many)))
    assert SentLog.of(dovecot).query("SELECT count(*) FROM recipient") == [(1500,)]
    assert judged(dovecot, dsn(sent_message(to=many[-1]))) == unknown("recipient-known")


@pytest.mark.parametrize("message", [b"", b"no header at all", b"Subject: nothing else\r\n\r\n", b"To: broken <@>\r\n\r\n",
                                     b"To: \xff\xfe@\xe4.example\r\nMessage-ID: <\xff@\xfe>\r\n\r\n"])
def test_odd_messages_are_saved_and_logged(dovecot, message):
    with dovecot.imap(ALICE) as client:
        status, reply = client.append("Sent", None, None, message or b"\r\n")
        assert status == "OK", reply
    assert SentLog.of(dovecot).counts() == {"sent": 1}
    assert not dovecot.log_lines("Error|Panic|Fatal")


def test_nothing_is_logged_for_an_append_that_failed(dovecot_factory):
    dovecot = dovecot_factory(quota="*:storage=10k")
    with dovecot.imap(ALICE) as client:
        status, _ = client.append("Sent", None, None, sent_message() + b"x" * 20000)
        assert status == "NO"
    assert judged(dovecot, dsn(sent_message())) != GENUINE


# The file

def open_log(dovecot: Dovecot):
    """Its -wal holds rows for as long as the connection lives."""
    client = dovecot.imap(ALICE)
    assert client.append("Sent", None, None, sent_message(message_id="SecretId.1@client.example.test"))[0] == "OK"
    return client


def test_nothing_stands_there_in_clear(dovecot):
    with open_log(dovecot):
        log = SentLog.of(dovecot)
        assert log.beside("-wal").stat().st_size > 0
        content = b"".join(path.read_bytes() for path in log.files()).lower()
    for word in (b"secretid", b"example.test", b"friend", b"alice", b"confidential"):
        assert word not in content


@pytest.mark.parametrize("opened_by", ["imap", "lmtp", "doveadm"])
def test_files_belong_to_the_user_alone(dovecot, opened_by):
    user = dovecot.users[ALICE]
    if opened_by == "lmtp":
        judged(dovecot, dsn(sent_message()))
    if opened_by == "doveadm":
        dovecot.doveadm("backscatter", "sent", "add", "<1@client.example.test>", user=ALICE)
    with open_log(dovecot):
        files = SentLog.of(dovecot).files()
        assert {".backscatter.db", ".backscatter.db-wal"} <= {path.name for path in files}
        for path in files:
            status = path.stat()
            assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (user.uid, user.uid, 0o600), path


@pytest.mark.parametrize("replaced", [False, True], ids=["moved away", "replaced"])
def test_a_log_moved_away_under_an_open_imap_process(dovecot, replaced):
    log = SentLog.of(dovecot)
    first, second = sent_message(), sent_message()
    moved = log.path.with_name("moved")
    dovecot.append(ALICE, "Sent", first)
    if replaced:
        log.backup(moved)
    with dovecot.imap(ALICE) as client:
        assert client.append("Sent", None, None, sent_message())[0] == "OK"
        if replaced:
            moved.rename(log.path)
        else:
            log.path.rename(moved)
        assert client.append("Sent", None, None, second)[0] == "OK"
        # judged while imap still holds its handle
        assert judged(dovecot, dsn(second)) == GENUINE
    assert log.counts() == {"sent": 2 if replaced else 1}
    assert coverage(dovecot)["cause"] == ("restored" if replaced else "created")
    assert not dovecot.log_lines("Error:")


def test_a_mailbox_on_nfs_uses_a_rollback_journal(dovecot_factory):
    dovecot = dovecot_factory(extra="mmap_disable = yes\n")
    sent = sent_message()
    dovecot.append(ALICE, "Sent", sent)
    assert SentLog.of(dovecot).query("PRAGMA journal_mode") == [("delete",)]
    assert judged(dovecot, dsn(sent)) == GENUINE


def test_the_log_may_lie_elsewhere(dovecot_factory):
    dovecot = dovecot_factory()
    folder = dovecot.folder / "logs"
    folder.mkdir()
    folder.chmod(0o1777)
    dovecot.restart(plugin={"backscatter_db": f"{folder}/%{{user}}.db"})
    sent = sent_message()
    dovecot.append(ALICE, "Sent", sent)
    assert SentLog(folder / f"{ALICE}.db").counts() == {"sent": 1}
    assert SentLog.of(dovecot).files() == []
    assert judged(dovecot, dsn(sent)) == GENUINE


@pytest.fixture
def shared_log(dovecot_factory) -> Dovecot:
    dovecot = dovecot_factory()
    folder = dovecot.folder / "logs"
    folder.mkdir()
    folder.chmod(0o777)
    # as one uid, or the mode keeps them apart already
    for user in (ALICE, BOB):
        dovecot.users[user].uid = dovecot.users[ALICE].uid
        subprocess.run(["chown", "-R", str(dovecot.users[ALICE].uid), str(dovecot.users[user].home)], check=True)
    dovecot.restart(plugin={"backscatter_sources": "sent", "backscatter_db": f"{folder}/same.db"})
    return dovecot


def test_a_log_of_two_users_is_the_first_ones(shared_log):
    sent, others = sent_message(), sent_message(sender=BOB)
    shared_log.append(ALICE, "Sent", sent)
    cover(shared_log)
    shared_log.append(BOB, "Sent", others)
    assert SentLog(shared_log.folder / "logs" / "same.db").counts() == {"sent": 1}
    shared_log.wait_log(f"Error: .*same.db: is the log of another user: backscatter_db has the wrong value '.*same.db': allowed: "
                        f".*coverage adopt -u {BOB}")
    for about in (sent, sent_message(to=STRANGER, sender=BOB)):
        assert judged(shared_log, dsn(about, to=BOB), BOB) == unknown("log-unavailable")
    result = shared_log.doveadm("backscatter", "coverage", user=BOB, check=False)
    assert result.code == 75 and "is the log of another user" in result.err
    assert judged(shared_log, dsn(sent)) == GENUINE


def test_a_log_is_adopted(shared_log):
    sent = sent_message()
    shared_log.append(ALICE, "Sent", sent)
    cover(shared_log)
    shared_log.doveadm("backscatter", "coverage", "adopt", user=BOB)
    assert judged(shared_log, dsn(sent, to=BOB), BOB) == GENUINE
    assert coverage(shared_log, BOB)["cause"] == "restarted"
    assert judged(shared_log, dsn(sent)) == unknown("log-unavailable")


def test_a_renamed_user_keeps_his_log(dovecot_factory):
    dovecot = dovecot_factory()
    sent = sent_message()
    dovecot.append(ALICE, "Sent", sent)
    user = dovecot.users.pop(ALICE)
    user.name = "ann@example.test"
    dovecot.users[user.name] = user
    dovecot.restart()
    assert judged(dovecot, dsn(sent, to=user.name), user.name) == GENUINE


def test_lmtp_judges_only_for_whom_the_plugin_is_there(dovecot_factory):
    """Another recipient of the same message has loaded it."""
    dovecot = dovecot_factory(users={ALICE: {}, BOB: {"mail_plugins": "sieve"}})
    report = dsn(sent_message(to=STRANGER), to=f"{ALICE}, {BOB}")
    assert [code for code, _ in dovecot.lmtp("", [ALICE, BOB], report)] == [250, 250]
    assert dovecot.message(ALICE).verdict is not None
    assert dovecot.message(BOB).verdict is None
    assert SentLog.of(dovecot, BOB).files() == []


def test_a_copy_that_could_not_be_stored_marks_a_gap(dovecot_factory):
    """Over quota: the message has left, only its copy is refused."""
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"}, quota="*:storage=1M")
    cover(dovecot)
    large = sent_message() + b"x" * 70 + b"\r\n"
    with dovecot.imap(ALICE) as client:
        status, _ = client.append("Sent", "", None, large + (b"x" * 70 + b"\r\n") * 30_000)
    assert status == "NO"
    assert SentLog.of(dovecot).gap.exists()
    dovecot.wait_log("Error: .*Sent copy not logged: .*could not be stored")
    assert judged(dovecot, dsn(large)) == unknown("not-covered")


# A milter at the MTA

def log_as_the_milter(dovecot: Dovecot, message: bytes, source: str = "milter") -> None:
    dovecot.doveadm("backscatter", "sent", "add", "--source", source, f"<{message_id_of(message)}>", *recipients_of(message),
                    user=ALICE)


def an_old_log(dovecot: Dovecot) -> None:
    """It was made a month ago, and nobody gave his word for it; what is in it was logged two hours ago."""
    SentLog.of(dovecot).start_coverage(30)
    SentLog.of(dovecot).make_older(2 * 3600)


def forged() -> bytes:
    return dsn(sent_message(to=STRANGER))


@pytest.fixture(params=["milter", "milter sent"])
def milter_server(request, dovecot_factory) -> Dovecot:
    return dovecot_factory(plugin={"backscatter_sources": request.param})


def test_what_a_milter_logged_covers_the_mailbox(milter_server):
    sent = sent_message()
    log_as_the_milter(milter_server, sent)
    an_old_log(milter_server)
    now = coverage(milter_server)
    assert (now["covered"], now["rows"]) == ("yes", "milter=1")
    assert judged(milter_server, dsn(sent)) == GENUINE
    assert judged(milter_server, forged()) == NOT_SENT


def test_what_the_administrator_added_is_no_milters(milter_server):
    log_as_the_milter(milter_server, sent_message(), source="admin")
    an_old_log(milter_server)
    assert judged(milter_server, forged()) == NOT_COVERED
    assert "but another one has" in coverage(milter_server)["explanation"]


def test_a_copy_of_what_the_milter_logged_shows_no_other_way_out(milter_server):
    """Whichever comes first, and however the client writes the Message-ID."""
    first, second = (sent_message(message_id=f"Copy.{new_message_id()}") for _ in range(2))
    log_as_the_milter(milter_server, first)
    milter_server.append(ALICE, "Sent", first)
    milter_server.append(ALICE, "Sent", second)
    log_as_the_milter(milter_server, second)
    an_old_log(milter_server)
    assert SentLog.of(milter_server).counts() == {"milter": 2, "sent": 2}
    assert coverage(milter_server)["covered"] == "yes"
    assert judged(milter_server, forged()) == NOT_SENT


@pytest.mark.parametrize("sources, another_way_out", [("milter", True), ("milter sent", False)])
def test_a_copy_that_the_milter_did_not_log(dovecot_factory, sources, another_way_out):
    """Where copies are no source it left past the milter, and other messages may."""
    dovecot = dovecot_factory(plugin={"backscatter_sources": sources})
    log_as_the_milter(dovecot, sent_message())
    past_it = sent_message()
    dovecot.append(ALICE, "Sent", past_it)
    an_old_log(dovecot)
    now = coverage(dovecot)
    assert now["covered"] == ("no" if another_way_out else "yes")
    assert (f"(Sent UID 1 (<{message_id_of(past_it)}>)" in now["explanation"]) == another_way_out
    assert judged(dovecot, forged()) == (NOT_COVERED if another_way_out else NOT_SENT)
    assert judged(dovecot, dsn(past_it)) == GENUINE
    # its row was only late: Dovecot was down, or the log locked
    log_as_the_milter(dovecot, past_it)
    assert coverage(dovecot)["covered"] == "yes"
    assert judged(dovecot, forged()) == NOT_SENT


def test_a_bounce_that_overtakes_its_row_comes_back(milter_server):
    log_as_the_milter(milter_server, sent_message())
    an_old_log(milter_server)
    sent = sent_message(to=STRANGER)
    report = dsn(sent)
    assert judged(milter_server, report) == NOT_SENT
    log_as_the_milter(milter_server, sent)
    assert found(milter_server, report) == GENUINE
