"""Gets certificates from a shelf. If several are in the same file (a *pack*, see `packs`), it gets that file."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import NamedTuple

from . import packs
from .manifest import Manifest
from .shelf import IN, OUT, AbsentError, DeniedError, Shelf, ShelfError, UnfitFileError, WithheldError, file_of, pack_of
from .taking import LARGEST, MOST_OF_A_ROUND

SECONDS = 300.0  # for one round; the next round gets the others
UNREADABLE = "it cannot be read"
MOST_FAILURES = 8  # files that cannot be read in one round; then the engine counts as down


class Limits(NamedTuple):
    """How many packs, and how many single certificates, one round (one exchange with the shelf) may get."""

    packs: int
    single: int


#: Why a file cannot be used, by the error. Any other error says nothing about the file.
_REFUSALS: dict[type[ShelfError], str] = {
    AbsentError: "it is named, but not there",
    UnfitFileError: f"it is larger than {LARGEST:,} bytes, or no file",
    DeniedError: "this machine may not read it",
    WithheldError: UNREADABLE,
}
#: A hub packs what it publishes, so what is new is in one or two packs. If more are needed, the shelf may be hostile.
ROUTINE = Limits(packs=4, single=16)
THOROUGH = Limits(packs=packs.MOST_PACKS, single=MOST_OF_A_ROUND)


class Got(NamedTuple):
    """The result of `get`: four mappings, each by the SHA-256 of a certificate or pack."""

    contents: dict[str, bytes]  # unverified
    refused: dict[str, str]  # why a certificate cannot be used
    bad_packs: dict[str, str]  # why a pack cannot be used
    failures: dict[str, ShelfError]  # of certificates and packs that could not be read now, and can be asked for again

    @property
    def is_down(self) -> bool:
        """Whether so many files could not be read that the shelf's server counts as down."""
        return len(self.failures) >= MOST_FAILURES


def get(
    shelf: Shelf, wanted: Collection[str], manifest: Manifest, limits: Limits, refuses: Callable[[str], bool]
) -> Got:
    """Get the `wanted` certificates (SHA-256s), from OUT if the manifest names them, else from IN.

    If `refuses` returns true for the SHA-256 of a pack, the pack is not read.
    """
    deadline = time.monotonic() + SECONDS
    got = Got({}, {}, {}, {})
    left = limits.packs
    for name, members in list(manifest.packs.items())[::-1]:
        lacking = members.intersection(wanted)
        if len(lacking) > 1 and left and not refuses(name) and not got.is_down and time.monotonic() < deadline:
            left -= 1
            _get_pack(shelf, name, lacking, got)
    for digest in [digest for digest in wanted if digest not in got.contents][: limits.single]:
        if got.is_down or time.monotonic() > deadline:
            break
        _get_one(shelf, OUT if digest in manifest.digests else IN, digest, got)
    return got


def _get_pack(shelf: Shelf, name: str, wanted: Collection[str], got: Got) -> None:
    """Add the wanted certificates of the pack `name` to `got`. If the pack is unusable or lacks some, `got` says so."""
    try:
        found = shelf.get(pack_of(name), packs.LARGEST)
    except ShelfError as error:
        if type(error) in _REFUSALS:
            got.bad_packs[name] = str(error)
        else:
            got.failures[name] = error
        return
    inside = packs.split(found.content) if found is not None else ()
    there = {digest: der for digest, der in inside if digest in wanted and len(der) <= LARGEST}
    got.contents.update(there)
    if len(there) < len(wanted):
        got.bad_packs[name] = "it is a pack without what it should hold"


def _get_one(shelf: Shelf, folder: str, digest: str, got: Got) -> None:
    try:
        found = shelf.get(file_of(folder, digest), LARGEST)
        got.contents[digest] = found.content if found is not None else b""
    except ShelfError as error:
        if type(error) in _REFUSALS:
            got.refused[digest] = _REFUSALS[type(error)]
        else:
            got.failures[digest] = error
