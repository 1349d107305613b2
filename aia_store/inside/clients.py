"""What a server's context that asked for it completes: the chains of its clients.

All is as for a server's chain, but for three things: OpenSSL judges for the purpose of a client (its extended key
usage is clientAuth), so in the rehearsal it plays the server; what was learned of useless replies is not mixed up with
what is known of servers' chains; and the time that all clients together may cost is bounded: whoever can connect may
try.

That OpenSSL plays a server takes a certificate and a key for it: those in `nobody.pem`.
"""

from __future__ import annotations

import _ssl
import os
import time
from _thread import RLock

from .certificate import handshake_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    T = TypeVar("T")

SECONDS = 5.0  # to fetch in one handshake; and in all handshakes of a minute
LEAST_SECONDS = 0.25  # that a search counts for, so that there are at most 20 a minute
PERIOD = 60.0  # seconds in which a spent allowance comes back
NOBODY = os.path.join(os.path.dirname(__file__), "nobody.pem")

_EXTENSIONS = (
    b"\x00\x0a\x00\x06\x00\x04\x00\x17\x00\x18"  # supported_groups: secp256r1, secp384r1
    b"\x00\x0b\x00\x02\x01\x00"  # ec_point_formats: uncompressed
    b"\x00\x0d\x00\x04\x00\x02\x04\x03"  # signature_algorithms: ecdsa_secp256r1_sha256, for the server's signature
    b"\xff\x01\x00\x01\x00"  # renegotiation_info
)


def client_hello(cipher: bytes) -> bytes:
    """What a client of TLS 1.2 says first. The cipher suits the server's key; the client's may be any."""
    return handshake_message(
        1,
        b"\x03\x03"
        + bytes(32)  # random
        + b"\x00"  # no session
        + b"\x00\x02"
        + cipher
        + b"\x01\x00"  # no compression
        + len(_EXTENSIONS).to_bytes(2, "big")
        + _EXTENSIONS,
    )


def prepare_server(context: Any) -> None:
    """Have a context of ours play a server that requires a certificate."""
    context.load_cert_chain(NOBODY)
    context.verify_mode = _ssl.CERT_REQUIRED


class Allowance:
    """So many seconds a minute, for what takes time or is to be rare; each use counts for at least `least`.

    A use that has begun may end, so the last ones can overdraw it. That counts too, up to as much again.
    """

    def __init__(self, seconds: float, least: float) -> None:
        self._most = seconds
        self._least = least
        self._left = seconds
        self._at = time.monotonic()
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._counting = RLock()  # reentrant, because a signal handler may shake hands too

    def use(self, work: Callable[[float], T]) -> T | None:
        """What the work returns, which is told how many seconds it may take; None where nothing is left."""
        began = time.monotonic()
        with self._counting:
            self._left = min(self._most, self._left + (began - self._at) * self._most / PERIOD)
            self._at = began
            if self._left <= 0:
                return None
            self._left -= self._least  # now, or a crowd that comes at once would be let in whole
        try:
            return work(self._most)
        finally:
            with self._counting:
                more = max(0.0, time.monotonic() - began - self._least)
                self._left = max(-self._most, self._left - more)


allowance = Allowance(SECONDS, LEAST_SECONDS)  # of the process
