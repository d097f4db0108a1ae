"""What the plugin costs a submission: the Dovecots that are compared, and the Postfix they all hand their mail to."""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cases import OWNER, USERS, original
from dovecot import LIBEXEC, Dovecot
from instance import state
from mta import Postfix
from smtp import PORT
from submission import SubmissionClient

PLAIN_A, PLAIN_B, PLUGIN, NO_FSYNC = SENDING_VARIANTS = ["plain-a", "plain-b", "plugin", "no-fsync"]
RCPT = "reader@elsewhere.example"
NO_FSYNC_SOURCE = "int fsync(int fd) { (void)fd; return 0; }\nint fdatasync(int fd) { (void)fd; return 0; }\n"
SERVICE = """
service submission {{
  executable = {executable}
}}
"""


@dataclass(frozen=True)
class SendingCase:
    """`batch` messages on each of the connections; `sessions`: each in a session of its own, as most clients send."""
    name: str
    size: int
    batch: int
    connections: int = 1
    sessions: bool = False


SENDING_CASES = [
    SendingCase("submission-4k", 4 * 1024, batch=5),
    SendingCase("submission-4k-sessions", 4 * 1024, batch=3, sessions=True),
    SendingCase("submission-4k-8-connections", 4 * 1024, batch=3, connections=8),
    SendingCase("submission-1m", 1024 * 1024, batch=2),
]


class Sink(Postfix):
    """Takes everything, keeps its queue as always, and throws away what it would relay."""

    def _settings(self) -> dict[str, str]:
        return super()._settings() | {"default_transport": "discard:"}


class SendingInstance:
    def __init__(self, name: str, relay: Sink, preload: Path):
        self.name = name
        executable = str(LIBEXEC / "submission")
        if name == NO_FSYNC:
            executable = f"/usr/bin/env LD_PRELOAD={preload} {executable}"
        self.dovecot = Dovecot(users=USERS, backscatter=name in (PLUGIN, NO_FSYNC), relay=(relay.address, PORT),
                               plugin={"backscatter_sources": "submission"}, extra=SERVICE.format(executable=executable))
        self._clients: list[SubmissionClient] = []

    def __enter__(self) -> "SendingInstance":
        self.dovecot.__enter__()
        return self

    def __exit__(self, *_) -> None:
        self.disconnect()
        self.dovecot.stop()

    def connect(self, case: SendingCase) -> None:
        """The first one's process is measured."""
        self._clients = [self.dovecot.submission(USERS[0])]
        [self.pid] = self.dovecot.pids("submission")
        self._clients += [self.dovecot.submission(user) for user in USERS[1:case.connections]]

    def disconnect(self) -> None:
        for client in self._clients:
            client.close()
        self._clients = []

    def send(self, case: SendingCase, serials: list[int]) -> float:
        """Seconds of a batch."""
        began = time.perf_counter()
        if case.sessions:
            for serial in serials:
                with self.dovecot.submission(USERS[0]) as client:
                    submit(client, USERS[0], case, serial)
        else:
            with ThreadPoolExecutor(len(self._clients)) as pool:
                list(pool.map(lambda pair: self._send_batch(*pair, case, serials), zip(self._clients, USERS)))
        return time.perf_counter() - began

    @staticmethod
    def _send_batch(client: SubmissionClient, user: str, case: SendingCase, serials: list[int]) -> None:
        for serial in serials:
            submit(client, user, case, serial)

    def cpu(self) -> int:
        """Nanoseconds that the first connection's process has run; it has to sleep, or the kernel's count is late."""
        while state(self.pid) != "S":
            time.sleep(0.0001)
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0])


def make_preload(folder: Path) -> Path:
    """A library under which fsync() does nothing."""
    source, library = folder / "no-fsync.c", folder / "no-fsync.so"
    source.write_text(NO_FSYNC_SOURCE)
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library, source], check=True)
    library.chmod(0o755)
    return library


def submit(client: SubmissionClient, user: str, case: SendingCase, serial: int) -> None:
    message = original(f"sent-{serial}.{case.name}@client.example.test", RCPT).replace(OWNER.encode(), user.encode())
    line = b"The quick brown fox jumps over the lazy dog, and over the quick one.\r\n"
    message += line * ((case.size - len(message)) // len(line))
    reply = client.submit(user, [RCPT], message)
    assert reply.accepted, reply
