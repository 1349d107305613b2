"""Complete the chains that clients send to a server, if the server's program asked for it.

Three things differ from a server's chain. OpenSSL verifies for the purpose of a client (extended key usage clientAuth).
So it plays the server in the rehearsal (a handshake in memory), with the certificate and key in `nobody.pem`. Useless
replies are noted apart from those for servers' chains. All clients share a time limit, because anybody may connect.
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

SECONDS = 5.0  # for the fetches of one handshake, and of all handshakes in a minute
LEAST_SECONDS = 0.25  # every search counts for at least this, so that there are at most 20 in a minute
PERIOD = 60.0  # seconds until a used-up allowance is full again
NOBODY = os.path.join(os.path.dirname(__file__), "nobody.pem")

_EXTENSIONS = (
    b"\x00\x0a\x00\x06\x00\x04\x00\x17\x00\x18"  # supported_groups: secp256r1, secp384r1
    b"\x00\x0b\x00\x02\x01\x00"  # ec_point_formats: uncompressed
    b"\x00\x0d\x00\x04\x00\x02\x04\x03"  # signature_algorithms: ecdsa_secp256r1_sha256, for the server's signature
    b"\xff\x01\x00\x01\x00"  # renegotiation_info
)


def client_hello(cipher: bytes) -> bytes:
    """The ClientHello of a TLS 1.2 client. The cipher must fit the server's key; the client's may be of any kind."""
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
    """Give an SSL context the certificate and key of `nobody.pem`, and make it require a client's certificate."""
    context.load_cert_chain(NOBODY)
    context.verify_mode = _ssl.CERT_REQUIRED


class Allowance:
    """Limits work to `seconds` in each minute. Each use counts for at least `least` seconds.

    Work that has begun may finish, so uses can overdraw the allowance. At most `seconds` of debt are counted.
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
        self._counting = RLock()  # reentrant, because a signal handler may make a handshake too

    def use(self, work: Callable[[float], T]) -> T | None:
        """Call `work` with the seconds that it may take, and return its result. If no time is left, return None."""
        began = time.monotonic()
        with self._counting:
            self._left = min(self._most, self._left + (began - self._at) * self._most / PERIOD)
            self._at = began
            if self._left <= 0:
                return None
            self._left -= self._least  # before the work, so that many clients cannot begin together
        try:
            return work(self._most)
        finally:
            with self._counting:
                more = max(0.0, time.monotonic() - began - self._least)
                self._left = max(-self._most, self._left - more)


allowance = Allowance(SECONDS, LEAST_SECONDS)  # of the process
