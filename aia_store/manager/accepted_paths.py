"""Which certification paths OpenSSL accepted before, so that a refresh, preload or export verifies only new paths.

The file `verified` in a store folder holds SHA-256 digests. The first is the digest of the terms: the trust anchors,
the security level, and the versions of OpenSSL and of this package. Each of the others is the digest of a path. If the
terms have changed, the file is ignored. Dates and revocation are checked each time. No handshake reads the file.
"""

from __future__ import annotations

import _ssl
import contextlib
import hashlib
import os
from collections.abc import Iterable

from ..inside.certificate import Certificate
from ..inside.store import VERIFIED, Folder, read_regular_file
from ..version import __version__
from .fitness import SECURITY_LEVEL

MOST_PATHS = 50_000
_SIZE = 32  # bytes of a digest


class Verified:
    """The paths to these trust anchors that OpenSSL accepted. If there is a folder, a file in it keeps them."""

    def __init__(self, folder: Folder | None, anchors: Iterable[Certificate]) -> None:
        self._folder = folder
        self._terms = terms(anchors)
        self._before = self._read()
        self._used: set[bytes] = set()

    def holds(self, path: Iterable[Certificate], *, strict: bool = False) -> bool:
        """Whether OpenSSL accepted exactly this path before, with X509_V_FLAG_X509_STRICT if `strict`."""
        digest = _of(path, strict=strict)
        is_known = digest in self._before or digest in self._used
        if is_known:
            self._used.add(digest)
        return is_known

    def add(self, path: Iterable[Certificate], *, strict: bool = False) -> None:
        """Note that OpenSSL accepted this path; if `strict`, with and without X509_V_FLAG_X509_STRICT."""
        self._used |= {_of(path, strict=flag) for flag in {False, strict}}

    def save(self) -> None:
        """Write the digests of the paths to the file. If writing fails, the next process verifies the paths again."""
        known = self._before | self._used
        if self._folder is None or known == self._before:
            return
        kept = known if len(known) <= MOST_PATHS else self._used
        with contextlib.suppress(OSError):
            self._folder.write(b"".join([self._terms, *sorted(kept)]), VERIFIED)

    def _read(self) -> set[bytes]:
        content = b""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                content = read_regular_file(os.path.join(self._folder.path, VERIFIED), (MOST_PATHS + 1) * _SIZE)
        starts = range(_SIZE, len(content), _SIZE) if content.startswith(self._terms) else ()
        return {content[at : at + _SIZE] for at in starts}


def terms(anchors: Iterable[Certificate]) -> bytes:
    """A digest of the terms that all verdicts depend on: the trust anchors, the security level, and the versions."""
    fingerprints = sorted(anchor.fingerprint for anchor in anchors)
    return _digest([__version__, _ssl.OPENSSL_VERSION, str(SECURITY_LEVEL), *fingerprints])


def _of(path: Iterable[Certificate], *, strict: bool) -> bytes:
    return _digest([*(certificate.fingerprint for certificate in path), *(["strict"] if strict else [])])


def _digest(words: Iterable[str]) -> bytes:
    return hashlib.sha256("\n".join(words).encode()).digest()
