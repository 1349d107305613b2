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
        for client, family, rule in _CLIENTS
        for refusal in [rule.refusal(finding)]
    ]


def _reason(finding: Finding, rule: Rule) -> str:
    """Why a client connects."""
    if not finding.missing:
        return "all that it needs is sent"
    return {"fetches": "it fetches what is missing (AIA)", "preloads": "it knows the intermediates of public CAs"}.get(
        rule.name, "what is missing is found within the handshake"
    )


def _first_of_each_name(finding: Finding) -> str | None:
    """GnuTLS's rule: of several possible issuers, it takes the first that was sent, even if it has expired."""
    for subject, issuer in pairwise(finding.path.certificates if finding.path is not None else ()):
        first = next((sent for sent in finding.chain.sent if may_have_issued(sent, subject)), issuer)
        if finding.refusal is None and first != issuer:
            return "of two certificates with the same name, it takes the first that is sent"
    return finding.refusal


def _backtracks(finding: Finding) -> str | None:
    """What was sent must lead to a root, over any of its certificates."""
    if finding.refusal is None or Fault.OBSTRUCTED in finding.faults:
        return None
    return finding.refusal


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

_CLIENTS = [
    ("Chrome, Edge", "Chrome, Edge", FETCHES),
    ("Safari, programs on Apple's systems", "Safari", FETCHES),
    ("programs on Windows", "Windows", FETCHES),
    ("Firefox", "Firefox", PRELOADS),
    ("Python to 3.12 with the hook", "Python with the hook", HOOK),
    ("Python from 3.13 with the hook", "Python with the hook", HOOK_STRICTLY),
    ("Python to 3.12", "plain Python", AS_SENT),
    ("Python from 3.13", "plain Python", AS_SENT_STRICTLY),
    ("curl, git, Ruby, PHP with OpenSSL", "curl, git", AS_SENT),
    ("Node", "Node", AS_SENT),
    ("wget and others with GnuTLS", "GnuTLS", FIRST_OF_EACH_NAME),
    ("Java", "Java", BACKTRACKS),
    ("Go", "Go", BACKTRACKS),
]
