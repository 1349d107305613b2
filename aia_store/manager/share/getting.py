"""Gets certificates from a shelf: by the pack where several of one are wanted, else one by one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from . import packs
from .shelf import IN, OUT, AbsentError, DeniedError, ShelfError, UnfitFileError, file_of, pack_of
from .taking import LARGEST

if TYPE_CHECKING:
    from collections.abc import Collection

    from .manifest import Manifest
    from .shelf import Shelf

SECONDS = 300.0  # for one round; the next round gets the others


class Got(NamedTuple):
    """The contents by SHA-256, verified by nobody, why others cannot be had, and why getting ended early, if it did."""

    contents: dict[str, bytes]
    refused: dict[str, str]
    failure: ShelfError | None


def get(shelf: Shelf, wanted: Collection[str], manifest: Manifest, most_single: int) -> Got:
    """Get the certificates with these SHA-256s: those that the manifest names from OUT, others from IN.

    At most so many are got one by one: a hub packs what it publishes, so more are a sign of somebody else's manifest.
    """
    deadline = time.monotonic() + SECONDS
    contents: dict[str, bytes] = {}
    refused: dict[str, str] = {}
    try:
        for name, members in manifest.packs.items():
            lacking = members.intersection(wanted)
            if len(lacking) > 1 and time.monotonic() < deadline:
                contents.update(_from_pack(shelf, name, lacking))
        for digest in [digest for digest in wanted if digest not in contents][:most_single]:
            if time.monotonic() > deadline:
                break
            _get_one(shelf, OUT if digest in manifest.digests else IN, digest, contents, refused)
    except ShelfError as error:
        return Got(contents, refused, error)
    return Got(contents, refused, None)


def _from_pack(shelf: Shelf, name: str, wanted: Collection[str]) -> dict[str, bytes]:
    """What a pack has of this; nothing if it cannot be had, as each certificate is on the shelf by itself, too."""
    try:
        found = shelf.get(pack_of(name), packs.LARGEST)
    except (AbsentError, UnfitFileError, DeniedError):
        return {}
    inside = packs.split(found.content) if found is not None else {}
    return {digest: inside[digest] for digest in wanted if len(inside.get(digest, b"")) in range(1, LARGEST + 1)}


def _get_one(shelf: Shelf, folder: str, digest: str, contents: dict[str, bytes], refused: dict[str, str]) -> None:
    try:
        found = shelf.get(file_of(folder, digest), LARGEST)
        contents[digest] = found.content if found is not None else b""
    except AbsentError:
        refused[digest] = "it is named, but not there"
    except UnfitFileError:
        refused[digest] = f"it is larger than {LARGEST:,} bytes, or no file"
    except DeniedError:
        refused[digest] = "this machine may not read it"
