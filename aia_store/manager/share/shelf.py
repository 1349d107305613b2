"""A shelf: a folder in an object store, on a web server or on a file system, where machines share intermediates.

It has three verbs: `names`, `get` and `put`. There is no lock and no removal. Everything that a shelf says may be a
lie: every answer is bounded in size, and the callers verify what they get.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, NamedTuple

from ...inside.store import is_digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

IN, OUT = "in", "out"
MANIFEST = f"{OUT}/manifest"
MOST_NAMES = 10_000  # of a folder, that are looked at in one round
_EXTENSION, _PACK_EXTENSION = ".der", ".pack"


class ShareError(Exception):
    """Nothing can be shared now. The message is one line that says why and what to do."""


class ShelfError(ShareError):
    """A shelf cannot be used. The message names it."""


class AbsentError(ShelfError):
    """There is no such file on the shelf."""


class UnfitFileError(ShelfError):
    """A file on the shelf is larger than was allowed, or is no regular file."""


class DeniedError(ShelfError):
    """This machine may not do that: because of its credentials, or because of the file's own rights."""


class Found(NamedTuple):
    """The content of a file, and a mark by which the same content is recognized later."""

    content: bytes
    mark: str


if TYPE_CHECKING:

    class Shelf(Protocol):
        """The three verbs. Each raises ShelfError; names are paths below the shelf's URL."""

        @property
        def is_read_only(self) -> bool: ...

        def get(self, name: str, most: int, mark: str = "") -> Found | None:
            """Read a file of at most `most` bytes; None if its content still has this mark."""

        def put(self, name: str, content: bytes) -> None:
            """Write a file as a whole."""

        def names(self, folder: str, most: int, after: str = "") -> list[str]:
            """The names in a folder that come after the given one in the order of their bytes, at most so many.

            They may be any names, and in any order.
            """


def without_secrets(url: str) -> str:
    """A URL without user, password, query and fragment, for messages."""
    return re.sub(r"(?<=://)[^/@]*@", "", re.split(r"[?#]", url, maxsplit=1)[0])


def file_of(folder: str, digest: str) -> str:
    """The name of a certificate in IN or OUT, from its SHA-256."""
    return f"{folder}/{digest}{_EXTENSION}"


def pack_of(digest: str) -> str:
    """The name of a pack, from its SHA-256."""
    return f"{OUT}/{digest}{_PACK_EXTENSION}"


def listed(shelf: Shelf, folder: str) -> list[str]:
    """The names in a folder; of very many, those after a random place, each time another.

    So names that somebody adds cannot keep others from being looked at.
    """
    found = shelf.names(folder, MOST_NAMES)
    if len(found) >= MOST_NAMES:
        start = f"{random.getrandbits(256):064x}"
        found = shelf.names(folder, MOST_NAMES, start) or found
    return found


def certificates_in(names: Iterable[str]) -> list[str]:
    """The SHA-256s of the certificates among these names."""
    return _stems(names, _EXTENSION)


def packs_in(names: Iterable[str]) -> list[str]:
    """The SHA-256s of the packs among these names."""
    return _stems(names, _PACK_EXTENSION)


def _stems(names: Iterable[str], extension: str) -> list[str]:
    stems = (name.removesuffix(extension) for name in names if name.endswith(extension))
    return [stem for stem in stems if is_digest(stem)]
