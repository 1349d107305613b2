"""A CA file, as it was when a context was given it.

Its certificates are found by name when a chain asks for them; nothing but the file itself says what is in it. What is
read once serves all contexts of the process, as long as the file holds the same bytes.
"""

from __future__ import annotations

import os
import stat
from functools import cached_property

from ..der import Certificate, folded, may_hold, words_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .index import Index

LARGEST = 32 << 20  # bytes
MOST_KNOWN = 8  # files of one process


class CAFile:
    """The contents of a large CA file. They are examined when first asked for."""

    def __init__(self, path: str, text: bytes) -> None:
        self.path = path
        self.text = text

    @property
    def is_plain(self) -> bool:
        """Whether OpenSSL surely reads all of it; else only OpenSSL can say what is in it."""
        return self.certificates is not None

    @cached_property
    def certificates(self) -> list[bytes] | None:
        """The certificates (DER), in their order; None where the file is not plain."""
        from . import plain

        try:
            return plain.certificates(self.text)
        except plain.NotPlainError:
            return None

    def is_unchanged(self) -> bool:
        """Whether the file still holds the same bytes."""
        try:
            return _read(self.path)[0] == self.text
        except OSError:
            return False

    def named(self, subject_key: bytes) -> list[bytes]:
        """Those certificates (DER) whose subject has this canonical name: what OpenSSL's look-up could return."""
        words = words_of(subject_key)
        return [
            der
            for der, folded_der in self._folded
            if may_hold(folded_der, words) and Certificate(der).subject_key == subject_key
        ]

    @cached_property
    def _folded(self) -> list[tuple[bytes, bytes]]:
        return [(der, folded(der)) for der in self.certificates or ()]


_known: dict[str, CAFile] = {}


def of(path: str, index: Index) -> CAFile | None:
    """The file as it is now, if a context may do with a part of it; None: OpenSSL is to load it.

    A file that the index has as plain is taken for that, until it is used. Raises OSError.
    """
    text, status = _read(path)
    known = _known.get(path)
    if known is None or known.text != text:
        known = CAFile(path, text)
        if not index.has(status) and known.is_plain:
            index.add(status)
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[path] = known
    was_examined = "certificates" in vars(known)
    return None if was_examined and not known.is_plain else known


def _read(path: str) -> tuple[bytes, os.stat_result]:
    """The contents of a regular file, and its status before. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            raise OSError(f"{path} is no regular file of at most {LARGEST} bytes")
        return file.readall(), status
