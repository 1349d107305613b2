"""Which certificates a host sends, seen over a connection that verifies nothing and carries no data."""

from __future__ import annotations

import ssl

from ..check.asked import Target
from ..check.connection import look
from ..check.witness import seeing_context
from ..inside.settings import Settings
from ..manager.target import TargetError, address, parse_target
from .aia_errors import AIAError


def target(host: str) -> tuple[str, int]:
    """The host and port in HOST, HOST:PORT, IPV6, [IPV6]:PORT or an https URL; 443 by default. Raises AIAError."""
    try:
        return parse_target(host)
    except TargetError as error:
        raise AIAError(str(error)) from error


def certificates(host: str, port: int, seconds: float, settings: Settings) -> list[bytes]:
    """The certificates that a host sends (DER, unverified), the leaf first; through a proxy if one is named.

    `seconds` is for each step of the connection. Raises OSError, including ssl.SSLError.
    """
    sent = look(Target(host, port), seeing_context(), settings, seconds).certificates
    if not sent:
        raise ssl.SSLError(f"{address(host, port)} sent no certificate that can be read")
    return sent
