"""The milter's spool by itself (tests/programs/milter-spool.c), beside a Dovecot that it sends to.

    with Spool(dovecot) as spool:
        ret, row, error = spool.add(ALICE, "<1@client.example.test>")
        assert spool.wait(row)
"""

import socket
import subprocess
import threading
import time
from pathlib import Path

import doveadm_http
from dovecot import BUILD, DEADLINE, Dovecot, connect
from process import Log

PROGRAM = BUILD / "tests" / "programs" / "milter-spool"
CONNECTIONS = 4
# A process for each of the spool's calls.
LISTENER = doveadm_http.LISTENER.replace("process_limit = 1", f"process_limit = {CONNECTIONS}")


class Spool:
    """listener: a unix socket or an http:// address in place of Dovecot's."""

    def __init__(self, dovecot: Dovecot, *, max_rows: int = 100000, connections: int = CONNECTIONS,
                 listener: Path | str | None = None, key: str = doveadm_http.KEY):
        self.path = dovecot.folder / "spool.db"
        self.key_file = dovecot.folder / "api-key"
        self.write_key(key)
        self.log = Log(dovecot.folder / "spool-log")
        self._argv = [str(PROGRAM), str(self.path), str(listener or dovecot.run / "http"), str(self.key_file),
                      str(max_rows), str(connections)]
        self._process: subprocess.Popen | None = None

    def write_key(self, key: str) -> None:
        self.key_file.write_text(key + "\n")
        self.key_file.chmod(0o600)

    def start(self) -> "Spool":
        self._process = subprocess.Popen(self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         text=True, bufsize=1)
        self._reader = threading.Thread(target=self._read_log, args=(self._process,), daemon=True)
        self._reader.start()
        self.expect("open")
        return self

    def __enter__(self) -> "Spool":
        return self.start()

    def __exit__(self, *_) -> None:
        if self._process is not None:
            self.kill()

    def _read_log(self, process: subprocess.Popen) -> None:
        for line in process.stderr:
            self.log.add(line.rstrip("\n"))

    def line(self) -> tuple[str, str]:
        """The next one that it says: a word, and more; ("", "") if it has ended."""
        word, _, more = self._process.stdout.readline().rstrip("\n").partition(" ")
        return word, more

    def expect(self, word: str) -> str:
        found, more = self.line()
        assert found == word, f"{found} {more}, not {word}\n{self.log}"
        return more

    def ask(self, *words) -> None:
        self._process.stdin.write("\t".join(map(str, words)) + "\n")

    def close(self) -> None:
        """In good time, and without a leak (the program's sanitizers look)."""
        begin = time.monotonic()
        self._process.stdin.close()
        self.expect("closed")
        assert time.monotonic() - begin < 2
        self._end(0)

    def kill(self) -> None:
        self._process.kill()
        self._end(-9)

    def _end(self, code: int) -> None:
        ended = self._process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.stderr.close()
        self._process = None
        assert ended == code, f"exit code {ended}\n{self.log}"

    def add(self, user: str, message_id: str, *recipients: str, sent_at: float | None = None) -> tuple[int, int, str]:
        """What spool_add() returns, the row's id, the error."""
        self.ask("add", user, message_id, int(time.time() if sent_at is None else sent_at), *recipients)
        ret, row, error = self.expect("added").split(" ", 2)
        return int(ret), int(row), error

    def start_burst(self, user: str, prefix: str, count: int, *, threads: int = 4, sent_at: float | None = None) -> None:
        """Adds messages <PREFIX-N@client.example.test>, without recipients."""
        self.ask("burst", user, prefix, count, threads, int(time.time() if sent_at is None else sent_at))

    def burst(self, user: str, prefix: str, count: int, **options) -> None:
        self.start_burst(user, prefix, count, **options)
        for _ in range(count):
            self.expect("in")
        assert self.expect("burst") == "0"

    def wait(self, row: int, msecs: int = 20000) -> bool:
        self.ask("wait", row, msecs)
        return self.line()[0] == "settled"

    def wait_until_idle(self) -> None:
        """Until Dovecot has all, gaps included."""
        self.ask("idle")
        self.expect("idle")

    def sender(self, user: str, *fields: str) -> tuple[str, str]:
        """("allowed" | "refused" | "unknown", why)"""
        self.ask("sender", user, *fields)
        return self.line()


class Door:
    """A unix socket before Dovecot's that lets requests pass, but for those that contain a word: their connections are cut
    off, as they are where the request ends doveadm's process. `cut`: what they were."""

    def __init__(self, dovecot: Dovecot, word: str):
        self.path, self._behind, self._word = dovecot.folder / "door", dovecot.run / "http", word.encode()
        self.cut: list[bytes] = []

    def __enter__(self) -> "Door":
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return   # closed
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            request = read_message(client)
            if self._word in request:
                self.cut.append(request)
                return
            try:
                with connect(self._behind, DEADLINE) as server:
                    server.sendall(request)
                    client.sendall(read_message(server))
            except OSError:
                pass   # Dovecot isn't there


def read_message(connection: socket.socket) -> bytes:
    """An HTTP message with a Content-Length, or all until the other side closes."""
    data = b""
    while more := connection.recv(65536):
        data += more
        header, blank, body = data.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in header.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if blank and lengths and len(body) >= int(lengths[0]):
            break
    return data
