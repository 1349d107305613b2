"""Which clients can connect to a host: an expectation for each kind of client.

No client is run. A view combines what OpenSSL says with a rule for how that kind of client behaves, and assumes that
the client trusts this machine's roots. docs/check.md says which rules were tested with the client itself, and how.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from ..inside.certificate import Certificate, DERError, pem_certificates, sha256
from ..inside.fetch import is_fetchable
from ..inside.search import Budget, may_have_issued
from .finding import Fault, Finding
from .weakness import Weakness


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
            return weakness.meaning
    if finding.seen.failure is not None and not finding.seen.weaknesses:
        return finding.seen.failure
    if finding.lenient is not None and finding.chain_weakness in tolerated:
        finding = finding.lenient
    return rule.refusal(finding)


def _reason(finding: Finding, rule: Rule) -> str:
    if not finding.missing:
        return "all that it needs is sent"
    return {
        FETCHES: "it fetches what is missing (AIA)",
        FETCHES_UP_TO_A_ROOT: "it fetches what is missing (AIA)",
        PRELOADS: "it knows the intermediates of public CAs",
    }.get(rule, "what is missing is found within the handshake")


def _first_of_each_name(finding: Finding) -> str | None:
    """GnuTLS's rule: of several possible issuers, it takes the first that was sent, even one that has expired.

    If a trust anchor has the name and key of this issuer, GnuTLS ends the path at the anchor.
    """
    for subject, issuer in pairwise(finding.path.certificates if finding.path is not None else ()):
        first = next((sent for sent in finding.chain.sent if may_have_issued(sent, subject)), issuer)
        ends = finding.is_anchor(issuer) and first.public_key == issuer.public_key
        if finding.refusal is None and first != issuer and not ends:
            return "of two certificates with the same name, it takes the first that is sent"
    is_only_misled = Fault.ANCHOR_IN_THE_WAY in finding.faults and not finding.missing
    return None if is_only_misled else finding.partial_refusal


def _backtracks(finding: Finding) -> str | None:
    """The rule of clients that try every path: one path of sent certificates must lead to a root."""
    if finding.partial_refusal is None or (finding.completed_refusal is None and not finding.missing):
        return None
    return finding.refusal


def _ignores_dates_of_anchors(finding: Finding) -> str | None:
    """Like `_backtracks`, but a path may end at a trust anchor that has expired."""
    if finding.partial_refusal is None:
        return None
    for at, link in enumerate(finding.drawn[1:], 1):
        below = finding.drawn[:at]
        if any(anchor.public_key == link.public_key for anchor in finding.chain.trusted.issuers_of(below[-1])):
            is_sent = all(one == finding.chain.leaf or one in finding.chain.sent for one in below)
            if is_sent and all(one.is_valid_at(finding.chain.now) for one in below):
                return finding.undated_refusal
    return _backtracks(finding)


def _completes(finding: Finding, as_sent: str | None, completed: str | None) -> str | None:
    """Why a client with the hook refuses the chain; None if OpenSSL accepts what was sent, or the completed chain."""
    if as_sent is None:
        return None
    if finding.path is not None and len(finding.path.intermediates) > Budget.intermediates:
        completed = f"the path has more than {Budget.intermediates} intermediates"
    return _revoked(finding) or completed


def _fetches(finding: Finding) -> str | None:
    """The client fetches missing certificates from the URLs that the certificates below them name."""
    links = pairwise(finding.path.certificates if finding.path is not None else ())
    asked = [subject for subject, issuer in links if issuer in finding.missing]
    lacks_url = None if all(map(_names_url, asked)) else "a certificate names no http URL for its issuer (AIA)"
    return _revoked(finding) or _completed_refusal(finding) or lacks_url


def _fetches_up_to_a_root(finding: Finding) -> str | None:
    """Like `_fetches`, but the path must end at a root."""
    return finding.completed_refusal or _fetches(finding)


def _completed_refusal(finding: Finding) -> str | None:
    """Why a browser refuses the complete path. Browsers let a path end at any trusted CA, even if it is no root."""
    return None if finding.ends_at_no_root and len(finding.drawn) > 1 else finding.completed_refusal


def _preloads(finding: Finding) -> str | None:
    """Firefox knows the intermediates below Mozilla's roots in advance, because Mozilla makes CAs disclose them."""
    fault = _revoked(finding) or _completed_refusal(finding)
    if fault is not None or finding.path is None or not finding.missing:
        return fault
    if finding.path.certificates[-1].fingerprint in _mozilla_roots():
        return None
    return "the root is not one of Mozilla's, so its intermediates are not preloaded"


def _revoked(finding: Finding) -> str | None:
    return next((f"revoked {reason}" for reason in finding.revoked_links.values()), None)


def _names_url(certificate: Certificate) -> bool:
    """Whether a certificate names a URL from which its issuer can be fetched."""
    try:
        return any(map(is_fetchable, certificate.ca_issuers))
    except DERError:
        return False


