"""The parts of OpenSSL that completion needs, through the bindings of `cryptography`. Threads may use them at once."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

MESSAGE_CALLBACK = "void(int, int, int, const void *, size_t, SSL *, void *)"
VERIFY_PEER = 1
TLS_1_2 = 0x0303
HANDSHAKE, CERTIFICATE = 22, b"\x0b"  # a record's content type, and a handshake message's type
REHEARSED_CIPHER = b"ECDHE-ECDSA-AES128-GCM-SHA256:@SECLEVEL=0"  # suits any leaf key, which is checked after the chain


class BindingsError(Exception):
    """OpenSSL refuses its input."""


def der_of(lib: Any, ffi: Any, certificate: Any) -> bytes:
    """The DER of an X509 (a cffi pointer of these bindings). Raises BindingsError if OpenSSL cannot encode it."""
    sink = ffi.gc(lib.BIO_new(lib.BIO_s_mem()), lib.BIO_free)
    if lib.i2d_X509_bio(sink, certificate) != 1:
        raise BindingsError("a certificate that OpenSSL cannot write")
    start = ffi.new("char **")
    length = lib.BIO_get_mem_data(sink, start)
    return bytes(ffi.buffer(start[0], length))


class OpenSSL:
    """The OpenSSL of one module `OpenSSL.SSL`. Each `SSL_CTX`, `SSL` or `X509` here is a cffi pointer."""

    def __init__(self, lib: Any, ffi: Any) -> None:
        self.lib = lib
        self.ffi = ffi
        self._rehearsed: dict[Any, tuple[Any, Any]] = {}  # by SSL: the SSL_CTX that verifies, and its own
        # Never freed, because OpenSSL may call it as long as there is such an SSL.
        self._callback = ffi.callback(MESSAGE_CALLBACK, self._see_rehearsed)

    def count(self, ssl_ctx: Any) -> int:
        """How many certificates and CRLs the SSL_CTX's store has loaded. It loads those in hashed folders on demand."""
        return int(self.lib.sk_X509_OBJECT_num(self.lib.X509_STORE_get0_objects(self._store_of(ssl_ctx))))

    def verify(self, ssl_ctx: Any, chain: Sequence[bytes]) -> tuple[int, list[bytes]]:
        """Let OpenSSL verify the first certificate (DER) with the store of an SSL_CTX; the others are untrusted.

        Returns OpenSSL's error (X509_V_ERR_, 0 for none), and the chain that it built, which may be incomplete. The
        store's own flags, time and CRLs apply, but not the purpose, the host name, the security level or the program's
        callback. Raises BindingsError if the first certificate cannot be read.
        """
        lib, ffi = self.lib, self.ffi
        leaf = self._certificate(chain[0])
        others = [self._certificate(der) for der in chain[1:]]
        stack = ffi.gc(lib.sk_X509_new_null(), lib.sk_X509_free)
        for certificate in others:
            if certificate != ffi.NULL:
                lib.sk_X509_push(stack, certificate)
        context = ffi.gc(lib.X509_STORE_CTX_new(), lib.X509_STORE_CTX_free)
        if leaf == ffi.NULL or lib.X509_STORE_CTX_init(context, self._store_of(ssl_ctx), leaf, stack) != 1:
            raise BindingsError("a certificate that OpenSSL cannot read")
        accepted = lib.X509_verify_cert(context) == 1
        error = 0 if accepted else int(lib.X509_STORE_CTX_get_error(context)) or -1
        built = lib.X509_STORE_CTX_get1_chain(context)
        if built != ffi.NULL:
            built = ffi.gc(built, lib.sk_X509_free)
        return error, [self.der_of(certificate) for certificate in self._owned(built)]

    def rehearse(self, ssl_ctx: Any, flight: bytes) -> tuple[int, list[Any]]:
        """Let OpenSSL verify, in an SSL_CTX of the program, what a TLS 1.2 server sends in this flight.

        Returns the error (X509_V_ERR_, 0 for none), and the chain that OpenSSL built (X509, the leaf first, the anchor
        last, as it is in the store). The SSL is made from an SSL_CTX of ours. The program's SSL_CTX is set only for the
        verification, and gives it certificates, CRLs, trust settings, flags, time, depth, security level and Suite B.
        Raises BindingsError if OpenSSL reached no verdict.
        """
        lib, ffi = self.lib, self.ffi
        bare = self._new_context(REHEARSED_CIPHER)
        lib.SSL_CTX_set_max_proto_version(bare, TLS_1_2)
        lib.SSL_CTX_set_verify(bare, VERIFY_PEER, ffi.NULL)
        lib.SSL_CTX_set_verify_depth(bare, lib.SSL_CTX_get_verify_depth(ssl_ctx))
        lib.SSL_CTX_set_msg_callback(bare, self._callback)
        ssl = ffi.gc(lib.SSL_new(bare), lib.SSL_free)
        reads, writes = lib.BIO_new(lib.BIO_s_mem()), lib.BIO_new(lib.BIO_s_mem())
        lib.SSL_set_bio(ssl, reads, writes)  # the SSL owns them now
        lib.SSL_set_connect_state(ssl)
        lib.BIO_write(reads, flight, len(flight))
        self._rehearsed[ssl] = ssl_ctx, bare
        try:
            lib.SSL_do_handshake(ssl)
        finally:
            del self._rehearsed[ssl]
            lib.ERR_clear_error()
        built = lib.SSL_get0_verified_chain(ssl)
        for certificate in self._in(built):
            lib.X509_up_ref(certificate)
        chain = self._owned(built)
        if not chain:  # without a verification, SSL_get_verify_result says 0
            raise BindingsError("OpenSSL reached no verdict")
        return int(lib.SSL_get_verify_result(ssl)), chain

    def context_with(self, trusted: Sequence[Any], flags: int, cipher_list: bytes | None) -> Any:
        """An SSL_CTX with these trusted X509s, flags (X509_V_FLAG_) and ciphers. Raises BindingsError on a failure."""
        lib = self.lib
        ssl_ctx = self._new_context(cipher_list)
        store = self._store_of(ssl_ctx)
        for certificate in trusted:
            if lib.X509_STORE_add_cert(store, certificate) != 1:
                raise BindingsError("a certificate that OpenSSL refuses")
        lib.X509_STORE_set_flags(store, flags)
        return ssl_ctx

    def has_certificate_of(self, ssl: Any, ssl_ctx: Any) -> bool:
        """Whether SSL_set_SSL_CTX leaves the SSL's own certificate as it is: it is the SSL_CTX's, or both have none."""
        fresh = self.ffi.gc(self.lib.SSL_new(ssl_ctx), self.lib.SSL_free)
        return bool(self.lib.SSL_get_certificate(fresh) == self.lib.SSL_get_certificate(ssl))

    def reason(self, error: int) -> str:
        """OpenSSL's text for an X509_V_ERR_."""
        return bytes(self.ffi.string(self.lib.X509_verify_cert_error_string(error))).decode("ascii", "replace")

    def der_of(self, certificate: Any) -> bytes:
        """The DER of an X509. Raises BindingsError if OpenSSL cannot encode it."""
        return der_of(self.lib, self.ffi, certificate)

    def _see_rehearsed(
        self, writes: int, _version: int, content_type: int, data: Any, size: int, ssl: Any, _: Any
    ) -> None:
        """At the Certificate message, set the program's SSL_CTX, which verifies the chain; at others, set ours."""
        program, bare = self._rehearsed[ssl]
        is_chain = content_type == HANDSHAKE and not writes and size and self.ffi.buffer(data, 1)[0] == CERTIFICATE
        self.lib.SSL_set_SSL_CTX(ssl, program if is_chain else bare)

    def _new_context(self, cipher_list: bytes | None) -> Any:
        lib = self.lib
        ssl_ctx = lib.SSL_CTX_new(lib.TLS_method())
        if ssl_ctx == self.ffi.NULL:
            raise BindingsError("no SSL_CTX can be made")
        ssl_ctx = self.ffi.gc(ssl_ctx, lib.SSL_CTX_free)
        if cipher_list is not None and lib.SSL_CTX_set_cipher_list(ssl_ctx, cipher_list) != 1:
            raise BindingsError("a cipher list that OpenSSL refuses")
        return ssl_ctx

    def _store_of(self, ssl_ctx: Any) -> Any:
        return self.lib.SSL_CTX_get_cert_store(ssl_ctx)

    def _certificate(self, der: bytes) -> Any:
        """The X509 of a certificate (DER); NULL if OpenSSL cannot read it."""
        lib, ffi = self.lib, self.ffi
        source = ffi.gc(lib.BIO_new_mem_buf(ffi.from_buffer(der), len(der)), lib.BIO_free)
        certificate = lib.d2i_X509_bio(source, ffi.NULL)
        return certificate if certificate == ffi.NULL else ffi.gc(certificate, lib.X509_free)

    def _owned(self, stack: Any) -> list[Any]:
        """The X509s in a stack. We own the stack's references to them from now on, and free them."""
        return [self.ffi.gc(certificate, self.lib.X509_free) for certificate in self._in(stack)]

    def _in(self, stack: Any) -> list[Any]:
        """The X509s in a stack; an empty list if the stack is NULL."""
        if stack == self.ffi.NULL:
            return []
        return [self.lib.sk_X509_value(stack, number) for number in range(self.lib.sk_X509_num(stack))]
