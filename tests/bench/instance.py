"""The Dovecot instances that are compared, and how what their processes use is read."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import spf_service
from cases import OWNER, USERS, Case, forged_report, genuine_original, original
from dovecot import DEADLINE, LIBEXEC, Dovecot, LmtpClient, maildir

WARM_UP = 3
AUTHSERV_ID = "delivery.example.test"

# One process a connection, so that a new connection means a new process.
LMTP_SERVICE = """
service lmtp {{
  executable = {executable}
  client_limit = 1
  service_count = 1
}}
"""

# In libdovecot, called for NOOP: callgrind writes what it has counted and begins anew.
BOUNDARY = "smtp_server_cmd_noop"


class Instance:
    """A private Dovecot and one LMTP connection to it. settings: more of the plugin's."""

    def __init__(self, name: str, settings: dict[str, str], executable: str = "lmtp"):
        self.name = name
        self.copies = 0
        self.with_plugin = name == "plugin"
        self.dovecot = Dovecot(users=USERS, backscatter=self.with_plugin, extra=LMTP_SERVICE.format(executable=executable),
                               plugin={"backscatter_sources": "sent", "backscatter_action": "annotate"} | settings)

    def __enter__(self) -> "Instance":
        self.dovecot.__enter__()
        return self

    def __exit__(self, *_) -> None:
        self.dovecot.stop()

    # Mailboxes

    def empty_mailboxes(self) -> None:
        """A delivery costs more the fuller the mailbox is."""
        for user in self.dovecot.users.values():
            shutil.rmtree(user.home / "Maildir", ignore_errors=True)

    def prepare(self, case: Case, serials: Iterable[int]) -> None:
        """Logs the messages that genuine reports are about."""
        if self.with_plugin and case.verdict == "genuine":
            self._send(serials)

    def _send(self, serials: Iterable[int]) -> None:
        with self.dovecot.imap(OWNER) as client:
            for serial in serials:
                client.append("Sent", None, None, genuine_original(serial))

    def cover(self) -> None:
        """From here on the log is believed: what it does not know was not sent."""
        self._send([0])
        self.dovecot.deliver("lmtp", OWNER, forged_report(0))
        if self.with_plugin:
            month_ago = time.strftime("%Y-%m-%d", time.localtime(time.time() - 30 * 86400))
            self.dovecot.doveadm("backscatter", "coverage", "--since", month_ago, user=OWNER)

    def fill_sent(self, case: Case) -> None:
        """Copies that somebody else has stored, and that Dovecot has seen: what is measured is our reading."""
        user = self.dovecot.users[OWNER]
        folder = maildir(user.home / "Maildir", "Sent") / "cur"
        if case.anew:
            shutil.rmtree(folder.parent)
            self.dovecot.doveadm("mailbox", "create", "Sent", user=OWNER)
        for _ in range(case.unread):
            self.copies += 1
            message = original(f"copy-{self.copies}@client.example.test", f"friend-{self.copies}@example.net")
            file = os.open(folder / f"1700000000.P1.elsewhere.{self.copies}:2,S", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(file, message)
            os.fchown(file, user.uid, user.uid)
            os.close(file)
        if case.unread:
            self.dovecot.doveadm("mailbox", "status", "messages", "Sent", user=OWNER)

    def check(self, case: Case, count: int) -> None:
        """Everything was delivered, judged and checked as it should be."""
        for rcpt in case.rcpts:
            messages = self.dovecot.messages(rcpt)
            verdicts = [message.verdict and message.verdict["verdict"] for message in messages]
            wanted = [case.verdict if self.with_plugin else None] * count
            assert verdicts == wanted, f"{self.name}: {case.name}: {rcpt}: {verdicts}"
            results = [ours for message in messages for ours in message.headers("Authentication-Results")
                       if ours.startswith(AUTHSERV_ID)]
            wanted = [f"{AUTHSERV_ID}; {case.spf}"] * count if case.spf and self.with_plugin else []
            assert results == wanted, f"{self.name}: {case.name}: {rcpt}: {results}"

    # Deliveries

    def connect(self) -> None:
        since = self.dovecot.log.mark()
        self.client = LmtpClient(self.dovecot.lmtp_socket)
        self.pid = int(self.dovecot.wait_log(r"lmtp\((\d+)\): Info: Connect from local", DEADLINE, since).group(1))

    def disconnect(self) -> None:
        self.client.__exit__()

    def deliver(self, case: Case, serials: Iterable[int]) -> None:
        for serial in serials:
            replies = self.client.deliver(case.mail_from, list(case.rcpts), case.message(serial))
            assert {code for code, _ in replies} == {250}, replies

    def service_cpu(self) -> int:
        """Nanoseconds that those processes have run which evaluate SPF."""
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in spf_service.pids(self.dovecot))

    def cpu(self) -> int:
        """Nanoseconds that the process has run. It has to sleep: while it runs, the kernel's count is late."""
        self.client.command("NOOP", 250)
        while state(self.pid) != "S":
            time.sleep(0.0001)
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0])


class CountedInstance(Instance):
    """Its lmtp runs in callgrind."""

    def __init__(self, name: str, settings: dict[str, str], folder: Path):
        self.folder = folder / name
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o777)
        super().__init__(name, settings, " ".join([*callgrind(self.folder / "%p"), f"--dump-before={BOUNDARY}",
                                                   str(LIBEXEC / "lmtp")]))

    def instructions(self) -> int:
        """User instructions since the last call."""
        before = set(self._dumps())
        self.client.command("NOOP", 250)
        dump, = set(self._dumps()) - before
        return instructions(dump)

    def _dumps(self) -> list[Path]:
        return [path for path in self.folder.glob(f"{self.pid}.*")]


def lda_instructions(instance: Instance, message: bytes, folder: Path) -> int:
    """User instructions of one dovecot-lda, from its start to its end. It asks the config service, as an MTA's lda does:
    with a file it would first become doveconf."""
    dump = folder / "lda"
    dump.write_text("")
    dump.chmod(0o666)       # opened by root at the start, and by the user at the end
    subprocess.run([*callgrind(dump), str(LIBEXEC / "dovecot-lda"), "-c", str(instance.dovecot.run / "config"), "-d", OWNER,
                    "-r", OWNER], input=message, check=True, timeout=DEADLINE, cwd="/", capture_output=True)
    return instructions(dump)


def callgrind(out: Path) -> list[str]:
    return ["/usr/bin/valgrind", "--tool=callgrind", "--quiet", "--vgdb=no", f"--callgrind-out-file={out}"]


def instructions(dump: Path) -> int:
    with dump.open() as file:
        return next(int(line.split()[1]) for line in file if line.startswith(("summary:", "totals:")))


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
