"""What was found out about one host, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from ..inside.certificate import to_pem
from ..inside.search import Budget, likeliest_first, may_have_issued

if TYPE_CHECKING:
    from ..inside.certificate import Certificate
    from ..inside.rehearsal import Chain
    from ..inside.search import Path
    from .asked import Target
    from .revocation import CRLStatus

DAY = 86_400  # seconds


class Fault(str, Enum):
    """What can be wrong with a host, in the words of the JSON document."""

    __str__ = str.__str__

    REVOKED = "revoked"
    EXPIRED = "expired"  # the leaf
    NOT_YET_VALID = "not-yet-valid"  # the leaf
    SELF_SIGNED = "self-signed"  # the leaf
    NO_PATH = "no-path"  # to a trust anchor, whatever is looked up
    WRONG_NAME = "wrong-name"
    INCOMPLETE = "incomplete"  # intermediates must be looked up
    OBSTRUCTED = "obstructed"  # the whole path is sent, but also a certificate that misleads OpenSSL


MENDED_BY_CHAIN = {Fault.INCOMPLETE, Fault.OBSTRUCTED}  # installing the full chain repairs these


@dataclass
class Finding:
    """What was found out about one host."""

    target: Target
    chain: Chain
    refusal: str | None  # why plain OpenSSL refuses what was sent, in its words; None if it accepts
    strict_refusal: str | None  # the same with the flags of Python 3.13 and newer
    path: Path | None  # the path to a trust anchor, if one was found
    stored: set[Certificate]  # certificates that were found in the store
    learned: list[Certificate]  # intermediates that are new in the store
    missing: list[Certificate]  # certificates of the path that the server should send but does not
    completed_refusal: str | None  # why OpenSSL refuses even the whole path; None if it accepts
    strict_completed_refusal: str | None  # the same with the flags of Python 3.13 and newer
    failed: dict[str, str]  # URLs that could not be fetched, and why
    revoked: dict[Certificate, str]  # intermediates that were skipped because they are revoked, and why
    asked: dict[Certificate, CRLStatus] = field(default_factory=dict)  # what the CRLs say, if they were read

    @property
    def hangs_on_revoked(self) -> bool:
        """Whether every path contains a revoked intermediate, which plain OpenSSL does not know."""
        return self.path is None and bool(self.revoked)

    @property
    def revoked_links(self) -> dict[Certificate, str]:
        """The revoked certificates of the path, or those without which there is no path, and why they are revoked."""
        asked = {link: status.reason for link, status in self.asked.items() if status.is_revoked}
        return {**(self.revoked if self.path is None else {}), **asked}

    @property
    def faults(self) -> list[Fault]:
        """Everything that is wrong, the most serious first; empty if every client that trusts the root can connect."""
        found = [Fault.REVOKED] if self.revoked_links else []
        if self.refusal is None or self.hangs_on_revoked:
            return found
        leaf = self.chain.leaf
        if self.chain.is_hopeless():
            if leaf.validity[1] < self.chain.now:
                found.append(Fault.EXPIRED)
            elif self.chain.now < leaf.validity[0]:
                found.append(Fault.NOT_YET_VALID)
            else:
                found.append(Fault.SELF_SIGNED)
        elif self.path is None:
            found.append(Fault.NO_PATH)
        else:
            # OpenSSL accepted the path itself, so only the host name can be wrong.
            if self.completed_refusal is not None:
                found.append(Fault.WRONG_NAME)
            if self.missing:
                found.append(Fault.INCOMPLETE)
            elif self.completed_refusal is None:
                found.append(Fault.OBSTRUCTED)
        return found

    @cached_property
    def drawn(self) -> list[Certificate]:
        """The path; if none was found, as far as the names of what was sent lead, and an anchor of that name."""
        if self.path is not None:
            return self.path.certificates
        found = [self.chain.leaf]
        while not found[-1].is_self_signed and len(found) <= Budget.intermediates:
            sent = [issuer for issuer in self.chain.sent if may_have_issued(issuer, found[-1]) and issuer not in found]
            anchors = self.chain.trusted.issuers_of(found[-1])
            if not (anchors or sent):
                break
            found.append(anchors[0] if anchors else likeliest_first(found[-1], sent)[0])
        return found

    @property
    def useless(self) -> list[Certificate]:
        """The certificates that were sent, or found by the search, but are not part of the path."""
        known = dict.fromkeys([*self.revoked, *self.chain.sent])
        return [certificate for certificate in known if certificate not in self.drawn]

    @property
    def not_found(self) -> bytes | None:
        """The name (DER) of the issuer that could not be found, if the path ends for that reason."""
        last = self.drawn[-1]
        return None if self.path is not None or last.is_self_signed or self.is_anchor(last) else last.issuer

    def is_anchor(self, certificate: Certificate) -> bool:
        """Whether clients of this machine trust it."""
        return self.chain.trusted.is_anchor(certificate)

    @property
    def links(self) -> list[Certificate]:
        """What the server should send: the leaf and all intermediates; the leaf alone if no path was found."""
        return self.path.certificates[:-1] if self.path else [self.chain.leaf]

    @property
    def ends(self) -> int:
        """When the first of the links expires, in seconds since 1970."""
        return min(link.validity[1] for link in self.links)

    def days_left(self, certificate: Certificate) -> int:
        """Whole days until a certificate expires; negative once it has."""
        return int((certificate.validity[1] - self.chain.now) // DAY)

    def ending_within(self, days: int) -> list[Certificate]:
        """The links that expire within so many days, or have expired."""
        return [link for link in self.links if self.days_left(link) < days]

    @property
    def fullchain(self) -> str:
        """What the server's owner should install: the leaf and all intermediates, as PEM."""
        return "".join(to_pem(link.der) for link in self.links)
