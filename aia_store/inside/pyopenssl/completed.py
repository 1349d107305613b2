"""Find what completes a chain for pyOpenSSL, and build the SSL_CTX in which the connection is verified.

This is loaded for the first chain that is incomplete as sent, and loads the search, its settings and its store.
"""

from __future__ import annotations

import sys

from .. import PARTIAL_CHAIN
from ..certificate import Certificate, readable, sha256
from ..contexts import CRL_CHECKS, NO_CHECK_TIME, Terms
from ..rehearsal import Chain, flight
from ..search import Budget, Search, seconds_to_fetch
from ..settings import debug, load
from ..store import store_of_process
from .bindings import BindingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from .bindings import OpenSSL

    class Noted(Protocol):
        """The part of `hooked.Noted` that is needed here."""

        flags: int
        has_time: bool
        cipher_list: bytes | None
        sources: list[str]

        def while_kept(self, work: Callable[[], Any]) -> Any: ...


# X509_V_FLAG_POLICY_CHECK, EXPLICIT_POLICY, INHIBIT_ANY, INHIBIT_MAP and NOTIFY_POLICY. When OpenSSL calls a verify
# callback because of a policy, it passes no certificate, which crashes pyOpenSSL: we must not cause that.
POLICY_CHECKS = 0x80 | 0x100 | 0x200 | 0x400 | 0x800


class StoreTrusted:
    """What OpenSSL has looked up in an X509_STORE of the program: the counterpart of `inside.trusted.Trusted`."""

    def __init__(self, openssl: OpenSSL, ssl_ctx: Any, noted: Noted) -> None:
        self._openssl = openssl
        self._ssl_ctx = ssl_ctx
        self._sources = noted.sources
        self._held: set[bytes] = set()
        self._issuers: dict[bytes, list[Certificate]] = {}
        self.flags = noted.flags | (NO_CHECK_TIME if noted.has_time else 0)
        self.partial_chains = bool(noted.flags & PARTIAL_CHAIN)

    def is_anchor(self, certificate: Certificate) -> bool:
        """Whether a path may end at this certificate: it is trusted, and self-signed unless PARTIAL_CHAIN is set."""
        return (self.partial_chains or certificate.is_self_signed) and self.holds(certificate)

    def holds(self, certificate: Certificate) -> bool:
        """Whether this certificate was found in the store."""
        return certificate.der in self._held

    def digest(self) -> str:
        """A text that changes whenever the trusted certificates change."""
        return sha256("\n".join(sorted({*self._sources})).encode("utf-8", "replace"))

    def issuers_of(self, subject: Certificate) -> list[Certificate]:
        """The issuer that OpenSSL takes from the store for a certificate: one, or none."""
        found = self._issuers.get(subject.der)
        if found is None:
            try:
                # No untrusted certificates are given, so all certificates above the subject come from the store.
                _, (_, *above) = self._openssl.verify(self._ssl_ctx, [subject.der])
            except (BindingsError, ValueError):
                above = []
            self._held.update(above)
            found = self._issuers[subject.der] = list(readable(above[:1]))
        return found


class _StoreChain(Chain):
    """A chain whose paths are verified in the program's own SSL_CTX."""

    def __init__(self, sent: list[bytes], openssl: OpenSSL, ssl_ctx: Any, noted: Noted) -> None:
        trusted = StoreTrusted(openssl, ssl_ctx, noted)
        super().__init__(sent, trusted, Terms(trusted.flags, None))
        self._openssl = openssl
        self._ssl_ctx = ssl_ctx
        self._noted = noted

    def refusal(self, path: list[Certificate]) -> str | None:
        sent = [certificate.der for certificate in path[:-1]]
        try:
            error, _ = _rehearsed(self._openssl, self._ssl_ctx, self._noted, sent)
        except BindingsError as unknown:
            return str(unknown)
        return self._openssl.reason(error) if error else None


def missing(sent: list[bytes], openssl: OpenSSL, ssl_ctx: Any, noted: Noted) -> list[bytes] | None:
    """Find the intermediates (DER, the leaf's issuer first) with which the program accepts the leaf; None if not found.

    `sent` is what the server sent (DER, the leaf first). May raise any BaseException.
    """
    settings = load()
    chain = _StoreChain(sent, openssl, ssl_ctx, noted)
    if settings.disable or chain.is_hopeless():
        return None
    is_reactor = getattr(sys.modules.get("twisted.python.threadable"), "isInIOThread", lambda: False)()
    seconds = settings.async_budget if is_reactor else seconds_to_fetch(settings)
    path = Search(chain, store_of_process(settings), Budget(seconds)).path(settings)
    if path is None:
        debug("no path to a trust anchor was found")
        return None
    return [certificate.der for certificate in path.intermediates]


def context_for(chain: list[bytes], openssl: OpenSSL, ssl_ctx: Any, noted: Noted) -> Any:
    """Build an SSL_CTX of ours that accepts this path, if the program's SSL_CTX accepts it now; else return None.

    `chain` is the leaf and its intermediates (DER). Our SSL_CTX trusts only the path that the program's SSL_CTX has
    just verified, with the same X509 as anchor. So OpenSSL can only find that path again, whatever else the server
    sent. CRLs, policies and a time that the program set were checked then, so ours does not check them. Raises
    BindingsError if OpenSSL reaches no verdict, or cannot build the SSL_CTX.
    """
    error, path = _rehearsed(openssl, ssl_ctx, noted, chain)
    if error:
        debug(f"the program's context refuses the path: {openssl.reason(error)}")
        return None
    certificates = [Certificate(openssl.der_of(certificate)) for certificate in path]
    if len({certificate.subject_key for certificate in certificates}) < len(certificates):
        return None  # a name occurs twice: OpenSSL, which finds issuers by name, may take the wrong one
    flags = noted.flags & ~(CRL_CHECKS | POLICY_CHECKS | PARTIAL_CHAIN)
    if noted.has_time:
        flags |= NO_CHECK_TIME
    if not certificates[-1].is_self_signed:
        flags |= PARTIAL_CHAIN  # the program pinned it
    return openssl.context_with(path[1:], flags, noted.cipher_list)


def _rehearsed(openssl: OpenSSL, ssl_ctx: Any, noted: Noted, chain: list[bytes]) -> tuple[int, list[Any]]:
    found: tuple[int, list[Any]] | None = noted.while_kept(lambda: openssl.rehearse(ssl_ctx, flight(chain)))
    if found is None:
        raise BindingsError("the context is being changed")
    return found
