"""What is to be asked: a host and a port, and how it is to be reached."""

from __future__ import annotations

from typing import NamedTuple

from ..manager.target import address


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
