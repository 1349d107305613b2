"""Ports where nobody answers."""

from __future__ import annotations

import atexit
import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self


def refusing_port() -> int:
    """A port of 127.0.0.1 that refuses connections for as long as this process lives."""
    # Bound but not listening, so that nothing else can come to listen there.
    keeper = socket.socket()
    keeper.bind(("127.0.0.1", 0))
    atexit.register(keeper.close)
    port: int = keeper.getsockname()[1]
    return port


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago, for a server whose port must be known in advance."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def deaf_port(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port whose queue of connections is full, so that nobody can connect."""
    with contextlib.ExitStack() as held:
        listening = held.enter_context(socket.create_server((host, port), backlog=0))
        for _ in range(4):
            caller = held.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


class BlackHole:
    """A port of 127.0.0.1 where a client can connect, and then hears nothing."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(256)
        self.port: int = self._socket.getsockname()[1]

    def url(self, path: str = "/", scheme: str = "http") -> str:
        """A URL that leads into it."""
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        """Let go of the port and of everyone waiting there."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
