"""A client with pyOpenSSL, as a program would write it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_der_x509_crl

from tests.support.pki import Certified
from tests.support.tls import TLSListener

SSL = pytest.importorskip("OpenSSL.SSL")
crypto = pytest.importorskip("OpenSSL.crypto")

CRL_CHECK, CRL_CHECK_ALL = 0x4, 0x8
STRICT = 0x20
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Changeable(SSL.Context):  # type: ignore[misc]
    """A context that lets itself be changed while it is in use: newer releases forbid what older ones allow."""

    @property
    def _used(self) -> bool:
        return False

    @_used.setter
    def _used(self, value: bool) -> None:
        pass


class Client:
    """One context, with just these anchors. `errors` is what its verify callback saw: OpenSSL's error numbers."""

    def __init__(
        self,
        *anchors: Certified,
        cafile: Path | None = None,
        flags: int = 0,
        level: int | None = None,
        kind: type[Any] = SSL.Context,
    ) -> None:
        self.errors: list[int] = []
        self.context: Any = kind(SSL.TLS_METHOD)
        self.context.set_verify(SSL.VERIFY_PEER, self._callback)
        if level is not None:
            self.context.set_cipher_list(f"DEFAULT:@SECLEVEL={level}".encode())
        if cafile is not None:
            self.context.load_verify_locations(str(cafile))
        self.trust(*anchors)
        if flags:
            self.set_flags(flags)

    def trust(self, *anchors: Certified) -> None:
        for anchor in anchors:
            self.context.get_cert_store().add_cert(crypto.X509.from_cryptography(anchor.certificate))

    def set_flags(self, flags: int) -> None:
        self.context.get_cert_store().set_flags(flags)

    def holds(self) -> int:
        """How many certificates and CRLs the context's store has."""
        lib = SSL._lib
        store = lib.SSL_CTX_get_cert_store(self.context._context)
        return int(lib.sk_X509_OBJECT_num(lib.X509_STORE_get0_objects(store)))

    def load_list(self, der: bytes) -> None:
        """Load a revocation list; older releases have a class of their own for it."""
        older = hasattr(crypto, "load_crl")
        read = crypto.load_crl(crypto.FILETYPE_ASN1, der) if older else load_der_x509_crl(der)
        self.context.get_cert_store().add_crl(read)

    def get(self, server: TLSListener, by: Callable[[Any, int], bytes] | None = None) -> bytes:
        """What the server replies."""
        return (by or by_socket)(self.context, server.port)

    def refused(self, server: TLSListener) -> list[int]:
        """The errors that the callback saw; it is an error if there was none in the handshake."""
        self.errors.clear()
        with pytest.raises(SSL.Error, match="certificate verify failed"):
            self.get(server)
        return self.errors

    def _callback(self, connection: Any, certificate: Any, error: int, depth: int, ok: int) -> bool:
        if not ok:
            self.errors.append(error)
        return bool(ok)


def connected(context: Any, tcp: socket.socket | None) -> Any:
    """A client's connection object, before its handshake."""
    connection = SSL.Connection(context, tcp)
    connection.set_tlsext_host_name(b"localhost")
    connection.set_connect_state()
    return connection


def by_socket(context: Any, port: int) -> bytes:
    with tcp_to(port) as tcp:
        connection = connected(context, tcp)
        connection.do_handshake()
        connection.sendall(REQUEST)
        return everything(lambda: connection.recv(65536))


def by_first_write(context: Any, port: int) -> bytes:
    """The handshake is part of the first write."""
    with tcp_to(port) as tcp:
        connection = connected(context, tcp)
        connection.sendall(REQUEST)
        return everything(lambda: connection.recv(65536))


def by_memory(context: Any, port: int, most: int = 65536) -> bytes:
    with tcp_to(port) as tcp:
        connection = connected(context, None)

        def waiting_for(step: Callable[[], Any]) -> Any:
            while True:
                try:
                    return step()
                except SSL.WantReadError:
                    with contextlib.suppress(SSL.WantReadError):
                        tcp.sendall(connection.bio_read(65536))
                    if not (piece := tcp.recv(most)):
                        raise
                    connection.bio_write(piece)

        waiting_for(connection.do_handshake)
        connection.sendall(REQUEST)
        return everything(lambda: waiting_for(lambda: connection.recv(65536)))


def byte_by_byte(context: Any, port: int) -> bytes:
    return by_memory(context, port, most=1)


def tcp_to(port: int) -> socket.socket:
    tcp = socket.create_connection(("127.0.0.1", port), 30)
    tcp.settimeout(None)  # pyOpenSSL does not wait for a socket that may time out
    return tcp


def everything(read: Callable[[], bytes]) -> bytes:
    """The body of what comes until the other side ends."""
    reply = b""
    with contextlib.suppress(SSL.ZeroReturnError, SSL.SysCallError, SSL.WantReadError):
        while True:
            reply += read()
    return reply.partition(b"\r\n\r\n")[2]
