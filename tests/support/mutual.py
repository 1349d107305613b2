"""TLS servers that ask who the client is, and clients that show a certificate."""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import tempfile
from pathlib import Path

from .listener import Listener
from .pki import Certified, Leaf, pem

ACCEPTED = "accepted"


class MutualServer(Listener):
    """Serves with any context, and says what became of each client: `ACCEPTED`, or OpenSSL's reason for refusing it."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._verdicts: queue.SimpleQueue[str] = queue.SimpleQueue()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """Make the handshake and send the greeting."""
        try:
            with self._context.wrap_socket(connection, server_side=True) as tls:
                self.greet(tls)
                self._verdicts.put(ACCEPTED)
        except ssl.SSLError as error:
            self._verdicts.put(getattr(error, "verify_message", str(error)))

    def greet(self, tls: ssl.SSLSocket) -> None:
        """Called after the handshake."""
        tls.sendall(b"ok")

    def verdict(self, client: ssl.SSLContext) -> str:
        """Let such a client connect; returns its outcome."""
        call(self.port, client)
        return self.outcome()

    def outcome(self) -> str:
        """The outcome of the next client."""
        return self._verdicts.get(timeout=30)


def client_context(leaf: Leaf | None, *sends: Certified, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A client that shows this certificate, if any, with these after it, and takes any server."""
    context = ssl._create_unverified_context()
    if version is not None:
        context.maximum_version = version
    if leaf is not None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "client.pem")
            file.write_text(leaf.key_pem + pem(leaf, *sends), encoding="ascii")
            context.load_cert_chain(file)
    return context


def call(port: int, client: ssl.SSLContext) -> bytes:
    """The reply of a server on loopback to this client; empty if it closes the connection."""
    said = b""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), 30) as tcp,
        client.wrap_socket(tcp) as tls,
    ):
        while piece := tls.recv(4096):
            said += piece
    return said
