"""Parse a host, as users write it."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

HTTPS = 443


class TargetError(Exception):
    """The text names no host. The message, one line, says how to write a host."""


def address(host: str, port: int) -> str:
    """Host and port as HOST:PORT, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_target(target: str, port: int = HTTPS) -> tuple[str, int]:
    """The host and port in HOST, HOST:PORT, IPV6, [IPV6]:PORT or an https URL. Raises TargetError."""
    if target.count(":") > 1 and "[" not in target and "://" not in target:
        target = f"[{target}]"
    try:
        parts = urlsplit(target if "://" in target else f"https://{target}")
        host, named, scheme = parts.hostname, parts.port, parts.scheme
    except ValueError:
        host, named, scheme = None, None, ""
    if not host or not is_host(host) or named == 0 or scheme != "https":
        raise TargetError(f"{target!r} is not a host; write HOST, HOST:PORT or an https URL")
    return host, named or port


def in_ascii(host: str) -> str:
    """The form of a host for DNS and TLS: an IP address unchanged, a name in A-labels. Raises UnicodeError."""
    return host if is_address(host) else host.encode("idna").decode("ascii")


def is_address(host: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_host(host: str) -> bool:
    """Whether a text is a host name or an IP address."""
    if ":" in host and not is_address(host):  # Python 3.10's urlsplit accepts anything in brackets
        return False
    try:
        in_ascii(host)
    except UnicodeError:
        return False
    return host.isprintable() and not set(" \\\"'<>`{}|^") & set(host)
