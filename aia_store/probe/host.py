"""Ask one host: what does it send, and what would complete it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..failures import Failures
from ..handshake.aia import AIA
from ..handshake.chain import Chain
from ..handshake.completion import Builder, needs
from ..handshake.sources import Sources
from ..handshake.trusted import Trusted
from ..pki.revocation.record import reader
from ..store import open_store
from .finding import Finding
from .handshake import context_of, handshake

if TYPE_CHECKING:
    from ..config import Settings
    from ..der import Certificate

FETCH_SECONDS = 30.0  # the manager may wait longer than a program


def probe(host: str, port: int, settings: Settings, anchors: list[Certificate]) -> Finding:
    """Ask a host for its chain, and look for what is missing. What completes it is kept. Raises ProbeError."""
    sent, refusal = handshake(host, port, anchors, [])
    trusted = Trusted(context_of(anchors, []), Sources(complete=True), (), partial_chains=False)
    chain = Chain(sent, trusted)
    store = open_store(settings)
    builder = Builder(chain, store)
    path = None if chain.is_hopeless() else builder.path_at_hand()
    failed: dict[str, str] = {}
    if path is None and not chain.is_hopeless() and not settings.offline:
        failures = Failures(store.home, patient=False)
        with AIA(settings, store, failures, trusted.digest, FETCH_SECONDS) as aia:
            path = aia.path(builder, chain.leaf)
        failed = aia.failed
    needed = needs(chain, path) if path is not None else []
    learned = [c for c in path.intermediates if c not in builder.stored] if path is not None and needed else []
    if path is not None:
        builder.keep(path)
    completed = handshake(host, port, anchors, needed)[1] if needed else refusal
    missing = [certificate for certificate in needed if certificate not in chain.sent]
    why = reader(store.folders)
    revoked = {certificate: why(certificate) or "" for certificate in builder.revoked}
    return Finding(host, port, chain, refusal, path, builder.stored, learned, missing, completed, failed, revoked)
