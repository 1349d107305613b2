"""What was found out about one host or file, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ..inside.certificate import Certificate, DERError
from ..inside.certificate_names import host_names
from ..inside.rehearsal import Chain
from ..inside.search import Path, likeliest_first, may_have_issued
from ..manager.target import is_address
from .asked import FileTarget, Target
from .connection import Seen, key_kind
from .weakness import Weakness, of_issuers, of_key, of_key_usage

if TYPE_CHECKING:
    from .revocation import CRLStatus  # its import takes a while

DAY = 86_400  # seconds
MOST_INTERMEDIATES = 100  # in a path: OpenSSL's default; the hook's limit is lower
_TLS_FEATURE = b"\x2b\x06\x01\x05\x05\x07\x01\x18"  # RFC 7633, 4: a list of numbers of TLS extensions
_STATUS_REQUEST = b"\x02\x01\x05"  # an INTEGER: the extension of RFC 6066, 8
_OVERHEAD = 3  # bytes for the length of a certificate in the Certificate message; 5 with TLS 1.3


class Fault(str, Enum):
    """What can be wrong with a host or file, in the words of the JSON document."""

    __str__ = str.__str__

    HANDSHAKE = "handshake"  # it fails, whatever the chain is like
    REVOKED = "revoked"
    LEAF_NOT_FIRST = "leaf-not-first"  # in the file; servers take the first certificate for their own
    EXPIRED = "expired"  # the leaf
    NOT_YET_VALID = "not-yet-valid"  # the leaf
    SELF_SIGNED = "self-signed"  # the leaf
    NO_PATH = "no-path"  # to a trust anchor, whatever is looked up
    REFUSED = "refused"  # a path leads to a trust anchor, but OpenSSL refuses it
    ANCHOR_NOT_ROOT = "anchor-not-root"  # the path ends at a trusted certificate that is not self-signed
    WRONG_NAME = "wrong-name"
    ANCHOR_IN_THE_WAY = "anchor-in-the-way"  # a trust anchor of this machine misleads OpenSSL
    INCOMPLETE = "incomplete"  # intermediates must be looked up
    OBSTRUCTED = "obstructed"  # the whole path is sent, but also a certificate that misleads OpenSSL


MENDED_BY_CHAIN = {Fault.LEAF_NOT_FIRST, Fault.INCOMPLETE, Fault.OBSTRUCTED}  # installing the full chain repairs these


class Needless(str, Enum):
    """What a server need not send, or should send differently, in the words of the JSON document."""

    __str__ = str.__str__

    ROOT = "root-sent"
    TWICE = "sent-twice"
    UNUSED = "not-needed"  # not part of the path
    ORDER = "wrong-order"


class Advice(NamedTuple):
    """What could be better, and what it costs."""

    about: Needless
    certificates: list[Certificate]
    size: int  # bytes of each handshake that are wasted


@dataclass
class Finding:
    """What was found out about one chain of a host or file."""

    target: Target | FileTarget
    seen: Seen
    chain: Chain
    refusal: str | None  # why plain OpenSSL refuses what was sent, in its words; None if it accepts
    partial_refusal: str | None  # like `refusal`, if a path may end at any trusted certificate
    strict_refusal: str | None  # like `refusal`, with the flags of Python 3.13 and newer
    path: Path | None  # the path to a trust anchor, if one was found
    refused_path: list[Certificate] | None  # if none was found: the likeliest path that OpenSSL refused
    stored: set[Certificate]  # certificates that were found in the store
    learned: list[Certificate]  # intermediates that are new in the store
    sources: dict[Certificate, str]  # the URLs from which certificates were fetched, now or before
    missing: list[Certificate]  # certificates of the path that the server should send but does not
    completed_refusal: str | None  # why OpenSSL refuses the whole path, with its anchor only; None if it accepts
    strict_completed_refusal: str | None  # like `completed_refusal`, with the flags of Python 3.13 and newer
    installed_refusal: str | None  # like `completed_refusal`, with all anchors of this machine: one may mislead OpenSSL
    undated_refusal: str | None  # like `completed_refusal`, whatever the dates
    failed: dict[str, str]  # URLs that could not be fetched, and why
    answered: set[str]  # URLs that returned certificates, useful or not
    revoked: dict[Certificate, str]  # intermediates that were skipped because they are revoked, and why
    refusal_if_trusted: str | None  # why OpenSSL refuses a self-signed leaf even if it is trusted
    lacks_policy: bool  # whether a CA of the path demands a certificate policy that is not there
    lenient: Finding | None = None  # what is found at security level 0, if only the level makes OpenSSL refuse
    asked: dict[Certificate, CRLStatus] = field(default_factory=dict)  # what the CRLs say, if they were read

    @property
    def must_staple(self) -> bool:
        """Whether the leaf demands that the server sends an OCSP response with it (RFC 7633)."""
        try:
            return _STATUS_REQUEST in self.chain.leaf.extensions.get(_TLS_FEATURE, b"")
        except DERError:
            return False

    @property
    def key_kind(self) -> str:
        """The kind of the leaf's key."""
        return key_kind(self.chain.leaf)

    @property
    def chain_weakness(self) -> Weakness | None:
        """The weakness of the chain that only some clients refuse; None if there is none."""
        if self.lenient is None:
            return None
        return Weakness.SMALL_KEY if "key" in (self.completed_refusal or "") else Weakness.WEAK_DIGEST

    @property
    def weaknesses(self) -> list[Weakness]:
        """Why only some clients refuse the handshake, the server's certificate or the chain."""
        leaf, of_handshake = self.chain.leaf, self.seen.weaknesses
        found = [*of_handshake, of_key(leaf), *of_issuers(self.drawn[1:]), self._weakness_of_name, self.chain_weakness]
        if Weakness.STATIC_RSA not in of_handshake:
            found.append(of_key_usage(leaf))
        if self.lacks_policy:
            found.append(Weakness.NO_POLICY)
        return [weakness for weakness in found if weakness is not None]

    @property
    def _weakness_of_name(self) -> Weakness | None:
        """The weakness if OpenSSL finds the host's name only in the common name, which browsers do not read."""
        names = host_names(self.chain.leaf)
        if self.completed_refusal is not None or is_address(self.target.name) or not all(map(is_address, names)):
            return None
        return Weakness.COMMON_NAME_BESIDE_ADDRESSES if names else Weakness.COMMON_NAME

    @property
    def anchors_in_the_way(self) -> list[Certificate]:
        """The trust anchors of this machine that bear the name of another certificate of the path."""
        links = pairwise(self.path.certificates) if self.path is not None else ()
        found = [anchor for link, issuer in links for anchor in self.chain.trusted.issuers_of(link) if anchor != issuer]
        return list(dict.fromkeys(found))

    @property
    def hangs_on_revoked(self) -> bool:
        """Whether every path contains a revoked intermediate. Plain OpenSSL does not know of the revocation."""
        return self.path is None and bool(self.revoked)

    @property
    def revoked_links(self) -> dict[Certificate, str]:
        """The revoked certificates of the path, and why. If no path was found: those that the search skipped."""
        asked = {link: status.reason for link, status in self.asked.items() if status.is_revoked}
        return {**(self.revoked if self.path is None else {}), **asked}

    @property
    def faults(self) -> list[Fault]:
        """Everything that is wrong, the most serious first; empty if every client that trusts the root can connect."""
        found = [Fault.HANDSHAKE] if self.seen.failure is not None else []
        found += [Fault.REVOKED] if self.revoked_links else []
        found += [Fault.LEAF_NOT_FIRST] if self.seen.leaf_at else []
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
        elif self.ends_at_no_root:
            found.append(Fault.ANCHOR_NOT_ROOT)
        elif self.path is None:
            found.append(Fault.REFUSED if self.is_anchor(self.drawn[-1]) else Fault.NO_PATH)
        else:
            # OpenSSL accepted the path without a host name, so only the host name can be wrong.
            if self.completed_refusal is not None:
                found.append(Fault.WRONG_NAME)
            elif self.installed_refusal is not None:
                found.append(Fault.ANCHOR_IN_THE_WAY)
            elif not self.missing:
                found.append(Fault.OBSTRUCTED)
            if self.missing:
                found.append(Fault.INCOMPLETE)
        return found

    @cached_property
    def drawn(self) -> list[Certificate]:
        """The path. If none was found, its likeliest beginning, as far up as certificates are known."""
        if self.path is not None:
            return self.path.certificates
        if self.refused_path is not None:
            return self.refused_path
        known = [*self.chain.sent, *self.sources, *self.stored]
        found = [self.chain.leaf]
        while not (found[-1].is_self_signed or self.is_last_anchor(found[-1])) and len(found) <= MOST_INTERMEDIATES:
            anchors = self.chain.trusted.issuers_of(found[-1])
            issuers = [issuer for issuer in known if may_have_issued(issuer, found[-1]) and issuer not in found]
            if not (anchors or issuers):
                break
            found.append(anchors[0] if anchors else likeliest_first(found[-1], issuers)[0])
        return found

    @property
    def advice(self) -> list[Advice]:
        """What the server need not send, or should send in another order."""
        leaf = self.chain.leaf
        sent = [link for link in self.chain.sent if link != leaf]
        needed = [link for link in sent if link in self.drawn and not link.is_self_signed]
        again = [link for link in (leaf, *sent) for _ in range(self.chain.ders.count(link.der) - 1)]
        found = {Needless.TWICE: again, Needless.ROOT: [link for link in sent if link.is_self_signed]}
        if self.not_found is None:  # without a path, nobody knows what is needed
            found[Needless.UNUSED] = [link for link in self.useless if link in sent and not link.is_self_signed]
        sizes = {about: sum(len(link.der) + _OVERHEAD for link in links) for about, links in found.items()}
        advice = [Advice(about, links, sizes[about]) for about, links in found.items() if links]
        if needed != sorted(needed, key=self.drawn.index):
            advice.append(Advice(Needless.ORDER, needed, 0))
        return advice

    @property
    def useless(self) -> list[Certificate]:
        """The certificates outside the path: those that were sent, and those that the search skipped as revoked."""
        known = dict.fromkeys([*self.revoked, *self.chain.sent])
        return [certificate for certificate in known if certificate not in self.drawn]

    @property
    def not_found(self) -> bytes | None:
        """The name (DER) of the issuer that could not be found; None if no issuer is missing."""
        last = self.drawn[-1]
        if self.path is not None or last.is_self_signed or self.is_anchor(last) or self.is_last_anchor(last):
            return None
        return last.issuer

    @property
    def ends_at_no_root(self) -> bool:
        """Whether the only path ends at a trusted certificate that is not self-signed, which some clients refuse."""
        return self.refusal is not None and self.partial_refusal is None and self.path is None

    def is_last_anchor(self, certificate: Certificate) -> bool:
        """Whether this trusted intermediate is the only anchor that was found: no path leads from it to a root."""
        return self.ends_at_no_root and self.is_held(certificate)

    @property
    def namesakes(self) -> list[Certificate]:
        """Known certificates that have the name of the issuer that was not found, but another key."""
        if self.not_found is None:
            return []
        known = dict.fromkeys([*self.chain.sent, *self.sources, *self.stored])
        return [found for found in known if found.subject_key == self.drawn[-1].issuer_key]

    def is_anchor(self, certificate: Certificate) -> bool:
        """Whether a path may end at this certificate for clients of this machine."""
        return self.chain.trusted.is_anchor(certificate)

    def is_held(self, certificate: Certificate) -> bool:
        """Whether this machine trusts this certificate. Unlike with `is_anchor`, a trusted intermediate counts."""
        return self.chain.trusted.holds(certificate)

    @property
    def links(self) -> list[Certificate]:
        """What the server should send: the leaf and all intermediates; the leaf alone if no path was found."""
        return self.path.certificates[:-1] if self.path else [self.chain.leaf]

    @property
    def ends(self) -> int:
        """When the first of `links` expires, in seconds since 1970."""
        return min(link.validity[1] for link in self.links)

    def days_left(self, certificate: Certificate) -> int:
        """Whole days until a certificate expires; negative once it has."""
        return int((certificate.validity[1] - self.chain.now) // DAY)

    def ending_within(self, days: int) -> list[Certificate]:
        """The certificates in `links` that expire within this many days, or have expired."""
        return [link for link in self.links if self.days_left(link) < days]

    @property
    def fullchain(self) -> str:
        """What the server's owner should install: the leaf and all intermediates, as PEM."""
        return "".join(link.pem for link in self.links)
