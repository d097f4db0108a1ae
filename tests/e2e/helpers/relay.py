"""The way of a submitted message: Dovecot's submission service, a Postfix as its relay, and the MTA of somebody else, an
Exim, that takes the mail or not. Reports come back through the relay, over LMTP.

    with Relay() as relay, Dovecot(relay=relay.where) as dovecot:
        relay.deliver_to(dovecot)
        dovecot.submit(ALICE, REFUSED, message)
        relay.settle()                              # now Postfix's bounce lies in Alice's INBOX
"""

import os
import subprocess
import time
from pathlib import Path

from dovecot import Dovecot
from mta import DEADLINE, Exim, Postfix
from process import processes
from smtp import PORT, SmtpServer

# At the remote MTA: refused in the dialogue (the relay reports), and accepted, then found to be nobody (the remote does).
REFUSED = "nobody@reject.example.test"
BOUNCED = "nobody@bounces.example.test"
# Aliases there, for one member and for ten; all of them are gone.
MEMBERS = [f"member{number}@members.example.test" for number in range(10)]
FORWARDED = "old-address@lists.example.test"
LIST = "team@lists.example.test"
# In the world (see smtp.py): what comes there is kept.
READER = "reader@elsewhere.example"

QUEUES = ("maildrop", "incoming", "active", "deferred")


class Remote(Exim):
    """Its reports leave through `home`. What an alias stands for comes in again at the second port, each member apart."""
    ports = (PORT, PORT + 1)

    def __init__(self, home: str):
        super().__init__()
        self.home = home

    def _recipients(self) -> str:
        return """\
  deny
    domains = reject.example.test
    message = 5.1.1 no such user here
  accept"""

    def _routers(self) -> str:
        first_time = f"  domains = members.example.test\n  condition = ${{if !={{$received_port}}{{{self.ports[1]}}}}}\n"
        return f"""\
{self._route("home", "  domains = example.test", self.home, "world")}
aliases:
  driver = redirect
  domains = lists.example.test
  data = ${{if eq{{$local_part@$domain}}{{{LIST}}}{{{", ".join(MEMBERS)}}}{{{MEMBERS[0]}}}}}
{self._route("members", first_time, self.address, "again")}
nobody:
  driver = redirect
  data = :fail: no such user here
  allow_fail
"""

    def _transports(self) -> str:
        return f"""\
again:
  driver = smtp
  port = {self.ports[1]}
  hosts_avoid_tls = *
  max_rcpt = 1
"""

    def queued(self) -> list[Path]:
        return list((self.root / "var/spool/exim4/input").glob("*"))


class Relay(Postfix):
    """With the remote MTA, and a world that offers DSN and SMTPUTF8."""

    def __init__(self):
        super().__init__(world=SmtpServer("DSN", "SMTPUTF8"))
        self.lmtp = self.folder / "lmtp"
        self.remote = Remote(home=self.address)

    @property
    def where(self) -> tuple[str, int]:
        return self.address, PORT

    def start(self) -> "Relay":
        self.remote.start()
        super().start()
        return self

    def stop(self) -> None:
        super().stop()
        self.remote.stop()

    def _settings(self) -> dict[str, str]:
        world = f"smtp:[{self.world.address}]:{PORT}"
        return super()._settings() | {
            "relayhost": f"[{self.remote.address}]:{PORT}",
            "transport_maps": f"inline:{{ {{ elsewhere.example = {world} }}, {{ defer.example.test = {world} }} }}",
            "smtputf8_enable": "yes",
            "message_size_limit": str(64 * 1024 * 1024),
            "lmtp_connection_cache_on_demand": "no",
            # after one of its processes was killed
            "service_throttle_time": "1s",
            "notify_classes": "",
        }

    def deliver_to(self, dovecot: Dovecot) -> None:
        """Mail for example.test goes there from now on."""
        link = self.folder / "lmtp.new"
        link.symlink_to(dovecot.lmtp_socket)
        link.rename(self.lmtp)

    def settle(self) -> None:
        """Returns once nothing is on its way any more: delivered, or, if Postfix waits for another attempt, thrown away."""
        began = time.monotonic()
        deadline = began + DEADLINE
        looks_without = 0
        # One look may miss what moves from queue to queue meanwhile.
        while looks_without < 3:
            left = [*self._queued(*QUEUES), *self.remote.queued()]
            assert time.monotonic() < deadline, left
            if self._queued("deferred"):
                subprocess.run(["postsuper", "-c", self.etc, "-d", "ALL", "deferred"], check=True, timeout=DEADLINE,
                               capture_output=True)
            if time.monotonic() > began + 1 and self.remote.queued():
                self.remote.run_queue()
            looks_without = 0 if left else looks_without + 1
            time.sleep(0.005)

    def _queued(self, *queues: str) -> list[Path]:
        """Complete ones, and those that a process still receives. What its process was killed over can't be executed, and never
        will be."""
        paths = [path for name in queues for path in (self.folder / "queue" / name).rglob("*") if path.is_file()]
        incomplete = [path for path in paths if not os.access(path, os.X_OK)]
        abandoned = set(incomplete) - self._open_files() if incomplete else set()
        # once more: it may have been finished between the two looks
        return [path for path in paths if path not in abandoned or os.access(path, os.X_OK)]

    def _open_files(self) -> set[Path]:
        """Of all its processes."""
        found = set()
        for pid in processes(self._daemon.pid):
            try:
                found |= {Path(os.readlink(link)) for link in os.scandir(f"/proc/{pid}/fd")}
            except OSError:
                pass   # it ended meanwhile
        return found

    def pids(self, program: str) -> list[int]:
        """Of its processes that run this program."""
        return [pid for pid, name in processes(self._daemon.pid).items() if name == program]
