"""CA files whose loading may be deferred, because they are plain.

A file is plain if all its PEM blocks are certificates that every version of OpenSSL loads. The roots of the public root
programmes are known to load: `anchors.bin` has a digest of each, so most blocks need hashing only. Other blocks are
examined (`plain`). A file that was read once serves all contexts of the process, as long as its bytes stay the same.
"""

from __future__ import annotations

import os
import stat
from _struct import unpack_from
from binascii import a2b_base64

from . import cached_property, importing, remember
from .certificate import Certificates, hash_function, subject_hash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST = 32 << 20
MOST_KNOWN = 8  # files of one process

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----"
_ANY_BEGIN, _ANY_END = b"-----BEGIN ", b"-----END "
_END_LINE = _END + b"\n"
_END_AND_BEGIN = _END_LINE + _BEGIN

ANCHORS = os.path.join(os.path.dirname(__file__), "anchors.bin")
#: A row holds the first bytes of the SHA-256 of a block's lines between BEGIN and END, and the hash of the subject's
#: name (`subject_hash`). Rows are sorted. The file begins with 16-bit offsets: where the rows for each first byte, 0 to
#: 255, begin, and where the last row ends. `packaging/anchors/make.py` writes the file.
DIGEST_SIZE, NAME_SIZE = 16, 4
STARTS = ">257H"


class NotPlainError(ValueError):
    """A CA file contains something that only OpenSSL can interpret."""


class CAFile:
    """The certificates of a CA file, found by name. Raises NotPlainError if an OpenSSL may not load them all."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._blocks: list[slice] = []  # where the base64 lines of each block are, by its place
        self._anchors: dict[bytes, list[int]] = {}  # the places of known anchors, by the hash of their names
        self._places: dict[bytes, int] = {}  # the places of the other certificates (DER)
        begin = text.find(_BEGIN)
        _demand(
            begin >= 0
            and b"\0" not in text  # OpenSSL reads lines as C does: it stops at a line that begins with NUL
            and _ANY_BEGIN not in text[:begin]
            and text[begin - 1 : begin] in (b"", b"\n")
        )
        contents, name_of = memoryview(text), anchor_names()
        while begin >= 0:
            end = text.find(_ANY_END, begin)
            block = slice(begin + len(_BEGIN), end)
            lines = contents[block]
            begin = end + len(_END_LINE) if text.startswith(_END_AND_BEGIN, end) else _next_block(text, end)
            name = name_of(lines)
            if name is not None:
                self._anchors.setdefault(name, []).append(len(self._blocks))
            else:
                self._places.setdefault(_plain(bytes(lines)), len(self._blocks))
            self._blocks.append(block)
        self._others = Certificates(self._places)

    @cached_property
    def ders(self) -> tuple[bytes, ...]:
        """All certificates (DER), in the order of the file."""
        return tuple(a2b_base64(self._text[block]) for block in self._blocks)

    def named(self, subject_key: bytes) -> list[bytes]:
        """The certificates (DER) whose subject may have this canonical name, in the order of the file."""
        others = [(self._places[der], der) for der in self._others.named(subject_key)]
        anchors = self._anchors.get(bytes.fromhex(subject_hash(subject_key)), ())
        found = [(place, a2b_base64(self._text[self._blocks[place]])) for place in anchors]
        return [der for _, der in sorted(others + found)]


_known: dict[str, tuple[bytes, CAFile | None]] = {}  # by path: the bytes that were read, and the result


def of(path: str) -> CAFile | None:
    """Read a CA file; None if OpenSSL must load it at once. Raises OSError if the file cannot be read."""
    text = _read(path)
    known = _known.get(path)
    if known is None or known[0] != text:
        try:
            known = text, CAFile(text)
        except NotPlainError:
            known = text, None
        remember(_known, path, known, MOST_KNOWN)
    return known[1]


def _read(path: str) -> bytes:
    """The contents of a file. Raises OSError if it cannot be read, is not a regular file, or is too large."""
    with open(path, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            raise OSError(f"{path} is not a regular file of at most {LARGEST} bytes")
        return file.readall()


def _next_block(text: bytes, end: int) -> int:
    """The offset of the next BEGIN line after the END line at `end`, or -1. Raises NotPlainError on unusual lines."""
    begin = text.find(_BEGIN, end)
    _demand(text.startswith(_END, end))
    after = text[end + len(_END) : begin if begin >= 0 else None]
    _demand(
        ((after[:1] == b"\n" == after[-1:]) or (begin < 0 and after[:1] in (b"", b"\n")))
        and _ANY_BEGIN not in after
        and _ANY_END not in after
    )
    return begin


def anchor_names() -> Callable[[memoryview], bytes | None]:
    """Return a function that takes the base64 lines of a PEM block.

    If the block is a known root, the function returns the hash of the root's name (`subject_hash`), else None.
    """
    table = _read(ANCHORS)
    starts = unpack_from(STARTS, table)
    sha256 = hash_function("sha256")

    def name_of(lines: memoryview) -> bytes | None:
        digest = sha256(lines).digest()
        first = digest[0]
        at = table.find(digest[:DIGEST_SIZE], starts[first], starts[first + 1])
        return None if at < 0 else table[at + DIGEST_SIZE : at + DIGEST_SIZE + NAME_SIZE]

    return name_of


def _plain(lines: bytes) -> bytes:
    with importing:
        from . import plain

    try:
        return plain.certificate(lines)
    except ValueError as error:
        raise NotPlainError(str(error)) from error


def _demand(is_so: bool) -> None:
    if not is_so:
        raise NotPlainError("a CA file with something unusual in it")
