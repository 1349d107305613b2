"""An HTTP proxy for tests."""

from __future__ import annotations

import base64
import socket
from select import select
from urllib.parse import urlsplit

from .listener import Listener
from .wire import Request, read_request, response_head


class Proxy(Listener):
    """Forwards GET and CONNECT to any port of this machine, whatever the host; `requests` is what it was asked.

    With `credentials` (user:password) it answers 407 to whoever does not give them. With `answer`, it answers only
    that; an empty one is silence.
    """

    def __init__(self, port: int = 0, *, credentials: str | None = None, answer: bytes | None = None) -> None:
        self.requests: list[Request] = []
        self.answer = answer
        self._expected = f"Basic {base64.b64encode(credentials.encode()).decode()}" if credentials else None
        super().__init__(port)

    @property
    def url(self) -> str:
        """The URL that a variable may hold."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        """Serve the one request of a client."""
        request = read_request(connection)
        assert request is not None
        self.requests.append(request)
        if self.answer is not None:
            connection.sendall(self.answer)
            if not self.answer:
                self._closed.wait(60)
        elif self._expected not in (None, request.headers.get("proxy-authorization")):
            connection.sendall(response_head(407, {"Proxy-Authenticate": 'Basic realm="test"', "Content-Length": "0"}))
        else:
            self._forward(request, connection)

    def _forward(self, request: Request, connection: socket.socket) -> None:
        tunnels = request.method == "CONNECT"
        place = urlsplit(f"//{request.path}" if tunnels else request.path)
        try:
            server = socket.create_connection(("127.0.0.1", place.port or 80), 30)
        except OSError:
            connection.sendall(response_head(503, {"Via": "1.1 test", "Content-Length": "0"}))
            return
        with server:
            if tunnels:
                connection.sendall(response_head(200, {}))
            else:
                query = f"?{place.query}" if place.query else ""
                headers = {name: value for name, value in request.headers.items() if name != "proxy-authorization"}
                lines = [f"GET {place.path}{query} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
                server.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            _relay(connection, server)


def _relay(one: socket.socket, other: socket.socket) -> None:
    ends = {one: other, other: one}
    while True:
        for ready in select(list(ends), [], [], 30)[0]:
            piece = ready.recv(65536)
            if not piece:
                return
            ends[ready].sendall(piece)