@lru_cache(maxsize=1)
def _mozilla_roots() -> frozenset[str]:
    """The fingerprints of the roots in Mozilla's programme, according to certifi."""
    import certifi

    with open(certifi.where(), "rb") as file:
        return frozenset(sha256(der) for der in pem_certificates(file.read()))


FETCHES, FETCHES_UP_TO_A_ROOT = Rule("fetches", _fetches), Rule("fetches, up to a root", _fetches_up_to_a_root)
PRELOADS = Rule("preloads", _preloads)
# "Strictly" adds the flags of Python's default context from 3.13 on.
HOOK = Rule("completes", lambda finding: _completes(finding, finding.refusal, finding.completed_refusal))
HOOK_STRICTLY = Rule(
    "completes, strictly",
    lambda finding: _completes(finding, finding.strict_refusal, finding.strict_completed_refusal),
)
# OpenSSL's rule: what was sent must lead to a root, with the first matching issuer at each step.
AS_SENT = Rule("as sent", lambda finding: finding.refusal)
AS_SENT_TO_ANY_ANCHOR = Rule("as sent, to any anchor", lambda finding: finding.partial_refusal)
AS_SENT_STRICTLY = Rule("as sent, strictly", lambda finding: finding.strict_refusal)
FIRST_OF_EACH_NAME = Rule("as sent, the first of a name", _first_of_each_name)
BACKTRACKS = Rule("as sent, any path", _backtracks)
IGNORES_DATES = Rule("as sent, any path, any date of the root", _ignores_dates_of_anchors)

_OLD_TLS = {Weakness.OLD_VERSION, Weakness.OLD_RENEGOTIATION, Weakness.RARE_SUITES}
_OLD_SUITES = {Weakness.SHA1_SUITES, Weakness.STATIC_RSA}
_WEAK_KEYS = {Weakness.SHA1_SIGNATURE, Weakness.SMALL_DH, Weakness.SMALL_KEY, Weakness.WEAK_DIGEST}
_PYTHON = frozenset(Weakness) - _OLD_TLS - _OLD_SUITES - _WEAK_KEYS
_CURL = _PYTHON - {Weakness.COMMON_NAME_BESIDE_ADDRESSES} | _OLD_SUITES
_NODE = _PYTHON | _OLD_SUITES | {Weakness.SMALL_KEY, Weakness.SMALL_DH}
_BROWSER = frozenset(_OLD_SUITES) | {Weakness.OLD_RENEGOTIATION}
_CHROME = _BROWSER | {Weakness.SMALL_KEY}
_OTHER_BROWSER = _BROWSER | {Weakness.P521_KEY}
_WINDOWS = _OTHER_BROWSER | {Weakness.CBC_SUITES, Weakness.DHE_ONLY, Weakness.KEY_USAGE, Weakness.COMMON_NAME}
_GO = _CHROME | {Weakness.SHA1_SIGNATURE, Weakness.ED25519_KEY, Weakness.ED25519_CA}
_GO |= {Weakness.P521_KEY, Weakness.KEY_USAGE}
_ONLY_OPENSSL = {Weakness.RARE_SUITES, Weakness.RARE_CURVE_CA, Weakness.NO_POLICY}  # RARE_SUITES: not even OpenSSL
_JAVA = frozenset(Weakness) - _ONLY_OPENSSL - {Weakness.OLD_VERSION, Weakness.KEY_USAGE}
_WGET = frozenset(Weakness) - _ONLY_OPENSSL
_WGET -= {Weakness.WEAK_DIGEST, Weakness.CBC_SUITES, Weakness.COMMON_NAME_BESIDE_ADDRESSES}
_GNUTLS = _WGET - {Weakness.KEY_USAGE}

#: The clients: name, family, rule, and the weaknesses that they tolerate.
_CLIENTS = [
    ("Chrome, Edge", "Chrome, Edge", FETCHES, _CHROME),
    ("Safari, programs on Apple's systems", "Safari", FETCHES, _OTHER_BROWSER),
    ("programs on Windows", "Windows", FETCHES_UP_TO_A_ROOT, _WINDOWS),
    ("Firefox", "Firefox", PRELOADS, _OTHER_BROWSER),
    ("Python to 3.12 with the hook", "Python with the hook", HOOK, _PYTHON),
    ("Python from 3.13 with the hook", "Python with the hook", HOOK_STRICTLY, _PYTHON),
    ("Python to 3.12", "plain Python", AS_SENT, _PYTHON),
    ("Python from 3.13", "plain Python", AS_SENT_STRICTLY, _PYTHON),
    ("curl, git with OpenSSL", "curl, git", AS_SENT_TO_ANY_ANCHOR, _CURL),
    ("Ruby, PHP with OpenSSL", "Ruby, PHP", AS_SENT, _CURL),
    ("Node", "Node", AS_SENT, _NODE),
    ("wget with GnuTLS", "GnuTLS", FIRST_OF_EACH_NAME, _WGET),
    ("other programs with GnuTLS", "GnuTLS", FIRST_OF_EACH_NAME, _GNUTLS),
    ("Java", "Java", IGNORES_DATES, _JAVA),
    ("Go", "Go", BACKTRACKS, _GO),
]
