"""Connect to TLS servers, and fetch over https, through the proxy that the settings or the environment name."""

from __future__ import annotations

import http.client
import socket
import urllib.request
from urllib.parse import urlsplit

from ..inside.fetch import FetchError, Wire, request_head
from ..inside.proxies import Proxy, proxy_for
from ..inside.settings import Settings
from .target import address

_PORTS = {"http": 80, "https": 443}
_LONGEST_REASON = 80


class NotConnectedError(OSError):
    """The proxy does not connect to the host. The message says what the proxy answers."""


def connect(connection: socket.socket, proxy: Proxy, host: str, port: int, deadline: float) -> None:
    """Ask the proxy, over this connection, to connect to a host (RFC 9110, 9.3.6), by `deadline` (monotonic clock).

    Raises NotConnectedError if the proxy refuses, and another OSError if the connection to the proxy fails.
    """
    place = address(host, port)
    wire = Wire(connection, deadline, 0)
    try:
        wire.sendall(request_head(f"CONNECT {place} HTTP/1.1", {"Host": place, **_credentials(proxy)}))
        with http.client.HTTPResponse(wire, method="CONNECT") as response:  # type: ignore[arg-type]  # as in `fetch`
            response.begin()
    except (FetchError, http.client.HTTPException) as error:
        raise NotConnectedError(f"no answer in HTTP: {str(error)[:_LONGEST_REASON]}") from error
    if not 200 <= response.status < 300:
        raise NotConnectedError(f"it answers {response.status} {response.reason[:_LONGEST_REASON]}")


class ProxyHandler(urllib.request.ProxyHandler):
    """Makes urllib use the proxies of the settings. `proxy` is the last request's proxy (host:port), or None."""

    def __init__(self, settings: Settings) -> None:
        super().__init__({})
        self._settings = settings
        self.proxy: str | None = None

    def http_open(self, request: urllib.request.Request) -> None:
        """Set the proxy of a request. Raises ProxyError if the proxy is unusable, ValueError if the URL is bad."""
        parts = urlsplit(request.full_url)
        port = parts.port or _PORTS[request.type]
        proxy = proxy_for(request.type, parts.hostname or "", port, self._settings.proxy)
        self.proxy = None if proxy is None else str(proxy)
        if proxy is not None:
            # Not sent again after a redirect, which may lead past the proxy.
            for name, value in _credentials(proxy).items():
                request.add_unredirected_header(name, value)
            request.set_proxy(str(proxy), request.type)

    https_open = http_open


def _credentials(proxy: Proxy) -> dict[str, str]:
    return {} if proxy.authorization is None else {"Proxy-Authorization": proxy.authorization}
