"""Running Dovecots that a test leaves to the next with the same settings: a start costs more than most tests do.

Each test finds what it would find after a start (see Dovecot.clear()): mail, logs and whoever reads them are new. A Dovecot
to which a test did more than deliver, submit and look is stopped after it.
"""

from dovecot import Dovecot

KEPT = 6   # a Dovecot that waits is six processes


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

    def give_back(self, dovecot: Dovecot) -> None:
        arguments = self._arguments.pop(dovecot)
        # A path in its settings: a socket or a file that the next may want to have at the same place.
        if "/tmp/" in arguments or not dovecot.running or not dovecot.clear():
            dovecot.stop()
            return
        self._waiting.append((arguments, dovecot))
        if len(self._waiting) > KEPT:
            self._waiting.pop(0)[1].stop()

    def stop(self) -> None:
        for _, dovecot in self._waiting:
            dovecot.stop()
