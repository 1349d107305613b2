"""Relays between a client and a TLS 1.2 server that change what the server sends after its ServerHello."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence

from .listener import Listener
from .pki import Certified, der_of

_HANDSHAKE, _CERTIFICATE = 22, 11  # a record's content type, and a handshake message's type


class _Relay(Listener):
    """Passes everything on, record by record, but what `changed` changes."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        super().__init__()

    @property
    def url(self) -> str:
        """Its URL."""
        return f"https://localhost:{self.port}/"

    def changed(self, record: bytes) -> bytes | None:
        """What to send instead of the record with the server's certificates; None to send it and then hang up."""
        raise NotImplementedError

    def serve(self, connection: socket.socket) -> None:
        """Relay one connection."""
        with socket.create_connection(("127.0.0.1", self._server_port), 30) as server:
            threading.Thread(target=_pass_on, args=(connection, server), daemon=True).start()
            with server.makefile("rb") as records:
                while header := records.read(5):
                    record = header + records.read(int.from_bytes(header[3:], "big"))
                    if record[0] == _HANDSHAKE and record[5] == _CERTIFICATE:
                        instead = self.changed(record)
                        connection.sendall(instead or record)
                        if instead is None:
                            connection.shutdown(socket.SHUT_RDWR)
                            return
                    else:
                        connection.sendall(record)


class Cut(_Relay):
    """Hangs up after the certificates."""

    def changed(self, record: bytes) -> bytes | None:
        """Nothing instead."""
        return None


class OtherCertificates(_Relay):
    """Sends other certificates than the server's, so that its key is not that of its certificate."""

    def __init__(self, port: int, certificates: Sequence[Certified]) -> None:
        self._ders = [der_of(certificate) for certificate in certificates]
        super().__init__(port)

    def changed(self, record: bytes) -> bytes | None:
        """The same message with those (RFC 5246, 7.4.2)."""
        entries = b"".join(len(der).to_bytes(3, "big") + der for der in self._ders)
        body = len(entries).to_bytes(3, "big") + entries
        message = bytes((_CERTIFICATE,)) + len(body).to_bytes(3, "big") + body
        return record[:3] + len(message).to_bytes(2, "big") + message


def _pass_on(source: socket.socket, destination: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            destination.sendall(piece)
