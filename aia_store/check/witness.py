"""Sees what a server sends in a handshake, and changes nothing: even an active hook does not complete the chain."""

from __future__ import annotations

import _ssl
import socket
from functools import lru_cache
from typing import Any

from ..inside import certificate
from ..inside.contexts import Context
from ..inside.patch import HANDSHAKE, NO_COMPRESSED_CERTIFICATES

#: Cipher suites of TLS 1.2 that only a server with this kind of key can use.
RSA_SUITES, ECDSA_SUITES = "ECDHE+aRSA:DHE+aRSA", "ECDHE+aECDSA"
#: The cipher suites of TLS 1.2 that Chrome and Go offer.
BROWSERS_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES+SHA1:kRSA+AESGCM:kRSA+AES+SHA1"
_SERVER_KEY_EXCHANGE, _CERTIFICATE_REQUEST = 12, 13  # handshake messages
_LEGACY_SERVER_CONNECT = 0x4  # SSL_OP_LEGACY_SERVER_CONNECT: allow servers without secure renegotiation (RFC 5746)
_ANY_VERSION = -2  # ssl.TLSVersion.MINIMUM_SUPPORTED


class Witness:
    """Sees one handshake. `sent` are the server's certificates (DER), the leaf first."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.version = 0  # of the protocol, such as 0x0303 for TLS 1.2
        self.asks_client = False  # whether the server asked for a client's certificate
        self.has_answered = False  # whether we answered, without a certificate
        self.server_key_exchange = b""  # the message, with its header

    def shake_hands(self, context: Any, connection: socket.socket, name: str) -> Any:
        """Make a handshake as a client with a server of this name (ASCII), in a context from this module or `signing`.

        Returns the SSL object. Raises OSError, including ssl.SSLError; the server may already have sent its
        certificates.
        """
        tls = context._wrap_socket(connection, False, name, owner=self)
        tls.do_handshake()
        return tls


@lru_cache(maxsize=4)
def seeing_context(suites: str | None = None) -> Any:
    """A client's context that shows each `Witness` its handshake, and accepts any certificate. Threads may share it.

    With `suites`, it offers TLS 1.2 with these cipher suites only.
    """
    context = _made()
    if suites is not None:
        context.maximum_version = _ssl.PROTO_TLSv1_2
        context.set_ciphers(suites)  # the security level stays
    return context


@lru_cache(maxsize=1)
def tolerant_context() -> Any:
    """Like `seeing_context`, but it also accepts what today's clients refuse: old versions, and security level 0."""
    context = _made()
    context.minimum_version = _ANY_VERSION
    context.set_ciphers("ALL:!aNULL:@SECLEVEL=0")
    context.options |= _LEGACY_SERVER_CONNECT
    return context


def _made() -> Any:
    context: Any = Context(_ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = _ssl.CERT_NONE
    context.options |= NO_COMPRESSED_CERTIFICATES
    context._msg_callback = _see
    return context


def _see(witness: Witness, direction: str, version: int, content: int, kind: int, data: bytes) -> None:
    if content != HANDSHAKE:
        return
    is_certificate = kind in (certificate.CERTIFICATE, certificate.COMPRESSED_CERTIFICATE)
    if direction == "write":
        witness.has_answered = witness.has_answered or is_certificate
    elif kind == _CERTIFICATE_REQUEST:
        witness.asks_client = True
    elif kind == _SERVER_KEY_EXCHANGE:
        witness.server_key_exchange = data
    elif is_certificate and not witness.sent:
        witness.version = version
        try:
            witness.sent = certificate.sent_in(data, version)
        except certificate.MessageError:
            pass  # OpenSSL ends the handshake
