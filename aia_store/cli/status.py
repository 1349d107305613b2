"""Is everything in place on this machine, and if not, what is to be done?"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from ..inside.store import BUNDLE, crowded_note, folders_of, open_store
from ..install import hook, shells
from ..manager import bundle, clock, roots
from ..manager.daemon import state as daemon_state
from ..manager.words import counted

if TYPE_CHECKING:
    from ..inside.settings import Settings


class Aspect(NamedTuple):
    """One thing that must be right: its name, how it stands, and what to do if it is not (else None)."""

    name: str
    state: str
    remedy: str | None


def survey(settings: Settings) -> list[Aspect]:
    """Look at everything; never raises for what it finds."""
    found = [_hook(settings), _store(settings), _roots(settings), _bundle(settings), _environment(settings)]
    return [*_clock(settings), *found, _on_demand(settings), _daemon(settings)]


def _hook(settings: Settings) -> Aspect:
    if settings.disable:
        return Aspect("hook", "disabled by a setting", "unset AIA_STORE_DISABLE, or remove `disable` from config.toml")
    found = hook.status()
    return Aspect("hook", f"{'active' if found.is_active else 'not active'} in {found.python}", found.remedy)


def _store(settings: Settings) -> Aspect:
    folders = folders_of(settings)
    faults = [fault for fault in (folder.fault() for folder in folders) if fault]
    if faults:
        return Aspect("store", "; ".join(faults), "mend the folder's owner and permissions, or set AIA_STORE_DIR")
    store = open_store(settings)
    if store.home is None:
        return Aspect("store", "no folder can be written", "set AIA_STORE_DIR to a folder of yours")
    preloaded = len({os.path.basename(path) for folder in store.preloaded for path in folder.paths()})
    state = counted(len(store.certificates()), "intermediate")
    if preloaded:
        state += f" and {preloaded:,} preloaded"
    state += f" in {', '.join(folder.path for folder in store.folders)}"
    crowded = next((folder for folder in store.folders if folder.is_crowded()), None)
    if crowded is not None:
        return Aspect("store", state, f"{crowded_note(crowded)}; run `aia-store clear`")
    return Aspect("store", state, None)


def _roots(settings: Settings) -> Aspect:
    try:
        source = roots.source(settings)
        found = roots.read(source)
        state = f"{len(found.anchors)} in {source.path}: {source.reason}"
        if found.distrusted:
            state += f"; {found.distrusted} more that this system distrusts are left out"
        if found.limited:
            state += f"; of {found.limited} nothing is exported, as newer certificates of theirs are distrusted"
        return Aspect("roots", state, "; ".join(found.notes) or None)
    except roots.RootsError as error:
        return Aspect("roots", "none", str(error))


def _clock(settings: Settings) -> list[Aspect]:
    """The clock, where it cannot be right."""
    try:
        doubt = clock.doubt(settings, roots.load(roots.source(settings)))
    except roots.RootsError:
        return []
    return [Aspect("clock", doubt, "set the clock; until then nothing is refreshed")] if doubt else []


def _bundle(settings: Settings) -> Aspect:
    home = open_store(settings).home
    path = bundle.fresh(settings) or bundle.standing(settings)
    if path is None:
        if home is None:
            return Aspect("bundle", "no place for it", "set AIA_STORE_DIR to a folder of yours")
        return Aspect("bundle", "not built", "run `aia-store bundle`")
    counts = bundle.counts(settings)
    state = f"in {path}"
    if counts is not None:
        state = f"{counted(counts[0], 'root')} and {counted(counts[1], 'intermediate')} {state}"
    if bundle.fresh(settings):
        return Aspect("bundle", state, None)
    if home is None:
        return Aspect("bundle", state, "it is stale, and its folder cannot be written; set AIA_STORE_DIR")
    return Aspect("bundle", state, "it is stale; run `aia-store bundle`")


def _environment(settings: Settings) -> Aspect:
    home = open_store(settings).home
    path = bundle.standing(settings) or (os.path.join(home.path, BUNDLE) if home is not None else "")
    elsewhere = [name for name in shells.VARIABLES if os.environ.get(name, path) != path]
    if os.environ.get("SSL_CERT_FILE") == path and not elsewhere:
        return Aspect("environment", "SSL_CERT_FILE is the bundle", None)
    state = "curl, git, Node and others do not use the bundle in this shell"
    if elsewhere:
        state += f": {', '.join(elsewhere)} point elsewhere"
    command = shells.evaluation(shells.current_shell())
    return Aspect("environment", state, f"run {command} in your shell, best in its start-up file")


def _daemon(settings: Settings) -> Aspect:
    """Of the user's store or the site's; it need not run."""
    sound = [folder for folder in folders_of(settings) if folder.fault() is None]
    state = next(filter(None, map(daemon_state.running, sound)), None)
    if state is None:
        return Aspect("daemon", "not running (optional)", None)
    told = [f"process {state.pid} runs since {_minute(state.since)}"]
    if state.last is not None:
        word = "last failed" if state.last.failed else "last done"
        told.append(f"{word}: {state.last.action} at {_minute(state.last.at)} ({state.last.outcome})")
    if state.next_refresh is not None:
        told.append(f"next: refresh at {_minute(state.next_refresh)}")
    failed = state.last is not None and state.last.failed
    return Aspect("daemon", "; ".join(told), "mend what failed; it tries again by itself" if failed else None)


def _on_demand(settings: Settings) -> Aspect:
    state = "of a large CA file, the hook loads what a chain names"
    return Aspect("trust on demand", state if settings.trust_on_demand else "switched off by a setting", None)


def _minute(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "a time beyond the calendar"
