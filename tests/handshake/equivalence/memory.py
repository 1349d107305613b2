"""A TLS client and a TLS server in one thread, without a socket; the server sends exactly what the test sets."""

from __future__ import annotations

import _ssl
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.keys import PrivateKey
from tests.support.pki import pem

#: Makes the client's SSL object of what it reads and what it writes.
MakeClient = Callable[[ssl.MemoryBIO, ssl.MemoryBIO], Any]


@dataclass(frozen=True)
class Outcome:
    """How a handshake ended, for the client."""

    refusal: str | None  #: None: accepted
    chain: Sequence[bytes] = ()  #: what OpenSSL accepted, the leaf first, the anchor last

    @property
    def accepted(self) -> bool:
        return self.refusal is None


class Servers:
    """Servers that share one key, so that each can use any of the leaves."""

    def __init__(self, key: PrivateKey, folder: Path) -> None:
        self._key = folder / "key.pem"
        self._key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self._chain = folder / "chain.pem"
        self._contexts: dict[bool, Any] = {}
        self._loaded: dict[bool, list[bytes]] = {}
        for tls_1_2 in (False, True):
            # The bare class of _ssl, so that only OpenSSL takes part.
            context = _ssl._SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_ciphers("DEFAULT:@SECLEVEL=0")  # the client is to refuse weak certificates
            version = ssl.TLSVersion.TLSv1_2 if tls_1_2 else ssl.TLSVersion.TLSv1_3
            context.minimum_version = context.maximum_version = version
            self._contexts[tls_1_2] = context

    def file(self, text: str) -> Path:
        """A file with this text, until the next one is asked for."""
        file = self._key.with_name("anchors.pem")
        file.write_text(text, encoding="ascii")
        return file

    def meet(self, make_client: MakeClient, message: Sequence[bytes], *, tls_1_2: bool = True) -> Outcome:
        """One handshake with a server that sends these certificates (DER, the leaf first)."""
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        return self.finish(make_client(to_client, to_server), to_client, to_server, message, tls_1_2=tls_1_2)

    def finish(
        self,
        client: Any,
        to_client: ssl.MemoryBIO,
        to_server: ssl.MemoryBIO,
        message: Sequence[bytes],
        *,
        tls_1_2: bool = True,
    ) -> Outcome:
        """The same with a client that was made before."""
        server = self._context(message, tls_1_2)._wrap_bio(to_server, to_client, True)
        for _ in range(3):
            try:
                client.do_handshake()
                return Outcome(None, _verified_chain(client))
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError as error:
                return Outcome(error.verify_message)
            try:
                server.do_handshake()
            except ssl.SSLWantReadError:
                pass
        raise AssertionError("a handshake that does not end")

    def _context(self, message: Sequence[bytes], tls_1_2: bool) -> Any:
        context = self._contexts[tls_1_2]
        if self._loaded.get(tls_1_2) != list(message):
            self._chain.write_text(pem(*message), encoding="ascii")
            context.load_cert_chain(self._chain, self._key)
            self._loaded[tls_1_2] = list(message)
        return context


def _verified_chain(client: Any) -> list[bytes]:
    bare = getattr(client, "_sslobj", client)
    return [certificate.public_bytes(_ssl.ENCODING_DER) for certificate in bare.get_verified_chain()]
