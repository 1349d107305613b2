"""Which certificates a host sends, seen over a connection that verifies nothing and carries no data."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ..inside import certificate
from ..manager.target import TargetError, address, parse_target
from .aia_errors import AIAError


def target(host: str) -> tuple[str, int]:
    """The host and port in HOST, HOST:PORT, IPV6, [IPV6]:PORT or an https URL; 443 by default. Raises AIAError."""
    try:
        return parse_target(host)
    except TargetError as error:
        raise AIAError(str(error)) from error


def certificates(host: str, port: int, seconds: float) -> list[bytes]:
    """The certificates that a host sends (DER, unverified), the leaf first; through a proxy if urllib would use one.

    `seconds` is for each step of the connection. Raises OSError, and ssl.SSLError, which is one.
    """
    context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    sent: list[bytes] = []

    def see(_: object, direction: str, version: int, __: object, kind: int, data: bytes) -> None:
        if direction == "read" and kind in (certificate.CERTIFICATE, certificate.COMPRESSED_CERTIFICATE) and not sent:
            with contextlib.suppress(certificate.MessageError):
                sent.extend(certificate.sent_in(data, version))

    context._msg_callback = see
    connection = _connection(host, port, seconds, context)
    try:
        connection.connect()
    except OSError:
        if not sent:  # otherwise we have what we need, even if it asks for a certificate or shares no cipher with us
            raise
    finally:
        connection.close()
    if not sent:
        raise ssl.SSLError(f"{address(host, port)} sent no certificate that can be read")
    return sent


def _connection(host: str, port: int, seconds: float, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    proxy = getproxies().get("https")
    if not proxy or proxy_bypass(address(host, port)):
        return http.client.HTTPSConnection(host, port, timeout=seconds, context=context)
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=seconds, context=context)
    connection.set_tunnel(host, port, _credentials(parts.username, parts.password))
    return connection


def _credentials(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    import base64

    pair = f"{unquote(user)}:{unquote(password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}
