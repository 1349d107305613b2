"""What a server sent, held against what one context trusts: is anything missing, and what would complete it?"""

from __future__ import annotations

import time

from ..der import Certificate, DERError
from .path import NO_CHECK_TIME, is_valid, surely_issued

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .trusted import Trusted


class Chain:
    """What a server sent, before the anchors of one context. Raises DERError where the leaf cannot be read."""

    def __init__(self, sent: list[bytes], trusted: Trusted) -> None:
        self.leaf = Certificate(sent[0])
        self.sent = list(_readable(dict.fromkeys(sent[1:])))
        self.trusted = trusted
        self.now = time.time()

    def is_hopeless(self) -> bool:
        """Whether no intermediate can help: the leaf is its own issuer, or out of its time."""
        return self.leaf.is_self_signed or not self._is_valid(self.leaf)

    def stands(self) -> bool:
        """Whether nothing is missing, as far as names, key identifiers and times tell beyond doubt.

        Beyond doubt: each issuer is named by key and is the only one of its name. In doubt OpenSSL is asked.
        """
        certificate = self.leaf
        for _ in range(len(self.sent) + 2):
            issuers = self.trusted.issuers_of(certificate)
            if any(self._surely_issued(issuer, certificate) for issuer in issuers if self.trusted.is_anchor(issuer)):
                return True
            issuers += [sent for sent in self.sent if sent.subject == certificate.issuer and sent not in issuers]
            if len(issuers) != 1 or issuers[0].is_self_signed or not self._surely_issued(issuers[0], certificate):
                return False
            certificate = issuers[0]
        return False

    def _surely_issued(self, issuer: Certificate, subject: Certificate) -> bool:
        return surely_issued(issuer, subject) and self._is_valid(issuer)

    def _is_valid(self, certificate: Certificate) -> bool:
        return bool(self.trusted.flags & NO_CHECK_TIME) or is_valid(certificate, self.now)


def _readable(ders: Iterable[bytes]) -> Iterator[Certificate]:
    for der in ders:
        try:
            certificate = Certificate(der)
            if certificate.subject_key and certificate.extensions is not None:
                yield certificate
        except DERError:
            continue
