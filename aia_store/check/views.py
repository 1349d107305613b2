"""Which clients can connect to a host: an expectation for each kind of client.

No client is run. A view combines what OpenSSL says with a rule for how that kind of client behaves, and assumes that
the client trusts this machine's roots. docs/check.md says which rules were tested with the client itself, and how.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ..inside.certificate import DERError, pem_certificates
from ..inside.fetch import is_fetchable
from ..inside.search import may_have_issued
from .finding import Fault
from .weakness import Weakness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..inside.certificate import Certificate
    from .finding import Finding


class View(NamedTuple):
    """What is expected of one client."""

    client: str  # its name for the output
    family: str  # a short name for all its versions
    rule: str  # the name of the rule in docs/check.md
    works: bool
    why: str  # why it works, or does not


class Rule(NamedTuple):
    """How a kind of client behaves: `refusal` says why it refuses a host; None if it connects."""

    name: str
    refusal: Callable[[Finding], str | None]


def of(finding: Finding) -> list[View]:
    """What is expected of each client."""
    return [
        View(client, family, rule.name, refusal is None, refusal or _reason(finding, rule))
        for client, family, rule, tolerated in _CLIENTS
        for refusal in [_refusal(finding, rule, tolerated)]
    ]


def _refusal(finding: Finding, rule: Rule, tolerated: frozenset[Weakness]) -> str | None:
    """Why a client refuses a host, in the handshake or because of the chain; None if it connects."""
    if finding.seen.leaf_at:
        return "a server takes the first certificate of the file for its own, and that has another key"
    for weakness in (one for one in finding.weaknesses if one is not finding.chain_weakness):
        if weakness not in tolerated:
            return MEANINGS[weakness]
    if finding.seen.failure is not None and not finding.seen.weaknesses:
        return finding.seen.failure
    if finding.lenient is not None and finding.chain_weakness in tolerated:
        finding = finding.lenient
    return rule.refusal(finding)


def _reason(finding: Finding, rule: Rule) -> str:
    """Why a client connects."""
    if not finding.missing:
        return "all that it needs is sent"
    return {"fetches": "it fetches what is missing (AIA)", "preloads": "it knows the intermediates of public CAs"}.get(
        rule.name, "what is missing is found within the handshake"
    )


def _first_of_each_name(finding: Finding) -> str | None:
    """GnuTLS's rule: of several possible issuers, it takes the first that was sent, even if it has expired.

    If a trust anchor has the name and the key of that one, the search ends there.
    """
    for subject, issuer in pairwise(finding.path.certificates if finding.path is not None else ()):
        first = next((sent for sent in finding.chain.sent if may_have_issued(sent, subject)), issuer)
        ends = finding.is_anchor(issuer) and first.public_key == issuer.public_key
        if finding.refusal is None and first != issuer and not ends:
            return "of two certificates with the same name, it takes the first that is sent"
    return None if _only_an_anchor_is_in_the_way(finding) else finding.refusal


def _only_an_anchor_is_in_the_way(finding: Finding) -> bool:
    return Fault.ANCHOR_IN_THE_WAY in finding.faults and not finding.missing


def _backtracks(finding: Finding) -> str | None:
    """What was sent must lead to a root, over any of its certificates."""
    if finding.refusal is None or (finding.completed_refusal is None and not finding.missing):
        return None
    return finding.refusal


def _ignores_dates_of_anchors(finding: Finding) -> str | None:
    """The same; but a path may end at a trust anchor that has expired."""
    for at, link in enumerate(finding.drawn[1:], 1):
        below = finding.drawn[:at]
        if any(anchor.public_key == link.public_key for anchor in finding.chain.trusted.issuers_of(below[-1])):
            is_sent = all(one == finding.chain.leaf or one in finding.chain.sent for one in below)
            if is_sent and all(one.is_valid_at(finding.chain.now) for one in below):
                return finding.undated_refusal
    return _backtracks(finding)


def _hook(finding: Finding) -> str | None:
    """The chain is completed if possible, and OpenSSL must accept it then. A complete chain is left as it is."""
    return None if finding.refusal is None else _revoked(finding) or finding.completed_refusal


def _hook_strictly(finding: Finding) -> str | None:
    """The same, with the flags of Python 3.13."""
    return None if finding.strict_refusal is None else _revoked(finding) or finding.strict_completed_refusal


def _fetches(finding: Finding) -> str | None:
    """What is missing is fetched from the URLs that the certificates name."""
    return _revoked(finding) or finding.completed_refusal or next(_not_fetchable(finding), None)


def _preloads(finding: Finding) -> str | None:
    """What is missing is known if the root is in Mozilla's programme, whose members must disclose intermediates."""
    fault = _revoked(finding) or finding.completed_refusal
    if fault is not None or finding.path is None or not finding.missing:
        return fault
    if finding.path.certificates[-1].fingerprint in _mozilla_roots():
        return None
    return "the root is not one of Mozilla's, so its intermediates are not preloaded"


def _revoked(finding: Finding) -> str | None:
    return next((f"revoked {reason}" for reason in finding.revoked_links.values()), None)


def _not_fetchable(finding: Finding) -> Iterator[str]:
    """What prevents a client from fetching what is missing."""
    for subject, issuer in pairwise(finding.path.certificates if finding.path is not None else ()):
        if issuer in finding.missing and not _fetchable_urls(subject):
            yield "a certificate names no http URL for its issuer (AIA)"


