"""Connections over https and to TLS servers that go through the proxy that the settings or the environment name."""

from __future__ import annotations

import http.client
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..inside.proxies import Proxy, proxy_for

if TYPE_CHECKING:
    from ..inside.settings import Settings

_PORTS = {"http": 80, "https": 443}


def to_host(host: str, port: int, seconds: float, settings: Settings) -> http.client.HTTPConnection:
    """What connects to a TLS server, by CONNECT where there is a proxy (RFC 9110, 9.3.6); its `sock` is without TLS.

    Nothing is connected before `connect()`, which raises OSError, also where the proxy refuses; `seconds` is for each
    of its steps. Raises ProxyError, which is an OSError, too.
    """
    proxy = proxy_for("https", host, port, settings.proxy)
    if proxy is None:
        return http.client.HTTPConnection(host, port, timeout=seconds)
    connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=seconds)
    connection.set_tunnel(host, port, _credentials(proxy))
    return connection


class ProxyHandler(urllib.request.ProxyHandler):
    """Sends the requests of urllib through our proxies. `proxy` is that of the last request."""

    def __init__(self, settings: Settings) -> None:
        super().__init__({})
        self._settings = settings
        self.proxy: Proxy | None = None

    def http_open(self, request: urllib.request.Request) -> None:
        """Set the proxy of a request, for the handlers that follow. Raises ProxyError, and ValueError for a bad URL."""
        parts = urlsplit(request.full_url)
        port = parts.port or _PORTS[request.type]
        self.proxy = proxy = proxy_for(request.type, parts.hostname or "", port, self._settings.proxy)
        if proxy is not None:
            # Not sent again after a redirect, which may lead past the proxy.
            for name, value in _credentials(proxy).items():
                request.add_unredirected_header(name, value)
            request.set_proxy(str(proxy), request.type)

    https_open = http_open


def _credentials(proxy: Proxy) -> dict[str, str]:
    return {} if proxy.authorization is None else {"Proxy-Authorization": proxy.authorization}
