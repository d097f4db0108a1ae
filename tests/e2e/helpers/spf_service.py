"""The service backscatter-spf from outside: questions as the plugin asks them (plugin/spf/spf-protocol.h), its processes,
a fake one in its place, and a name server that knows the zone of a public SPF test suite."""

import importlib.machinery
import importlib.util
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from dovecot import Dovecot
from dovecot_config import ROOT, SPF_SERVICE
from nameserver import NXDOMAIN, BadNameServer, asked_name, question_end, reply
from process import processes

HELLO = b"VERSION\tbackscatter-spf\t1\t0\n"
CLIENT_HELLO = b"VERSION\tbackscatter-spf-client\t1\t0\n"
# str_tabescape()
ESCAPES = {b"\1": b"\x011", b"\t": b"\1t", b"\n": b"\1n", b"\r": b"\1r", b"\0": b"\x010"}


def escaped(field: bytes) -> bytes:
    return b"".join(ESCAPES.get(bytes([byte]), bytes([byte])) for byte in field)


def question(client: str = "192.0.2.1", helo: bytes = b"", mail_from: bytes = b"", receiver: bytes = b"", servers: str = "",
             msecs: int = 5000, steps: bool = False) -> bytes:
    fields = [b"check", b"%d" % msecs, b"%d" % steps, client.encode(), helo, mail_from, receiver, servers.encode()]
    return b"\t".join(escaped(field) for field in fields) + b"\n"


def connect(dovecot: Dovecot, timeout: float = 30) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(timeout)
    client.connect(str(dovecot.run / SPF_SERVICE))
    return client


def say(dovecot: Dovecot, words: bytes) -> list[bytes]:
    """What the service says in return, line by line."""
    with connect(dovecot) as client, client.makefile("rb") as answers:
        try:
            client.sendall(words)
        except BrokenPipeError:
            pass
        return answers.read().splitlines(keepends=True)


def ask(dovecot: Dovecot, **fields) -> dict[str, str]:
    """One question, and the reply taken apart."""
    hello, *_, last = say(dovecot, CLIENT_HELLO + question(**fields))
    assert hello == HELLO
    kind, *values = last.decode().rstrip("\n").split("\t")
    assert kind == "reply"
    return dict(zip(("result", "identity", "domain", "mechanism", "problem", "explanation"), values, strict=True))


def pids(dovecot: Dovecot) -> list[int]:
    """The service's processes."""
    return [pid for pid, name in processes(dovecot.pid).items() if name == SPF_SERVICE]


def pids_that_ask(dovecot: Dovecot, names: BadNameServer) -> list[int]:
    """Those that wait for an answer of this name server."""
    where = f"{struct.unpack('=I', socket.inet_aton(names.address))[0]:08X}:{names.port:04X}"
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[2] == where}
    return [pid for pid in pids(dovecot) if sockets & set(open_files(pid))]


def open_files(pid: int) -> list[str]:
    """None if it has ended."""
    folder, found = f"/proc/{pid}/fd", []
    try:
        for number in os.listdir(folder):
            found.append(os.readlink(f"{folder}/{number}"))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


class FakeService:
    """Stands where the service's socket was. speak: what it does with a connection."""

    def __init__(self, dovecot: Dovecot, speak: Callable[[socket.socket], None]):
        path = dovecot.run / SPF_SERVICE
        path.unlink()
        self._speak = speak
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o666)
        self._listener.listen(100)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(60)
            try:
                self._speak(connection)
            except OSError:
                pass   # the plugin has gone

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> "FakeService":
        return self

    def __exit__(self, *_) -> None:
        self.stop()


# A suite's zone

def suite_reader():
    """tests/tools/spf-suite as a module: it reads the format."""
    path = ROOT / "tests" / "tools" / "spf-suite"
    loader = importlib.machinery.SourceFileLoader("spf_suite", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}


class Zone:
    """Answers for BadNameServer, from lines ("record", NAME, TYPE, VALUE) and ("error", NAME[, TYPE])."""

    def __init__(self, lines, as_bytes: Callable[[object], bytes]):
        self.records: dict[tuple[bytes, int], list[bytes]] = {}
        self.errors: set[tuple[bytes, int | None]] = set()
        for kind, name, *more in lines:
            key = as_bytes(name).lower().rstrip(b".")
            if kind == "error":
                self.errors.add((key, TYPES[more[0]] if more else None))
            elif more[0] in TYPES:
                data = record_data(more[0], as_bytes(more[1]))
                self.records.setdefault((key, TYPES[more[0]]), []).extend([data] if data is not None else [])

    def answer(self, asked: bytes) -> bytes:
        wanted, = struct.unpack("!H", question_end(asked)[:2])
        name, chain = text_name(asked_name(asked)), b""
        for count in range(20):
            found = self.records.get((name, wanted), [])
            if found:
                return reply(asked, 0, chain + b"".join(record(name, wanted, data) for data in found), count + len(found))
            alias = self.records.get((name, TYPES["CNAME"]), [])
            if not alias:
                break
            chain += record(name, TYPES["CNAME"], alias[0])
            name = text_name(alias[0])
        if (name, wanted) in self.errors or (name, None) in self.errors or alias:
            return reply(asked, 2)
        return reply(asked, 0 if any(known == name for known, _ in self.records) else NXDOMAIN, chain, count)


def record(name: bytes, kind: int, data: bytes) -> bytes:
    """It is not to be kept: the next zone has the same names."""
    return wire_name(name) + struct.pack("!HHIH", kind, 1, 0, len(data)) + data


def wire_name(name: bytes) -> bytes:
    labels = name.rstrip(b".").split(b".") if name.rstrip(b".") else []
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def text_name(wire: bytes) -> bytes:
    labels, place = [], 0
    while wire[place]:
        labels.append(wire[place + 1:place + 1 + wire[place]])
        place += 1 + wire[place]
    return b".".join(labels).lower()


def record_data(kind: str, value: bytes) -> bytes | None:
    """None: it can't be one."""
    if kind in ("A", "AAAA"):
        try:
            return socket.inet_pton(socket.AF_INET if kind == "A" else socket.AF_INET6, value.decode())
        except OSError:
            return None
    if kind == "TXT":
        pieces = [value[place:place + 255] for place in range(0, len(value), 255)] or [b""]
        return b"".join(bytes([len(piece)]) + piece for piece in pieces)
    if any(len(label) > 63 for label in value.split(b".")):
        return None
    return (struct.pack("!H", 10) if kind == "MX" else b"") + wire_name(value)
