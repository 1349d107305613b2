"""Which certificates a host sends, seen over a connection that verifies nothing and carries no data."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from ..check.witness import Witness, seeing_context
from ..manager import tunnel
from ..manager.target import TargetError, address, in_ascii, parse_target
from .aia_errors import AIAError

if TYPE_CHECKING:
    from ..inside.settings import Settings


def target(host: str) -> tuple[str, int]:
    """The host and port in HOST, HOST:PORT, IPV6, [IPV6]:PORT or an https URL; 443 by default. Raises AIAError."""
    try:
        return parse_target(host)
    except TargetError as error:
        raise AIAError(str(error)) from error


def certificates(host: str, port: int, seconds: float, settings: Settings) -> list[bytes]:
    """The certificates that a host sends (DER, unverified), the leaf first; through a proxy if one is named.

    `seconds` is for each step of the connection. Raises OSError, and ssl.SSLError, which is one.
    """
    context = seeing_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    witness = Witness()
    connection = tunnel.to_host(host, port, seconds, settings)
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
