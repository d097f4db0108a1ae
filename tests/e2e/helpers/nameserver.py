"""Name servers on loopback addresses of their own: a real one (NSD) that knows the zones of a test, and one that does wrong.

    with NameServer({"example": 'net TXT "v=spf1 -all"'}) as names:
        Dovecot(plugin={"backscatter_spf_dns": names.where})
        assert names.queries() == 1
"""

import re
import shutil
import socket
import socketserver
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from process import Daemon, Log, loopback_address

PORT = 5353
NXDOMAIN = 3
SOA = "@ 60 SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 60\n@ 60 NS ns.invalid.\n"


class NameServer:
    """NSD. zones: origin -> records as in a zone file, without SOA and NS; None: a zone that fails to load (SERVFAIL).
    For all other names it refuses to answer. It runs as NSD's own user."""

    def __init__(self, zones: dict[str, str | None]):
        self.zones = zones
        self.folder = Path(tempfile.mkdtemp(prefix="bs-nsd-", dir="/tmp"))
        self.address = loopback_address()
        self.log = Log(self.folder / "log")
        self._daemon: Daemon | None = None

    @property
    def where(self) -> str:
        """For backscatter_spf_dns."""
        return f"{self.address}:{PORT}"

    def start(self) -> "NameServer":
        shutil.chown(self.folder, "nsd")
        for origin, records in self.zones.items():
            if records is not None:
                (self.folder / origin).write_text(f"$ORIGIN {origin}.\n$TTL 60\n{SOA}{records}\n")
        self.config.write_text(self._configuration())
        self._daemon = Daemon(["nsd", "-d", "-c", str(self.config)], self.log, r"nsd started")
        return self

    def stop(self) -> None:
        """Ends the processes and removes the folder."""
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "NameServer":
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_) -> None:
        self.stop()

    def queries(self) -> int:
        """How many questions came since the last call."""
        out = subprocess.run(["nsd-control", "-c", self.config, "stats"], check=True, capture_output=True, text=True,
                             timeout=20).stdout
        return int(re.search(r"^num\.queries=(\d+)", out, re.MULTILINE).group(1))

    @property
    def config(self) -> Path:
        return self.folder / "nsd.conf"

    def _configuration(self) -> str:
        zones = "".join(f'zone:\n  name: "{origin}"\n  zonefile: "{origin}"\n' for origin in self.zones)
        return f"""\
server:
  ip-address: {self.address}@{PORT}
  server-count: 1
  username: nsd
  chroot: ""
  zonesdir: "{self.folder}"
  pidfile: "{self.folder}/pid"
  xfrdfile: "{self.folder}/xfrd"
  xfrdir: "{self.folder}"
  zonelistfile: "{self.folder}/zones"
  rrl-ratelimit: 0
remote-control:
  control-enable: yes
  control-interface: {self.folder}/control
{zones}"""


# What a bad server says to a question: the answer, or None for nothing.
Answer = Callable[[bytes], bytes | None]


class BadNameServer:
    """Over UDP and TCP, in threads. delay: seconds until it answers; an answer of which stop() comes first is never sent.

    dead, garbage, nxdomain: Answers."""

    def __init__(self, answer: Answer, delay: float = 0, port: int = PORT):
        self.address, self.port = loopback_address(), port
        self.answer, self.delay = answer, delay
        self._asked = 0
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._servers = [Udp((self.address, port), UdpQuestion), Tcp((self.address, port), TcpQuestions)]
        for server in self._servers:
            server.names = self
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def where(self) -> str:
        return f"{self.address}:{self.port}"

    def stop(self) -> None:
        self._stopped.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def __enter__(self) -> "BadNameServer":
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def queries(self) -> int:
        """How many questions came since the last call; what is asked again counts again."""
        with self._changed:
            asked, self._asked = self._asked, 0
        return asked

    def asked(self, question: bytes) -> bytes | None:
        with self._changed:
            self._asked += 1
        if self._stopped.wait(self.delay):
            return None
        return self.answer(question)


class Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True


class Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 200


class UdpQuestion(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        question, server = self.request
        answer = self.server.names.asked(question)
        if answer is not None:
            server.sendto(answer, self.client_address)


class TcpQuestions(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.connection.settimeout(60)
        try:
            while len(size := self.rfile.read(2)) == 2:
                answer = self.server.names.asked(self.rfile.read(*struct.unpack("!H", size)))
                if answer is not None:
                    self.wfile.write(struct.pack("!H", len(answer)) + answer)
        except (OSError, socket.timeout):
            pass


def dead(question: bytes) -> None:
    """No answer, ever."""


def nxdomain(question: bytes) -> bytes:
    """No such name, whichever."""
    return reply(question, NXDOMAIN)


def reply(question: bytes, code: int = 0, records: bytes = b"", count: int = 0) -> bytes:
    """An answer to the question with these records (of RFC 1035's form) in it."""
    head = question[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, count, 0, 0)
    return head + asked_name(question) + question_end(question) + records


def text_record(text: bytes, ttl: int = 60) -> bytes:
    """A TXT record of the name that was asked for."""
    return b"\xc0\x0c" + struct.pack("!HHIH", 16, 1, ttl, len(text) + 1) + bytes([len(text)]) + text


def asked_name(question: bytes) -> bytes:
    end = question.index(b"\0", 12) + 1
    return question[12:end]


def question_end(question: bytes) -> bytes:
    """Type and class."""
    end = question.index(b"\0", 12) + 1
    return question[end:end + 4]


# No answers: where there is an id and a question they are the right ones, so that they are read further.
GARBAGE: dict[str, Answer] = {
    "noise": lambda question: bytes(range(256)),
    "only an id": lambda question: question[:2],
    "empty": lambda question: b"",
    "the question": lambda question: question,
    "a header that promises too much": lambda question: reply(question, 0, b"", 65535),
    "a name that points to itself": lambda question: reply(question, 0, b"\xc0\x29" * 40, 3),
    "a record that is cut off": lambda question: reply(question, 0, text_record(b"v=spf1 +all")[:-5], 1),
    "a text longer than its record": lambda question: reply(
        question, 0, text_record(b"v=spf1 +all")[:-12] + b"\xffv=spf1 +all", 1),
    "an unknown code": lambda question: reply(question, 15),
}
# Answers about something else: to the question they say "nothing".
BESIDE_THE_POINT: dict[str, Answer] = {
    "an address in place of a text": lambda question: reply(
        question, 0, b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + b"\x7f\0\0\1", 1),
    "another name's text": lambda question: reply(
        question, 0, b"\x05other\xc0\x0c" + text_record(b"v=spf1 +all")[2:], 1),
}
