"""Trust anchors, which OpenSSL loads once for any number of hosts and threads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

from ..inside import PARTIAL_CHAIN, STRICT
from ..inside.certificate import Certificate
from ..inside.contexts import Terms
from ..inside.rehearsal import Rehearsal
from ..inside.trusted import Trusted
from .witness import seeing_context


class TrustAnchors:
    """What clients with a context trust, and OpenSSL's verdicts with it. Threads may share it."""

    def __init__(self, certificates: Sequence[Certificate], context: Any, level: int | None = None) -> None:
        """The context requires whole chains from now on; the certificates are loaded when it is first used.

        `level` is the security level to judge at, if it is not that of the context.
        """
        context.verify_flags &= ~PARTIAL_CHAIN
        self.certificates = certificates
        self._context = context
        self.terms = Terms(int(context.verify_flags), context.security_level if level is None else level)
        self.trusted = Trusted.of((certificate.der for certificate in certificates), self.terms.flags)

    @cached_property
    def context(self) -> Any:
        """The context, with the certificates in it.

        OpenSSL takes 36 ms to load 145 at once, and meanwhile no other thread runs, so an event loop stands still. So
        they are loaded one by one.
        """
        for certificate in self.certificates:
            self._context.load_verify_locations(cadata=certificate.pem)
        return self._context

    @cached_property
    def rehearsal(self) -> Rehearsal:
        """Judges like plain OpenSSL on this machine. Always ask it with a name."""
        return Rehearsal(self.terms, [certificate.der for certificate in self.certificates])

    @cached_property
    def partial_rehearsal(self) -> Rehearsal:
        """Judges like clients that end at any trusted certificate, such as curl. Always ask it with a name."""
        terms = Terms(self.terms.flags | PARTIAL_CHAIN, self.terms.level)
        return Rehearsal(terms, [certificate.der for certificate in self.certificates])

    @cached_property
    def strict_rehearsal(self) -> Rehearsal:
        """Judges like Python's default context from 3.13 on. Always ask it with a name."""
        return Rehearsal(self.strict_terms, [certificate.der for certificate in self.certificates])

    @property
    def strict_terms(self) -> Terms:
        """The flags and the security level of Python's default context from 3.13 on."""
        return Terms(self.terms.flags | STRICT | PARTIAL_CHAIN, self.terms.level)

    @cached_property
    def lenient(self) -> TrustAnchors:
        """The same trust anchors at OpenSSL's security level 0, which accepts small keys and weak digests."""
        return TrustAnchors(self.certificates, self._context, level=0)


@lru_cache(maxsize=1)
def loaded(certificates: tuple[Certificate, ...]) -> TrustAnchors:
    """These trust anchors, for verdicts like those of Python's default client."""
    return TrustAnchors(certificates, seeing_context())
