"""Trust anchors, which OpenSSL loads once for any number of hosts and threads."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from ..inside import PARTIAL_CHAIN
from ..inside.contexts import Terms
from ..inside.rehearsal import Rehearsal
from ..inside.trusted import Trusted
from .witness import seeing_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..inside.certificate import Certificate

STRICT = 0x20  # X509_V_FLAG_X509_STRICT; from 3.13 on, Python's default context sets it, and PARTIAL_CHAIN


class TrustAnchors:
    """What clients with a context trust, and OpenSSL's verdicts with it. Threads may share it."""

    def __init__(self, certificates: Sequence[Certificate], context: Any) -> None:
        """Load the certificates into a context, which requires whole chains from now on.

        OpenSSL takes 36 ms to load 145 at once, and meanwhile no other thread runs, so an event loop stands still. So
        they are loaded one by one.
        """
        context.verify_flags &= ~PARTIAL_CHAIN
        for certificate in certificates:
            context.load_verify_locations(cadata=certificate.pem)
        self.certificates = certificates
        self.context = context
        self.terms = Terms(int(context.verify_flags), context.security_level)
        self.trusted = Trusted.of((certificate.der for certificate in certificates), self.terms.flags)

    @cached_property
    def rehearsal(self) -> Rehearsal:
        """Judges like plain OpenSSL on this machine. Always ask it with a name."""
        return self._rehearsal(self.terms.flags)

    @cached_property
    def strict_rehearsal(self) -> Rehearsal:
        """Judges like Python's default context from 3.13 on. Always ask it with a name."""
        return self._rehearsal(self.terms.flags | STRICT | PARTIAL_CHAIN)

    def _rehearsal(self, flags: int) -> Rehearsal:
        return Rehearsal(Terms(flags, self.terms.level), [certificate.der for certificate in self.certificates])


@lru_cache(maxsize=1)
def loaded(certificates: tuple[Certificate, ...]) -> TrustAnchors:
    """These trust anchors, in a context that sees what servers send; loaded on first use."""
    return TrustAnchors(certificates, seeing_context())
