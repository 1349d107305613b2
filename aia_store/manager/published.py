"""What was published, in which form, and the note beside it that says what it was made of.

The bundle is published as a file; and as a hashed folder, once somebody asked for that. Reading the notes costs few
imports, so that a shell's start-up file can afford `aia-store bundle`.
"""

from __future__ import annotations

import json
import os
import time

from ..inside.store import (
    BUNDLE,
    BUNDLE_STATE,
    ONE_ANCHOR,
    TRUST,
    TRUST_STATE,
    folders_of,
    open_store,
    read_regular_file,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..inside.settings import Settings
    from ..inside.store import Folder

REBUILT_EVERY = 86_400  # seconds: a bundle older than this is stale
NAMING_VARIABLES = ("NIX_SSL_CERT_FILE", "SSL_CERT_FILE")  # they name a CA file; the first is more particular
_LARGEST_NOTE = 1 << 20


class BundleError(Exception):
    """No bundle can be built or published; the message is one line that says why and what to do."""


class Form:
    """One form of the bundle: what programs are pointed at, and the note about it, both by name in a store folder.

    `identity` takes the path and says what changes whenever what was published does. Raises OSError.
    """

    def __init__(self, name: str, note: str, identity: Callable[[str], list[object]]) -> None:
        self.name = name
        self.note = note
        self.identity = identity

    def path(self, home: Folder) -> str:
        """Where it is published, or would be."""
        return os.path.join(home.path, self.name)


def _identity_of_the_file(path: str) -> list[object]:
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def _identity_of_the_folder(path: str) -> list[object]:
    """A file that comes or goes changes the folder's time; what is in the files, the next build looks at."""
    small = _identity_of_the_file(os.path.join(os.path.dirname(path), ONE_ANCHOR))
    return [os.readlink(path), os.stat(path).st_mtime_ns, *small]


FILE = Form(BUNDLE, BUNDLE_STATE, _identity_of_the_file)
FOLDER = Form(TRUST, TRUST_STATE, _identity_of_the_folder)


def forms_in(home: Folder) -> list[Form]:
    """The forms to be kept up to date: the folder only where it was published before."""
    return [FILE, FOLDER] if os.path.islink(FOLDER.path(home)) else [FILE]


def fresh(settings: Settings, form: Form = FILE) -> str | None:
    """The path of a bundle that need not be built anew; None where there is none."""
    for folder in places(settings):
        if is_fresh(settings, folder, form):
            return form.path(folder)
    return None


def standing(settings: Settings, form: Form = FILE, *, same_roots: bool = False) -> str | None:
    """The path of the last bundle that was published, be it stale; None where there is none, or not as it was.

    `same_roots`: only if the machine has the trust anchors that it was made of.
    """
    for folder in places(settings):
        state = read_state(folder, form)
        try:
            if _is_whole(folder, state, form) and (not same_roots or _has_these_roots(settings, state)):
                return form.path(folder)
        except (OSError, KeyError, IndexError, TypeError, ValueError):
            continue
    return None


def last_good(settings: Settings, form: Form = FILE) -> str | None:
    """The path of the last bundle that was made under the same `roots` setting, as `standing` has it."""
    path = standing(settings, form)
    if path is None or _note(settings, form).get("roots_set") != settings.roots:
        return None
    return path


def is_fresh(settings: Settings, home: Folder, form: Form = FILE) -> bool:
    """Whether the bundle is there and made of what the trust anchors and the store are now."""
    state = read_state(home, form)
    try:
        return bool(
            0 <= time.time() - state["built"] < REBUILT_EVERY
            and time.time() < state["until"]
            and _is_whole(home, state, form)
            and _has_these_roots(settings, state)
            and changes(settings) == state["changes"]
        )
    except (OSError, KeyError, IndexError, TypeError, ValueError):
        return False  # nothing there, or a note that is not ours


def are_fresh(settings: Settings, home: Folder) -> bool:
    """Whether every form that is kept up to date is fresh."""
    return all(is_fresh(settings, home, form) for form in forms_in(home))


def counts(settings: Settings, form: Form = FILE) -> tuple[int, int] | None:
    """How many trust anchors and intermediates the published bundle holds; None where there is none."""
    for folder in places(settings):
        try:
            anchors, intermediates = read_state(folder, form)["counts"]
            return int(anchors), int(intermediates)
        except (KeyError, TypeError, ValueError):
            continue
    return None


def last_source(settings: Settings) -> str | None:
    """Where the trust anchors of the last bundle came from, if it was the machine's own place for them.

    None where that was certifi's file or what AIA_STORE_ROOTS names, and where there is no bundle.
    """
    note = _note(settings, FILE)
    path = note.get("source")
    return path if isinstance(path, str) and note.get("roots_set") is None else None


def places(settings: Settings) -> list[Folder]:
    """The folders that a bundle may lie in: the one that is written, or where none can be, those that are read."""
    store = open_store(settings)
    home = store.home
    return store.folders if home is None else [home]


def read_state(home: Folder, form: Form = FILE) -> dict[str, Any]:
    """What the note says; nothing where there is none, or none of ours."""
    try:
        state = json.loads(read_regular_file(os.path.join(home.path, form.note), _LARGEST_NOTE))
        return state if isinstance(state, dict) else {}
    except (OSError, ValueError, RecursionError):
        return {}


def file_identity(path: str) -> list[object] | None:
    """What changes when a file does, as JSON holds it; None where there is no file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def changes(settings: Settings) -> list[list[object]]:
    """When each folder of the store last gained or lost a certificate."""
    return [[folder.path, folder.changed()] for folder in folders_of(settings)]


def _note(settings: Settings, form: Form) -> dict[str, Any]:
    return next(filter(None, (read_state(folder, form) for folder in places(settings))), {})


def _is_whole(folder: Folder, state: dict[str, Any], form: Form) -> bool:
    return bool(form.identity(form.path(folder)) == state["bundle"])


def _has_these_roots(settings: Settings, state: dict[str, Any]) -> bool:
    """Whether the source is as it was, and what would be taken instead of it is as it was or still missing."""
    named = state["named"]
    return bool(
        settings.roots == state["roots_set"]
        and state["roots"][0][1] is not None
        and all(file_identity(path) == identity for path, identity in state["roots"])
        and (named is None or all(os.environ.get(name, "") in named for name in NAMING_VARIABLES))
    )
