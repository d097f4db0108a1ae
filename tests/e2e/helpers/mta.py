"""Real MTAs from Debian, each on a loopback address of its own, that turn messages into real reports.

    with Postfix() as mta:
        report = mta.bounce("alice@example.test", message)     # Received(mail_from="", rcpts=("alice@...",), message=b"...")

All mail leaves for an SmtpServer that plays the world (see there); the report an MTA writes comes back through it too.
With `lmtp`, mail for example.test goes to that LMTP socket instead (Postfix only).
"""

import email
import os
import re
import shutil
import smtplib
import stat
import subprocess
import tempfile
from pathlib import Path

from dovecot import BUILD, crlf
from process import Daemon, Log, loopback_address
from smtp import PORT, Received, SmtpServer

FETCH_MTAS = Path(__file__).resolve().parents[2] / "tools" / "fetch-mtas"
UNPACKED = BUILD / "mta"
DEADLINE = 30.0
NOBODY = "nobody@reject.example.test"
BUSY = "busy@defer.example.test"
READER = "reader@elsewhere.example"


class Mta:
    """What the three have in common; each says how it is configured and started."""
    name: str

    def __init__(self, world: SmtpServer | None = None):
        self.folder = Path(tempfile.mkdtemp(prefix=f"bs-{self.name}-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.address = loopback_address()
        self.world = world or SmtpServer()
        self.log = Log(self.folder / "log")
        self._daemon: Daemon | None = None

    def start(self) -> "Mta":
        try:
            self._prepare()
            self._daemon = self._launch()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends the processes and removes the folder."""
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None
        self.world.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "Mta":
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop()

    def _prepare(self) -> None:
        raise NotImplementedError

    def _launch(self) -> Daemon:
        raise NotImplementedError

    # Mail

    def submit(self, mail_from: str, rcpt: str, message: bytes, *, notify: str | None = None,
               envelope_id: str | None = None) -> None:
        """Over SMTP; notify, envelope_id: the parameters of RFC 3461."""
        mail_options = [f"ENVID={envelope_id}"] if envelope_id else []
        rcpt_options = [f"NOTIFY={notify}"] if notify else []
        with smtplib.SMTP(self.address, PORT, "client.example.test", timeout=DEADLINE) as client:
            client.sendmail(mail_from, [rcpt], crlf(message), mail_options, rcpt_options)

    def bounce(self, mail_from: str, message: bytes, rcpt: str = NOBODY, **parameters: str) -> Received:
        """The MTA's report on `message`, which the world refuses."""
        return self._report(mail_from, message, rcpt, **parameters)

    def delayed(self, mail_from: str, message: bytes, rcpt: str = BUSY) -> Received:
        """The MTA's warning that `message` still lies in its queue."""
        return self._report(mail_from, message, rcpt)

    def success(self, mail_from: str, message: bytes, rcpt: str = READER) -> Received:
        """The MTA's report that `message` was relayed (the world offers no DSN)."""
        return self._report(mail_from, message, rcpt, notify="SUCCESS")

    def _report(self, mail_from: str, message: bytes, rcpt: str, **parameters: str) -> Received:
        since = self.world.mark()
        self.submit(mail_from, rcpt, message, **parameters)
        return self._reported(mail_from, message, since, DEADLINE)

    def _reported(self, mail_from: str, message: bytes, since: int, timeout: float) -> Received:
        # A late warning about an earlier message is none of it.
        message_id = email.message_from_bytes(message)["Message-ID"] or ""
        return self.world.wait_for(mail_from, message_id.encode(), since, timeout)


class Postfix(Mta):
    name = "postfix"

    def __init__(self, lmtp: Path | None = None, world: SmtpServer | None = None):
        super().__init__(world)
        self.lmtp = lmtp

    @property
    def etc(self) -> Path:
        return self.folder / "etc"

    def _settings(self) -> dict[str, str]:
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": f"{self.folder}/queue",
            "data_directory": f"{self.folder}/data",
            "maillog_file": "/dev/stdout",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": "mx.example.test",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "alias_maps": "",
            "alias_database": "",
            "local_recipient_maps": "",
            "smtpd_relay_restrictions": "permit_mynetworks, reject",
            "smtpd_peername_lookup": "no",
            "smtp_dns_support_level": "disabled",
            "relayhost": f"[{self.world.address}]:{PORT}",
            "smtp_tls_security_level": "none",
            "smtpd_tls_security_level": "none",
            "smtputf8_enable": "no",
            "bounce_queue_lifetime": "1h",
            "delay_warning_time": "1s",
            "queue_run_delay": "1s",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "2s",
        }
        if self.lmtp is not None:
            settings |= {"virtual_mailbox_domains": "example.test", "virtual_transport": f"lmtp:unix:{self.lmtp}"}
        return settings

    def _make_folders(self) -> None:
        """Those of the queue as "postfix check" makes them, which looks at much else, for seconds on a busy machine."""
        for name in ("etc", "queue", "queue/pid", "data"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop", "private",
                     "public", "saved", "trace"):
            folder = self.folder / "queue" / name
            folder.mkdir()
            shutil.chown(folder, "postfix", {"maildrop": "postdrop", "public": "postdrop"}.get(name))
            folder.chmod({"maildrop": 0o730, "public": 0o710}.get(name, 0o700))

    def _prepare(self) -> None:
        self._make_folders()
        (self.etc / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in self._settings().items()))
        (self.etc / "master.cf").write_text(f"""
{self.address}:{PORT} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
showq unix n - n - - showq
""")

    def _launch(self) -> Daemon:
        # Not "postfix start-fg": that is a script, and its master leaves the session.
        programs = subprocess.run(["postconf", "-c", self.etc, "-h", "daemon_directory"],
                                  check=True, timeout=DEADLINE, capture_output=True, text=True).stdout.strip()
        return Daemon([f"{programs}/master", "-c", str(self.etc), "-s"], self.log, r"master\[\d+\]: daemon started")


