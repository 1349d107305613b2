"""The stream that carries new certificates to every machine at once: XADD and XREAD of Valkey, or of Redis.

It needs the client `valkey`. A machine that is late finds what it missed on the shelf. Nothing is believed: the callers
verify what they get, and a reply that is too large ends the connection before it fills the memory.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from valkey.connection import AbstractConnection, Connection, parse_url
from valkey.exceptions import ValkeyError

from .shelf import ShareError, without_secrets
from .taking import LARGEST

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY = "aia-store"  # of the stream
MOST_KEPT = 2_000  # entries that stay in it
MOST_READ = 32  # entries of one reply
BLOCKS_FOR = 3_600.0  # seconds; then an idle machine asks again
START = "0-0"  # before the first entry
END = "$"  # behind the last entry, whichever that is when it is read
_SECONDS, _CONNECT_SECONDS = 10.0, 5.0
_LARGEST_REPLY = 2 * MOST_READ * LARGEST  # bytes
_FIELD = b"der"
#: So that a connection that is gone is noticed in some four minutes, although nobody sends anything on it (tcp(7)).
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))
    if hasattr(socket, name)
}


class StreamError(ShareError):
    """The stream cannot be used. The message names it."""


class OversizeError(StreamError):
    """An entry, or a reply, is larger than honest machines make it."""


class StreamEntry(NamedTuple):
    """One entry: its position, and what should be a certificate (DER)."""

    position: str
    der: bytes


class Stream:
    """One connection. Use it in a `with`. Every method raises StreamError."""

    def __init__(self, url: str) -> None:
        self._shown = without_secrets(url)
        try:
            options = parse_url(url)
            kind = _bounded(options.pop("connection_class", Connection))
            options = {"socket_timeout": _SECONDS, "socket_connect_timeout": _CONNECT_SECONDS, **options}
            if issubclass(kind, Connection):
                options |= {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
            self._connection = kind(**options)
            self._connection.connect()
        except (ValkeyError, OSError, ValueError, TypeError) as error:
            raise self._failure(error) from error

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.disconnect()

    def send(self, ders: Iterable[bytes]) -> None:
        """Append certificates. Old entries go, so that the stream stays small."""
        for der in ders:
            self._ask("XADD", KEY, "MAXLEN", "~", MOST_KEPT, "*", _FIELD, der)

    def ends(self) -> tuple[str, str] | None:
        """The positions of the oldest and the newest entry; None if there is none."""
        oldest = self._ask("XRANGE", KEY, "-", "+", "COUNT", 1)
        newest = self._ask("XREVRANGE", KEY, "+", "-", "COUNT", 1)
        return (_entry(oldest[0]).position, _entry(newest[0]).position) if oldest and newest else None

    def read(self, after: str, interrupted: int, seconds: float = BLOCKS_FOR) -> list[StreamEntry] | None:
        """The entries after a position, as soon as there are any; none if there were none for so long.

        None if there is something to read from the descriptor `interrupted`, or if that is closed.
        """
        command = ("XREAD", "COUNT", MOST_READ, "BLOCK", int(seconds * 1000), "STREAMS", KEY, after)
        try:
            self._connection.send_command(*command)
            connected = self._connection._sock
            pending = getattr(connected, "pending", lambda: 0)()
            ready = select.select([connected, interrupted], [], [], 0 if pending else seconds + _SECONDS)[0]
        except (ValkeyError, OSError, ValueError) as error:
            raise self._failure(error) from error
        if interrupted in ready:
            return None
        reply = self._answer()
        return [_entry(raw) for _, entries in reply or () for raw in entries]

    def _ask(self, *command: object) -> Any:
        try:
            self._connection.send_command(*command)
        except (ValkeyError, OSError) as error:
            raise self._failure(error) from error
        return self._answer()

    def _answer(self) -> Any:
        self._connection._sock.left = _LARGEST_REPLY
        try:
            return self._connection.read_response(disable_decoding=True)
        except OversizeError as error:
            raise OversizeError(f"{self._shown}: {error}") from error
        except (ValkeyError, OSError, ValueError, RecursionError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> StreamError:
        return StreamError(
            f"{self._shown} cannot be used ({' '.join(str(error).split())[:200] or type(error).__name__})"
        )


def order(position: str) -> tuple[int, ...]:
    """Positions in the order of the stream."""
    return tuple(int(part) for part in position.split("-"))


def _entry(raw: Any) -> StreamEntry:
    """An entry of a reply; of one that no honest machine made, the certificate is empty. Raises StreamError."""
    try:
        position, fields = raw
        text = position.decode("ascii")
        order(text)
    except (ValueError, TypeError, AttributeError) as error:
        raise StreamError("the stream's entries have no positions") from error
    sound = isinstance(fields, list) and len(fields) == 2 and fields[0] == _FIELD and isinstance(fields[1], bytes)
    return StreamEntry(text, fields[1] if sound and len(fields[1]) <= LARGEST else b"")


class _BoundedSocket:
    """A socket from which only so many bytes can be read before `left` is set again."""

    def __init__(self, unbounded: Any) -> None:
        self._socket = unbounded
        self.left = _LARGEST_REPLY

    def recv(self, size: int) -> bytes:
        received: bytes = self._socket.recv(size)
        self._count(len(received))
        return received

    def recv_into(self, *arguments: Any) -> int:
        size: int = self._socket.recv_into(*arguments)
        self._count(size)
        return size

    def _count(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise OversizeError(f"a reply is larger than {_LARGEST_REPLY:,} bytes")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def _bounded(kind: type[AbstractConnection]) -> type[Any]:
    """A kind of connection, plain, with TLS or of a Unix socket, with a bounded socket."""

    class Bounded(kind):  # type: ignore[valid-type, misc]
        def _connect(self) -> _BoundedSocket:
            return _BoundedSocket(super()._connect())

    return Bounded
