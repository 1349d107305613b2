"""The stream that carries new certificates to every machine at once: XADD and XREAD of Valkey, or of Redis.

It needs the package `valkey`. If a machine misses entries, it finds their certificates on the shelf. Entries are not
trusted: the callers verify them. A reply that is too large ends the connection before it fills the memory.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from valkey.connection import AbstractConnection, Connection, SSLConnection, parse_url
from valkey.exceptions import ValkeyError

from ..words import one_line
from .shelf import ShareError, without_secrets
from .taking import LARGEST

KEY = "aia-store"  # of the stream
MOST_KEPT = 2_000  # entries that stay in it
MOST_READ = 32  # entries of one reply
BLOCKS_FOR = 3_600.0  # seconds; then an idle machine asks again
_FORM = "valkey://[user:password@]host[:port], with special characters of the password as %XX"
START = "0-0"  # before the first entry
END = "$"  # behind the last entry, whichever that is when it is read
_SECONDS, _CONNECT_SECONDS = 10.0, 5.0
_SECONDS_OF_A_REPLY = 60.0  # even if the server sends it byte by byte
_LARGEST_REPLY = 2 * MOST_READ * LARGEST  # bytes
_FIELD = b"der"
_POSITION = re.compile("[0-9]{1,20}-[0-9]{1,20}")
#: What XADD answers once somebody has used the last possible position.
_IS_FULL = re.compile("exhausted the last possible ID|equal or smaller than the target stream top item")
#: They reveal a dead idle connection within some four minutes (tcp(7)).
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))
    if hasattr(socket, name)
}


class StreamError(ShareError):
    """The stream cannot be used. The message names the stream."""


class OversizeError(StreamError):
    """A reply is larger than all the entries that honest machines could have sent."""


class StreamEntry(NamedTuple):
    """One entry: its position, and what should be a certificate (DER)."""

    position: str
    der: bytes


class Stream:
    """A connection to the stream, for a `with` statement. Every method raises StreamError if the stream is unusable."""

    def __init__(self, url: str) -> None:
        self._shown = without_secrets(url)
        try:
            options = parse_url(url)
        except ValueError as error:  # it may show a part of a password
            raise StreamError(f"{self._shown} is no URL of a stream; set `share_notify` to {_FORM}") from error
        try:
            kind = _bounded(options.pop("connection_class", Connection))
            options = {"socket_timeout": _SECONDS, "socket_connect_timeout": _CONNECT_SECONDS, **options, "protocol": 2}
            if issubclass(kind, Connection):
                options |= {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
            if issubclass(kind, SSLConnection):  # which verifies no host name unless it is told to
                options["ssl_check_hostname"] = options.get("ssl_cert_reqs") != "none"
            self._connection = kind(**options)
            self._connection.connect()
        except (ValkeyError, OSError, ValueError, TypeError) as error:
            raise self._failure(error) from error

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.disconnect()

    def send(self, ders: Iterable[bytes]) -> None:
        """Append certificates (DER), and drop old entries. If no later position is left, the stream is made anew."""
        deadline = time.monotonic() + _SECONDS_OF_A_REPLY
        for der in ders:
            entry = "XADD", KEY, "MAXLEN", "~", MOST_KEPT, "*", _FIELD, der
            try:
                self._ask(*entry, deadline=deadline)
            except StreamError as error:
                if not _IS_FULL.search(str(error.__cause__)):
                    raise
                self._ask("DEL", KEY, deadline=deadline)
                self._ask(*entry, deadline=deadline)

    def ends(self) -> tuple[str, str] | None:
        """The positions of the oldest and the newest entry; None if there is none."""
        oldest = self._entries(self._ask("XRANGE", KEY, "-", "+", "COUNT", 1))
        newest = self._entries(self._ask("XREVRANGE", KEY, "+", "-", "COUNT", 1))
        return (oldest[0].position, newest[0].position) if oldest and newest else None

    def read(self, after: str, interrupted: int, seconds: float = BLOCKS_FOR) -> list[StreamEntry] | None:
        """Wait for entries after a position: [] if none come in time, None if `interrupted` is readable or closed."""
        command = ("XREAD", "COUNT", MOST_READ, "BLOCK", int(seconds * 1000), "STREAMS", KEY, after)
        self._expect(None)
        try:
            self._connection.send_command(*command)
            connected = self._connection._sock
            pending = getattr(connected, "pending", lambda: 0)()
            ready = select.select([connected, interrupted], [], [], 0 if pending else seconds + _SECONDS)[0]
        except (ValkeyError, OSError, ValueError) as error:
            raise self._failure(error) from error
        if interrupted in ready:
            return None
        self._expect(None)
        reply = self._answer()
        is_sound = isinstance(reply, list) and len(reply) == 1 and isinstance(reply[0], list) and len(reply[0]) == 2
        return self._entries(reply[0][1] if is_sound else reply)

    def _ask(self, *command: object, deadline: float | None = None) -> Any:
        self._expect(deadline)
        try:
            self._connection.send_command(*command)
        except (ValkeyError, OSError) as error:
            raise self._failure(error) from error
        return self._answer()

    def _expect(self, deadline: float | None) -> None:
        """Limit the size and time of the next reply. `deadline` is on the monotonic clock; None means in 60 seconds."""
        if self._connection._sock is not None:  # else the next command connects again, with a limit of its own
            self._connection._sock.expect(deadline)

    def _answer(self) -> Any:
        try:
            return self._connection.read_response(disable_decoding=True)
        except OversizeError as error:
            raise OversizeError(f"{self._shown}: {error}") from error
        except (ValkeyError, OSError, ValueError, RecursionError) as error:
            raise self._failure(error) from error

    def _entries(self, raws: Any) -> list[StreamEntry]:
        """The entries of a reply. Raises StreamError if it is malformed."""
        try:
            return [_entry(raw) for raw in raws or ()]
        except (ValueError, TypeError, AttributeError) as error:
            raise StreamError(f"{self._shown} cannot be used (its reply has no entries with positions)") from error

    def _failure(self, error: Exception) -> StreamError:
        return StreamError(f"{self._shown} cannot be used ({one_line(str(error))[:200] or type(error).__name__})")


def is_position(text: str) -> bool:
    """Whether this text has the form of a position, which is the server's name for an entry."""
    return _POSITION.fullmatch(text) is not None


