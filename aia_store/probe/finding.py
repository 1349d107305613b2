"""What was seen of one host."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..der import to_pem
from .target import address

if TYPE_CHECKING:
    from ..der import Certificate
    from ..handshake.chain import Chain
    from ..handshake.completion import Path


class Finding(NamedTuple):
    """What was seen of one host."""

    host: str
    port: int
    chain: Chain
    refusal: str | None  # why plain OpenSSL refuses what was sent, in its words; None: it accepts
    path: Path | None  # the path to a trust anchor, where one was found
    stored: set[Certificate]  # what the store knew of it
    learned: list[Certificate]  # what was not in the store before
    missing: list[Certificate]  # what of the path the server should send and does not
    completed_refusal: str | None  # what OpenSSL still says when the missing ones are there; None: it accepts
    failed: dict[str, str]  # URLs that could not be fetched, and why
    revoked: dict[Certificate, str]  # intermediates that were passed over because they are revoked, and why

    @property
    def address(self) -> str:
        """Host and port as one writes them."""
        return address(self.host, self.port)

    @property
    def hangs_on_revoked(self) -> bool:
        """Whether there is no path but over an intermediate that is revoked, which plain OpenSSL does not know."""
        return self.path is None and bool(self.revoked)

    @property
    def fullchain(self) -> str:
        """What the server's owner should install: the leaf and all intermediates, as PEM."""
        certificates = self.path.certificates[:-1] if self.path else [self.chain.leaf]
        return "".join(to_pem(certificate.der) for certificate in certificates)
