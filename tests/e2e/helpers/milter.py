"""backscatter-milter beside a Postfix that takes submissions, with the pieces of conf.d/milter as an administrator copies
them: only paths, addresses and names of users are others.

    with MilterRelay() as relay, Milter(relay.milter_folder) as milter, Dovecot(**milter.dovecot(relay)) as dovecot:
        relay.deliver_to(dovecot)
        milter.start(dovecot)
        with relay.submission(ALICE) as client: ...
"""

import os
import re
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

from dovecot import ALICE, BOB, BUILD, CAROL, DEADLINE, PASSWORD, Dovecot
from dovecot_config import IS_2_3, ROOT, SUBMISSION_PORT
from process import Daemon, Log, loopback_address
from mta import Exim, OpenSmtpd, Unpacked
from receiving import ReceivingSendmail, wait_for_port
from relay import Relay
from smtp import PORT
from submission import SubmissionClient

PIECES = ROOT / "conf.d" / "milter"
PROGRAM = BUILD / "sbin" / "backscatter-milter"
FILTER = BUILD / "libexec" / "filter-backscatter"
# Takes mail from everybody, with the milter all the same.
TRANSIT_PORT = PORT + 1
# Takes submissions, and signs them.
SIGNING_PORT = SUBMISSION_PORT + 1
# Takes submissions, and hands their content to another one before it is queued.
FILTERED_PORT = SUBMISSION_PORT + 2
# What Postfix makes of this address is Alice's (sender_canonical_maps).
MAPPED = "alice.work@example.test"
# Accepted, and nothing becomes of it.
DISCARDED = "nobody@discard.example"
# Instead of a user of its own, which this machine lacks.
USER = "nobody"


def piece(name: str, replacements: dict[str, str]) -> str:
    """A file of conf.d/milter with some text replaced, which has to be there."""
    text = (PIECES / name).read_text()
    for old, new in replacements.items():
        assert old in text, f"{name}: no {old!r}"
        text = text.replace(old, new)
    return text


