"""Running daemons in the foreground, and waiting for what they log.

A daemon's output is its log. Whoever waits for a line is woken by it, or fails at a deadline, with the log in the error.
A daemon is stopped by its process id, and so is what it started: everything lives in its session.
"""

import array
import fcntl
import os
import random
import re
import select
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

STOP_SECONDS = 10.0


class Log:
    """Lines in the order they came, kept in a file too (for humans)."""

    def __init__(self, path: Path, lines: Sequence[str] = ()):
        """lines: what stands there already."""
        self.path = path
        self._lines = list(lines)
        self._changed = threading.Condition()

    def add(self, line: str) -> None:
        with self._changed, self.path.open("a") as file:
            file.write(line + "\n")
            self._lines.append(line)
            self._changed.notify_all()

    def lines(self, regex: str = "", since: int = 0) -> list[str]:
        with self._changed:
            return [line for line in self._lines[since:] if re.search(regex, line)]

    def mark(self) -> int:
        """Where the log ends now: pass it as `since` to see only what comes after."""
        with self._changed:
            return len(self._lines)

    def wait(self, regex: str, timeout: float = 10, since: int = 0) -> re.Match:
        def match():
            for line in self._lines[since:]:
                if found := re.search(regex, line):
                    return found
            return None

        with self._changed:
            found = self._changed.wait_for(match, timeout)
        if found is None:
            raise TimeoutError(f"no log line {regex!r} within {timeout} s:\n{self}")
        return found

    def __str__(self) -> str:
        return "\n".join(self.lines())


class Daemon:
    """`argv` runs in the foreground; returns from the constructor once it has logged `ready`.

    It ends with this process, whatever ends that.
    idle: names of processes that only wait once nothing else of the daemon runs: stop() need not wait for them.
    """

    def __init__(self, argv: list[str], log: Log, ready: str, *, timeout: float = 20,
                 idle: frozenset[str] = frozenset(), cwd: str = "/", env: dict[str, str] | None = None):
        self.log, self._idle = log, idle
        since = log.mark()
        self._process = subprocess.Popen(
            argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, start_new_session=True)
        os.set_blocking(self._process.stdout.fileno(), False)
        self.pid = self._process.pid
        # Told nothing before its input ends, it ends the daemon. (A death signal would not survive the daemon's setuid().)
        self._watchdog = subprocess.Popen(["sh", "-c", 'read stopped || kill "$0"', str(self.pid)],
                                          cwd="/", stdin=subprocess.PIPE, start_new_session=True)
        self._reading = threading.Lock()
        self._begun = b""   # a line that hasn't ended yet
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            found = log.wait(f"{ready}|^process ended: {self.pid}$", timeout, since)
        except TimeoutError:
            self.stop()
            raise
        if found.group().startswith("process ended"):
            self.stop()
            raise RuntimeError(f"{argv[0]} ended at once:\n{log}")

    def _read(self) -> None:
        more = True
        while more:
            select.select([self._process.stdout], [], [])
            with self._reading:
                more = self._read_some()
        with self._reading:
            self._process.stdout.close()
        self.log.add(f"process ended: {self.pid}")

    def _read_some(self) -> bool:
        """False at the end."""
        try:
            data = os.read(self._process.stdout.fileno(), 65536)
        except BlockingIOError:
            return True   # somebody else has read it
        *lines, self._begun = (self._begun + data).split(b"\n")
        if not data and self._begun:
            lines = [self._begun]   # the last one has no end
        for line in lines:
            self.log.add(line.decode(errors="replace"))
        return data != b""

    def read_written(self) -> None:
        """Until all that it has written is in the log."""
        with self._reading:
            while waiting(self._process.stdout):
                self._read_some()

    def log_to(self, log: Log) -> None:
        """What it writes from now on goes there."""
        with self._reading:
            self.log = log

    def running(self) -> bool:
        return self._process.poll() is None

    def processes(self) -> str:
        """What runs of it, a line each: for the report of a failed test."""
        return "\n".join(f"{pid} {name}: {describe(pid)}" for pid, name in processes(self.pid).items()) + \
            f"\nits output is {'read' if self._reader.is_alive() else 'not read any more'}"

    def wait_until_idle(self, name: str) -> None:
        """Until its process of this name waits for input."""
        self._look_until(lambda: any(map(waits_for_input, self.children_called(name))), f"no process {name} that waits for input")

    def children_called(self, name: str) -> set[int]:
        return {pid for pid, found in children(self.pid).items() if found == name}

    def end(self, *, all_but: frozenset[str], nor: set[int]) -> None:
        """Ends processes as Dovecot's master ends idle ones: by SIGINT, which nobody logs.
        all_but: names of those that go on; nor: their ids.

        Returns once the master knows of their end, and has logged what it says of it."""
        def ended() -> bool:
            return not (self._told_to_end(children, all_but, nor) or self._told_to_end(processes, all_but, nor) or
                        children(self.pid, b"Z")) and waits_for_input(self.pid)

        self._look_until(ended, f"some don't end, beside {sorted(all_but)} and {sorted(nor)}")

    def _told_to_end(self, look: Callable[[int], dict[int, str]], all_but: frozenset[str], nor: set[int]) -> set[int]:
        """Again and again: who is busy doesn't listen."""
        found = {pid for pid, name in look(self.pid).items() if name not in all_but} - nor
        for pid in found:
            signal_to(pid, signal.SIGINT)
        return found

    def _look_until(self, condition: Callable[[], bool], otherwise: str) -> None:
        if not comes_true(condition, STOP_SECONDS):
            raise TimeoutError(f"{otherwise}:\n{self.processes()}")

    def stop(self, patience: float = STOP_SECONDS) -> None:
        """SIGTERM, then SIGKILL for what is still there after a while; returns when nothing of it runs any more."""
        if self.running():
            self._process.terminate()
        self._wait_for(self._idle, patience)
        for pid in processes(self.pid):
            signal_to(pid, signal.SIGKILL)
        self._watchdog.communicate(b"stopped\n")
        self._process.wait(STOP_SECONDS)
        self._wait_for(frozenset())
        self._reader.join(STOP_SECONDS)

    def _wait_for(self, idle: frozenset[str], seconds: float = STOP_SECONDS) -> None:
        """Until no others than the idle ones run."""
        comes_true(lambda: set(processes(self.pid).values()) <= idle, seconds)


