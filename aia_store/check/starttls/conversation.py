"""Talk to a server that may send anything: there are limits on the bytes read and on the time.

After the dialogue comes TLS, so not one byte more than the dialogue may be read.
"""

from __future__ import annotations

import socket
import time

from ...manager.words import one_line, shortened

MOST_BYTES = 65_536  # in a whole dialogue
LONGEST_LINE = 4_096
_MOST_SHOWN = 80  # characters of what the server said


class StartTLSError(Exception):
    """TLS cannot be started. The message is meant to be shown after the host's name: "HOST:PORT does not …"."""


class Conversation:
    """The dialogue on one connection before TLS. Its methods raise StartTLSError, and OSError from the connection."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline  # on the monotonic clock
        self._left = MOST_BYTES

    def send(self, data: bytes) -> None:
        """Send all of this."""
        self._set_timeout()
        self._connection.sendall(data)

    def read(self, count: int) -> bytes:
        """Read exactly this many bytes."""
        data = b""
        while len(data) < count:
            data += self._received(count - len(data))
        return data

    def line(self) -> bytes:
        """Read one line, without its end."""
        return self.until(b"\n", most=LONGEST_LINE).rstrip(b"\r\n")

    def until(self, *marks: bytes, most: int = MOST_BYTES) -> bytes:
        """Read up to the first of these marks, inclusive."""
        data = b""
        while True:
            # Peek first, because we must not read what comes after the mark.
            self._set_timeout()
            ahead = data + self._connection.recv(LONGEST_LINE, socket.MSG_PEEK)
            if len(ahead) == len(data):
                raise StartTLSError("closed the connection before TLS")
            ends = [at + len(mark) for mark in marks if (at := ahead.find(mark)) >= 0]
            stop = min(ends, default=len(ahead))
            data += self.read(stop - len(data))
            if ends:
                return data
            if len(data) > most:
                raise StartTLSError("sends too much before TLS")

    def _received(self, most: int) -> bytes:
        if most > self._left:
            raise StartTLSError("sends too much before TLS")
        self._set_timeout()
        data = self._connection.recv(most)
        if not data:
            raise StartTLSError("closed the connection before TLS")
        self._left -= len(data)
        return data

    def _set_timeout(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise StartTLSError("is too slow before TLS")
        self._connection.settimeout(left)


def unexpected(protocol: str, said: bytes) -> StartTLSError:
    """The error for a server that does not speak the protocol."""
    return StartTLSError(f"does not speak {protocol} (it said {_shown(said)}); is the port right?")


def declined(said: bytes) -> StartTLSError:
    """The error for a server that speaks the protocol, but not TLS."""
    return StartTLSError(f"does not offer TLS (it said {_shown(said)})")


def _shown(said: bytes) -> str:
    return repr(shortened(one_line(said.decode("utf-8", "replace")), _MOST_SHOWN))
