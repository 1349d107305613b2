"""Fetch a list or a report over https, verified with this machine's trust anchors."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import urllib.error
import urllib.request
from typing import Any

from ..inside.certificate import to_cadata
from ..inside.fetch import NO_ROUTE, FetchError, done_by, has_network
from ..inside.proxies import ProxyError
from ..inside.settings import Settings
from . import roots
from .tunnel import ProxyHandler


class TooLargeError(FetchError):
    """A reply is larger than it may be."""


def get(url: str, settings: Settings, deadline: float, most: int) -> bytes:
    """Return the body behind an https URL, at most `most` bytes, by `deadline` (monotonic clock). Raises FetchError."""
    return done_by(deadline, lambda: _body(url, settings, deadline, most))


def context(settings: Settings) -> ssl.SSLContext:
    """An SSL context that trusts this machine's trust anchors only. Raises RootsError."""
    anchors = roots.load(roots.source(settings))
    return ssl.create_default_context(cadata=to_cadata(anchor.der for anchor in anchors))


def body(response: http.client.HTTPResponse, most: int, deadline: float) -> bytes:
    """The body, at most `most` bytes, by `deadline` (monotonic clock). Raises FetchError, OSError, HTTPException."""
    pieces, size = [], 0
    while piece := response.read1(65_536):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise TooLargeError("a reply that is too large")
        if time.monotonic() > deadline:
            raise FetchError("timed out")
    if response.length:  # less came than Content-Length said
        raise FetchError("a reply that is cut short")
    return b"".join(pieces)


def _body(url: str, settings: Settings, deadline: float, most: int) -> bytes:
    proxies = ProxyHandler(settings)
    try:
        handler = urllib.request.HTTPSHandler(context=context(settings))
        opener = urllib.request.build_opener(proxies, handler, _OnlyToHTTPS)
        request = urllib.request.Request(url, headers={"User-Agent": "aia-store"})
        with opener.open(request, timeout=max(0.1, deadline - time.monotonic())) as response:
            return body(response, most, deadline)
    except urllib.error.HTTPError as error:
        raise FetchError(f"status {error.code}", proxy=proxies.proxy) from error
    except urllib.error.URLError as error:
        raise _unreachable(error.reason, proxies.proxy) from error
    except ProxyError as error:
        raise FetchError(str(error), is_ours=True) from error
    except (OSError, ValueError, http.client.HTTPException, roots.RootsError) as error:
        raise FetchError(str(error) or type(error).__name__, proxy=proxies.proxy) from error


def _unreachable(reason: str | BaseException, proxy: str | None) -> FetchError:
    """The error for a connection that failed. If there is a proxy (host:port), the reason may be its answer."""
    if proxy is None:
        return FetchError(str(reason), is_ours=not has_network())
    is_dead = isinstance(reason, (ConnectionRefusedError, socket.gaierror)) or getattr(reason, "errno", 0) in NO_ROUTE
    if not is_dead:
        return FetchError(f"{reason}, through the proxy {proxy}", proxy=proxy)
    said = f"the proxy {proxy} cannot be reached ({reason})"
    # A proxy on this machine's own network needs no default route.
    is_ours = not isinstance(reason, ConnectionRefusedError) and not has_network()
    return FetchError(said, proxy=proxy, is_proxy_dead=True, is_ours=is_ours)


class _OnlyToHTTPS(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.startswith("https://"):
            raise FetchError("a redirect that leaves https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
