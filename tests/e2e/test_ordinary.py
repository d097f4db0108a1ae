"""Ordinary mail does not notice us: its bytes, its hard links, the system calls of its delivery; nor does any process."""

import os
import re
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from dovecot import ALICE, BOB, CAROL, LIBEXEC, Dovecot, LmtpClient
from dovecot_config import IS_2_3
from reports import errors, new_id, ordinary, report, report_lines

FRIEND = "friend@elsewhere.example"
FORMATS = ["maildir", "sdbox", "mdbox"]
SAMPLES = {
    "4 KiB": ordinary(4 << 10),
    "100 KiB": ordinary(100 << 10),
    "200 KiB": ordinary(200 << 10),
    "3 MiB": ordinary(3 << 20),
    "CRLF": ordinary(4 << 10).replace(b"\n", b"\r\n"),
    "mixed line ends": ordinary().replace(b"Hello,\n", b"Hello,\r\n"),
    "bare CR": ordinary() + b"one\rtwo\r\rthree\n",
    "no body": b"Subject: a\nFrom: b@elsewhere.example\n\n",
    "header without an empty line": b"Subject: a\nFrom: b@elsewhere.example\n",
    "no header": b"\nbody only\n",
    "empty line only": b"\n",
    "no line end": b"Subject: a\n\nno end",
    "8-bit": ordinary(head="Comments: \xe4\xfc\n") + b"\xe4\xff\xfe\x80\n",
    "NUL bytes": b"Subject: a\0b\n\n\0body\0\n\0",
    "first line starts with a blank": b" Subject: a\nFrom: b@elsewhere.example\n\nbody\n",
    "no header lines": b"this is no header\nnor this\nX-Backscatterer: a\n\nbody\n",
    "From_ in the middle": ordinary() + b"\nFrom someone\n>From another\n",
    "long line": ordinary() + b"x" * 100_000 + b"\n",
    "long header line": ordinary(head="X-Long: " + "y" * 100_000 + "\n"),
}


@pytest.fixture(scope="module", params=FORMATS)
def pair(request):
    """One with the plugin, one without, of the same mail format."""
    with Dovecot(mail_format=request.param, plugin={"backscatter_sources": "sent"}) as ours, \
            Dovecot(mail_format=request.param, backscatter=False) as plain:
        yield ours, plain


@contextmanager
def emptied(*dovecots: Dovecot):
    try:
        yield
    finally:
        for dovecot in dovecots:
            dovecot.empty(ALICE)


def without_trace(raw: bytes) -> bytes:
    """Without what LMTP puts on top: ids, times and pids differ."""
    return re.sub(rb"\A(Return-Path:.*\n|Delivered-To:.*\n|Received:.*\n([ \t].*\n)*)*", b"", raw)


def physical_size(dovecot: Dovecot) -> int:
    [row] = dovecot.doveadm("fetch", "size.physical", "all", user=ALICE, formatter="tab").rows()
    return int(row["size.physical"])