def make_socket_folder(folder: Path, group: str | int) -> None:
    """As docs/milter.md says: the milter makes its socket there, and the MTA's group may connect."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.chown(folder, USER, group)
    folder.chmod(0o2710)


class MilterRelay(Relay):
    """A Postfix whose submission service asks Dovecot who may log in, and the milter what to add; with another one where
    OpenDKIM comes behind the milter, and one where no milter sees the content."""

    def __init__(self):
        super().__init__()
        self.dkim_address = loopback_address()

    def _settings(self) -> dict[str, str]:
        settings = super()._settings()
        return settings | {
            "transport_maps": settings["transport_maps"].removesuffix(" }") + ", { discard.example = discard: } }",
            "sender_canonical_maps": f"inline:{{ {{ {MAPPED} = {ALICE} }} }}",
        }

    def _prepare(self) -> None:
        super()._prepare()
        make_socket_folder(self.socket_folder, "postfix")
        owners = {ALICE: ALICE, MAPPED: ALICE, BOB: BOB, CAROL: CAROL}
        logins = "inline:{ " + " ".join(f"{{ {address} = {login} }}" for address, login in owners.items()) + " }"
        with open(self.etc / "main.cf", "a") as main:
            main.write(piece("postfix-main.cf", {
                "#smtpd_sender_login_maps = hash:/etc/postfix/sender_logins": f"smtpd_sender_login_maps = {logins}",
                # what stands there as an example
                "#submission_milters": "signing_milters", "#    inet:127.0.0.1:8891": f"    inet:{self.dkim_address}:{PORT}"}))
        with open(self.etc / "master.cf", "a") as master:
            service = piece("postfix-master.cf", {
                "submission inet": f"{self.address}:{SUBMISSION_PORT} inet",
                "smtpd_tls_security_level=encrypt": "smtpd_tls_security_level=none"})
            master.write(service + service.replace(f":{SUBMISSION_PORT} ", f":{SIGNING_PORT} ")
                         .replace("$submission_milters", "$signing_milters") +
                         service.replace(f":{SUBMISSION_PORT} ", f":{FILTERED_PORT} ") +
                         f"  -o smtpd_proxy_filter={self.address}:{PORT}\n")
            master.write(f"{self.address}:{TRANSIT_PORT} inet n - y - - smtpd\n  -o smtpd_milters=$submission_milters\n")

    @property
    def socket_folder(self) -> Path:
        return self.folder / "queue" / "backscatter"

    @property
    def login_socket(self) -> Path:
        return self.folder / "queue" / "private" / "auth"

    def submission(self, user: str, port: int = SUBMISSION_PORT) -> SubmissionClient:
        """A logged-in connection."""
        return SubmissionClient((self.address, port), user, PASSWORD, DEADLINE)

    @property
    def transit(self) -> tuple[str, int]:
        return self.address, TRANSIT_PORT


class AskingMta(Unpacked):
    """Mixed into an MTA without milters, in its chroot: the line socket lies in there. What it is given leaves for the world and the relay's
    remote MTA, and mail for example.test for the relay."""

    def __init__(self, relay: Relay):
        super().__init__()
        self.relay = relay

    @property
    def line_socket(self) -> Path:
        return self.root / "run" / "backscatter-milter" / "line.sock"

    def _prepare(self) -> None:
        super()._prepare()
        make_socket_folder(self.line_socket.parent, next(iter(self.users.values())))


class AskingExim(AskingMta, Exim):
    def _routers(self) -> str:
        return self._route("home", "  domains = example.test", self.relay.address, "world") + \
            self._route("world", "  domains = elsewhere.example", self.relay.world.address, "world") + \
            self._route("remote", "", self.relay.remote.address, "world")

    def _prepare(self) -> None:
        super()._prepare()
        file = self.root / "etc" / "exim.conf"
        _, main, acl, transport = re.split(r"^# \d\. .*\n(?:#.*\n)*", piece("exim.conf", {}), flags=re.MULTILINE)
        config = file.read_text()
        for place, text in (("begin acl\n", f"data:\n{acl}  accept\n"), ("world:\n  driver = smtp\n", transport)):
            assert config.count(place) == 1
            config = config.replace(place, place + text)
        file.write_text(main + "acl_smtp_data = data\nnotifier_socket =\n" + config + """
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = true
  server_set_id = $auth2
""")

    def submission(self, user: str) -> SubmissionClient:
        """A logged-in connection."""
        return SubmissionClient((self.address, PORT), user, PASSWORD, DEADLINE)


class AskingOpenSmtpd(AskingMta, OpenSmtpd):
    """Version 7: those before lack what the filter needs, and Debian 12's has no TLS, without which nobody can log in.

    options: the filter's"""

    def __init__(self, relay: Relay, options: str = ""):
        super().__init__(relay)
        self.options = options

    def _prepare(self) -> None:
        super()._prepare()
        etc = self.root / "etc"
        filter_program = self.root / "usr" / "libexec" / "backscatter" / "filter-backscatter"
        filter_program.parent.mkdir(parents=True)
        shutil.copy(FILTER, filter_program)
        # smtpd starts its filters with it
        (self.root / "bin").mkdir(exist_ok=True)
        shutil.copy("/bin/sh", self.root / "bin" / "sh")
        for program in (FILTER, Path("/bin/sh")):
            self._libraries(program)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mx.example.test",
                        "-keyout", etc / "key.pem", "-out", etc / "cert.pem"], check=True, capture_output=True, timeout=DEADLINE)
        (etc / "key.pem").chmod(0o600)
        secret = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True).stdout.strip()
        filter_lines = piece("opensmtpd.conf", {
            "listen on 0.0.0.0 port submission": f"listen on {self.address} port {SUBMISSION_PORT} hostname mx.example.test",
            "tls-require pki mail.example.org auth ": "tls-require pki mail.example.org auth <logins> ",
            "filter-backscatter /run": f"filter-backscatter {self.options} /run"})
        (etc / "smtpd.conf").write_text(f"""
pki mail.example.org cert "/etc/cert.pem"
pki mail.example.org key "/etc/key.pem"
table logins {{ "{ALICE}" = "{secret}" }}
{filter_lines}
listen on {self.address} port {PORT} hostname mx.example.test
action home relay host smtp://{self.relay.address}:{PORT}
action world relay host smtp://{self.relay.world.address}:{PORT}
action remote relay host smtp://{self.relay.remote.address}:{PORT}
match from any for domain example.test action home
match from any for domain elsewhere.example action world
match from any for any action remote
""")

    def submission(self, user: str) -> SubmissionClient:
        """A logged-in connection."""
        return EncryptedClient((self.address, SUBMISSION_PORT), user, PASSWORD, DEADLINE)


