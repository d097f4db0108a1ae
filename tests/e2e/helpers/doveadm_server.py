"""doveadm's commands without a program that starts: asked of a doveadm-server as doveadm asks it, over its unix socket.

For what tests prepare and look at. What doveadm itself prints, and its exit codes, are Dovecot.doveadm()'s.
"""

import select
import socket


class Refused(Exception):
    """The command failed: doveadm says why."""


class DoveadmServer:
    """One process of Dovecot's, which goes on from command to command. Closes the connection that it is given."""

    def __init__(self, connection: socket.socket):
        self._socket = connection
        self._socket.sendall(b"VERSION\tdoveadm-server\t1\t0\n")
        hello = self._socket.recv(100)
        assert hello == b"+\n", hello

    def ask(self, user: str, command: str, *args: str) -> list[str]:
        """command: "backscatter coverage". All values of all rows. One at a time: whoever gets no answer closes it."""
        words = ["", user, command, *args]
        assert not any(set(word) & set("\t\n\1") for word in words), words
        self._socket.sendall("\t".join(words).encode() + b"\n")
        # a line of values, each with a tab behind it, and one that is "+" or begins with "-"
        answer = b""
        while answer.count(b"\n") < 2:
            data = self._socket.recv(65536)
            assert data, answer
            answer += data
        values, result, _ = answer.decode().split("\n")
        if result != "+":
            raise Refused(f"doveadm {command} {' '.join(args)} for {user}: {result}")
        return values.split("\t")[:-1]

    def waits(self) -> bool:
        """For the next command; not if it has ended, or said what it wasn't asked."""
        return not select.select([self._socket], [], [], 0)[0]

    def close(self) -> None:
        self._socket.close()
