"""Private keys for the test PKI."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

if TYPE_CHECKING:
    from typing import TypeAlias

PrivateKey: TypeAlias = (
    "ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey"
)
KeyKind = Literal["ec", "rsa", "ed25519"]

RSA_POOL = 12

_lock = threading.Lock()


def _pool() -> Iterator[rsa.RSAPrivateKey]:
    made = []
    for _ in range(RSA_POOL):
        made.append(rsa.generate_private_key(65537, 2048))
        yield made[-1]
    yield from itertools.cycle(made)


_rsa_keys = _pool()


def private_key(kind: KeyKind | PrivateKey = "ec") -> PrivateKey:
    """A key of this kind; a given key is returned unchanged.

    EC (P-256) and Ed25519 keys are new each time. RSA keys (2048 bits) are slow to make, so the process makes
    RSA_POOL of them and then deals the same ones out again, in turn.
    """
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "rsa":
        with _lock:
            return next(_rsa_keys)
    return kind