class EncryptedClient(SubmissionClient):
    def login(self, *credentials, **options):
        self.starttls(context=ssl._create_unverified_context())
        self.ehlo()
        return super().login(*credentials, **options)


class MilterSendmail(ReceivingSendmail):
    """A Sendmail that asks the milter; who has which password it asks a saslauthd. All it sends goes to its world."""

    @property
    def socket(self) -> Path:
        return self.root / "run" / "backscatter-milter" / "milter.sock"

    @property
    def extra(self) -> str:
        """As m4 writes the piece, with the macros that Sendmail hands to milters by itself, and a bounce's own header."""
        name, equates = re.search(r"^INPUT_MAIL_FILTER\(`(.*)', `(.*)'\)", piece("sendmail.mc", {}), re.MULTILINE).groups()
        return f"O AuthMechanisms=PLAIN\nO InputMailFilters={name}\nO Milter.macros.envfrom=i, {{auth_authen}}, {{mail_addr}}\n" \
            f"X{name}, {equates}\nDnMAILER-DAEMON\nH?F?From: $g\nH?D?Date: $a\nH?M?Message-Id: <$t.$i@$j>"

    def _prepare(self) -> None:
        super()._prepare()
        make_socket_folder(self.socket.parent, 0)
        [sasl] = Path("/usr/lib").glob("*-linux-gnu/sasl2")
        shutil.copytree(sasl, self.root / sasl.relative_to("/"), dirs_exist_ok=True)
        (self.root / "etc" / "sasl2").mkdir()
        (self.root / "etc" / "sasl2" / "Sendmail.conf").write_text(
            "pwcheck_method: saslauthd\nsaslauthd_path: /run/mux\nmech_list: PLAIN\n")
        self._passwords = socketserver.ThreadingUnixStreamServer(str(self.root / "run" / "mux"), SaslauthdSession)
        self._passwords.daemon_threads = True
        threading.Thread(target=self._passwords.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        super().stop()
        self._passwords.shutdown()
        self._passwords.server_close()

    def submission(self, user: str) -> SubmissionClient:
        """A logged-in connection."""
        return SubmissionClient((self.address, PORT), user, PASSWORD, DEADLINE)


class SaslauthdSession(socketserver.StreamRequestHandler):
    """As much of its protocol as lets everybody in: four counted strings come, one goes."""

    def handle(self) -> None:
        for _ in range(4):
            self.rfile.read(int.from_bytes(self.rfile.read(2), "big"))
        self.wfile.write(b"\0\2OK")


class SigningOpenDkim:
    """Signs what the domain's users send."""

    def __init__(self, address: str):
        self.folder = Path(tempfile.mkdtemp(prefix="bs-dkim-", dir="/tmp"))
        self.address, self.log = address, Log(self.folder / "log")

    def __enter__(self) -> "SigningOpenDkim":
        key = self.folder / "dkim.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "1024"], check=True, capture_output=True, timeout=DEADLINE)
        config = self.folder / "opendkim.conf"
        config.write_text(f"Mode s\nDomain example.test\nSelector one\nKeyFile {key}\nSocket inet:{PORT}@{self.address}\n"
                          # below /tmp none is safe
                          "RequireSafeKeys no\nSyslog no\nUserID opendkim\n" + piece("opendkim.conf", {}))
        for path in (self.folder, key):
            shutil.chown(path, "opendkim", "opendkim")
        # It doesn't say when it is ready.
        self._daemon = Daemon(["sh", "-c", 'echo started; exec "$0" "$@"', "opendkim", "-f", "-x", str(config)], self.log,
                              "started")
        wait_for_port(socket.AF_INET, self.address, PORT)
        return self

    def __exit__(self, *_) -> None:
        self._daemon.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Milter:
    """The daemon, with a folder for what belongs to it.

    socket, line_socket: where the MTA looks for it; None = it has no such socket.
    settings: of its configuration file, beside these."""

    def __init__(self, socket: Path | None = None, line_socket: Path | None = None, **settings: str):
        self.folder = Path(tempfile.mkdtemp(prefix="bs-milter-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.socket, self.line_socket, self.settings = socket, line_socket, settings
        self.log = Log(self.folder / "log")
        self.site_key, self.api_key = self.folder / "site.key", self.folder / "api.key"
        self.spool = self.folder / "spool" / "spool.db"
        self.spool.parent.mkdir()
        self.api_key.write_text("key of the api")
        self.api_key.chmod(0o600)
        for path in (self.spool.parent, self.api_key):
            shutil.chown(path, USER)
        self._daemon: Daemon | None = None

    def dovecot(self, relay: MilterRelay | None = None, **settings) -> dict:
        """Arguments of a Dovecot that takes its rows, and says who may log in at that relay."""
        plugin = {"backscatter_sources": "milter", "backscatter_site_key": str(self.site_key)} | settings.pop("plugin", {})
        extra = piece("dovecot.conf" if IS_2_3 else "dovecot-2.4.conf", {
            "</etc/dovecot/backscatter-api.key": f"<{self.api_key}", "user = backscatter": f"user = {USER}"})
        if relay is not None:
            extra += f"service auth {{\n  unix_listener {relay.login_socket} {{\n    mode = 0660\n    user = postfix\n" \
                "    group = postfix\n  }\n}\n"
        return settings | {"plugin": plugin, "extra": extra + "mail_access_groups = mail\n" + settings.get("extra", "")}

    def start(self, dovecot: Dovecot) -> "Milter":
        """For this Dovecot, the first time; again, after it was killed."""
        first = not self.site_key.exists()
        if first:
            dovecot.doveadm("backscatter", "key", "generate", str(self.site_key))
            shutil.chown(self.site_key, group="mail")
            self.site_key.chmod(0o640)
        config = self.folder / "milter.conf"
        config.write_text(self._configuration(dovecot))
        self._daemon = Daemon([str(PROGRAM), "-c", str(config)], self.log, "ready$")
        if first:
            # It tells that coverage starts now: what a test says of it has to come later.
            dovecot.wait_log(r'"POST /doveadm/v1 HTTP/1\.1" 200')
        return self

    def _configuration(self, dovecot: Dovecot) -> str:
        wanted = {
            "socket": f"unix:{self.socket}" if self.socket else "",
            "line_socket": str(self.line_socket or ""),
            "site_key": str(self.site_key),
            "spool": str(self.spool),
            "doveadm_socket": str(dovecot.run / "http"),
            "doveadm_api_key": str(self.api_key),
            "user": USER} | self.settings
        lines = []
        for line in (PIECES / "backscatter-milter.conf").read_text().splitlines():
            name = line.split(" =")[0]
            lines.append(f"{name} = {wanted.pop(name)}" if name in wanted else line)
        assert not wanted, f"backscatter-milter.conf has no {', '.join(wanted)}"
        return "\n".join(lines) + "\n"

    def kill(self) -> None:
        """At once, with whatever it is doing."""
        os.kill(self._daemon.pid, signal.SIGKILL)
        self.halt()

    def halt(self) -> None:
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    def stop(self) -> None:
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)
