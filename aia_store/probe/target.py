"""What is to be asked: a host and a port, as people write them, and how it is to be reached."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

HTTPS = 443


class TargetError(Exception):
    """What was named is no host; the message is one line that says what is."""


class Target(NamedTuple):
    """One host to ask."""

    host: str
    port: int
    servername: str | None = None  # asked for, and verified, instead of the host
    connect: tuple[str, int] | None = None  # where it is reached, instead of at the host and its port
    starttls: str | None = None  # the protocol in which TLS is asked for; None: TLS from the first byte

    @property
    def address(self) -> str:
        """Host and port as one writes them."""
        return address(self.host, self.port)

    @property
    def name(self) -> str:
        """What the certificate must be good for."""
        return self.servername or self.host

    @property
    def place(self) -> tuple[str, int]:
        """Where it is reached."""
        return self.connect or (self.host, self.port)


def address(host: str, port: int) -> str:
    """Host and port as one writes them, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_target(target: str, port: int = HTTPS) -> tuple[str, int]:
    """Host and port of HOST, HOST:PORT, [IPV6]:PORT or an https URL; `port` where none is named. Raises TargetError."""
    try:
        parts = urlsplit(target if "://" in target else f"https://{target}")
        host, named, scheme = parts.hostname, parts.port, parts.scheme
    except ValueError:
        host, named, scheme = None, None, ""
    if not host or not _is_host(host) or named == 0 or scheme != "https":
        raise TargetError(f"{target!r} is no host; write HOST, HOST:PORT or an https URL")
    return host, named or port


def in_ascii(host: str) -> str:
    """A host as DNS and TLS have it: an address as it is, a name in A-labels. Raises UnicodeError."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.encode("idna").decode("ascii")
    return host


def _is_host(host: str) -> bool:
    try:
        in_ascii(host)
    except UnicodeError:
        return False
    return host.isprintable() and not set(" \\\"'<>`{}|^") & set(host)