def comes_true(condition: Callable[[], bool], seconds: float) -> bool:
    """Waits for what can only be looked at, as processes that are not our children. False if it takes longer."""
    deadline = time.monotonic() + seconds
    pause = 0.001
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    return True


def signal_to(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass   # it ended meanwhile


def waiting(pipe: IO[bytes]) -> int:
    """Bytes that nobody has read yet."""
    number = array.array("i", [0])
    if not pipe.closed:
        fcntl.ioctl(pipe, termios.FIONREAD, number)
    return number[0]


def processes(session: int) -> dict[int, str]:
    """Process ids and names of what runs in a session."""
    return named(os.listdir("/proc"), session)


def children(pid: int, state: bytes = b"") -> dict[int, str]:
    """What runs of a process' children. A tenth of the work of processes(), but while some end others may be missing.
    state: only those in this one (proc(5)), b"Z" too."""
    try:
        pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return {}   # it ended meanwhile
    return named(pids, pid, state)


def named(pids: Iterable[str], session: int, wanted: bytes = b"") -> dict[int, str]:
    """Those of a session that run, or are in this state."""
    found = {}
    for pid in filter(str.isdigit, pids):
        try:
            with open(f"/proc/{pid}/stat", "rb", buffering=0) as stat:
                name, rest = stat.read(1024).split(b"(", 1)[1].rsplit(b")", 1)
        except (OSError, IndexError):
            continue   # it ended meanwhile
        state, _, _, process_session = rest.split()[:4]
        if int(process_session) == session and (state == wanted if wanted else state != b"Z"):
            found[int(pid)] = name.decode(errors="replace")
    return found


def describe(pid: int) -> str:
    """State, the system call it waits in, and its open pipes and sockets."""
    try:
        folder = Path("/proc", str(pid))
        state = re.search(r"^State:\s*(.*)", (folder / "status").read_text(), re.M)[1]
        files = " ".join(f"{file.name}={os.readlink(file)}" for file in (folder / "fd").iterdir())
        return f"{state}, syscall {(folder / 'syscall').read_text().split()[0]}, {files}"
    except OSError as error:
        return str(error)   # it ended meanwhile


def waits_for_input(pid: int) -> bool:
    try:
        return "epoll" in Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return False   # it ended meanwhile


def loopback_address() -> str:
    """An address of this host that nobody else uses: with it every instance can have its own fixed ports."""
    return f"127.{random.randint(64, 127)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
