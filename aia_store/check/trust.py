"""The machine's trust anchors, read by OpenSSL once, for any number of hosts and threads.

Loading a hundred and fifty roots takes OpenSSL 36 ms, in which no other thread runs.
"""

from __future__ import annotations

import _ssl
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from ..inside import PARTIAL_CHAIN, certificate
from ..inside.certificate import to_pem
from ..inside.contexts import Terms
from ..inside.patch import HANDSHAKE, NO_COMPRESSED_CERTIFICATES
from ..inside.rehearsal import Rehearsal
from ..inside.trusted import Trusted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..inside.certificate import Certificate

STRICT = 0x20  # X509_V_FLAG_X509_STRICT; Python's default context sets it from 3.13 on, and PARTIAL_CHAIN


class Witness:
    """What one connection showed. The shared context's callback is given it, as the owner of the connection."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []  # the server's certificates (DER), the leaf first


class TrustAnchors:
    """What clients of this machine trust, and what OpenSSL says under it. May be used by several threads."""

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        self._ders = [certificate.der for certificate in certificates]
        # The bare class of _ssl: the hook, if it is on here, would complete what we have come to see.
        context: Any = _ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT)
        context.verify_flags &= ~PARTIAL_CHAIN
        context.options |= NO_COMPRESSED_CERTIFICATES
        context.load_verify_locations(cadata="".join(map(to_pem, self._ders)))
        context._msg_callback = _see
        self.context = context
        self.terms = Terms(int(context.verify_flags), context.security_level)
        self.trusted = Trusted.of(self._ders, self.terms.flags)

    @cached_property
    def rehearsal(self) -> Rehearsal:
        """Judges as plain OpenSSL does here; always to be asked with a name."""
        return self._rehearsal(self.terms.flags)

    @cached_property
    def strict_rehearsal(self) -> Rehearsal:
        """Judges as Python's default context does from 3.13 on; always to be asked with a name."""
        return self._rehearsal(self.terms.flags | STRICT | PARTIAL_CHAIN)

    def _rehearsal(self, flags: int) -> Rehearsal:
        return Rehearsal(Terms(flags, self.terms.level), self._ders)


@lru_cache(maxsize=1)
def loaded(certificates: tuple[Certificate, ...]) -> TrustAnchors:
    """The trust anchors, loaded when first asked for."""
    return TrustAnchors(certificates)


def _see(witness: Witness, direction: str, version: int, content: int, kind: int, data: bytes) -> None:
    is_certificate = content == HANDSHAKE and kind in (certificate.CERTIFICATE, certificate.COMPRESSED_CERTIFICATE)
    if is_certificate and direction == "read" and not witness.sent:
        try:
            witness.sent = certificate.sent_in(data, version)
        except certificate.MessageError:
            pass  # OpenSSL ends the handshake
