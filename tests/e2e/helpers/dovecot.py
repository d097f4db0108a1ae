"""A private Dovecot in a folder of its own: LMTP, LDA, IMAP, Sieve, submission, doveadm, with or without our plugin.

    with Dovecot(plugin={"backscatter_sources": "sent"}) as dovecot:
        dovecot.append("alice@example.test", "Sent", sent_message)
        assert dovecot.lmtp("", ["alice@example.test"], bounce) == [(250, ANY)]
        assert dovecot.messages("alice@example.test", "INBOX")[0].verdict["reason"] == "message-id"

Sockets are unix sockets in the folder; LMTP listens on TCP too, on a loopback address of the instance's own (Dovecot takes
XCLIENT only from an IP address). So instances never clash. Mail belongs to uids without a passwd entry.
"""

import email
import email.message
import email.policy
import imaplib
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import dovecot_config
from doveadm_server import DoveadmServer
from dovecot_config import LIBEXEC, LMTP_PORT, ROOT, SUBMISSION_PORT
from process import STOP_SECONDS, Daemon, Log, loopback_address
from submission import Reply, SubmissionClient

BUILD = Path(os.environ.get("BACKSCATTER_BUILD", ROOT / "build"))

ALICE, BOB, CAROL = "alice@example.test", "bob@example.test", "carol@example.test"
PASSWORD = "secret"
FIRST_UID = 42001
DEADLINE = 30.0


@dataclass
class User:
    name: str
    uid: int
    home: Path
    fields: dict[str, str] = field(default_factory=dict)   # userdb extra fields: settings of this user


@dataclass
class Message:
    """A stored message: `raw` is what lies on the disk (Maildir; from dbox: as IMAP gives it, with LF)."""
    raw: bytes
    path: Path | None = None

    def headers(self, name: str) -> list[str]:
        return [re.sub(r"\r?\n[ \t]+", " ", str(value)).strip() for value in header_of(self.raw).get_all(name, [])]

    def header(self, name: str) -> str | None:
        """The only header of that name; None if there is none."""
        found = self.headers(name)
        assert len(found) <= 1, f"{len(found)} headers {name}: {found}"
        return found[0] if found else None

    @property
    def verdict(self) -> dict[str, str] | None:
        """X-Backscatter taken apart: {"verdict": "genuine", "class": "dsn-failed", "reason": "message-id", ...}."""
        value = self.header("X-Backscatter")
        if value is None:
            return None
        verdict, *parameters = [part.strip() for part in value.split(";")]
        return {"verdict": verdict} | dict(parameter.split("=", 1) for parameter in parameters)


@dataclass
class Result:
    """How a command ended."""
    code: int
    out: str
    err: str

    def json(self):
        return json.loads(self.out)

    def rows(self) -> list[dict[str, str]]:
        """Rows of doveadm's tab formatter."""
        names, *rows = [line.split("\t") for line in self.out.splitlines()]
        return [dict(zip(names, row)) for row in rows]


class UnixImap(imaplib.IMAP4):
    def __init__(self, path: Path, timeout: float):
        self._path = path
        super().__init__(timeout=timeout)

    def _create_socket(self, timeout):
        return connect(self._path, timeout)


# The processes of a Dovecot that keep nothing of a user's mail, by the 15 characters that the kernel keeps of their names.
# (2.4's config is ours: dovecot_config.programs().)
KEEPING_NOTHING = frozenset({"anvil", "auth", "config", "config-program", "dovecot", "imap-login", "log", "submission-logi"})

# After it, the master may treat a service otherwise than before.
UNUSUAL = r"master: (Error|Warning|Fatal|Panic)|Fatal: |Panic: "


@dataclass
class Started:
    """A Dovecot at the end of its start: what it had logged, and its files."""
    logged: list[str]
    files: dict[Path, tuple[int, int]]


