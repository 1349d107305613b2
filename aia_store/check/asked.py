"""What to check: a host and a port, and how to connect to it; or a file that a server is to use."""

from __future__ import annotations

from typing import NamedTuple

from ..manager.target import address


class Target(NamedTuple):
    """One host to check."""

    host: str
    port: int
    servername: str | None = None  # the name to send (SNI) and to verify, instead of the host's
    connect: tuple[str, int] | None = None  # where to connect to, instead of the host and its port
    starttls: str | None = None  # the protocol for STARTTLS; None for TLS from the first byte

    @property
    def address(self) -> str:
        """Host and port in the usual form."""
        return address(self.host, self.port)

    @property
    def name(self) -> str:
        """The name that the certificate must be valid for, without a final dot, which only DNS uses."""
        return (self.servername or self.host).removesuffix(".")

    @property
    def place(self) -> tuple[str, int]:
        """Where to connect to."""
        return self.connect or (self.host, self.port)


class FileTarget(NamedTuple):
    """One file to check: the certificate of a server, and what the server is to send with it."""

    path: str
    servername: str | None = None  # the name to verify, instead of the certificate's own
    own_name: str = ""  # the first name of the certificate that can be a host's

    @property
    def address(self) -> str:
        """The path, which is shown in place of a host's address."""
        return self.path

    @property
    def name(self) -> str:
        """The name that the certificate must be valid for; a certificate without names is valid for none."""
        return self.servername or self.own_name or "nameless.invalid"
