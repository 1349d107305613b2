"""Trust anchors, which OpenSSL loads once for any number of hosts and threads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

from ..inside import PARTIAL_CHAIN
from ..inside.certificate import Certificate
from ..inside.contexts import Terms
from ..inside.rehearsal import Rehearsal
from ..inside.trusted import Trusted
from .witness import seeing_context


class TrustAnchors:
    """Trust anchors, and OpenSSL's verdicts on chains that are verified with them. Threads may share an instance."""

    def __init__(self, certificates: Sequence[Certificate], context: Any, level: int | None = None) -> None:
        """Make the context require chains up to a root. OpenSSL loads the certificates when `context` is first read.

        `level` is the security level for the verdicts, by default the context's own.
        """
        context.verify_flags &= ~PARTIAL_CHAIN
        self.certificates = certificates
        self._context = context
        self.terms = Terms(int(context.verify_flags), context.security_level if level is None else level)
        self._rehearsals: dict[int, Rehearsal] = {}  # by their additional flags; each is only asked with a host's name
        self.trusted = Trusted.of((certificate.der for certificate in certificates), self.terms.flags)

    @cached_property
    def context(self) -> Any:
        """The context, with the certificates in it."""
        # One by one, so that other threads (event loops) can run in between: OpenSSL takes 36 ms to load 145 at once.
        for certificate in self.certificates:
            self._context.load_verify_locations(cadata=certificate.pem)
        return self._context

    def refusal(self, chain: Sequence[bytes], name: str, flags: int = 0) -> str | None:
        """Why OpenSSL refuses this chain (DER, the leaf first) for this host; None if it accepts it.

        `flags` are X509_V_FLAG_ bits to set besides those of the context.
        """
        if flags not in self._rehearsals:
            self._rehearsals[flags] = Rehearsal(self._terms_with(flags), [one.der for one in self.certificates])
        return _stated(self._rehearsals[flags].refusal(chain, name))

    def refusal_of_path(self, path: Sequence[Certificate], name: str, flags: int = 0) -> str | None:
        """Like `refusal`, for exactly this path, from the leaf to the anchor: no other anchor is trusted."""
        *chain, anchor = (certificate.der for certificate in path)
        return _stated(Rehearsal(self._terms_with(flags), [anchor]).refusal(chain, name))

    def _terms_with(self, flags: int) -> Terms:
        return Terms(self.terms.flags | flags, self.terms.level)

    @cached_property
    def lenient(self) -> TrustAnchors:
        """The same trust anchors at OpenSSL's security level 0, which accepts small keys and weak digests."""
        return TrustAnchors(self.certificates, self._context, level=0)


@lru_cache(maxsize=1)
def loaded(certificates: tuple[Certificate, ...]) -> TrustAnchors:
    """`TrustAnchors` with these certificates, whose verdicts are like those of Python's default client."""
    return TrustAnchors(certificates, seeing_context())


def _stated(refusal: str | None) -> str | None:
    """OpenSSL's message without its full stop."""
    return refusal.rstrip(".") if refusal else None