def order(position: str) -> tuple[int, ...]:
    """A key that sorts positions in the order of the stream."""
    return tuple(int(part) for part in position.split("-"))


def _entry(raw: Any) -> StreamEntry:
    """Parse one entry of a reply. If it does not hold one certificate of a permitted size, `der` is empty.

    Raises ValueError, TypeError or AttributeError if `raw` is no entry.
    """
    position, fields = raw
    text = position.decode("ascii")
    if not is_position(text):
        raise ValueError("no position")
    sound = isinstance(fields, list) and len(fields) == 2 and fields[0] == _FIELD and isinstance(fields[1], bytes)
    return StreamEntry(text, fields[1] if sound and len(fields[1]) <= LARGEST else b"")


class _BoundedSocket:
    """A socket that limits the size and the time of each reply. Call `expect` before a new reply."""

    def __init__(self, unbounded: Any) -> None:
        self._socket = unbounded
        self._between_bytes = unbounded.gettimeout()
        self.expect()

    def expect(self, deadline: float | None = None) -> None:
        """Expect a new reply, which must be complete by the deadline (monotonic clock; None: in 60 seconds)."""
        self._left = _LARGEST_REPLY
        self._deadline = deadline or time.monotonic() + _SECONDS_OF_A_REPLY
        self._socket.settimeout(self._between_bytes)

    def recv(self, size: int) -> bytes:
        received = bytearray(size)
        return bytes(received[: self.recv_into(received)])

    def recv_into(self, *arguments: Any) -> int:
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError(f"a reply takes longer than {_SECONDS_OF_A_REPLY:.0f} s")
        self._socket.settimeout(min(seconds, self._between_bytes or seconds))
        size: int = self._socket.recv_into(*arguments)
        self._left -= size
        if self._left < 0:
            raise OversizeError(f"a reply is larger than {_LARGEST_REPLY:,} bytes")
        return size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def _bounded(kind: type[AbstractConnection]) -> type[Any]:
    """A subclass of this kind of connection (plain, TLS or Unix socket) that uses `_BoundedSocket`."""

    class Bounded(kind):  # type: ignore[valid-type, misc]
        def _connect(self) -> _BoundedSocket:
            return _BoundedSocket(super()._connect())

    return Bounded
