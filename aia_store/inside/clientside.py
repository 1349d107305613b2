"""What a server's context that asked for it completes: the chains of its clients.

All is as for a server's chain, but for three things: OpenSSL judges for the purpose of a client (its extended key
usage is clientAuth), so in the rehearsal it plays the server; what was learned of useless replies is not mixed up with
what is known of servers' chains; and the time that all clients together may cost is bounded.

That OpenSSL plays a server takes a certificate and a key for it: those in `nobody.pem`.
"""

from __future__ import annotations

import _ssl
import os

from .allowance import Allowance
from .chain import Chain
from .rehearsal import Rehearsal, handshake_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

SECONDS = 5.0  # to fetch in one handshake; and in all handshakes of a minute
LEAST_SECONDS = 0.25  # that a search counts for, so that there are at most 20 a minute
NOBODY = os.path.join(os.path.dirname(__file__), "nobody.pem")

_EXTENSIONS = (
    b"\x00\x0a\x00\x04\x00\x02\x00\x17"  # supported_groups: secp256r1
    b"\x00\x0b\x00\x02\x01\x00"  # ec_point_formats: uncompressed
    b"\x00\x0d\x00\x04\x00\x02\x04\x03"  # signature_algorithms: ecdsa_secp256r1_sha256, for the server's signature
    b"\xff\x01\x00\x01\x00"  # renegotiation_info
)
_CLIENT_HELLO = handshake_message(
    1,
    b"\x03\x03"
    + bytes(32)  # random
    + b"\x00"  # no session
    + b"\x00\x02\xc0\x2b"  # ECDHE-ECDSA-AES128-GCM-SHA256, for the server's key; the client's may be any
    + b"\x01\x00"  # no compression
    + len(_EXTENSIONS).to_bytes(2, "big")
    + _EXTENSIONS,
)

_allowance = Allowance(SECONDS, LEAST_SECONDS)  # of the process


class ClientRehearsal(Rehearsal):
    """A `Rehearsal` for the chains of clients: OpenSSL plays a server that requires a certificate."""

    _is_server = True
    _hello = _CLIENT_HELLO

    def __init__(self, anchor: bytes, flags: int, security_level: int) -> None:
        super().__init__(anchor, flags, security_level)
        self._context.load_cert_chain(NOBODY)
        self._context.verify_mode = _ssl.CERT_REQUIRED


class ClientChain(Chain):
    """What a client sent, before the anchors of a server's context."""

    rehearsal = ClientRehearsal

    def anchors(self) -> str:
        return f"{super().anchors()} for clients"

    def fetch(self, search: Callable[[float], T], seconds: float) -> T | None:
        return _allowance.use(search)
