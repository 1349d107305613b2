"""Which host is meant, as people write it."""

from __future__ import annotations

HTTPS = 443


class TargetError(Exception):
    """What was named is no host; the message is one line that says what is."""


def address(host: str, port: int) -> str:
    """Host and port as one writes them, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_target(target: str) -> tuple[str, int]:
    """Host and port of HOST, HOST:PORT, IPV6, [IPV6]:PORT or an https URL. Raises TargetError."""
    from urllib.parse import urlsplit

    if target.count(":") > 1 and "[" not in target and "://" not in target:
        target = f"[{target}]"
    try:
        parts = urlsplit(target if "://" in target else f"https://{target}")
        host, port, scheme = parts.hostname, parts.port, parts.scheme
    except ValueError:
        host, port, scheme = None, None, ""
    if not host or not host.isprintable() or " " in host or port == 0 or scheme != "https":
        raise TargetError(f"{target!r} is no host; write HOST, HOST:PORT or an https URL")
    return host, port or HTTPS
