"""Running Dovecots that a test leaves to the next with the same settings: a start costs more than most tests do.

Each test finds what it would find after a start (see Dovecot.clear()): mail and logs are new, and so are the processes that
read them, but for a doveadm-server between two commands. A Dovecot to which a test did more than deliver, submit and look is
stopped after it, and so is that of a test that failed.
"""

from contextlib import ExitStack

from dovecot import Dovecot

KEPT = 6   # a Dovecot that waits is six or seven processes
# No test wants to see it, whatever it does to a Dovecot.
CRASH = r"Panic: |killed with signal (4|6|7|8|11)\b"


class Dovecots:
    def __init__(self):
        self._waiting: list[tuple[str, Dovecot]] = []
        self._arguments: dict[Dovecot, str] = {}

    def take(self, *args, **settings) -> Dovecot:
        """One with these arguments, running or not yet started."""
        arguments = repr((args, settings))
        for index, (those, dovecot) in enumerate(self._waiting):
            if those == arguments:
                del self._waiting[index]
                break
        else:
            dovecot = Dovecot(*args, **settings)
        self._arguments[dovecot] = arguments
        return dovecot

    def give_back(self, dovecot: Dovecot, *, is_good: bool = True) -> None:
        """After a test. AssertionError if a process of it crashed, TimeoutError if one doesn't end."""
        arguments = self._arguments.pop(dovecot)
        kept = False
        try:
            # A path in its settings: a socket or a file that the next may want to have at the same place.
            kept = is_good and "/tmp/" not in arguments and dovecot.running and dovecot.clear()
        finally:
            if not kept:
                dovecot.stop()
        if kept:
            self._keep(arguments, dovecot)
        else:
            assert not dovecot.log.lines(CRASH), f"a process crashed:\n{dovecot.log}"

    def _keep(self, arguments: str, dovecot: Dovecot) -> None:
        self._waiting.append((arguments, dovecot))
        if len(self._waiting) > KEPT:
            self._waiting.pop(0)[1].stop()

    def stop(self) -> None:
        with ExitStack() as each:
            for _, dovecot in self._waiting:
                each.callback(dovecot.stop)
