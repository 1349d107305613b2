"""Trust on demand: what a context was given in large CA files, and has not loaded yet.

OpenSSL parses a whole CA file for every context, and a handshake uses one certificate of it. Here they stay in memory
until a chain names them. OpenSSL looks for trusted certificates by name only, those of the issuers it still needs and
those of what the server sent; so with everything of those names loaded, it finds what it would have found.
"""

from __future__ import annotations

import _ssl
import os

from . import cafile
from .certificate import Certificate, DERError, to_pem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .cafile import CAFile

    PathLike = str | bytes | os.PathLike[str] | os.PathLike[bytes]

MOST_NAMES = 1_024  # that are remembered as loaded

_context: Any = _ssl._SSLContext


class OnDemand:
    """The CA files of one context of which only a part is loaded."""

    def __init__(self) -> None:
        self.files: list[CAFile] = []
        self._default: tuple[CAFile, tuple[str, str]] | None = None  # that of `set_default_verify_paths`
        self._loaded: set[bytes] = set()  # canonical names of which all certificates are loaded

    def __bool__(self) -> bool:
        return bool(self.files)

    def add(self, file: CAFile, instead_of: tuple[str, str] | None = None) -> None:
        """Have this file loaded on demand; it was put off instead of all that those default paths name."""
        self._loaded.clear()
        self.files.append(file)
        if instead_of is not None:
            self._default = file, instead_of

    def certificates(self) -> Iterator[bytes]:
        """All certificates (DER) of the files, loaded or not."""
        for file in self.files:
            yield from file.certificates

    def load_for(self, context: _ssl._SSLContext, chain: Iterable[bytes]) -> None:
        """Load what OpenSSL could look for when it verifies this chain (DER)."""
        try:
            certificates = [Certificate(der) for der in chain]
            names = [name for found in certificates for name in (found.subject_key, found.issuer_key)]
        except DERError:
            self.load_all(context)  # OpenSSL may read what we cannot
            return
        for name in names:  # which grows meanwhile
            names += (Certificate(der).issuer_key for der in self.load_named(context, name))

    def load_named(self, context: _ssl._SSLContext, name: bytes) -> list[bytes]:
        """Load the certificates with this canonical name; returns those (DER) that were not loaded by their name."""
        if not self.files or name in self._loaded:
            return []
        found = [der for file in self.files for der in file.named(name)]
        if found:
            _context.load_verify_locations(context, cadata="".join(map(to_pem, found)))
        if len(self._loaded) >= MOST_NAMES:
            self._loaded.clear()
        self._loaded.add(name)
        return found

    def load_all(self, context: _ssl._SSLContext) -> None:
        """Load all that is left, as if nothing had been put off."""
        for file in self.files:
            if self._default == (file, cafile.default_paths()) and file.is_unchanged():
                # OpenSSL takes more from a default directory than from any other: what its store loader finds.
                _context.set_default_verify_paths(context)
            else:
                _context.load_verify_locations(context, cadata="".join(map(to_pem, file.certificates)))
        self.files = []  # last, as another thread may look meanwhile


def put_off(context: _ssl._SSLContext, path: PathLike) -> CAFile | None:
    """The CA file that this context may load on demand; None: OpenSSL is to load it now. Raises anything.

    Never where a server can be made of the context: its clients' chains are not seen.
    """
    if _context.protocol.__get__(context) != _ssl.PROTOCOL_TLS_CLIENT:
        return None
    from . import settings as config

    settings = config.load()
    if settings.disable or not settings.trust_on_demand:
        return None
    return cafile.of(os.fsdecode(path))
