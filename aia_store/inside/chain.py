"""What a server sent, held against what one context trusts: is anything missing, and what would complete it?"""

from __future__ import annotations

import time

from .certificate import Certificate, readable
from .path import NO_CHECK_TIME, is_valid, may_have_issued
from .rehearsal import Rehearsal, accepts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from .pyopenssl.completed import StoreTrusted
    from .trusted import Trusted

    T = TypeVar("T")

MOST_ANCHORS = 4  # tried for what was sent, where several bear one name


class Chain:
    """What a server sent, before the anchors of one context. Raises DERError where the leaf cannot be read."""

    rehearsal: type[Rehearsal] = Rehearsal  # in which OpenSSL judges it

    def __init__(self, sent: list[bytes], trusted: Trusted | StoreTrusted) -> None:
        self._ders = sent
        self.leaf = Certificate(sent[0])
        self.sent = list(readable(sent[1:]))
        self.trusted = trusted
        self.now = time.time()

    def is_hopeless(self) -> bool:
        """Whether no intermediate can help: the leaf is its own issuer, or out of its time."""
        return self.leaf.is_self_signed or not self._is_valid(self.leaf)

    def stands(self) -> bool:
        """Whether nothing is missing: OpenSSL accepts what was sent, just as it was sent.

        An anchor whose name is spelled otherwise is not looked for here; a search then finds that nothing is missing.
        """
        if self.trusted.pins(self.leaf):
            return True
        anchors, links = self._reach()
        chain = (*self._ders, *(link.der for link in links))
        return any(
            accepts(chain, anchor.der, self.trusted.flags, self.trusted.security_level, self.rehearsal)
            for anchor in anchors[:MOST_ANCHORS]
        )

    def refusal(self, path: list[Certificate]) -> str | None:
        """Why OpenSSL refuses this path (the leaf first, the anchor last), in its words; None: it accepts."""
        *certificates, anchor = (certificate.der for certificate in path)
        return self.rehearsal(anchor, self.trusted.flags, self.trusted.security_level).refusal(certificates)

    def anchors(self) -> str:
        """A text that is another for other trust anchors."""
        return self.trusted.digest()

    def fetch(self, search: Callable[[float], T], seconds: float) -> T | None:
        """What a search finds that may fetch, and is told how many seconds that may take; None where it may not now."""
        return search(seconds)

    def _reach(self) -> tuple[list[Certificate], list[Certificate]]:
        """The anchors that the names of what was sent lead to, and the trusted non-anchors in between."""
        anchors: list[Certificate] = []
        links: list[Certificate] = []
        reached = [self.leaf]
        for certificate in reached:  # which grows meanwhile
            for issuer in self.trusted.issuers_spelled_alike(certificate):
                if self.trusted.is_anchor(issuer):
                    anchors.append(issuer)
                elif issuer not in reached:
                    links.append(issuer)
                    reached.append(issuer)
            reached += [sent for sent in self.sent if may_have_issued(sent, certificate) and sent not in reached]
        return list(dict.fromkeys(anchors)), links

    def _is_valid(self, certificate: Certificate) -> bool:
        return bool(self.trusted.flags & NO_CHECK_TIME) or is_valid(certificate, self.now)
