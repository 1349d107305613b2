"""A web server that publishes certificates, or misbehaves on demand."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Literal

from .listener import Listener
from .wire import Request, read_request, response_head

Script = Callable[[socket.socket], None]

_FILLER = bytes(1 << 16)
_ENDLESS = {
    "chunked": (
        response_head(200, {"Transfer-Encoding": "chunked"}),
        b"%x\r\n%b\r\n" % (len(_FILLER), _FILLER),
    ),
    "headers": (response_head(200, {})[:-2], b"X-Filler: and so on, and so on\r\n" * 2048),
    "body": (response_head(200, {"Connection": "close"}), _FILLER),
}


class AIAHost(Listener):
    """Answers each path as scripted, and others with 404; each reply ends its connection.

    `requests` is what was asked so far, oldest first. A path scripted again is answered in the new way. Every
    scripting method returns the path's URL.
    """

    def __init__(self, port: int = 0) -> None:
        self._scripts: dict[str, Script] = {}
        self._requests: list[Request] = []
        super().__init__(port)

    @property
    def requests(self) -> list[Request]:
        """A copy of the list of requests so far."""
        with self._lock:
            return list(self._requests)

    def count(self, path: str | None = None) -> int:
        """How many requests there were, for one path or for all."""
        return sum(path in (None, request.path) for request in self.requests)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """The URL of a path, published or not."""
        return f"http://{host}:{self.port}{path}"

    def publish(
        self,
        path: str,
        body: bytes,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        content_type: str | None = "application/pkix-cert",
        *,
        delay: float = 0,
    ) -> str:
        """Reply with this body, after `delay` seconds; `headers` add to the usual ones or replace them."""
        usual = {"Content-Length": str(len(body)), "Connection": "close"}
        if content_type is not None:
            usual["Content-Type"] = content_type
        wanted = headers or {}
        given = {name.lower() for name in wanted}
        merged = {name: value for name, value in usual.items() if name.lower() not in given}
        wire = response_head(status, {**merged, **wanted}) + body

        def reply(connection: socket.socket) -> None:
            if not self._closed.wait(delay):
                connection.sendall(wire)

        return self._script(path, reply)

    def redirect(self, path: str, location: str, status: int = 302) -> str:
        """Send the client elsewhere."""
        return self.publish(path, b"", status, {"Location": location}, content_type=None)

    def raw(self, path: str, wire: bytes) -> str:
        """Reply with exactly these bytes, then close."""
        return self._script(path, lambda connection: connection.sendall(wire))

    def drip(self, path: str, body: bytes, seconds_per_byte: float, *, head: bool = False) -> str:
        """Reply with one byte of the body at a time; with `head`, of the status line and the headers too."""
        start = response_head(200, {"Content-Length": str(len(body)), "Connection": "close"})

        def reply(connection: socket.socket) -> None:
            if not head:
                connection.sendall(start)
            for byte in (start if head else b"") + body:
                connection.sendall(bytes([byte]))
                if self._closed.wait(seconds_per_byte):
                    return

        return self._script(path, reply)

    def silent(self, path: str) -> str:
        """Read the request and never answer."""

        def reply(connection: socket.socket) -> None:
            while connection.recv(65536):
                pass

        return self._script(path, reply)

    def stream_forever(self, path: str, kind: Literal["chunked", "headers", "body"] = "body") -> str:
        """Reply without end: in chunks, in headers, or in a body without a length."""
        start, more = _ENDLESS[kind]

        def reply(connection: socket.socket) -> None:
            connection.sendall(start)
            while not self._closed.is_set():
                connection.sendall(more)

        return self._script(path, reply)

    def serve(self, connection: socket.socket) -> None:
        """Note one request and play its script."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = read_request(connection)
        if request is None:
            return
        with self._lock:
            self._requests.append(request)
            script = self._scripts.get(request.path)
        if script:
            script(connection)
        else:
            connection.sendall(response_head(404, {"Content-Length": "0", "Connection": "close"}))

    def _script(self, path: str, script: Script) -> str:
        with self._lock:
            self._scripts[path] = script
        return self.url(path)
