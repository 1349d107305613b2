"""CA files: where OpenSSL looks for the default one, and the contents of a large one as they were at one moment.

What is read once serves all contexts of the process, as long as the file holds the same bytes. Certificates are found
in it by name; nothing but the file itself says what is in it.
"""

from __future__ import annotations

import _ssl
import os
import stat
import sys

from . import plain
from .certificate import Certificate, folded, may_hold, words_of

LARGEST = 32 << 20  # bytes
MOST_KNOWN = 8  # files of one process
_AT_SECURE = 23  # of the auxiliary vector: the program has rights that who started it has not
_WORD = 8  # bytes


class CAFile:
    """The contents of a plain CA file. Raises NotPlainError where only OpenSSL can say what is in it."""

    def __init__(self, path: str, text: bytes) -> None:
        self.path = path
        self.text = text
        self.certificates = plain.certificates(text)  # in DER, in their order
        self._folded: list[bytes] = []

    def named(self, subject_key: bytes) -> list[bytes]:
        """Those certificates (DER) whose subject has this canonical name: what OpenSSL's look-up could return."""
        words = words_of(subject_key)
        if not self._folded:
            self._folded = list(map(folded, self.certificates))
        return [
            der
            for der, folded_der in zip(self.certificates, self._folded, strict=True)
            if may_hold(folded_der, words) and Certificate(der).subject_key == subject_key
        ]

    def is_unchanged(self) -> bool:
        """Whether the file still holds the same bytes."""
        try:
            return _read(self.path) == self.text
        except OSError:
            return False


_known: dict[str, tuple[bytes, CAFile | None]] = {}  # what was read, and what was made of it


def of(path: str) -> CAFile | None:
    """The file as it is now, if a context may do with a part of it; None: OpenSSL is to load it. Raises OSError."""
    text = _read(path)
    known = _known.get(path)
    if known is None or known[0] != text:
        try:
            known = text, CAFile(path, text)
        except plain.NotPlainError:
            known = text, None
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[path] = known
    return known[1]


def default_paths() -> tuple[str, str]:
    """What `set_default_verify_paths` loads from: a file, and a directory or several, as in PATH."""
    file_variable, file, directory_variable, directory = _ssl.get_default_verify_paths()
    return os.environ.get(file_variable, file), os.environ.get(directory_variable, directory)


def default_paths_are_certain() -> bool:
    """Whether OpenSSL surely loads from there: with special rights, it does not believe the environment."""
    file_variable, _, directory_variable, _ = _ssl.get_default_verify_paths()
    if file_variable not in os.environ and directory_variable not in os.environ:
        return True
    return sys.platform.startswith("linux") and not _has_special_rights()


def _has_special_rights() -> bool:
    try:
        with open("/proc/self/auxv", "rb", buffering=0) as file:
            words = file.read()
    except OSError:
        return True
    numbers = [int.from_bytes(words[at : at + _WORD], sys.byteorder) for at in range(0, len(words), _WORD)]
    return dict(zip(numbers[::2], numbers[1::2], strict=False)).get(_AT_SECURE) != 0


def _read(path: str) -> bytes:
    """The contents of a regular file. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            raise OSError(f"{path} is no regular file of at most {LARGEST} bytes")
        return file.readall()
