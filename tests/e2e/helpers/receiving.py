"""The MTAs of mta.py, and Sendmail, as a site's MX: they take mail over IPv4 and IPv6, with and without authentication,
and from a command on their host. What they hand on, with their Received field on top, the world keeps.

    with MXS["postfix"]() as mx:
        mx.take(Session(helo="out.example.net", client="127.0.0.99"))
"""

import base64
import os
import smtplib
import socket
import socketserver
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass

from mta import DEADLINE, PORT, READER, UNPACKED, Exim, Mta, OpenSmtpd, Postfix, Unpacked
from process import Daemon, loopback_address
from smtp import Received

RDNS = "rdns.example.test"
# in each MTA's hosts file
CLIENT_WITH_NAME = "127.3.2.1"
SENDER = "sender@elsewhere.example"


@dataclass(frozen=True)
class Session:
    """How a client hands over a message."""
    helo: str | None = "out.example.net"   # None: none at all
    client: str = "127.3.2.99"   # its address
    mail_from: str = SENDER
    login: bool = False
    verb: str = "EHLO"


class Refused(Exception):
    """The MTA didn't want the message, or already its HELO name."""


class Receiving(Mta):
    """Mixed into an MTA."""
    can_login = False

    def __init__(self):
        super().__init__()
        self.ipv6_port = free_port(socket.AF_INET6, "::1")

    def take(self, session: Session, message: bytes = b"") -> Received:
        """A client's message, as the world got it: `message` is its header block."""
        return self._handed_on(message, lambda whole: self._send(session, whole))

    def submit_here(self, message: bytes = b"") -> Received:
        """A message of a user on that host."""
        return self._handed_on(message, lambda whole: subprocess.run(
            self._sendmail(READER), input=whole.replace(b"\r\n", b"\n"), check=True, timeout=DEADLINE, capture_output=True))

    def _handed_on(self, message: bytes, send) -> Received:
        mark = uuid.uuid4().hex.encode()
        since = self.world.mark()
        send(message + b"From: <sender@elsewhere.example>\r\nSubject: " + mark + b"\r\n\r\nHello.\r\n")
        return self.world.wait_for(READER, mark, since, DEADLINE)

    def _send(self, session: Session, message: bytes) -> None:
        ipv6 = ":" in session.client
        client = smtplib.SMTP(timeout=DEADLINE, source_address=(session.client, 0))
        # A name with quotes and the like, as it is.
        client.connect("::1" if ipv6 else self.address, self.ipv6_port if ipv6 else PORT)
        try:
            if session.helo is not None:
                self._command(client, f"{session.verb} {session.helo}")
            if session.login:
                self._command(client, "AUTH PLAIN " + base64.b64encode(b"\0jane\0secret").decode())
            self._command(client, f"MAIL FROM:<{session.mail_from}>")
            self._command(client, f"RCPT TO:<{READER}>")
            code, reply = client.data(message)
            if code != 250:
                raise Refused(reply)
        except smtplib.SMTPException as error:
            raise Refused(error) from error
        finally:
            client.close()

    @staticmethod
    def _command(client: smtplib.SMTP, line: str) -> None:
        client.send(line.encode() + b"\r\n")
        code, reply = client.getreply()
        if code not in (235, 250):
            raise Refused(line, reply)

    def _sendmail(self, rcpt: str) -> list[str]:
        raise NotImplementedError

    def _add_hosts(self) -> None:
        with open(self.root / "etc" / "hosts", "a") as hosts:
            hosts.write(f"{CLIENT_WITH_NAME} {RDNS}\n")


class ReceivingPostfix(Receiving, Postfix):
    can_login = True

    def __init__(self):
        super().__init__()
        self._users = DovecotUsers()

    def stop(self) -> None:
        super().stop()
        self._users.stop()

    def _settings(self) -> dict[str, str]:
        return super()._settings() | {
            "inet_protocols": "all",
            "mynetworks": "127.0.0.0/8 [::1]/128",
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": f"inet:{self._users.address}:{PORT}",
            "smtpd_sasl_authenticated_header": "yes",
        }

    def _prepare(self) -> None:
        super()._prepare()
        with open(self.etc / "master.cf", "a") as master:
            master.write(f"[::1]:{self.ipv6_port} inet n - n - - smtpd\n")

    def _sendmail(self, rcpt: str) -> list[str]:
        return ["sendmail", "-C", str(self.etc), "-f", SENDER, rcpt]


class ReceivingExim(Receiving, Exim):
    can_login = True
    # Lines of its configuration.
    extra = ""

    def _prepare(self) -> None:
        super()._prepare()
        self._add_hosts()
        file = self.root / "etc" / "exim.conf"
        config = file.read_text()
        config = config.replace(f"local_interfaces = {self.address}\n",
                                f"local_interfaces = <; {self.address} ; [::1]:{self.ipv6_port}\n{self.extra}")
        config = config.replace("host_lookup =\n", f"host_lookup = {CLIENT_WITH_NAME}\nhost_lookup_order = byaddr\n")
        file.write_text(config + """
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = true
  server_set_id = $auth2
""")

    def _sendmail(self, rcpt: str) -> list[str]:
        return self._in_chroot("/usr/sbin/exim4", "-C", "/etc/exim.conf", "-f", SENDER, rcpt)