class Dovecot:
    """
    users: names, or name -> userdb extra fields ({"backscatter_action": "annotate"}; values without blanks).
    plugin: plugin {} settings; SPF is off unless a test says otherwise (None: nothing is said): most have no name server to ask.
    extra: raw configuration, read last. Both with 2.3's names: see dovecot_config for 2.4.
    unchecked: plugin {} settings that may be wrong. 2.4 would not start with them: there they come from the userdb.
    backscatter: False = Dovecot as if our plugin did not exist.
    mail_format: maildir, sdbox, mdbox.   sieve: Sieve in lmtp and lda.
    quota: a quota_rule ("*:storage=1M"), or None = no quota plugin.   acl: the ACL plugin (see set_acl()).
    mail_plugins: more plugins, protocol -> names ("" = all protocols).
    relay: (address, port) that the submission service hands mail on to; None = no such service.
    resolv_conf: what our modules find in /etc/resolv.conf; None: the machine's.
    modules: where ours are; default: as built here.
    folder: where it lives; default: a new folder in /tmp that stop() removes. Not below a folder that is closed to
    other uids (pytest's tmp_path is), and with a short name (unix sockets).
    """

    def __init__(self, folder: Path | None = None, *, users=(ALICE, BOB, CAROL), plugin: dict[str, str] | None = None,
                 unchecked: dict[str, str] | None = None, extra: str = "", backscatter: bool = True,
                 mail_format: str = "maildir", sieve: bool = True,
                 quota: str | None = None, acl: bool = False, lmtp_save_to_detail_mailbox: bool = False,
                 relay: tuple[str, int] | None = None, mail_plugins: dict[str, str] | None = None,
                 resolv_conf: str | None = None, modules: Path = BUILD / "modules", debug: bool = False):
        self.own_folder = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="bs-", dir="/tmp")) if folder is None else Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        # 2.4 knows no setting of modules that it refuses
        defaults = {"backscatter_spf": "no"} if modules == BUILD / "modules" else {}
        self.plugin = {name: value for name, value in (defaults | (plugin or {})).items() if value is not None}
        self.unchecked = dict(unchecked or {})
        self.extra, self.backscatter, self.mail_format, self.sieve = extra, backscatter, mail_format, sieve
        self.quota, self.acl, self.debug = quota, acl, debug
        self.lmtp_save_to_detail_mailbox, self.relay = lmtp_save_to_detail_mailbox, relay
        self.mail_plugins, self.modules, self.resolv_conf = dict(mail_plugins or {}), modules, resolv_conf
        self.address = loopback_address()
        self.config = self.folder / "dovecot.conf"
        self.run = self.folder / "run"
        self.log = Log(self.folder / "log")
        self.users: dict[str, User] = {}
        self._users_written = 0
        self._daemon: Daemon | None = None
        self._server: DoveadmServer | None = None
        self._as_started: Started | None = None
        self._changed = False
        for name in users:
            self.add_user(name, users[name] if isinstance(users, dict) else {})

    # Life

    def start(self) -> "Dovecot":
        # A master that was killed leaves these; its pid may be another process's by now.
        for left in ("master.pid", "instances.lock"):
            (self.run / left).unlink(missing_ok=True)
        if self.backscatter:
            dovecot_config.install_spf_service(self)
        self._write_users()
        self.config.write_text(dovecot_config.configuration(self))
        self._daemon = Daemon(dovecot_config.command(self, "dovecot", "-F"), self.log, r"Dovecot v\S+ .*starting up",
                              # auth and anvil: a Postfix keeps its connection to them
                              idle=frozenset({"anvil", "auth", "dovecot", "log"}))
        # What a process logs before the log process has read the master's greeting of that service's pipe, it reads with
        # that greeting, and keeps it until the same service logs something more (both Dovecots).
        self._daemon.wait_until_idle("log")
        self._as_started = Started(self.log.lines(), self._files())
        return self

    @property
    def pid(self) -> int:
        """The master's, by which all its processes are found. Whoever asks may do something to them."""
        self._changed = True
        return self._daemon.pid

    def clear(self) -> bool:
        """As it was when it had started: no mail, nothing else in the homes, no process that has read there, and a new log.

        False if it can't be told from outside that nothing else was changed: then it is only good for stop().
        TimeoutError if a process doesn't end."""
        if self._as_started is None or self._changed or not self._daemon.running():
            return False
        self._daemon.end(all_but=KEEPING_NOTHING, nor=self._idle_doveadm_server())
        if self.log_lines(UNUSUAL) or not self._has_files_of_start() or \
                self.config.read_text() != dovecot_config.configuration(self):
            return False
        self.log = Log(self.folder / "log", self._as_started.logged)
        self._daemon.log_to(self.log)
        for user in self.users.values():
            shutil.rmtree(user.home)
            self._make_home(user)
        return True

    def _idle_doveadm_server(self) -> set[int]:
        """The process that ask() talks to, which keeps nothing of a user from command to command. Empty where there is none, or
        others of that name run: then the next ask() finds a new one."""
        pids = self._daemon.children_called("doveadm-server")
        if self._server is not None and len(pids) == 1:
            self._daemon.wait_until_idle("doveadm-server")
            if self._server.waits():
                return pids
        self._hang_up()
        return set()

    def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _has_files_of_start(self) -> bool:
        """All of them, and none beside them, but for sockets of services."""
        now = self._files()
        return self._as_started.files.items() <= now.items() and all(
            path.parent == self.run for path in now.keys() - self._as_started.files.keys())

    def _files(self) -> dict[Path, tuple[int, int]]:
        """What lies in its folder, but for what users have, and the services' sockets: which file, and of when."""
        found = {}
        for path in [*self.folder.iterdir(), *self.run.iterdir()]:
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue   # Dovecot's own files come and go
            if path.parent == self.run and not stat.S_ISSOCK(status.st_mode) or path.name in ("home", "log"):
                continue
            found[path] = status.st_ino, 0 if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
        return found

    @property
    def programs(self) -> Path:
        """The folder of its modules, and of the programs that load them."""
        return dovecot_config.programs(self.modules if self.backscatter else None)

    @property
    def running(self) -> bool:
        return self._daemon is not None

    def processes(self) -> str:
        return self._daemon.processes() if self._daemon else "none"

    def halt(self, patience: float = STOP_SECONDS) -> None:
        """Ends the processes; the folder stays, start() goes on with it."""
        self._changed = True
        self._hang_up()
        if self._daemon is not None:
            self._daemon.stop(patience)
            self._daemon = None

    def stop(self) -> None:
        """Ends the processes and removes the folder (if it was made here)."""
        self.halt()
        if self.resolv_conf is not None:
            dovecot_config.resolv_conf(self.folder).unlink(missing_ok=True)
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self, *, plugin: dict[str, str] | None = None, **changes) -> None:
        """Again, with other settings: plugin's are added to the present ones (value None: taken away)."""
        self.halt()
        merged = self.plugin | (plugin or {})
        self.plugin = {name: value for name, value in merged.items() if value is not None}
        for name, value in changes.items():
            assert hasattr(self, name), name
            setattr(self, name, value)
        self.start()

    def __enter__(self) -> "Dovecot":
        try:
            return self if self._daemon else self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_) -> None:
        self.stop()

    # Users

    def add_user(self, name: str, fields: dict[str, str] | None = None) -> User:
        uid = FIRST_UID + len(self.users)
        user = self.users[name] = User(name, uid, self.folder / "home" / name, dict(fields or {}))
        self._make_home(user)
        self._write_users()
        return user

    def _make_home(self, user: User) -> None:
        user.home.mkdir(parents=True, exist_ok=True)
        user.home.chmod(0o700)
        os.chown(user.home, user.uid, user.uid)

    def set_fields(self, name: str, **fields: str) -> None:
        """Sets userdb extra fields of a user, for every later lookup."""
        self.users[name].fields |= fields
        self._write_users()

    def _write_users(self) -> None:
        lines = []
        for user in self.users.values():
            extra = " ".join(f"userdb_{key}={value}" for key, value in user.fields.items())
            lines.append(f"{user.name}:{{PLAIN}}{PASSWORD}:{user.uid}:{user.uid}::{user.home}::{extra}\n")
        new = self.folder / "users.new"
        new.write_text("".join(lines))
        # Dovecot tells a change by size and time, in seconds, and looks once a second.
        self._users_written += 1
        os.utime(new, (time.time(), time.time() - 1_000_000 + self._users_written))
        new.rename(self.folder / "users")
        if self._daemon is not None:
            time.sleep(1 - time.time() % 1)

    # Delivery

    @property
    def lmtp_socket(self) -> Path:
        return self.run / "lmtp"

    def lmtp(self, mail_from: str, rcpts: list[str] | str, message: bytes, *, mail_parameters: str = "",
             xclient: dict[str, str] | None = None) -> list[tuple[int, str]]:
        """One LMTP transaction; the final reply for each recipient, in their order.

        Bare LF in the message becomes CRLF, as an MTA sends it; nothing else is changed."""
        if isinstance(rcpts, str):
            rcpts = [rcpts]
        where = self.lmtp_socket if xclient is None else (self.address, LMTP_PORT)
        with LmtpClient(where) as client:
            return client.deliver(mail_from, rcpts, message, mail_parameters, xclient)

    def lda(self, user: str, message: bytes, *, mail_from: str | None = None, orig_rcpt: str | None = None,
            final_rcpt: str | None = None, mailbox: str | None = None, options: tuple[str, ...] = (),
            reads_file: bool = False) -> Result:
        """dovecot-lda -d USER [-f FROM] [-a ORIG_RCPT] [-r FINAL_RCPT] [-m MAILBOX]; -e: errors to stderr.

        reads_file: the configuration comes from its file, not from the running Dovecot."""
        run = dovecot_config.command if reads_file else dovecot_config.asking
        argv = run(self, LIBEXEC / "dovecot-lda", "-e", "-d", user)
        for option, value in (("-f", mail_from), ("-a", orig_rcpt), ("-r", final_rcpt), ("-m", mailbox)):
            if value is not None:
                argv += [option, value]
        return self._command([*argv, *options], message)

    def deliver(self, way: str, user: str, message: bytes, mail_from: str = "") -> None:
        """By "lmtp", or by "lda" as an MTA calls it; and it has to be accepted."""
        if way == "lmtp":
            replies = self.lmtp(mail_from, [user], message)
            assert [code for code, _ in replies] == [250], replies
        else:
            result = self.lda(user, message.replace(b"\r\n", b"\n"), mail_from=mail_from, final_rcpt=user)
            assert result.code == 0, result

    # Submission

    def submission(self, user: str) -> SubmissionClient:
        """A logged-in connection."""
        return SubmissionClient((self.address, SUBMISSION_PORT), user, PASSWORD, DEADLINE)

    def submit(self, user: str, rcpts: list[str] | str, message: bytes, *, mail_from: str | None = None,
               mail_parameters: str = "", rcpt_parameters: str = "") -> Reply:
        """One transaction with DATA; the last reply. mail_from: default: the user. Bare LF becomes CRLF."""
        with self.submission(user) as client:
            return client.submit(user if mail_from is None else mail_from, [rcpts] if isinstance(rcpts, str) else rcpts,
                                 crlf(message), mail_parameters, rcpt_parameters)

    # Looking and acting as the mailbox's owner or the administrator

    def imap(self, user: str) -> UnixImap:
        """A logged-in connection (imaplib); log out or use it as a context manager."""
        client = UnixImap(self.run / "imap.sock", DEADLINE)
        client.login(user, PASSWORD)
        return client

    def append(self, user: str, mailbox: str, message: bytes, flags: str = r"(\Seen)") -> None:
        with self.imap(user) as client:
            status, reply = client.append(mailbox, flags, None, crlf(message))
            assert status == "OK", reply

    def doveadm(self, *args: str, user: str | None = None, formatter: str | None = None, stdin: bytes = b"",
                check: bool = True) -> Result:
        """doveadm [-f FORMATTER] ARGS; `user` goes in as -u USER where doveadm's mail commands want it: right behind the
        command ("fetch -u USER", "backscatter sent add -u USER")."""
        argv = dovecot_config.doveadm(self)
        if formatter is not None:
            argv += ["-f", formatter]
        if user is not None:
            place = command_words(args)
            args = (*args[:place], "-u", user, *args[place:])
        result = self._command([*argv, *args], stdin)
        if check:
            assert result.code == 0, f"doveadm {' '.join(args)}: exit code {result.code}\n{result.err}"
        return result

    def ask(self, user: str, command: str, *args: str) -> list[str] | None:
        """The values that doveadm COMMAND ARGS prints for a user, with a tenth of doveadm()'s work: see DoveadmServer.

        None, and nothing was asked, where a test counts doveadm's processes. Raises Refused if it fails."""
        if "service doveadm" in self.extra:
            return None
        if self._server is None:
            self._server = DoveadmServer(connect(self.run / "doveadm-server", DEADLINE))
        try:
            return self._server.ask(user, command, *args)
        except BaseException:
            self._hang_up()
            raise

    def do(self, user: str, *args: str) -> None:
        """doveadm ARGS for a user, where nothing counts but that it is done."""
        place = command_words(args)
        if self.ask(user, " ".join(args[:place]), *args[place:]) is None:
            self.doveadm(*args, user=user)

    def mailboxes(self, user: str) -> list[str]:
        return self._listed(user)

    def subscriptions(self, user: str) -> list[str]:
        return self._listed(user, "-s")

    def _listed(self, user: str, *options: str) -> list[str]:
        found = self.ask(user, "mailbox list", *options)
        if found is None:
            found = self.doveadm("mailbox", "list", *options, user=user).out.splitlines()
        return sorted(found)

    def messages(self, user: str, mailbox: str = "INBOX") -> list[Message]:
        """In order of delivery; none if the mailbox does not exist."""
        if self.mail_format == "maildir":
            return read_maildir(maildir(self.users[user].home / "Maildir", mailbox))
        return self._messages_over_imap(user, mailbox)

    def _messages_over_imap(self, user: str, mailbox: str) -> list[Message]:
        with self.imap(user) as client:
            status, reply = client.select(f'"{mailbox}"', readonly=True)
            if status != "OK" or reply == [b"0"]:
                return []
            _, parts = client.fetch("1:*", "(BODY.PEEK[])")
            return [Message(part[1].replace(b"\r\n", b"\n")) for part in parts if isinstance(part, tuple)]

    def empty(self, *users: str) -> None:
        """Takes away all their mailboxes: they are made anew. No process may have one open."""
        for user in users:
            folder = "Maildir" if self.mail_format == "maildir" else self.mail_format
            shutil.rmtree(self.users[user].home / folder, ignore_errors=True)

    def message(self, user: str, mailbox: str = "INBOX") -> Message:
        """The only message there."""
        found = self.messages(user, mailbox)
        assert len(found) == 1, f"{len(found)} messages in {mailbox} of {user}"
        return found[0]

    def set_sieve(self, user: str, script: str | None) -> None:
        """The user's active script; None removes it."""
        owner = self.users[user]
        path = owner.home / ".dovecot.sieve"
        path.unlink(missing_ok=True)
        path.with_suffix(".svbin").unlink(missing_ok=True)
        if script is not None:
            path.write_text(script)
            os.chown(path, owner.uid, owner.uid)

    def set_acl(self, user: str, mailbox: str, identifier: str, *rights: str) -> None:
        """doveadm acl set (needs acl=True); no rights: none at all."""
        self.doveadm("acl", "set", "-u", user, mailbox, identifier, *rights)

    def pids(self, service: str) -> list[int]:
        """Processes of a service: "lmtp", "imap". Whoever asks may do something to them."""
        self._changed = True
        rows = self.doveadm("process", "status", service, formatter="tab").rows()
        return [int(row["pid"]) for row in rows]

    def doveconf(self, *args: str) -> Result:
        """doveconf on this instance's configuration."""
        return self._command(dovecot_config.doveconf(self, *args), b"")

    # Log

    def log_lines(self, matching: str = "", since: int = 0) -> list[str]:
        """All that any process has logged by now."""
        if self._daemon is not None and self._daemon.running():
            self._daemon.wait_until_idle("log")
            self._daemon.read_written()
        return self.log.lines(matching, since)

    def wait_log(self, regex: str, timeout: float = 10, since: int = 0) -> re.Match:
        return self.log.wait(regex, timeout, since)

    def _command(self, argv: list[str], stdin: bytes) -> Result:
        done = subprocess.run(argv, input=stdin, capture_output=True, timeout=DEADLINE, cwd="/")
        result = Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        for line in result.err.splitlines():
            self.log.add(line)
        return result


