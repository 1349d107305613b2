"""Check one host or file: what is sent, and what would complete the chains."""

from __future__ import annotations

from ..inside import PARTIAL_CHAIN, STRICT
from ..inside.certificate import Certificate
from ..inside.contexts import NO_CHECK_TIME
from ..inside.rehearsal import Chain
from ..inside.search import Budget, Path, Search, needs
from ..inside.settings import Settings
from ..inside.store import IntermediateStore, open_store
from ..manager.revocation.record import reader
from ..manager.target import in_ascii
from . import certificate_files, trust
from .asked import FileTarget, Target
from .connection import Seen, looks
from .finding import MOST_INTERMEDIATES, Finding
from .trust import TrustAnchors

_STRICTLY = STRICT | PARTIAL_CHAIN  # the flags that Python's default context also sets from 3.13 on
_POLICY_CHECK = 0x80  # X509_V_FLAG_POLICY_CHECK
_POLICY_CONSTRAINTS = b"\x55\x1d\x24"  # the extension (RFC 5280, 4.2.1.11)
FETCH_SECONDS = 30.0  # a command may wait longer than a program


def probe(
    target: Target | FileTarget, settings: Settings, anchors: list[Certificate], *, revocation: bool = False
) -> list[Finding]:
    """Get the chains of a host or file, search for what is missing, and keep what is found. Raises ProbeError.

    There are two chains if a server has a certificate with an RSA key and one with an ECDSA key. With `revocation`, the
    CRLs that the certificates name are read too. OpenSSL loads the anchors again only if they change.
    """
    trusted = trust.loaded(tuple(anchors))
    store = open_store(settings)
    if isinstance(target, FileTarget):
        target, seen = certificate_files.read(target)
        looked = [seen]
    else:
        looked = looks(target, settings)
    found = [_judged(seen, target, trusted, settings, store) for seen in looked]
    if revocation:
        from .revocation import ask

        for finding in found:
            if finding.path is not None:
                finding.asked = ask(finding.path.certificates, settings, store)
    return found


def _judged(
    seen: Seen, target: Target | FileTarget, trusted: TrustAnchors, settings: Settings, store: IntermediateStore
) -> Finding:
    """What OpenSSL says of a chain, and what the search for a path finds."""
    chain = Chain(seen.certificates, trusted.trusted, trusted.terms)
    budget = Budget(FETCH_SECONDS)
    budget.intermediates = MOST_INTERMEDIATES
    search = Search(chain, store, budget)
    path = None if chain.is_hopeless() else search.path(settings, patient=False)
    lenient = Chain(seen.certificates, trusted.trusted, trusted.lenient.terms)
    refused = [list(one) for one in search.refused] if path is None else []
    weak = next((one for one in refused if lenient.refusal(one) is None), None)
    finding = _finding(seen, target, trusted, chain, search, path, weak or next(iter(refused), None), store)
    if weak is not None:
        finding.lenient = _finding(seen, target, trusted.lenient, lenient, search, Path(weak), None, store)
    return finding


def _finding(
    seen: Seen,
    target: Target | FileTarget,
    trusted: TrustAnchors,
    chain: Chain,
    search: Search,
    path: Path | None,
    refused: list[Certificate] | None,
    store: IntermediateStore,
) -> Finding:
    """Put together what is known of a chain. OpenSSL verifies it with the flags and security level of `trusted`."""
    sent, name = seen.certificates, in_ascii(target.name)
    refusal = trusted.refusal(sent, name)
    strict_refusal = trusted.refusal(sent, name, _STRICTLY)
    needed = needs(chain, path) if path is not None else []
    found = path.certificates if path is not None else refused
    if found is None:  # only what was sent can be verified
        completed = installed = undated = refusal
        strict_completed = strict_refusal
    else:
        completed = refusal and trusted.refusal_of_path(found, name)
        undated = completed and trusted.refusal_of_path(found, name, NO_CHECK_TIME)
        strict_completed = trusted.refusal_of_path(found, name, _STRICTLY)
        installed = refusal and trusted.refusal([link.der for link in found[:-1]], name)
    lacks_policy = (
        found is not None
        and completed is None
        and any(_POLICY_CONSTRAINTS in link.extensions for link in found)
        and trusted.refusal_of_path(found, name, _POLICY_CHECK) is not None
    )
    leaf = chain.leaf
    reason = reader(store.folders)
    noted = {link: url for link in search.stored for folder in store.folders if (url := folder.source_of(link))}
    return Finding(
        target=target,
        seen=seen,
        chain=chain,
        refusal=refusal,
        partial_refusal=refusal and trusted.refusal(sent, name, PARTIAL_CHAIN),
        strict_refusal=strict_refusal,
        path=path,
        refused_path=refused,
        stored={certificate for certificate in search.stored if certificate not in search.fetched},
        learned=[link for link in path.intermediates if link not in search.stored] if path and needed else [],
        sources={**noted, **search.fetched},
        missing=[certificate for certificate in needed if certificate not in chain.sent],
        completed_refusal=completed,
        strict_completed_refusal=strict_completed,
        installed_refusal=installed,
        undated_refusal=undated,
        failed=search.failed,
        answered={url for url, reply in search.replies.items() if reply},
        refusal_if_trusted=trusted.refusal_of_path([leaf, leaf], name) if leaf.is_self_signed else None,
        lacks_policy=lacks_policy,
        revoked={certificate: reason(certificate, issuer) or "" for certificate, issuer in search.revoked.items()},
    )