class CarelessExim(ReceivingExim):
    """It takes any HELO name, and writes it as it is."""
    extra = "helo_accept_junk_hosts = *\nlog_selector = +incoming_port\n"


class ReceivingOpenSmtpd(Receiving, OpenSmtpd):
    def _prepare(self) -> None:
        super()._prepare()
        self._add_hosts()
        with open(self.root / "etc" / "smtpd.conf", "a") as config:
            config.write(f"listen on ::1 port {self.ipv6_port} hostname mx.example.test\n")
        # dpkg -x keeps no owner
        command = self.root / "usr" / "sbin" / "smtpctl"
        os.chown(command, 0, self.users["opensmtpq"])
        command.chmod(0o2755)

    def _sendmail(self, rcpt: str) -> list[str]:
        return self._in_chroot("/usr/sbin/sendmail", "-f", SENDER, rcpt)


class ReceivingSendmail(Receiving, Unpacked):
    """Its own Received field, in a configuration that sends everything to the world."""
    name = "sendmail"
    program = "usr/libexec/sendmail/sendmail"
    users = {"smmsp": 42904}
    # Options of its file.
    extra = ""

    def _prepare(self) -> None:
        super()._prepare()
        self._add_hosts()
        (self.root / "var/spool/mqueue").mkdir(parents=True, exist_ok=True)
        (self.root / "bin").mkdir(exist_ok=True)
        (self.root / "etc" / "sendmail.cf").write_text(f"""\
V10/Berkeley
Djmx.example.test
DZtest
O QueueDirectory=/var/spool/mqueue
O PidFile=/run/sendmail.pid
O DaemonPortOptions=Name=MTA, Addr={self.address}, Port={PORT}, Family=inet
O DaemonPortOptions=Name=MTA6, Addr=::1, Port={self.ipv6_port}, Family=inet6
O DeliveryMode=background
O Timeout.ident=0
O DontBlameSendmail=GroupWritableDirPathSafe
{self.extra}
Troot
HReceived: $?sfrom $s $.$?_($?s$|from $.$_)
	$.$?{{auth_type}}(authenticated$?{{auth_ssf}} bits=${{auth_ssf}}$.)
	$.by $j ($v/$Z)$?r with $r$. id $i$?u
	for $u; $|;
	$.$b
Scanonify=3
R$*<$+>$*	$: $2
Sparse=0
R$+	$#world $@ [{self.world.address}] $: $1
Mworld, P=[IPC], F=mDFMuX, T=DNS/RFC822/SMTP, A=TCP $h {PORT}
Mlocal, P=/nonexistent, F=lsDFMAw5:/|@q, T=DNS/RFC822/X-Unix, A=local
Mprog, P=/nonexistent, F=lsDFMoqeu9, T=X-Unix/X-Unix/X-Unix, A=prog
""")

    def _launch(self) -> Daemon:
        # It doesn't say when it is ready.
        daemon = Daemon(["sh", "-c", 'echo started; exec "$0" "$@"',
                         *self._in_chroot(f"/{self.program}", "-C", "/etc/sendmail.cf", "-bD", "-q1m")],
                        self.log, r"started")
        try:
            wait_for_port(socket.AF_INET, self.address, PORT)
            wait_for_port(socket.AF_INET6, "::1", self.ipv6_port)
        except TimeoutError:
            daemon.stop()
            raise
        return daemon

    def _sendmail(self, rcpt: str) -> list[str]:
        return self._in_chroot(f"/{self.program}", "-C", "/etc/sendmail.cf", "-Am", "-f", SENDER, rcpt)


class CarelessSendmail(ReceivingSendmail):
    """It takes any HELO name, and writes it if it can."""
    extra = "O AllowBogusHELO=True"


class DovecotUsers:
    """As much of Dovecot's authentication protocol as Postfix needs to let everybody in."""

    def __init__(self):
        self.address = loopback_address()
        self._server = socketserver.ThreadingTCPServer((self.address, PORT), DovecotUsersSession)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class DovecotUsersSession(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0123456789abcdef0123456789abcdef\n"
                         b"DONE\n")
        for line in self.rfile:
            command, *arguments = line.rstrip(b"\n").split(b"\t")
            if command == b"AUTH":
                self.wfile.write(b"OK\t" + arguments[0] + b"\tuser=jane\n")


def free_port(family: int, address: str) -> int:
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def wait_for_port(family: int, address: str, port: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        with socket.socket(family) as probe:
            if probe.connect_ex((address, port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens at {address} {port}")


MXS: dict[str, type[Receiving]] = {
    "postfix": ReceivingPostfix, "exim": ReceivingExim, "careless exim": CarelessExim, "opensmtpd": ReceivingOpenSmtpd,
    "sendmail": ReceivingSendmail, "careless sendmail": CarelessSendmail}


def is_there(name: str) -> bool:
    """Sendmail is unpacked only where fetch-mtas knows it."""
    return not name.endswith("sendmail") or (UNPACKED / "sendmail").exists()
