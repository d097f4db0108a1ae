"""The rest of the world as the MTAs under test see it: a small SMTP server that refuses, delays or keeps what it gets.

Recipients at reject.example.test get 550, those at defer.example.test 451, all others are accepted and kept. A
message with a header field X-Refuse gets 554.
"""

import re
import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass

from process import loopback_address

PORT = 2525
REFUSALS = {
    "@reject.example.test": "550 5.1.1 no such user here",
    "@defer.example.test": "451 4.2.1 mailbox busy, come back later",
}


@dataclass(frozen=True)
class Received:
    mail_from: str
    rcpts: tuple[str, ...]
    message: bytes   # as sent, without dot-stuffing; CRLF
    parameters: str = ""   # of MAIL FROM


class SmtpServer:
    """The world, on a loopback address of its own, in a thread. It offers those extensions of SMTP."""

    def __init__(self, *extensions: str):
        self.address = loopback_address()
        self.received: list[Received] = []
        self._changed = threading.Condition()
        self._server = socketserver.ThreadingTCPServer((self.address, PORT), Session, bind_and_activate=False)
        self._server.daemon_threads = True
        self._server.keep = self._keep
        self._server.before_message = lambda: None
        self._server.extensions = ["world.example.test", "8BITMIME", *extensions]
        self._server.server_bind()
        self._server.server_activate()
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def before_message(self, call: Callable[[], None]) -> None:
        """call() whenever DATA has come and the message has not."""
        self._server.before_message = call

    def mark(self) -> int:
        with self._changed:
            return len(self.received)

    def wait_for(self, rcpt: str, text: bytes, since: int, timeout: float) -> Received:
        """The first message to `rcpt` with `text` in it, after the mark `since`."""
        def found() -> Received | None:
            return next((received for received in self.received[since:]
                         if rcpt in received.rcpts and text in received.message), None)

        with self._changed:
            message = self._changed.wait_for(found, timeout)
        if message is None:
            raise TimeoutError(f"nothing for {rcpt} within {timeout} s")
        return message

    def _keep(self, message: Received) -> None:
        with self._changed:
            self.received.append(message)
            self._changed.notify_all()


class Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.connection.settimeout(60)
        self._forget()
        self._say("220 world.example.test ESMTP")
        try:
            while line := self.rfile.readline().decode(errors="replace").rstrip("\r\n"):
                if not self._command(line):
                    return
        except (OSError, socket.timeout):
            pass

    def _forget(self) -> None:
        self.mail_from, self.parameters, self.rcpts = "", "", []

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")

    def _command(self, line: str) -> bool:
        verb = line.split(":", 1)[0].split(" ", 1)[0].upper()
        if verb == "EHLO":
            *lines, last = self.server.extensions
            for line in lines:
                self._say(f"250-{line}")
            self._say(f"250 {last}")
        elif verb == "MAIL":
            self._forget()
            self.mail_from, self.parameters = address(line), line.partition(">")[2].strip()
            self._say("250 2.1.0 ok")
        elif verb == "RCPT":
            self._recipient(address(line))
        elif verb == "DATA":
            self._message()
        elif verb == "QUIT":
            self._say("221 2.0.0 bye")
            return False
        else:
            if verb == "RSET":
                self._forget()
            self._say("250 2.0.0 ok")
        return True

    def _recipient(self, rcpt: str) -> None:
        for domain, refusal in REFUSALS.items():
            if rcpt.lower().endswith(domain):
                self._say(refusal)
                return
        self.rcpts.append(rcpt)
        self._say("250 2.1.5 ok")

    def _message(self) -> None:
        if not self.rcpts:
            self._say("554 5.5.1 no valid recipients")
            return
        self.server.before_message()
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return
            lines.append(line[1:] if line.startswith(b".") else line)
        if any(line.startswith(b"X-Refuse:") for line in lines):
            self._say("554 5.6.0 refused as asked for")
            return
        self.server.keep(Received(self.mail_from, tuple(self.rcpts), b"".join(lines), self.parameters))
        self._say("250 2.0.0 kept")


def address(line: str) -> str:
    return re.search(r"<([^>]*)>", line).group(1)
