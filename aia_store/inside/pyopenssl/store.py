"""An X509_STORE of the program's, asked through the bindings of `cryptography`: it verifies, and can be added to."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class StoreError(Exception):
    """OpenSSL does not take what it was given."""


class Store:
    """The store of one SSL_CTX; whoever makes this keeps that alive. `lib` and `ffi` are those of the bindings."""

    def __init__(self, lib: Any, ffi: Any, ssl_ctx: Any) -> None:
        self._lib = lib
        self._ffi = ffi
        self._store = lib.SSL_CTX_get_cert_store(ssl_ctx)

    def count(self) -> int:
        """How many certificates and revocation lists are loaded; those of hashed directories are as they are met."""
        return int(self._lib.sk_X509_OBJECT_num(self._lib.X509_STORE_get0_objects(self._store)))

    def verify(self, chain: list[bytes]) -> tuple[int, list[bytes]]:
        """Let OpenSSL verify the first of these certificates (DER), the others being untrusted.

        Returns its error (X509_V_ERR_, 0 for none), and the chain that it built, as far as it came. The store's own
        flags, times and revocation lists apply; purpose, host name and security level do not, nor does the program's
        callback. Raises StoreError where the first cannot be read.
        """
        lib, ffi = self._lib, self._ffi
        leaf = self._certificate(chain[0])
        others = [self._certificate(der) for der in chain[1:]]
        stack = ffi.gc(lib.sk_X509_new_null(), lib.sk_X509_free)
        for certificate in others:
            if certificate != ffi.NULL:
                lib.sk_X509_push(stack, certificate)
        context = ffi.gc(lib.X509_STORE_CTX_new(), lib.X509_STORE_CTX_free)
        if leaf == ffi.NULL or lib.X509_STORE_CTX_init(context, self._store, leaf, stack) != 1:
            raise StoreError("a certificate that OpenSSL cannot read")
        accepted = lib.X509_verify_cert(context) == 1
        error = 0 if accepted else int(lib.X509_STORE_CTX_get_error(context)) or -1
        return error, self._ders(lib.X509_STORE_CTX_get1_chain(context))

    def add(self, der: bytes) -> None:
        """Add a certificate. Raises StoreError."""
        certificate = self._certificate(der)
        if certificate == self._ffi.NULL or self._lib.X509_STORE_add_cert(self._store, certificate) != 1:
            raise StoreError("a certificate that OpenSSL does not take")

    def _certificate(self, der: bytes) -> Any:
        """An X509, or NULL."""
        lib, ffi = self._lib, self._ffi
        source = ffi.gc(lib.BIO_new_mem_buf(ffi.from_buffer(der), len(der)), lib.BIO_free)
        certificate = lib.d2i_X509_bio(source, ffi.NULL)
        return certificate if certificate == ffi.NULL else ffi.gc(certificate, lib.X509_free)

    def _ders(self, stack: Any) -> list[bytes]:
        """The certificates in a stack of OpenSSL's, which is ours to free."""
        lib, ffi = self._lib, self._ffi
        if stack == ffi.NULL:
            return []
        stack = ffi.gc(stack, lib.sk_X509_free)
        return [
            der_of(lib, ffi, ffi.gc(lib.sk_X509_value(stack, number), lib.X509_free))
            for number in range(lib.sk_X509_num(stack))
        ]


def der_of(lib: Any, ffi: Any, certificate: Any) -> bytes:
    """The DER of an X509."""
    sink = ffi.gc(lib.BIO_new(lib.BIO_s_mem()), lib.BIO_free)
    if lib.i2d_X509_bio(sink, certificate) != 1:
        raise StoreError("a certificate that OpenSSL cannot write")
    start = ffi.new("char **")
    length = lib.BIO_get_mem_data(sink, start)
    return bytes(ffi.buffer(start[0], length))
