"""`AIASession`, for programs that were written for the class of the same name in `aia` 0.2.0."""

from __future__ import annotations

import ssl
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from http.client import HTTPResponse
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from ..inside import PARTIAL_CHAIN, remember
from ..inside.certificate import Certificate, DERError, to_pem
from ..inside.contexts import Terms
from ..inside.rehearsal import Rehearsal
from ..manager.names import as_openssl_prints
from ..manager.tunnel import ProxyHandler
from ..version import __version__
from . import anchors, peer
from .aia_errors import AIAError, AIASchemeError, DownloadError, InvalidCAError
from .building import SECONDS, Built, build, loaded_settings
from .completion import complete

DEFAULT_USER_AGENT = f"aia-store/{__version__}"
REMEMBERED_FOR, MOST_REMEMBERED = 3600.0, 1024  # seconds, and hosts: for remembering what a host sent
# X509_V_ERR_ codes of chains that reach no trust anchor: 2, 20: no issuer; 18, 19: self-signed; 21: leaf alone.
_NO_ANCHOR = (2, 18, 19, 20, 21)


class AIASession:
    """Completes the chains of hosts, and makes contexts and downloads with them. Threads may share a session.

    A host is "name", "name:port", an IPv6 address or "[address]:port"; a URL is any URL with a host. Port 443 is the
    default. Hosts and intermediates are reached through the proxies that the setting `proxy` or the environment names
    (`https_proxy`, `http_proxy`, `no_proxy`). What a host sent is remembered for an hour, and its intermediates are
    kept in the store.

    The trust anchors are this machine's: those in the file that AIA_STORE_ROOTS or else SSL_CERT_FILE names, else the
    system's. Methods that build a chain raise InvalidCAError if it leads to no trust anchor, AIADownloadError if an
    issuer could not be fetched, AIASchemeError if its URLs may not be fetched, ssl.SSLError if OpenSSL refuses the
    chain, and OSError if the host cannot be reached.
    """

    def __init__(self, user_agent: str = DEFAULT_USER_AGENT, *, timeout: float = SECONDS) -> None:
        """`user_agent` is the header that `download` sends; `timeout` (seconds) is for each step of a connection."""
        self.user_agent = user_agent
        self.timeout = timeout
        self._seen: dict[tuple[str, int], tuple[float, list[bytes]]] = {}

    def get_host_cert(self, host: str) -> bytes:
        """The certificate of a host (DER), unverified."""
        return self._sent(host)[0]

    def aia_chase(self, host: str) -> Iterator[bytes]:
        """The certification path of a host (DER), from its certificate to the trust anchor, both included."""
        sent = self._sent(host)
        yield sent[0]
        yield from (certificate.der for certificate in self._built(sent).path[1:])

    def validate_certificate_chain(self, der_certs: Sequence[bytes]) -> None:
        """Let OpenSSL verify a whole chain (DER) of a TLS server, from its certificate to the root to trust.

        Raises ssl.SSLError if OpenSSL refuses it. The host name is not verified.
        """
        if not der_certs:
            raise ssl.SSLError("the chain is empty")
        *chain, root = der_certs
        context = _trusting(to_pem(root))
        terms = Terms(int(context.verify_flags), context.security_level)
        refusal = Rehearsal(terms, [root]).refusal(chain or [root])
        if refusal is not None:
            raise ssl.SSLError(f"OpenSSL refuses the chain: {refusal}")

    def cadata_from_host(self, host: str) -> str:
        """The intermediates and, last, the root that verify a host's certificate, as PEM.

        Take care if you use this as a CA file: Python 3.13 and many other programs treat every certificate in a CA file
        as a trust anchor. The context of `ssl_context_from_host` trusts only the root.
        """
        path = self._built(self._sent(host)).path
        return "".join(certificate.pem for certificate in path[1:] or path)

    def cadata_from_url(self, url: str) -> str:
        """Like `cadata_from_host`, for the host of a URL."""
        return self.cadata_from_host(_host_of(url))

    def ssl_context_from_host(self, host: str, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> ssl.SSLContext:
        """Like `ssl.create_default_context`, but for one host: it only trusts the root that the host's chain leads to.

        The intermediates are in the context too, but are no trust anchors: even on Python 3.13, a chain must end at the
        root.
        """
        return _trusting(self.cadata_from_host(host), purpose)

    def ssl_context_from_url(self, url: str, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> ssl.SSLContext:
        """Like `ssl_context_from_host`, for the host of a URL."""
        return self.ssl_context_from_host(_host_of(url), purpose)

    def urlopen(
        self,
        url: str | urllib.request.Request,
        data: bytes | Iterable[bytes] | None = None,
        timeout: float | None = None,
    ) -> HTTPResponse:
        """Like `urllib.request.urlopen`, for http and https; chains are completed within the handshake.

        Raises InvalidCAError if a chain leads to no trust anchor, and whatever urllib raises.
        """
        scheme = urlsplit(url if isinstance(url, str) else url.full_url).scheme
        if scheme not in ("http", "https"):
            raise AIASchemeError(f"the scheme {scheme!r} is not allowed; use http or https")
        https = urllib.request.HTTPSHandler(context=complete(anchors.of_this_machine().context))
        seconds = self.timeout if timeout is None else timeout
        opener = urllib.request.build_opener(ProxyHandler(loaded_settings()), https)
        try:
            response: HTTPResponse = opener.open(url, data, seconds)
        except URLError as error:
            refusal = error.reason
            if isinstance(refusal, ssl.SSLCertVerificationError) and refusal.verify_code in _NO_ANCHOR:
                raise InvalidCAError(f"no path to a trust anchor was found ({refusal.verify_message})") from error
            raise
        return response

    def download(self, url: str) -> bytes:
        """The body of a GET of this URL. Raises DownloadError if the status is not 200, and what `urlopen` raises."""
        request = urllib.request.Request(url, headers={"User-Agent": self.user_agent})
        try:
            with self.urlopen(request) as response:
                if response.status == 200:
                    return response.read()
                status = response.status
        except HTTPError as error:
            error.close()
            raise DownloadError(f"HTTP {error.code}") from error
        raise DownloadError(f"HTTP {status}")

    def _sent(self, host: str) -> list[bytes]:
        target = peer.target(host)
        until, sent = self._seen.get(target, (0.0, []))
        if until < time.monotonic():
            sent = peer.certificates(*target, self.timeout, loaded_settings())
            remember(self._seen, target, (time.monotonic() + REMEMBERED_FOR, sent), MOST_REMEMBERED)
        return sent

    def _built(self, sent: list[bytes]) -> Built:
        return build(sent, anchors.of_this_machine(), SECONDS, loaded_settings())


def openssl_get_cert_info(cert_der: bytes) -> dict[str, Any]:
    """Describe a certificate (DER): returns "issuer", "subject" and "aia_ca_issuers", a list of URLs.

    Names are written as the openssl command prints them. Raises AIAError if the certificate cannot be read.
    """
    try:
        certificate = Certificate(cert_der)
        return {
            "issuer": as_openssl_prints(certificate.issuer),
            "subject": as_openssl_prints(certificate.subject),
            "aia_ca_issuers": certificate.ca_issuers,
        }
    except DERError as error:
        raise AIAError(f"the certificate cannot be read ({error})") from error


def _trusting(cadata: str, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> ssl.SSLContext:
    """A context like Python's default one, which trusts the root in this PEM text, but not the intermediates."""
    context = ssl.create_default_context(purpose, cadata=cadata)
    # With this flag, which Python sets from 3.13 on, every certificate in the context would be a trust anchor.
    context.verify_flags &= ~PARTIAL_CHAIN
    return context


def _host_of(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
