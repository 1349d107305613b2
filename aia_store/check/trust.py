"""The machine's trust anchors, which OpenSSL loads once for any number of hosts and threads.

Loading 150 roots takes OpenSSL 36 ms, and no other thread runs meanwhile.
"""

from __future__ import annotations

import _ssl
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from ..inside import PARTIAL_CHAIN, certificate
from ..inside.certificate import to_pem
from ..inside.patch import HANDSHAKE, NO_COMPRESSED_CERTIFICATES
from ..inside.rehearsal import Rehearsal, Terms
from ..inside.trusted import Trusted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..inside.certificate import Certificate

STRICT = 0x20  # X509_V_FLAG_X509_STRICT; Python's default context sets it from 3.13 on, and PARTIAL_CHAIN


class Witness:
    """What one connection showed. It is the connection's owner, so the shared context's callback gets it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []  # the server's certificates (DER), the leaf first


class TrustAnchors:
    """What clients of this machine trust, and OpenSSL's verdicts with it. Threads may share it."""

    def __init__(self, certificates: Sequence[Certificate]) -> None:
        self._ders = [certificate.der for certificate in certificates]
        # The bare class of _ssl, because the hook, if it is active here, would complete the very chain that we check.
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
        """Judges like plain OpenSSL on this machine. Always ask it with a name."""
        return self._rehearsal(self.terms.flags)

    @cached_property
    def strict_rehearsal(self) -> Rehearsal:
        """Judges like Python's default context from 3.13 on. Always ask it with a name."""
        return self._rehearsal(self.terms.flags | STRICT | PARTIAL_CHAIN)

    def _rehearsal(self, flags: int) -> Rehearsal:
        return Rehearsal(Terms(flags, self.terms.level), self._ders)


@lru_cache(maxsize=1)
def loaded(certificates: tuple[Certificate, ...]) -> TrustAnchors:
    """The trust anchors, loaded on first use."""
    return TrustAnchors(certificates)


def _see(witness: Witness, direction: str, version: int, content: int, kind: int, data: bytes) -> None:
    is_certificate = content == HANDSHAKE and kind in (certificate.CERTIFICATE, certificate.COMPRESSED_CERTIFICATE)
    if is_certificate and direction == "read" and not witness.sent:
        try:
            witness.sent = certificate.sent_in(data, version)
        except certificate.MessageError:
            pass  # OpenSSL ends the handshake
