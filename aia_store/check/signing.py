"""Handshakes of TLS 1.3 that ask for a certificate with one kind of key.

In TLS 1.3, the client's signature algorithms decide which certificate a server sends (RFC 8446, 4.2.3). Python's `ssl`
cannot choose them before 3.15, so this module uses the OpenSSL of `cryptography`, as pyOpenSSL does.
"""

from __future__ import annotations

import socket
import time
from functools import lru_cache

from cryptography.hazmat.bindings.openssl.binding import Binding

from ..inside.certificate import TLS_1_3
from ..inside.pyopenssl.bindings import der_of
from ..manager.target import is_address
from .witness import Witness

RSA_SIGNATURES = b"RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:rsa_pss_pss_sha256"
ECDSA_SIGNATURES = b"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448"
_PIECE = 16_384  # bytes, read at once


@lru_cache(maxsize=2)
def signing_context(algorithms: bytes) -> SigningContext:
    """The context for these signature algorithms. Threads may share it. Raises OSError if it cannot be made."""
    return SigningContext(algorithms)


class SigningContext:
    """A client's context that offers TLS 1.3 with these signature algorithms only, and accepts every certificate.

    It has those methods of an `ssl` context that a `Witness` needs.
    """

    def __init__(self, algorithms: bytes) -> None:
        binding = Binding()
        self.lib, self.ffi = binding.lib, binding.ffi
        self.ssl_ctx = self.ffi.gc(self.lib.SSL_CTX_new(self.lib.TLS_method()), self.lib.SSL_CTX_free)
        self.lib.SSL_CTX_set_min_proto_version(self.ssl_ctx, TLS_1_3)
        # pyOpenSSL does not need this function, so a release of `cryptography` may lack it.
        choose = getattr(self.lib, "SSL_CTX_set1_sigalgs_list", None)
        if choose is None or not choose(self.ssl_ctx, algorithms):
            self.lib.ERR_clear_error()
            raise OSError("the signature algorithms cannot be chosen")

    def _wrap_socket(self, connection: socket.socket, server_side: bool, name: str, *, owner: Witness) -> _Handshake:
        return _Handshake(self, connection, name, owner)


class _Handshake:
    """One handshake, over two buffers in memory, so that one deadline holds for the whole handshake."""

    def __init__(self, context: SigningContext, connection: socket.socket, name: str, witness: Witness) -> None:
        lib, ffi = context.lib, context.ffi
        self._lib, self._ffi = lib, ffi
        self._connection, self._witness = connection, witness
        self._ssl = ffi.gc(lib.SSL_new(context.ssl_ctx), lib.SSL_free)
        self._reads, self._writes = lib.BIO_new(lib.BIO_s_mem()), lib.BIO_new(lib.BIO_s_mem())
        lib.SSL_set_bio(self._ssl, self._reads, self._writes)  # the SSL owns them now
        lib.SSL_set_connect_state(self._ssl)
        if not is_address(name):
            lib.SSL_set_tlsext_host_name(self._ssl, name.encode())

    def cipher(self) -> tuple[str]:
        """Only the beginning of the cipher suite's name: no suite of TLS 1.3 is weak, so the rest does not matter."""
        return ("TLS_",)

    def do_handshake(self) -> None:
        """Make the handshake within the connection's time-out. Raises OSError, after noting what the server sent."""
        deadline = time.monotonic() + (self._connection.gettimeout() or 0.0)
        self._lib.ERR_clear_error()  # otherwise SSL_get_error could return an earlier error
        while True:
            done = self._lib.SSL_do_handshake(self._ssl)
            wants_more = self._lib.SSL_get_error(self._ssl, done) == self._lib.SSL_ERROR_WANT_READ
            reason = self._reason()
            self._note_certificates()
            self._send(deadline)
            if done == 1:
                return
            if not wants_more:
                raise OSError(reason)
            self._receive(deadline)

    def _reason(self) -> str:
        """OpenSSL's reason for the error, if there is one. This empties the queue of errors."""
        found = self._lib.ERR_reason_error_string(self._lib.ERR_peek_error())
        self._lib.ERR_clear_error()
        return "" if found == self._ffi.NULL else self._ffi.string(found).decode("ascii", "replace")

    def _note_certificates(self) -> None:
        chain = self._lib.SSL_get_peer_cert_chain(self._ssl)
        count = 0 if chain == self._ffi.NULL else self._lib.sk_X509_num(chain)
        self._witness.sent = [der_of(self._lib, self._ffi, self._lib.sk_X509_value(chain, at)) for at in range(count)]
        self._witness.version = TLS_1_3

    def _send(self, deadline: float) -> None:
        buffer = self._ffi.new("char[]", _PIECE)
        while (length := self._lib.BIO_read(self._writes, buffer, _PIECE)) > 0:
            self._wait_until(deadline)
            self._connection.sendall(self._ffi.buffer(buffer, length)[:])

    def _receive(self, deadline: float) -> None:
        self._wait_until(deadline)
        data = self._connection.recv(_PIECE)
        if not data:
            raise ConnectionResetError
        self._lib.BIO_write(self._reads, data, len(data))

    def _wait_until(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
