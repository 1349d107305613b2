"""Which certificates a host sends, seen over a connection that verifies nothing and carries no data."""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ..check.witness import Witness, seeing_context
from ..manager.target import HTTPS, TargetError, address, in_ascii, parse_target
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
    context = seeing_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    witness = Witness()
    connection = _connection(host, port, seconds)
    try:
        connection.connect()
        witness.shake_hands(context, connection.sock, in_ascii(host))
    except OSError:
        if not witness.sent:  # otherwise we have what we need, even if it wants a certificate or shares no cipher
            raise
    finally:
        connection.close()
    if not witness.sent:
        raise ssl.SSLError(f"{address(host, port)} sent no certificate that can be read")
    return witness.sent


def _connection(host: str, port: int, seconds: float) -> http.client.HTTPConnection:
    """What connects to a host, without TLS: through a proxy where urllib would use one."""
    proxy = getproxies().get("https")
    if not proxy or proxy_bypass(address(host, port)):
        return http.client.HTTPConnection(host, port, timeout=seconds)
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or HTTPS, timeout=seconds)
    connection.set_tunnel(host, port, _credentials(parts.username, parts.password))
    return connection


def _credentials(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    import base64

    pair = f"{unquote(user)}:{unquote(password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}
