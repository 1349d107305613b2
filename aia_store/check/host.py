"""Check one host or file: what is sent, and what would complete the chains."""

from __future__ import annotations

from ..inside.certificate import Certificate
from ..inside.contexts import NO_CHECK_TIME, Terms
from ..inside.rehearsal import Chain, Rehearsal
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

_POLICY_CHECK = 0x80  # X509_V_FLAG_POLICY_CHECK
_POLICY_CONSTRAINTS = b"\x55\x1d\x24"  # the extension (RFC 5280, 4.2.1.11)
FETCH_SECONDS = 30.0  # a command may wait longer than a program


def probe(
    target: Target | FileTarget, settings: Settings, anchors: list[Certificate], *, revocation: bool = False
) -> list[Finding]:
    """Get the chains of a host or file, and look for what is missing. What completes them is kept. Raises ProbeError.

    There are two chains if a server has certificates with an RSA key and with another. With `revocation`, the CRLs
    that the certificates name are read too. OpenSSL loads the anchors once, as long as they stay the same.
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
    search = Search(chain, store, _budget())
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
    """Put together what is known of a chain, with OpenSSL's verdicts under `trusted`'s flags and security level."""
    sent, name = seen.certificates, in_ascii(target.name)
    refusal = _stated(trusted.rehearsal.refusal(sent, name))
    partial = refusal and _stated(trusted.partial_rehearsal.refusal(sent, name))
    strict_as_sent = _stated(trusted.strict_rehearsal.refusal(sent, name))
    needed = needs(chain, path) if path is not None else []
    found = path.certificates if path is not None else refused
    if found is None:  # nothing to verify but what was sent
        completed = installed = undated = refusal
        lacks_policy = False
        strict = strict_as_sent
    else:
        *whole, anchor = (link.der for link in found)
        completed = refusal and _stated(Rehearsal(trusted.terms, [anchor]).refusal(whole, name))
        undated_terms = Terms(trusted.terms.flags | NO_CHECK_TIME, trusted.terms.level)
        undated = completed and _stated(Rehearsal(undated_terms, [anchor]).refusal(whole, name))
        strict = _stated(Rehearsal(trusted.strict_terms, [anchor]).refusal(whole, name))
        policy_terms = Terms(trusted.terms.flags | _POLICY_CHECK, trusted.terms.level)
        lacks_policy = (
            completed is None
            and any(_POLICY_CONSTRAINTS in link.extensions for link in found)
            and Rehearsal(policy_terms, [anchor]).refusal(whole, name) is not None
        )
        installed = refusal and _stated(trusted.rehearsal.refusal(whole, name))
    leaf = chain.leaf
    if_trusted = Rehearsal(trusted.terms, [leaf.der]).refusal([leaf.der], name) if leaf.is_self_signed else None
    reason = reader(store.folders)
    return Finding(
        target=target,
        seen=seen,
        chain=chain,
        refusal=refusal,
        partial_refusal=partial,
        strict_refusal=strict_as_sent,
        path=path,
        refused_path=refused,
        stored={certificate for certificate in search.stored if certificate not in search.fetched},
        learned=[link for link in path.intermediates if link not in search.stored] if path and needed else [],
        sources={**_noted_sources(search.stored, store), **search.fetched},
        missing=[certificate for certificate in needed if certificate not in chain.sent],
        completed_refusal=completed,
        strict_completed_refusal=strict,
        installed_refusal=installed,
        undated_refusal=undated,
        failed=search.failed,
        answered={url for url, reply in search.replies.items() if reply},
        refusal_if_trusted=_stated(if_trusted),
        lacks_policy=lacks_policy,
        revoked={certificate: reason(certificate, issuer) or "" for certificate, issuer in search.revoked.items()},
    )


def _budget() -> Budget:
    budget = Budget(FETCH_SECONDS)
    budget.intermediates = MOST_INTERMEDIATES
    return budget


def _noted_sources(certificates: set[Certificate], store: IntermediateStore) -> dict[Certificate, str]:
    """The URLs from which these certificates of the store once came, where they are noted."""
    noted = ((link, url) for link in certificates for folder in store.folders if (url := folder.source_of(link)))
    return dict(noted)


def _stated(refusal: str | None) -> str | None:
    """OpenSSL's message without its full stop."""
    return refusal.rstrip(".") if refusal else None
