"""Check one host: what it sends, and what would complete its chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..inside.certificate import readable
from ..inside.rehearsal import Chain
from ..inside.search import Budget, Search, needs
from ..inside.store import open_store
from ..manager.revocation.record import reader
from ..manager.target import in_ascii
from . import trust
from .connection import ProbeError, handshake
from .finding import Finding

if TYPE_CHECKING:
    from ..inside.certificate import Certificate
    from ..inside.settings import Settings
    from .asked import Target

FETCH_SECONDS = 30.0  # a command may wait longer than a program


def probe(target: Target, settings: Settings, anchors: list[Certificate], *, revocation: bool = False) -> Finding:
    """Get the chain of a host, and look for what is missing. What completes it is kept. Raises ProbeError.

    With `revocation`, the CRLs that the certificates name are read too. OpenSSL loads the anchors once, as long as they
    stay the same.
    """
    trusted = trust.loaded(tuple(anchors))
    sent, refusal = handshake(target, trusted)
    if not any(readable(sent[:1])):
        raise ProbeError(f"{target.address} sent a certificate that cannot be read")
    chain = Chain(sent, trusted.trusted, trusted.terms)
    store = open_store(settings)
    search = Search(chain, store, Budget(FETCH_SECONDS))
    path = None if chain.is_hopeless() else search.path(settings, patient=False)
    needed = needs(chain, path) if path is not None else []
    name = in_ascii(target.name)
    whole = [link.der for link in path.certificates[:-1]] if path is not None else sent
    why = reader(store.folders)
    finding = Finding(
        target=target,
        chain=chain,
        refusal=refusal,
        strict_refusal=refusal or _stated(trusted.strict_rehearsal.refusal(sent, name)),
        path=path,
        stored=search.stored,
        learned=[link for link in path.intermediates if link not in search.stored] if path and needed else [],
        missing=[certificate for certificate in needed if certificate not in chain.sent],
        completed_refusal=refusal and (_stated(trusted.rehearsal.refusal(whole, name)) if path else refusal),
        strict_completed_refusal=_stated(trusted.strict_rehearsal.refusal(whole, name)),
        failed=search.failed,
        revoked={certificate: why(certificate, issuer) or "" for certificate, issuer in search.revoked.items()},
    )
    if revocation and path is not None:
        from .revocation import ask

        finding.asked = ask(path.certificates, settings, store)
    return finding


def _stated(refusal: str | None) -> str | None:
    """OpenSSL's message without its full stop."""
    return refusal.rstrip(".") if refusal else None
