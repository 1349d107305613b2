"""An HTTP proxy for tests."""

from __future__ import annotations

import socket
from select import select

from .listener import Listener
from .wire import Request, read_request, response_head


class Proxy(Listener):
    """Only supports CONNECT, to any port of this machine; `requests` are its requests, oldest first."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """Connect one client."""
        request = read_request(connection)
        assert request is not None and request.method == "CONNECT"
        self.requests.append(request)
        with socket.create_connection(("127.0.0.1", int(request.path.rpartition(":")[2])), 30) as server:
            connection.sendall(response_head(200, {}))
            ends = {connection: server, server: connection}
            while True:
                for ready in select(list(ends), [], [], 30)[0]:
                    piece = ready.recv(65536)
                    if not piece:
                        return
                    ends[ready].sendall(piece)