class LmtpClient:
    """LMTP over a unix socket or TCP. For several transactions on one connection use it directly."""

    def __init__(self, where: Path | tuple[str, int], timeout: float = DEADLINE):
        self._socket = connect(where, timeout)
        self._file = self._socket.makefile("rb")
        self._expect(220)
        self.capabilities = self.command("LHLO client.example.test", 250)

    def __enter__(self) -> "LmtpClient":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()
        self._socket.close()

    def deliver(self, mail_from: str, rcpts: list[str], message: bytes, mail_parameters: str = "",
                xclient: dict[str, str] | None = None) -> list[tuple[int, str]]:
        if xclient is not None:
            self.command("XCLIENT " + " ".join(f"{key}={value}" for key, value in xclient.items()), 220)
            self.command("LHLO client.example.test", 250)
        self.command(f"MAIL FROM:<{mail_from}> {mail_parameters}".rstrip(), 250)
        replies = [self.send(f"RCPT TO:<{rcpt}>") for rcpt in rcpts]
        accepted = [index for index, (code, _) in enumerate(replies) if code == 250]
        if not accepted:
            return replies
        self.command("DATA", 354)
        self._socket.sendall(dot_stuffed(message))
        for index in accepted:
            replies[index] = self._reply()
        return replies

    def send(self, line: str) -> tuple[int, str]:
        self._socket.sendall(line.encode() + b"\r\n")
        return self._reply()

    def command(self, line: str, code: int) -> str:
        self._socket.sendall(line.encode() + b"\r\n")
        return self._expect(code)

    def _expect(self, code: int) -> str:
        reply = self._reply()
        assert reply[0] == code, reply
        return reply[1]

    def _reply(self) -> tuple[int, str]:
        lines = []
        while True:
            line = self._file.readline().decode(errors="replace").rstrip("\r\n")
            assert line, "LMTP connection closed"
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(lines)


