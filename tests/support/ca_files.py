"""CA files that are large enough to be loaded on demand, however few certificates are in them."""

from __future__ import annotations

import _ssl
import ssl
from pathlib import Path
from typing import Any

from .pki import Certified, pem

SIZE = 20_000  # bytes, and more
_COMMENT = b"# what stands between the blocks is nobody's business\n"


def large_ca_file(path: Path, *certificates: Certified, extra: bytes = b"") -> Path:
    """Write these certificates and other text to a file of some size; returns its path."""
    return large_file(path, pem(*certificates).encode("ascii") + extra)


def large_file(path: Path, content: bytes) -> Path:
    """Write this content, and comments before it; returns the path."""
    path.write_bytes(_COMMENT * (SIZE // len(_COMMENT) + 1) + content)
    return path


def loaded(context: ssl.SSLContext) -> int:
    """How many certificates OpenSSL has in a context, whatever it shows."""
    bare: Any = _ssl._SSLContext
    return int(bare.cert_store_stats(context)["x509"])


def loaded_ders(context: ssl.SSLContext) -> set[bytes]:
    """Which CA certificates OpenSSL has in a context, whatever it shows."""
    bare: Any = _ssl._SSLContext
    return set(bare.get_ca_certs(context, True))


def hides_some(context: ssl.SSLContext) -> bool:
    """Whether OpenSSL has certificates in a context that it does not show: those that are no CA's."""
    return len(loaded_ders(context)) < loaded(context)