def _fetchable_urls(certificate: Certificate) -> list[str]:
    try:
        return [url for url in certificate.ca_issuers if is_fetchable(url)]
    except DERError:
        return []


@lru_cache(maxsize=1)
def _mozilla_roots() -> frozenset[str]:
    """The fingerprints of the roots in Mozilla's programme, according to certifi."""
    import certifi

    with open(certifi.where(), "rb") as file:
        return frozenset(hashlib.sha256(der).hexdigest() for der in pem_certificates(file.read()))


FETCHES = Rule("fetches", _fetches)
PRELOADS = Rule("preloads", _preloads)
HOOK, HOOK_STRICTLY = Rule("completes", _hook), Rule("completes, strictly", _hook_strictly)
# OpenSSL's rule: what was sent must lead to a root, with the first matching issuer at each step. "Strictly" adds the
# flags of Python's default context from 3.13 on.
AS_SENT = Rule("as sent", lambda finding: finding.refusal)
AS_SENT_STRICTLY = Rule("as sent, strictly", lambda finding: finding.strict_refusal)
FIRST_OF_EACH_NAME = Rule("as sent, the first of a name", _first_of_each_name)
BACKTRACKS = Rule("as sent, any path", _backtracks)
IGNORES_DATES = Rule("as sent, any path, any date of the root", _ignores_dates_of_anchors)

MEANINGS = {
    Weakness.OLD_VERSION: "it speaks no TLS newer than 1.1",
    Weakness.OLD_RENEGOTIATION: "it knows no secure renegotiation (RFC 5746)",
    Weakness.SHA1_SUITES: "it has cipher suites with SHA-1 only",
    Weakness.CBC_SUITES: "it has cipher suites in CBC mode only",
    Weakness.RARE_SUITES: "it has only cipher suites that hardly any client knows",
    Weakness.STATIC_RSA: "it exchanges keys by static RSA only, without forward secrecy",
    Weakness.SHA1_SIGNATURE: "it signs the handshake with SHA-1 only",
    Weakness.SMALL_DH: "its Diffie-Hellman group is too small",
    Weakness.DHE_ONLY: "it exchanges keys by DHE only, without elliptic curves",
    Weakness.SMALL_KEY: "a certificate's key is too small",
    Weakness.WEAK_DIGEST: "a certificate is signed with a weak digest (SHA-1 or MD5)",
    Weakness.ED25519_KEY: "its key is of a kind that browsers do not know (Ed25519)",
    Weakness.ED448_KEY: "its key is of a kind that few clients know (Ed448)",
    Weakness.P521_KEY: "its key is on a curve that not every browser knows (P-521)",
}

_ALL = frozenset(Weakness) - {Weakness.RARE_SUITES}
_PYTHON = frozenset(
    {Weakness.CBC_SUITES, Weakness.DHE_ONLY, Weakness.ED25519_KEY, Weakness.ED448_KEY, Weakness.P521_KEY}
)
_OPENSSL = _PYTHON | {Weakness.SHA1_SUITES, Weakness.STATIC_RSA}
_NODE = _OPENSSL | {Weakness.SMALL_KEY, Weakness.SMALL_DH}
_BROWSER = frozenset({Weakness.OLD_RENEGOTIATION, Weakness.SHA1_SUITES, Weakness.STATIC_RSA})
_CHROME = _BROWSER | {Weakness.SMALL_KEY}
_OTHER_BROWSER = _BROWSER | {Weakness.P521_KEY}
_WINDOWS = _OTHER_BROWSER | {Weakness.CBC_SUITES, Weakness.DHE_ONLY}
_GO = _CHROME | {Weakness.SHA1_SIGNATURE, Weakness.ED25519_KEY, Weakness.P521_KEY}
_JAVA = _ALL - {Weakness.OLD_VERSION}
_GNUTLS = _ALL - {Weakness.WEAK_DIGEST, Weakness.CBC_SUITES}

#: The clients: name, family, rule, and what they tolerate that OpenSSL does not at its usual security level.
_CLIENTS = [
    ("Chrome, Edge", "Chrome, Edge", FETCHES, _CHROME),
    ("Safari, programs on Apple's systems", "Safari", FETCHES, _OTHER_BROWSER),
    ("programs on Windows", "Windows", FETCHES, _WINDOWS),
    ("Firefox", "Firefox", PRELOADS, _OTHER_BROWSER),
    ("Python to 3.12 with the hook", "Python with the hook", HOOK, _PYTHON),
    ("Python from 3.13 with the hook", "Python with the hook", HOOK_STRICTLY, _PYTHON),
    ("Python to 3.12", "plain Python", AS_SENT, _PYTHON),
    ("Python from 3.13", "plain Python", AS_SENT_STRICTLY, _PYTHON),
    ("curl, git, Ruby, PHP with OpenSSL", "curl, git", AS_SENT, _OPENSSL),
    ("Node", "Node", AS_SENT, _NODE),
    ("wget and others with GnuTLS", "GnuTLS", FIRST_OF_EACH_NAME, _GNUTLS),
    ("Java", "Java", IGNORES_DATES, _JAVA),
    ("Go", "Go", BACKTRACKS, _GO),
]
