"""Build certification paths without a handshake. The search is the hook's, and OpenSSL verifies each path."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..check.trust import TrustAnchors
from ..inside import Interrupted, fetch, reply
from ..inside import settings as config
from ..inside.aia import urls_to_fetch
from ..inside.certificate import Certificate, DERError
from ..inside.rehearsal import Chain
from ..inside.search import Budget, Search, needs
from ..inside.settings import Settings
from ..inside.store import store_of_process
from . import anchors as machine
from . import peer
from .aia_errors import AIADownloadError, AIAError, AIASchemeError, InvalidCAError

if TYPE_CHECKING:
    from .public_store import Store

SECONDS = 30.0  # for all fetches


class Built(NamedTuple):
    """A path that OpenSSL accepted, from leaf to trust anchor. `missing`: the intermediates that were not sent."""

    path: list[Certificate]
    missing: list[Certificate]


def build(
    sent: Sequence[bytes], anchors: TrustAnchors, seconds: float, settings: Settings, store: Store | None = None
) -> Built:
    """Build the path for what a server sends (DER, the leaf first), from the store and by AIA; keep what was missing.

    Raises AIAError, or ssl.SSLError if OpenSSL refuses all paths that were found.
    """
    try:
        chain = Chain(list(sent), anchors.trusted, anchors.terms)
        search = Search(chain, store.internal if store is not None else store_of_process(settings), Budget(seconds))
        if chain.leaf in anchors.certificates:
            return Built([chain.leaf], [])
        path = None if chain.is_hopeless() else search.path(settings)
    except DERError as error:
        raise AIAError(f"the certificate of the server cannot be read ({error})") from error
    except Interrupted as interrupt:  # Ctrl-C, for example; the wrapper class is only for handshakes
        raise interrupt.raised from None
    if path is None:
        raise _why_not(chain, search)
    return Built(path.certificates, [c for c in needs(chain, path) if c not in chain.sent])


def build_for(host: str, seconds: float) -> Built:
    """Build the path for a host, which `peer.target` parses; `seconds` is for each step of the connection.

    Raises what `build` raises, and OSError if the host cannot be reached.
    """
    settings = loaded_settings()
    sent = peer.certificates(*peer.target(host), seconds, settings)
    return build(sent, machine.of_this_machine(), SECONDS, settings)


def _why_not(chain: Chain, search: Search) -> Exception:
    not_before, not_after = chain.leaf.validity
    if chain.leaf.is_self_signed:
        return InvalidCAError("the certificate is self-signed, and is no trust anchor here")
    if not not_before <= chain.now <= not_after:
        return ssl.SSLError(f"certificate {'has expired' if not_after < chain.now else 'is not yet valid'}")
    if search.refused:
        return ssl.SSLError(f"OpenSSL refuses the chain: {list(search.refused.values())[-1]}")
    if search.revoked:
        return InvalidCAError("every path to a trust anchor contains a revoked intermediate")
    if search.failed:
        return _download_error(search.failed)
    named = (chain.leaf, *chain.sent)
    if any(certificate.ca_issuers for certificate in named) and not any(urls_to_fetch(one, Budget()) for one in named):
        return AIASchemeError("the issuer is named by URLs that are not fetched; only plain http is")
    return InvalidCAError("no path to a trust anchor was found")


def _download_error(failed: dict[str, str]) -> AIADownloadError:
    return AIADownloadError("; ".join(f"{url} cannot be fetched: {reason}" for url, reason in failed.items()))


def build_path(
    chain: Sequence[bytes],
    *,
    anchors: Iterable[bytes] | None = None,
    store: Store | None = None,
    timeout: float = SECONDS,
) -> list[bytes]:
    """Return the certification path from a server's certificate to a trust anchor, both included (DER).

    `chain` is what the server sends (DER, its own certificate first); the order of the others does not matter, and
    unrelated certificates do no harm. `anchors` are the trust anchors (DER, self-signed), by default this machine's.
    `store` is where intermediates are looked up and kept, by default this user's store. `timeout` is the time for all
    fetches in seconds; 0 for none.

    OpenSSL has accepted the path for a TLS server, with the flags of Python's default context. The host name is not
    verified. Raises InvalidCAError if nothing leads to an anchor, AIADownloadError if an issuer could not be fetched,
    AIASchemeError if its URLs may not be fetched, another AIAError for unusable arguments or settings, and ssl.SSLError
    if OpenSSL refuses what was found.
    """
    if not chain:
        raise AIAError("the chain is empty; it begins with the server's own certificate")
    settings = store.settings if store is not None else loaded_settings()
    trusts = machine.of_this_machine() if anchors is None else machine.of(anchors)
    return [certificate.der for certificate in build(chain, trusts, timeout, settings, store).path]


def fetch_issuer(certificate: bytes, *, timeout: float = SECONDS) -> list[bytes]:
    """Fetch what the caIssuers URLs of a certificate (DER) offer as its issuer; returns DER, **unverified**.

    The list may be empty. Its certificates bear the issuer's name, and nothing more is known of them; `build_path`
    tells what leads to a trust anchor. The URLs are tried in their order (RFC 5280, 4.2.2.1), for `timeout` seconds at
    most, until one offers an issuer. The policy of all fetches applies (docs/trust-model.md). Nothing is kept.

    Raises AIADownloadError if URLs failed and no other URL offered an issuer, AIASchemeError if no URL may be fetched,
    AIAError if the certificate names no URL or cannot be read.
    """
    settings = loaded_settings()
    try:
        subject = Certificate(certificate)
        named, urls = subject.ca_issuers, urls_to_fetch(subject, Budget())
        issuer_key = subject.issuer_key
    except DERError as error:
        raise AIAError(f"the certificate cannot be read ({error})") from error
    if not named:
        raise AIAError("the certificate names no URL of its issuer (AIA)")
    if not urls:
        raise AIASchemeError("the issuer is named by URLs that are not fetched; only plain http is")
    if settings.offline:
        raise AIADownloadError("nothing was fetched: AIA_STORE_OFFLINE is set")
    deadline = time.monotonic() + timeout
    failed = {}
    for url in urls:
        try:
            until = min(deadline, time.monotonic() + Budget.fetch_seconds)
            body = fetch.get(url, settings.allowed_networks, until, proxy=settings.proxy)
        except fetch.FetchError as error:
            failed[url] = str(error)
            continue
        found = [offered.der for offered in reply.certificates(body) if offered.subject_key == issuer_key]
        if found:
            return found
    if failed:
        raise _download_error(failed)
    return []


def loaded_settings() -> Settings:
    """The current settings. Raises AIAError if they cannot be used."""
    try:
        return config.load()
    except config.ConfigError as error:
        raise AIAError(str(error)) from error
