"""The published bundle, and the note beside it that says what it was made from.

This module needs few imports, so that a shell's start-up file can afford `aia-store bundle`.
"""

from __future__ import annotations

import json
import os
import time

from ..inside.store import BUNDLE, BUNDLE_STATE, folders_of, open_store, read_regular_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..inside.settings import Settings
    from ..inside.store import Folder

REBUILT_EVERY = 86_400  # seconds: a bundle older than this is stale
NAMING_VARIABLES = ("NIX_SSL_CERT_FILE", "SSL_CERT_FILE")  # they name a CA file; the first one wins
_LARGEST_NOTE = 1 << 20


def fresh(settings: Settings) -> str | None:
    """The path of a bundle that need not be rebuilt; None if there is none."""
    for folder in places(settings):
        if is_fresh(settings, folder):
            return os.path.join(folder.path, BUNDLE)
    return None


def standing(settings: Settings, *, same_roots: bool = False) -> str | None:
    """The path of the last published bundle, even if it is stale; None if there is none, or its contents changed.

    `same_roots`: only if the machine still has the trust anchors that it was made from.
    """
    for folder in places(settings):
        state = read_state(folder)
        try:
            if _is_whole(folder, state) and (not same_roots or _has_these_roots(settings, state)):
                return os.path.join(folder.path, BUNDLE)
        except (OSError, KeyError, IndexError, TypeError, ValueError):
            continue
    return None


def last_good(settings: Settings) -> str | None:
    """Like `standing`, but only if the bundle was made under the same `roots` setting."""
    path = standing(settings)
    if path is None or _note(settings).get("roots_set") != settings.roots:
        return None
    return path


def is_fresh(settings: Settings, home: Folder) -> bool:
    """Whether the bundle exists and was made from the present trust anchors and store."""
    state = read_state(home)
    try:
        return bool(
            0 <= time.time() - state["built"] < REBUILT_EVERY
            and time.time() < state["until"]
            and _is_whole(home, state)
            and _has_these_roots(settings, state)
            and changes(settings) == state["changes"]
        )
    except (OSError, KeyError, IndexError, TypeError, ValueError):
        return False  # there is none, or the note is not ours


def counts(settings: Settings) -> tuple[int, int] | None:
    """How many trust anchors and intermediates the published bundle holds; None if there is none."""
    for folder in places(settings):
        try:
            anchors, intermediates = read_state(folder)["counts"]
            return int(anchors), int(intermediates)
        except (KeyError, TypeError, ValueError):
            continue
    return None


def last_source(settings: Settings) -> str | None:
    """Where the trust anchors of the last bundle came from, if that was the machine's own place for them.

    None if that was certifi's file or the file of AIA_STORE_ROOTS, or if there is no bundle.
    """
    note = _note(settings)
    path = note.get("source")
    return path if isinstance(path, str) and note.get("roots_set") is None else None


def places(settings: Settings) -> list[Folder]:
    """The folders where a bundle may be: the one that is written, or, if none can be, those that are read."""
    store = open_store(settings)
    home = store.home
    return store.folders if home is None else [home]


def read_state(home: Folder) -> dict[str, Any]:
    """The contents of the note; empty if there is none, or it is not ours."""
    try:
        state = json.loads(read_regular_file(os.path.join(home.path, BUNDLE_STATE), _LARGEST_NOTE))
        return state if isinstance(state, dict) else {}
    except (OSError, ValueError, RecursionError):
        return {}


def file_identity(path: str) -> list[object] | None:
    """A value, for JSON, that changes whenever the file changes; None if there is no file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def changes(settings: Settings) -> list[list[object]]:
    """When each folder of the store last gained or lost a certificate, without folders that never had one.

    So the machine's bundle is also fresh for a user who has no store.
    """
    return [[folder.path, changed] for folder in folders_of(settings) if (changed := folder.changed())]


def _note(settings: Settings) -> dict[str, Any]:
    return next(filter(None, map(read_state, places(settings))), {})


def _is_whole(folder: Folder, state: dict[str, Any]) -> bool:
    status = os.stat(os.path.join(folder.path, BUNDLE))
    return bool([status.st_size, status.st_mtime_ns] == state["bundle"])


def _has_these_roots(settings: Settings, state: dict[str, Any]) -> bool:
    """Whether neither the source nor any place that would be preferred to it has changed."""
    named = state["named"]
    return bool(
        settings.roots == state["roots_set"]
        and state["roots"][0][1] is not None
        and all(file_identity(path) == identity for path, identity in state["roots"])
        and (named is None or all(os.environ.get(name, "") in named for name in NAMING_VARIABLES))
    )
