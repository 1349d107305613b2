"""Many TLS hosts at low cost: one thread serves them all, and hosts of one kind share a certificate and a context."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.support.pki import Certified, Leaf
from tests.support.servers import server_context

if TYPE_CHECKING:
    from typing import Self  # Python 3.11


class Fleet:
    """Hosts on ports of 127.0.0.1, in a thread of their own; gone when its `with` ends."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._sockets: list[socket.socket] = []
        self.connections: dict[int, int] = {}  #: how many each port accepted
        self._at_once = 0
        self.most_at_once = 0  #: the most clients that waited at once for a plain host's answer

    def tls(self, count: int, leaf: Leaf, sends: Sequence[Certified] = ()) -> list[str]:
        """Start so many hosts that send this; returns their names in the usual form."""
        return self._serve(count, server_context(leaf, sends), b"")

    def plain(self, count: int) -> list[str]:
        """Start so many hosts that speak HTTP without TLS."""
        return self._serve(count, None, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    def deaf(self, count: int) -> list[str]:
        """Reserve so many ports at which nobody listens."""
        return [self._named(self._bound()) for _ in range(count)]

    def _serve(self, count: int, context: ssl.SSLContext | None, greeting: bytes) -> list[str]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            port = writer.get_extra_info("sockname")[1]
            self.connections[port] = self.connections.get(port, 0) + 1
            with contextlib.suppress(OSError):
                if context is None:
                    await self._make_wait()
                writer.write(greeting)
                await reader.read(1)
                writer.close()

        async def start(listening: socket.socket) -> None:
            await asyncio.start_server(answer, sock=listening, ssl=context)

        found = []
        for _ in range(count):
            listening = self._bound()
            asyncio.run_coroutine_threadsafe(start(listening), self._loop).result(10)
            found.append(self._named(listening))
        return found

    async def _make_wait(self) -> None:
        """A client counts until it gets our answer, because it cannot go on to the next host before."""
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0.05)
        self._at_once -= 1

    def _bound(self) -> socket.socket:
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        self._sockets.append(bound)
        return bound

    @staticmethod
    def _named(bound: socket.socket) -> str:
        return f"localhost:{bound.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._loop.set_exception_handler(lambda loop, context: None)  # what clients do is nobody's concern
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.close()
        for bound in self._sockets:
            bound.close()