@pytest.mark.parametrize("way", ["lmtp", "lda"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_stored_as_without_the_plugin(pair, sample, way):
    found = []
    since = pair[0].log.mark()
    with emptied(*pair):
        for dovecot in pair:
            if way == "lmtp":
                assert dovecot.lmtp(FRIEND, [ALICE], SAMPLES[sample])[0][0] == 250
            else:
                assert dovecot.lda(ALICE, SAMPLES[sample], mail_from=FRIEND, final_rcpt=ALICE).code == 0
            raw = dovecot.message(ALICE).raw
            trace = len(raw) - len(without_trace(raw))
            assert (trace > 0) == (way == "lmtp")
            found.append((without_trace(raw), None if way == "lmtp" else physical_size(dovecot)))
    assert found[0] == found[1]
    assert report_lines(pair[0], since) == errors(pair[0], since) == []


def test_hard_links_between_recipients(dovecot_factory):
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"}, sieve=False, extra="maildir_copy_with_hardlinks = yes")
    # all mail of one uid, or the kernel forbids the links (protected_hardlinks)
    owner = dovecot.users[ALICE]
    for user in (BOB, CAROL):
        dovecot.users[user].uid = owner.uid
        os.chown(dovecot.users[user].home, owner.uid, owner.uid)
    dovecot.set_fields(ALICE)
    assert {code for code, _ in dovecot.lmtp(FRIEND, [ALICE, BOB, CAROL], ordinary(4 << 10))} == {250}
    files = [dovecot.message(user).path.stat() for user in (ALICE, BOB, CAROL)]
    assert len({file.st_ino for file in files}) == 1 and files[0].st_nlink == 3


def test_reports_share_no_file(dovecot_factory):
    """Where the verdicts differ, a link would give one the other's header."""
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"}, sieve=False)
    owner = dovecot.users[ALICE]
    for user in (BOB, CAROL):
        dovecot.users[user].uid = owner.uid
        os.chown(dovecot.users[user].home, owner.uid, owner.uid)
    dovecot.set_fields(ALICE)
    dovecot.lmtp("", [ALICE, BOB, CAROL], report(new_id("any")))
    files = [dovecot.message(user).path.stat() for user in (ALICE, BOB, CAROL)]
    assert len({file.st_ino for file in files}) == 3


# System calls

# Memory, waiting and the clock depend on the heap and on how the message arrives, not on what is done with it.
NOISE = {"brk", "mmap", "munmap", "mremap", "madvise", "epoll_wait", "epoll_ctl", "clock_gettime", "gettimeofday",
         "restart_syscall", "timerfd_settime", "getrusage"}


def traced_delivery(dovecot: Dovecot, rcpts: list[str], message: bytes) -> list[str]:
    """What the lmtp process asked of the kernel during the second delivery on a connection."""
    trace = dovecot.folder / "strace"
    with LmtpClient(dovecot.lmtp_socket) as client:
        client.deliver(FRIEND, rcpts, message)
        [pid] = dovecot.pids("lmtp")
        strace = subprocess.Popen(["strace", "-f", "-o", str(trace), "-p", str(pid)], stderr=subprocess.PIPE, text=True)
        try:
            assert "attached" in strace.stderr.readline()
            assert {code for code, _ in client.deliver(FRIEND, rcpts, message)} == {250}
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate(timeout=10)
    return trace.read_text(errors="replace").splitlines()


def calls(lines: list[str]) -> list[str]:
    """Names in their order, noise aside; several reads or writes in a row count as one."""
    names = [found.group(1) for line in lines if (found := re.match(r"\d+ +(\w+)\(", line))]
    result: list[str] = []
    for name in names:
        if name not in NOISE and not (name in ("read", "write", "pread64", "pwrite64") and result[-1:] == [name]):
            result.append(name)
    # behind the last reply lmtp looks for another command, or the trace has ended already
    return result[:len(result) - result[::-1].index("write")]


@pytest.mark.parametrize("rcpts", [[ALICE], [ALICE, BOB, CAROL]], ids=["1", "3"])
@pytest.mark.parametrize("sieve", [True, False], ids=["sieve", "no-sieve"])
@pytest.mark.parametrize("size", [4 << 10, 32 << 10, 100 << 10, 120 << 10])
def test_no_system_call_of_ours(dovecot_factory, size, sieve, rcpts):
    message = ordinary(size)
    ours = dovecot_factory(plugin={"backscatter_sources": "sent"}, sieve=sieve)
    plain = dovecot_factory(backscatter=False, sieve=sieve)
    lines = traced_delivery(ours, rcpts, message)
    assert calls(lines) == calls(traced_delivery(plain, rcpts, message))
    assert len(calls(lines)) > 20   # the trace saw the delivery
    paths = r"\b(open|openat|stat|lstat|newfstatat|statx|access|faccessat2?|unlink|rename|mkdir|link|chdir)\("
    assert [line for line in lines if re.search(paths, line) and "backscatter" in line] == []
    assert not (ours.users[ALICE].home / ".backscatter.db").exists()


def test_the_trace_would_see_a_report(dovecot_factory):
    """The check above is worth something: a report does open the log."""
    dovecot = dovecot_factory(plugin={"backscatter_sources": "sent"})
    lines = traced_delivery(dovecot, [ALICE], report(new_id("any")))
    assert any("backscatter.db" in line for line in lines)


# Every process

# Its own listeners would be those of all instances.
POP3 = """
protocols = imap lmtp pop3
service pop3-login {
  inet_listener pop3 {
    port = 0
  }
  inet_listener pop3s {
    port = 0
  }
}
"""


@pytest.fixture
def everywhere(dovecot_factory) -> Dovecot:
    """The plugin in all processes, also those that conf.d/95-backscatter.conf leaves out."""
    return dovecot_factory(mail_plugins={"": "backscatter"}, plugin={"backscatter_sources": "sent"}, debug=True,
                           extra=POP3 if (LIBEXEC / "pop3").exists() else "")


def loaded(dovecot: Dovecot, pid: int) -> bool:
    return "lib95_backscatter_plugin.so" in Path(f"/proc/{pid}/maps").read_text()


def test_imap(everywhere):
    with everywhere.imap(ALICE) as client:
        assert client.select("INBOX")[0] == "OK"
        [pid] = everywhere.pids("imap")
        assert loaded(everywhere, pid)
    assert errors(everywhere) == []


def test_lmtp(everywhere):
    with LmtpClient(everywhere.lmtp_socket) as client:
        assert client.deliver(FRIEND, [ALICE], ordinary())[0][0] == 250
        [pid] = everywhere.pids("lmtp")
        assert loaded(everywhere, pid)
    assert errors(everywhere) == []


def has_sqlite(pid: int) -> bool:
    return "libsqlite3" in Path(f"/proc/{pid}/maps").read_text()


def test_lmtp_loads_sqlite_for_a_report_only(everywhere):
    """libcrypto, too, but lmtp has it for TLS already."""
    with LmtpClient(everywhere.lmtp_socket) as client:
        client.deliver(FRIEND, [ALICE], ordinary())
        [pid] = everywhere.pids("lmtp")
        assert loaded(everywhere, pid) and not has_sqlite(pid)
        client.deliver("", [ALICE], report(new_id("forged")))
        assert has_sqlite(pid)
    assert errors(everywhere) == []


def test_imap_has_sqlite_at_once(everywhere):
    """Its user may be in a chroot later."""
    with everywhere.imap(ALICE):
        [pid] = everywhere.pids("imap")
        assert has_sqlite(pid)


def test_lda(everywhere):
    assert everywhere.lda(ALICE, ordinary(), mail_from=FRIEND).code == 0
    assert everywhere.log_lines(r"lda.*Module loaded: .*lib95_backscatter_plugin\.so")
    assert len(everywhere.messages(ALICE)) == 1 and errors(everywhere) == []


def test_doveadm(everywhere):
    assert everywhere.doveadm("-D", "mailbox", "list", "-u", ALICE).out
    assert everywhere.log_lines(r"Module loaded: .*lib95_backscatter_plugin\.so")
    assert errors(everywhere) == []


@pytest.mark.parametrize("command", ["sync", "backup"])
def test_dsync(everywhere, command):
    everywhere.deliver("lmtp", ALICE, ordinary(), FRIEND)
    since = everywhere.log.mark()
    target = everywhere.users[ALICE].home / "copy"
    everywhere.doveadm("-D", command, "-u", ALICE, f"maildir:{target}")
    assert len(list((target / "new").iterdir()) + list((target / "cur").iterdir())) == 1
    assert everywhere.log_lines(r"Module loaded: .*lib95_backscatter_plugin\.so", since)
    assert errors(everywhere) == []


def test_indexer_worker(everywhere):
    everywhere.deliver("lmtp", ALICE, ordinary(), FRIEND)
    since = everywhere.log.mark()
    everywhere.doveadm("index", "-u", ALICE, "-q", "INBOX")
    everywhere.wait_log(r"indexer-worker.*Module loaded: .*lib95_backscatter_plugin\.so", since=since)
    everywhere.wait_log(r"indexer-worker.*(Indexed \d+ messages|Index is already up to date)", since=since)
    assert errors(everywhere) == []


@pytest.mark.skipif(not IS_2_3, reason="2.4's pop3, started by hand, knows no plugin's settings")
@pytest.mark.skipif(not (LIBEXEC / "pop3").exists(), reason="dovecot-pop3d is not installed")
def test_pop3(everywhere):
    everywhere.deliver("lmtp", ALICE, ordinary(), FRIEND)
    env = {"USER": ALICE, "HOME": str(everywhere.users[ALICE].home), "PATH": os.environ["PATH"]}
    uid = everywhere.users[ALICE].uid
    own = ["-o", f"mail_uid={uid}", "-o", f"mail_gid={uid}"]   # started by hand, it asks no userdb
    done = subprocess.run([str(LIBEXEC / "pop3"), "-c", str(everywhere.config), *own], input=b"STAT\r\nQUIT\r\n", env=env,
                          user=uid, group=uid, extra_groups=[], capture_output=True, timeout=30, cwd="/")
    assert b"+OK 1 " in done.stdout, done
