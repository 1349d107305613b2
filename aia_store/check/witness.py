"""Sees which certificates a server sends, and changes nothing: even an active hook does not complete them."""

from __future__ import annotations

import _ssl
from typing import TYPE_CHECKING, Any

from ..inside import certificate
from ..inside.contexts import Context
from ..inside.patch import HANDSHAKE, NO_COMPRESSED_CERTIFICATES

if TYPE_CHECKING:
    import socket


class Witness:
    """Sees one handshake. `sent` are the server's certificates (DER), the leaf first."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def shake_hands(self, context: Any, connection: socket.socket, name: str) -> None:
        """Make a handshake as a client, with a context from `seeing_context`, to a server of this name (ASCII).

        Raises OSError, of which ssl.SSLError is one; the server may already have sent its certificates.
        """
        context._wrap_socket(connection, False, name, owner=self).do_handshake()


def seeing_context() -> Any:
    """A client's context that shows each `Witness` the certificates. Threads may share it."""
    context: Any = Context(_ssl.PROTOCOL_TLS_CLIENT)
    context.options |= NO_COMPRESSED_CERTIFICATES
    context._msg_callback = _see
    return context


def _see(witness: Witness, direction: str, version: int, content: int, kind: int, data: bytes) -> None:
    is_certificate = content == HANDSHAKE and kind in (certificate.CERTIFICATE, certificate.COMPRESSED_CERTIFICATE)
    if is_certificate and direction == "read" and not witness.sent:
        try:
            witness.sent = certificate.sent_in(data, version)
        except certificate.MessageError:
            pass  # OpenSSL ends the handshake