class Unpacked(Mta):
    """An MTA that can't be installed beside Postfix: it runs in a chroot made of its unpacked package (see fetch-mtas)
    and of the libraries it needs. The chroot has users of its own, the machine needs none."""
    program: str
    users: dict[str, int]

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def _prepare(self) -> None:
        subprocess.run([FETCH_MTAS, UNPACKED], check=True, timeout=300, stdout=subprocess.DEVNULL)
        shutil.copytree(UNPACKED / self.name, self.root, symlinks=True)
        self._libraries(self.root / self.program)
        for name in ("dev", "etc", "tmp", "var/run", "var/spool", "var/log", "run"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "tmp").chmod(0o1777)
        null = self.root / "dev" / "null"
        os.mknod(null, stat.S_IFCHR, os.makedev(1, 3))
        null.chmod(0o666)
        accounts = {"root": 0} | self.users
        (self.root / "etc" / "passwd").write_text("".join(
            f"{name}:x:{uid}:{uid}::/nonexistent:/usr/sbin/nologin\n" for name, uid in accounts.items()))
        (self.root / "etc" / "group").write_text("mail:x:8:\n" + "".join(
            f"{name}:x:{uid}:\n" for name, uid in accounts.items()))
        (self.root / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
        (self.root / "etc" / "mailname").write_text("mx.example.test\n")

    def _libraries(self, program: Path) -> None:
        """Copies what ldd names: the machine's libraries, the loader too; the package's own are there already."""
        own = [str(path) for path in self.root.glob("usr/lib/*-linux-gnu")]
        found = subprocess.run(["ldd", program], env=os.environ | {"LD_LIBRARY_PATH": ":".join(own)},
                               capture_output=True, text=True, check=True).stdout
        assert "not found" not in found, found
        for library in re.findall(r"(/\S+) \(0x", found):
            if not library.startswith(str(self.root)):
                target = self.root / library.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library, target)

    def _in_chroot(self, *argv: str) -> list[str]:
        return ["chroot", str(self.root), *argv]


