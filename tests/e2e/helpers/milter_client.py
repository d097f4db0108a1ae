"""The MTA's side of the milter protocol (version 6), as Postfix and Sendmail speak it: enough to send a message past a
milter, and to say what no MTA would.

    with MilterClient(path) as mta:
        mta.negotiate()
        answer = mta.message("ann@example.org", ["bob@example.net"], [("From", "ann@example.org")], login="ann")
        answer.inserted   # [(1, "X-Backscatter-Serial", "...")]
"""

import socket
import struct
from dataclasses import dataclass, field

CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD = b"c", b"a", b"r", b"t", b"d"
PROGRESS, REPLY_CODE = b"p", b"y"
ADD_HEADER, INSERT_HEADER, CHANGE_HEADER, CHANGE_FROM = b"h", b"i", b"m", b"e"

# actions that an MTA allows, and steps that it can leave out: all of libmilter 8.17
ALL_ACTIONS = 0x1ff
ALL_STEPS = 0x1fffff
NO_CONNECT, NO_HELO, NO_MAIL, NO_RCPT, NO_BODY, NO_HEADERS, NO_EOH = (1 << bit for bit in range(7))
NR_HEADER, NO_UNKNOWN, NO_DATA = 0x80, 0x100, 0x200
NR_CONNECT, NR_HELO, NR_MAIL, NR_RCPT, NR_DATA, NR_EOH, NR_BODY = 0x1000, 0x2000, 0x4000, 0x8000, 0x10000, 0x40000, 0x80000


@dataclass
class Answer:
    """What became of a message."""
    verdict: bytes
    # the text of a REPLY_CODE
    reply: str = ""
    inserted: list[tuple[int, str, str]] = field(default_factory=list)
    # (address, arguments) of each change of MAIL FROM
    changed_from: list[tuple[str, str]] = field(default_factory=list)
    other: list[tuple[bytes, bytes]] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        return next((value for _, inserted, value in self.inserted if inserted.lower() == name.lower()), None)


class MilterClient:
    def __init__(self, address, timeout: float = 30):
        """address: the path of a unix socket, or (host, port)"""
        self.socket = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(address if isinstance(address, tuple) else str(address))
        self.steps = 0
        self.actions = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self) -> None:
        self.socket.close()

    # packets

    def send(self, command: bytes, payload: bytes = b"") -> None:
        self.socket.sendall(struct.pack(">I", len(payload) + 1) + command + payload)

    def _exactly(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            more = self.socket.recv(size - len(got))
            if not more:
                raise ConnectionError("the milter closed the connection")
            got += more
        return got

    def receive(self) -> tuple[bytes, bytes]:
        size, = struct.unpack(">I", self._exactly(4))
        packet = self._exactly(size)
        return packet[:1], packet[1:]

    def is_closed(self) -> bool:
        """The milter has hung up (what it still says before that is thrown away)."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    # commands

    def negotiate(self, actions: int = ALL_ACTIONS, steps: int = ALL_STEPS, version: int = 6) -> None:
        self.send(b"O", struct.pack(">III", version, actions, steps))
        command, payload = self.receive()
        assert command == b"O", command
        _, self.actions, self.steps = struct.unpack(">III", payload[:12])

    def macros(self, command: bytes, values: dict[str, str]) -> None:
        self.send(b"D", command + b"".join(name.encode() + b"\0" + value.encode() + b"\0" for name, value in values.items()))

    def _ask(self, command: bytes, payload: bytes, left_out: int, no_reply: int) -> bytes:
        """Returns CONTINUE also where the milter wants no such step, or gives no reply to it."""
        if self.steps & left_out:
            return CONTINUE
        self.send(command, payload)
        if self.steps & no_reply:
            return CONTINUE
        return self.receive()[0]

    def connect(self, host: str = "client.example.net", address: str = "192.0.2.1", port: int = 4321) -> bytes:
        return self._ask(b"C", host.encode() + b"\0" + b"4" + struct.pack(">H", port) + address.encode() + b"\0",
                         NO_CONNECT, NR_CONNECT)

    def helo(self, name: str = "client.example.net") -> bytes:
        return self._ask(b"H", name.encode() + b"\0", NO_HELO, NR_HELO)

    def mail(self, sender: str, *parameters: str, login: str | None = None, macros: dict[str, str] | None = None) -> bytes:
        # MTAs always send the address: libmilter would keep the last MAIL's macros otherwise, login and all
        values = {"{mail_addr}": sender, **({"{auth_authen}": login} if login is not None else {}), **(macros or {})}
        self.macros(b"M", values)
        arguments = [f"<{sender}>", *parameters]
        return self._ask(b"M", b"".join(argument.encode() + b"\0" for argument in arguments), NO_MAIL, NR_MAIL)

    def rcpt(self, recipient: str, *parameters: str) -> bytes:
        arguments = [f"<{recipient}>", *parameters]
        return self._ask(b"R", b"".join(argument.encode() + b"\0" for argument in arguments), NO_RCPT, NR_RCPT)

    def data(self) -> bytes:
        return self._ask(b"T", b"", NO_DATA, NR_DATA)

    def header(self, name: str | bytes, value: str | bytes) -> bytes:
        name, value = (text if isinstance(text, bytes) else text.encode() for text in (name, value))
        return self._ask(b"L", name + b"\0" + value + b"\0", NO_HEADERS, NR_HEADER)

    def end_of_header(self) -> bytes:
        return self._ask(b"N", b"", NO_EOH, NR_EOH)

    def body(self, chunk: bytes) -> bytes:
        return self._ask(b"B", chunk, NO_BODY, NR_BODY)

    def end_of_message(self) -> Answer:
        self.send(b"E")
        answer = Answer(b"")
        while True:
            command, payload = self.receive()
            if command == INSERT_HEADER:
                name, value = payload[4:].rstrip(b"\0").decode().split("\0", 1)
                answer.inserted.append((struct.unpack(">I", payload[:4])[0], name, value))
            elif command == CHANGE_FROM:
                parts = payload.decode().split("\0")
                answer.changed_from.append((parts[0], parts[1] if len(parts) > 1 else ""))
            elif command in (ADD_HEADER, CHANGE_HEADER):
                answer.other.append((command, payload))
            elif command == REPLY_CODE:
                answer.verdict, answer.reply = command, payload.rstrip(b"\0").decode()
                return answer
            elif command != PROGRESS:
                answer.verdict = command
                return answer

    def abort(self) -> None:
        self.send(b"A")

    def quit(self) -> None:
        self.send(b"Q")

    # all of it

    def message(self, sender: str, recipients: list[str], header: list[tuple[str, str]], body: bytes = b"Hello.\r\n",
                parameters: tuple[str, ...] = (), login: str | None = None) -> Answer:
        """One message in a session that has been negotiated. As an MTA does, it asks no more about one that the milter has
        accepted at MAIL."""
        verdict = self.mail(sender, *parameters, login=login)
        if verdict != CONTINUE:
            return Answer(verdict)
        for recipient in recipients:
            self.rcpt(recipient)
        self.data()
        for name, value in header:
            self.header(name, value)
        self.end_of_header()
        for start in range(0, len(body), 65535):
            self.body(body[start:start + 65535])
        return self.end_of_message()