def connect(where: Path | tuple[str, int], timeout: float) -> socket.socket:
    if isinstance(where, tuple):
        return socket.create_connection(where, timeout)
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(timeout)
    client.connect(str(where))
    return client


def header_of(message: bytes) -> email.message.Message:
    """Its fields; what comes behind them isn't parsed."""
    return email.message_from_bytes(re.split(rb"\n\r?\n", message, maxsplit=1)[0], policy=email.policy.compat32)


def crlf(message: bytes) -> bytes:
    return re.sub(rb"(?<!\r)\n", b"\r\n", message)


def dot_stuffed(message: bytes) -> bytes:
    message = crlf(message)
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    return re.sub(rb"^\.", b"..", message, flags=re.MULTILINE) + b".\r\n"


def maildir(root: Path, mailbox: str) -> Path:
    """ASCII names only."""
    return root if mailbox == "INBOX" else root / ("." + mailbox.replace("/", "."))


def read_maildir(folder: Path) -> list[Message]:
    def order(path: Path) -> tuple[int, int]:
        seconds, rest = path.name.split(".", 2)[:2]
        return int(seconds), int(re.match(r"M(\d+)", rest).group(1))

    paths = [path for name in ("new", "cur") if (folder / name).is_dir() for path in (folder / name).iterdir()]
    return [Message(path.read_bytes(), path) for path in sorted(paths, key=order)]


def command_words(args: tuple[str, ...]) -> int:
    """How many of doveadm's arguments are the command itself: "fetch", "mailbox list", "backscatter sent add"."""
    if args[:2] in (("backscatter", "sent"), ("backscatter", "key")):
        return 3
    return 2 if args[0] in ("mailbox", "acl", "quota", "sieve", "backscatter") else 1
