"""A shelf: a folder in an object store, on a web server or on a file system, where machines share intermediates.

It has three operations: `names`, `get` and `put`. There is no lock and no removal. Whatever a shelf returns may be
hostile, so its size is limited, and the callers verify it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from ...inside.settings import ConfigError
from ...inside.store import is_digest

IN, OUT = "in", "out"
MANIFEST = f"{OUT}/manifest"
MOST_NAMES = 100_000  # of a folder, that are looked at in one round; a manifest names a tenth of this
CERTIFICATE, PACK = ".der", ".pack"  # extensions
ENGINES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")  # no colon follows, unless somebody writes credentials
#: What follows the scheme (RFC 3986, 3): user and password, host and port and path, query and fragment.
_PARTS = re.compile(r"(?:[^/?#@]*@)?((?:\[[^]/?#@]*]|[^/?#@:]*)(?::\d*)?(?:/[^?#@]*)?)(?:[?#][^@]*)?", re.DOTALL)


class ShareError(Exception):
    """Nothing can be shared now. The message is one line that says why and what to do."""


class ShelfError(ShareError):
    """A shelf cannot be used. The message names the shelf."""


class MisnamedShelfError(ShelfError, ConfigError):
    """The setting `share` is not the URL of a shelf."""


class AbsentError(ShelfError):
    """There is no such file on the shelf."""


class UnfitFileError(ShelfError):
    """A file on the shelf is larger than was allowed, or is no regular file."""


class WithheldError(ShelfError):
    """The shelf's server refuses to send this file. It may send others."""


class DeniedError(ShelfError):
    """This machine's credentials, or the permissions of the file, do not allow the operation."""


def error_of(status: int) -> type[ShelfError]:
    """The class of error for an HTTP status. 408 and 429 (RFC 9110, RFC 6585) say nothing about the file itself."""
    return WithheldError if 400 <= status < 500 and status not in (408, 429) else ShelfError


class Found(NamedTuple):
    """The content of a file, and a mark (such as an ETag) that shows later whether the file has changed."""

    content: bytes
    mark: str


class Shelf(Protocol):
    """What every shelf can do. Each operation raises ShelfError if it fails. `name` is a path below the shelf's URL."""

    def is_read_only(self, folder: str) -> bool:
        """Whether this machine cannot write to the folder (IN or OUT), as far as this is known without trying."""

    def get(self, name: str, most: int, mark: str = "") -> Found | None:
        """Read a file of at most `most` bytes. None if it is unchanged: its mark (see `Found`) is still `mark`."""

    def put(self, name: str, content: bytes) -> None:
        """Write a file as a whole."""

    def names(self, folder: str, most: int) -> list[str]:
        """At most `most` file names in a folder, valid or not. If there are more, the choice differs each time.

        So nobody can hide files by adding many others.
        """


def without_secrets(url: str) -> str:
    """A URL for messages, without user, password, query and fragment; only its scheme, if it cannot be split safely."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "…" if "@" in url else re.split(r"[?#]", url, maxsplit=1)[0]
    if scheme == "file" or (scheme in ENGINES and ":" not in rest.partition("/")[0]):
        return re.split(r"[?#]", url, maxsplit=1)[0]
    parts = _PARTS.fullmatch(rest)
    return f"{scheme}://{parts[1]}" if parts is not None else f"{scheme}://…"  # a password holds an unescaped character


def file_of(folder: str, digest: str) -> str:
    """The path on the shelf of the certificate with this SHA-256, in the folder IN or OUT."""
    return f"{folder}/{digest}{CERTIFICATE}"


def pack_of(digest: str) -> str:
    """The path on the shelf of the pack with this SHA-256."""
    return f"{OUT}/{digest}{PACK}"


def digests_in(names: Iterable[str], extension: str) -> list[str]:
    """The SHA-256s in those file names that have this extension (CERTIFICATE or PACK)."""
    stems = (name.removesuffix(extension) for name in names if name.endswith(extension))
    return [stem for stem in stems if is_digest(stem)]


def is_ours(name: str) -> bool:
    """Whether this is the file name of a certificate, of a pack or of the manifest."""
    return f"{OUT}/{name}" == MANIFEST or any(digests_in([name], extension) for extension in (CERTIFICATE, PACK))