class Exim(Unpacked):
    name = "exim"
    program = "usr/sbin/exim4"
    ports = (PORT,)
    users = {"Debian-exim": 42901}

    def _prepare(self) -> None:
        super()._prepare()
        uid = self.users["Debian-exim"]
        for name in ("var/spool/exim4", "var/log/exim4"):
            (self.root / name).mkdir(parents=True)
            os.chown(self.root / name, uid, uid)
        (self.root / "etc" / "exim.conf").write_text(f"""
exim_path = /usr/sbin/exim4
primary_hostname = mx.example.test
local_interfaces = {self.address}
daemon_smtp_ports = {" : ".join(map(str, self.ports))}
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
pid_file_path = /run/exim.pid
deliver_drop_privilege
keep_environment =
tls_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
dsn_advertise_hosts = *
delay_warning = 1s:1000h
acl_smtp_rcpt = recipient
begin acl
recipient:
{self._recipients()}
begin routers
{self._routers()}
begin transports
world:
  driver = smtp
  port = {PORT}
  hosts_avoid_tls = *
{self._transports()}
begin retry
* * F,1h,1s
""")

    def _recipients(self) -> str:
        """Statements of the ACL."""
        return "  accept"

    def _routers(self) -> str:
        return self._route("world", "", self.world.address, "world")

    def _transports(self) -> str:
        """Those beside "world", which is SMTP."""
        return ""

    @staticmethod
    def _route(name: str, conditions: str, address: str, transport: str) -> str:
        """A router that hands mail on to an address."""
        return f"""\
{name}:
  driver = manualroute
{conditions}
  transport = {transport}
  route_list = * {address} byname
  self = send
"""

    def delayed(self, mail_from: str, message: bytes, rcpt: str = BUSY) -> Received:
        # Its queue is run only here, not every second by its daemon: each run is a new Exim.
        since = self.world.mark()
        self.submit(mail_from, rcpt, message)
        for _ in range(int(DEADLINE)):
            self.run_queue()
            try:
                return self._reported(mail_from, message, since, 1)
            except TimeoutError:
                pass
        raise TimeoutError(f"no warning about a delay within {DEADLINE} s")

    def run_queue(self) -> None:
        """Tries once more what could not be delivered, if it is time for that."""
        subprocess.run(self._in_chroot("/usr/sbin/exim4", "-C", "/etc/exim.conf", "-q"), check=True, timeout=DEADLINE,
                       capture_output=True)

    def _launch(self) -> Daemon:
        return Daemon(self._in_chroot("/usr/sbin/exim4", "-C", "/etc/exim.conf", "-bdf", "-v"), self.log, r"daemon started")


class OpenSmtpd(Unpacked):
    name = "opensmtpd"
    program = "usr/sbin/smtpd"
    users = {"opensmtpd": 42902, "opensmtpq": 42903}

    def _prepare(self) -> None:
        super()._prepare()
        # It reads these at its start, TLS or not.
        certificates = self.root / "etc" / "ssl" / "certs" / "ca-certificates.crt"
        certificates.parent.mkdir(parents=True)
        certificates.touch()
        (self.root / "etc" / "smtpd.conf").write_text(f"""
listen on {self.address} port {PORT} hostname mx.example.test
bounce warn-interval 1s
action world relay host smtp://{self.world.address}:{PORT}
match from any for any action world
""")

    def _launch(self) -> Daemon:
        return Daemon(self._in_chroot("/usr/sbin/smtpd", "-d", "-v"), self.log, r"smtp: will accept")


MTAS: dict[str, type[Mta]] = {mta.name: mta for mta in (Postfix, Exim, OpenSmtpd)}
