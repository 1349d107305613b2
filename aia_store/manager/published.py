"""The published bundle, and the notes beside it that say what it was made from.

The bundle has two forms: a file, and a hashed folder once somebody has asked for it. This module needs few imports, so
that a shell's start-up file can afford `aia-store bundle`.
"""

from __future__ import annotations

import json
import os
import time

from ..inside.settings import Settings
from ..inside.store import (
    BUNDLE,
    BUNDLE_STATE,
    ONE_ANCHOR,
    TRUST,
    TRUST_STATE,
    Folder,
    folders_of,
    open_store,
    read_regular_file,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

REBUILT_EVERY = 86_400  # seconds: a bundle older than this is stale
NAMING_VARIABLES = ("NIX_SSL_CERT_FILE", "SSL_CERT_FILE")  # they name a CA file; the first one wins
_LARGEST_NOTE = 1 << 20


class BundleError(Exception):
    """No bundle can be built or published. The message, one line, says why and what to do."""


class BundleForm:
    """One form of the bundle: the name of its file or link in a store folder, and the name of the note about it.

    `identity` returns, for the path, a value that changes whenever the published contents change. It raises OSError.
    """

    def __init__(self, name: str, note: str, identity: Callable[[str], list[object]]) -> None:
        self.name = name
        self.note = note
        self.identity = identity

    def path(self, home: Folder) -> str:
        """The path in this store folder where programs find this form, once it is published."""
        return os.path.join(home.path, self.name)


def _identity_of_the_file(path: str) -> list[object]:
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def _identity_of_the_folder(path: str) -> list[object]:
    """A value that changes if a file is added or removed. A changed file is noticed at the next build."""
    small = _identity_of_the_file(os.path.join(os.path.dirname(path), ONE_ANCHOR))
    return [os.readlink(path), os.stat(path).st_mtime_ns, *small]


FILE = BundleForm(BUNDLE, BUNDLE_STATE, _identity_of_the_file)
FOLDER = BundleForm(TRUST, TRUST_STATE, _identity_of_the_folder)


def forms_in(home: Folder) -> list[BundleForm]:
    """The forms of the bundle that are kept up to date: the file, and the trust folder if there is one."""
    return [FILE, FOLDER] if os.path.islink(FOLDER.path(home)) else [FILE]


def fresh(settings: Settings, form: BundleForm = FILE) -> str | None:
    """The path of a bundle that need not be rebuilt; None if there is no such bundle."""
    for folder in places(settings):
        if is_fresh(settings, folder, form):
            return form.path(folder)
    return None


def standing(settings: Settings, form: BundleForm = FILE, *, same_roots: bool = False) -> str | None:
    """The path of the last published bundle, even if it is stale; None if there is none.

    A bundle that somebody else has changed does not count. If `same_roots`, the bundle must have been made from the
    trust anchors that the machine has now.
    """
    for folder in places(settings):
        state = read_state(folder, form)
        try:
            if _is_whole(folder, state, form) and (not same_roots or _has_these_roots(settings, state)):
                return form.path(folder)
        except (OSError, KeyError, IndexError, TypeError, ValueError):
            continue
    return None


def last_good(settings: Settings, form: BundleForm = FILE) -> str | None:
    """The path that `standing` returns, if that bundle was made with the present settings; else None.

    The setting `roots` must be the same. `extra_roots` must be the same or none: without it, a bundle only trusts less.
    """
    path, note = standing(settings, form), _note(settings, form)
    if note.get("roots_set") != settings.roots or note.get("extra_roots") not in (None, settings.extra_roots):
        return None
    return path


def is_fresh(settings: Settings, home: Folder, form: BundleForm = FILE) -> bool:
    """Whether the bundle exists, is recent, and was made from the present trust anchors and store."""
    state = read_state(home, form)
    try:
        return bool(
            0 <= time.time() - state["built"] < REBUILT_EVERY
            and time.time() < state["until"]
            and _is_whole(home, state, form)
            and _has_these_roots(settings, state)
            and changes(settings) == state["changes"]
        )
    except (OSError, KeyError, IndexError, TypeError, ValueError, OverflowError):
        return False  # there is none, or the note is not ours


def are_fresh(settings: Settings, home: Folder) -> bool:
    """Whether the bundle is fresh in every form that is kept up to date."""
    return all(is_fresh(settings, home, form) for form in forms_in(home))


def counts(settings: Settings, form: BundleForm = FILE) -> tuple[int, int] | None:
    """How many trust anchors and intermediates the published bundle holds; None if there is none."""
    for folder in places(settings):
        try:
            anchors, intermediates = read_state(folder, form)["counts"]
            return int(anchors), int(intermediates)
        except (KeyError, TypeError, ValueError):
            continue
    return None


def last_source(settings: Settings) -> str | None:
    """The file or folder of the system's trust anchors from which the last bundle was made.

    None if it was made from certifi's file or the file that AIA_STORE_ROOTS names, or if there is no bundle.
    """
    note = _note(settings, FILE)
    path = note.get("source")
    return path if isinstance(path, str) and note.get("roots_set") is None else None


def places(settings: Settings) -> list[Folder]:
    """The store folders where a bundle may be: the one that this user can write, or else all that are read."""
    store = open_store(settings)
    home = store.home
    return store.folders if home is None else [home]


def read_state(home: Folder, form: BundleForm = FILE) -> dict[str, Any]:
    """The note on what the bundle was made from; empty if there is no note, or if we did not write it."""
    try:
        state = json.loads(read_regular_file(os.path.join(home.path, form.note), _LARGEST_NOTE))
        return state if isinstance(state, dict) else {}
    except (OSError, ValueError, RecursionError):
        return {}


def file_identity(path: str) -> list[object] | None:
    """A JSON value that changes whenever the file changes; None if there is no file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def changes(settings: Settings) -> list[list[object]]:
    """For each store folder, its path and when it last gained or lost a certificate.

    Folders that never had one are left out, so that the machine's bundle is also fresh for a user who has no store.
    """
    return [[folder.path, changed] for folder in folders_of(settings) if (changed := folder.changed())]


def _note(settings: Settings, form: BundleForm) -> dict[str, Any]:
    return next(filter(None, (read_state(folder, form) for folder in places(settings))), {})


def _is_whole(folder: Folder, state: dict[str, Any], form: BundleForm) -> bool:
    return bool(form.identity(form.path(folder)) == state["bundle"])


def _has_these_roots(settings: Settings, state: dict[str, Any]) -> bool:
    """Whether the bundle of this note was made from the present trust anchors."""
    named = state["named"]
    return bool(
        settings.roots == state["roots_set"]
        and settings.extra_roots == state["extra_roots"]
        and state["roots"][0][1] is not None
        and all(file_identity(path) == identity for path, identity in state["roots"])
        and (named is None or all(os.environ.get(name, "") in named for name in NAMING_VARIABLES))
    )
