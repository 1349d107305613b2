"""Whether everything is in place on this machine, and if not, what to do."""

from __future__ import annotations

import os
from typing import NamedTuple

from ..inside import proxies
from ..inside.pauses import Failures
from ..inside.settings import DIRECT, KEYS, Settings
from ..inside.store import crowded_note, folders_of, open_store
from ..install import everywhere, shells
from ..install import hook as own_hook
from ..install.interpreters import InterpreterError
from ..manager import clock, metrics, published, roots
from ..manager.daemon import state as daemon_state
from ..manager.words import counted, shown_time

_MINUTE = "%Y-%m-%d %H:%M UTC"
OK, HINT, PROBLEM = "ok", "hint", "problem"


class Aspect(NamedTuple):
    """One thing to check: its name, how serious its state is, the state, and what to do."""

    name: str
    level: str  # OK, HINT or PROBLEM
    state: str
    remedy: str | None = None


def survey(settings: Settings) -> list[Aspect]:
    """Check everything except the hook. Never raises because of what it finds."""
    found = [_store(settings), _roots(settings), _bundle(settings), _environment(settings)]
    return [
        *_clock(settings),
        *_unknown_settings(),
        *found,
        _on_demand(settings),
        _network(settings),
        *_share(settings),
        _daemon(settings),
    ]


def hook(settings: Settings) -> Aspect:
    """Which Python programs the hook reaches: those of this interpreter, and all that `hook install --all` covers."""
    if settings.disable:
        return Aspect(
            "hook", PROBLEM, "disabled by a setting", "unset AIA_STORE_DISABLE, or remove `disable` from config.toml"
        )
    own = own_hook.status()
    standings = _standings() if os.name == "posix" else []
    broken = [one for one in standings if one.by and not one.is_fine]
    if broken:
        return Aspect("hook", PROBLEM, f"blocked in {_named(broken)}", broken[0].obstacles[0])
    if own.files and own.remedy is not None:
        return Aspect("hook", PROBLEM, f"broken in {own.python}", own.remedy)
    reached = [one for one in standings if one.reached in (everywhere.ALL, everywhere.ITSELF)]
    names = dict.fromkeys([*([own.python] if own.is_active else []), *(one.interpreter.python for one in reached)])
    if not names:
        remedy = "run `aia-store hook install --all`, or `aia-store hook install` in the environment of a program"
        return Aspect("hook", PROBLEM, "active in no Python", remedy)
    state = f"active in {', '.join(names)}"
    missed = [one for one in standings if one.reached == everywhere.NOT and any(other.by for other in standings)]
    if missed:
        return Aspect("hook", HINT, f"{state}; not in {_named(missed)}", "run `aia-store hook install --all`")
    return Aspect("hook", OK, state)


def _standings() -> list[everywhere.Standing]:
    """The state of the hook for each interpreter of this machine or user; those that fail are left out."""
    found = []
    for interpreter in everywhere.interpreters((), usual=True):
        if not isinstance(interpreter, InterpreterError):
            try:
                found.append(everywhere.status(interpreter))
            except InterpreterError:
                continue
    return found


def _named(standings: list[everywhere.Standing]) -> str:
    return ", ".join(one.interpreter.python for one in standings)


def _unknown_settings() -> list[Aspect]:
    """Variables that look like settings but are none, if there are any."""
    known = {f"AIA_STORE_{key.upper()}" for key in KEYS}
    unknown = sorted(name for name in os.environ if name.startswith("AIA_STORE_") and name not in known)
    if not unknown:
        return []
    return [Aspect("settings", PROBLEM, f"unknown: {', '.join(unknown)}", "correct the name, or unset it")]


def _store(settings: Settings) -> Aspect:
    folders = folders_of(settings)
    faults = [fault for fault in (folder.fault() for folder in folders) if fault]
    if faults:
        return Aspect(
            "store", PROBLEM, "; ".join(faults), "correct the folder's owner and permissions, or set AIA_STORE_DIR"
        )
    store = open_store(settings)
    if store.home is None:
        return Aspect("store", PROBLEM, "no folder can be written", "set AIA_STORE_DIR to a folder of yours")
    preloaded = len({os.path.basename(path) for folder in store.preloaded for path in folder.paths()})
    state = counted(len(store.certificates()), "intermediate")
    if preloaded:
        state += f" and {preloaded:,} preloaded"
    state += f" in {', '.join(folder.path for folder in store.folders)}"
    crowded = next((folder for folder in store.folders if folder.is_crowded()), None)
    if crowded is not None:
        return Aspect("store", PROBLEM, state, f"{crowded_note(crowded)}; run `aia-store clear`")
    return Aspect("store", OK, state)


def _roots(settings: Settings) -> Aspect:
    try:
        source = roots.source(settings)
        found = roots.read(source)
        state = f"{len(found.anchors)} in {source.name}: {source.reason}"
        if found.distrusted:
            state += f"; {found.distrusted} more are left out, because this system distrusts them"
        if found.limited:
            state += f"; for {found.limited}, nothing is exported, because their newer certificates are distrusted"
        remedy = "; ".join(filter(None, [source.remedy, *found.notes])) or None
        return Aspect("roots", PROBLEM if remedy else OK, state, remedy)
    except roots.RootsError as error:
        return Aspect("roots", PROBLEM, "none", str(error))


def _clock(settings: Settings) -> list[Aspect]:
    """The clock, if it cannot be right, or if all trust anchors have expired."""
    try:
        doubt = clock.doubt(settings, roots.load(roots.source(settings)))
    except roots.RootsError:
        return []
    if doubt is None:
        return []
    state, _, remedy = doubt.rpartition("; ")
    return [Aspect("clock", PROBLEM, state, f"{remedy}; until then nothing is refreshed")]


def _bundle(settings: Settings) -> Aspect:
    """The bundle. If it is missing or stale, that is only a hint, because it is built when somebody asks for it."""
    home = open_store(settings).home
    path = published.fresh(settings) or published.standing(settings)
    if path is None:
        if home is None:
            return Aspect("bundle", PROBLEM, "no place for it", "set AIA_STORE_DIR to a folder of yours")
        return Aspect("bundle", HINT, "not built", "run `aia-store bundle`")
    counts = published.counts(settings)
    state = f"in {path}"
    if counts is not None:
        state = f"{counted(counts[0], 'root')} and {counted(counts[1], 'intermediate')} {state}"
    folder, held = published.standing(settings, published.FOLDER), published.counts(settings, published.FOLDER)
    if folder is not None and held is not None:
        state += f"; {counted(held[1], 'intermediate')} in the trust folder {folder}"
    if published.fresh(settings):
        return Aspect("bundle", OK, state)
    if home is None:
        return Aspect("bundle", PROBLEM, state, "it is stale, and its folder cannot be written; set AIA_STORE_DIR")
    return Aspect("bundle", HINT, state, "it is stale; run `aia-store bundle`")


def _environment(settings: Settings) -> Aspect:
    """The variables of this shell. A missing one is a hint. One that names no file breaks every connection."""
    absent = [name for name in shells.VARIABLES if os.environ.get(name) and not os.path.exists(os.environ[name])]
    if absent:
        state = f"{', '.join(f'{name} ({os.environ[name]})' for name in absent)}: there is no such file"
        return Aspect("environment", PROBLEM, state, "unset it, or run `aia-store bundle` if it is the bundle")
    folder = published.standing(settings, published.FOLDER)
    with_folder = folder is not None and os.environ.get(shells.FOLDER_VARIABLE) == folder
    home = open_store(settings).home
    # where the bundle is, or would be
    file = published.standing(settings) or (published.FILE.path(home) if home is not None else "")
    expected = shells.variables(file, folder if with_folder else None)
    named = {name: os.environ.get(name) for name in expected}
    elsewhere = [name for name, value in named.items() if value not in (None, expected[name])]
    if named["SSL_CERT_FILE"] == expected["SSL_CERT_FILE"] and not elsewhere:
        state = f"{shells.FOLDER_VARIABLE} is the trust folder" if with_folder else "SSL_CERT_FILE is the bundle"
        return Aspect("environment", OK, state)
    state = "curl, git, Node and others do not use the bundle in this shell"
    if elsewhere:
        state += f": {', '.join(elsewhere)} point elsewhere"
    command = shells.evaluation(shells.current_shell())
    return Aspect("environment", HINT, state, f"run {command} in your shell, best in its start-up file")


def _network(settings: Settings) -> Aspect:
    """What prevents or delays fetches: a setting, a proxy, pauses after failures."""
    if settings.offline:
        return Aspect("fetches", OK, "none, by a setting (AIA_STORE_OFFLINE)")
    told = []
    paused = metrics.paused(settings)
    if paused.number:
        pauses = counted(paused.number, "pause")
        told.append(
            f"{pauses} after failed fetches, until {shown_time(paused.until, _MINUTE)}; `aia-store clear` ends them"
        )
    try:
        proxy = proxies.proxy_for("http", "", proxies.DEFAULT_PORT, settings.proxy)
    except proxies.ProxyError as error:
        state, _, remedy = str(error).partition("; ")
        return Aspect("fetches", PROBLEM, f"{state}, so nothing is fetched", remedy)
    if proxy is not None:
        way = f"through the proxy {proxy} ({proxy.source})"
        if Failures(open_store(settings).home).paused(str(proxy)):
            return Aspect("fetches", HINT, f"{way}, which could not be reached a short while ago", "is it right?")
        return Aspect("fetches", OK, "; ".join([way, *told]))
    unused = proxies.unused("http", "", proxies.DEFAULT_PORT, settings.proxy)
    if unused is None or settings.proxy == DIRECT:
        return Aspect("fetches", OK, "; ".join([*filter(None, [unused]), *told]) or "nothing is paused")
    remedy = "if a proxy is needed, correct these variables, or name it in AIA_STORE_PROXY"
    return Aspect("fetches", HINT, "; ".join([f"no proxy: {unused}", *told]), remedy)


def _daemon(settings: Settings) -> Aspect:
    """The state of the daemon for the user's store or the machine's. It is no problem if no daemon runs."""
    sound = [folder for folder in folders_of(settings) if folder.fault() is None]
    state = next(filter(None, map(daemon_state.running, sound)), None)
    if state is None:
        return Aspect("daemon", OK, "not running (optional)")
    told = [f"process {state.pid} running since {shown_time(state.since, _MINUTE)}"]
    if state.last is not None:
        word = "last failed" if state.last.failed else "last done"
        told.append(f"{word}: {state.last.action} at {shown_time(state.last.at, _MINUTE)} ({state.last.outcome})")
    if state.next_refresh is not None:
        told.append(f"next: refresh at {shown_time(state.next_refresh, _MINUTE)}")
    failed = state.last is not None and state.last.failed
    remedy = "correct what failed; it tries again by itself" if failed else None
    return Aspect("daemon", PROBLEM if failed else OK, "; ".join(told), remedy)


def _share(settings: Settings) -> list[Aspect]:
    """What is shared with other machines, if the settings say where."""
    if not settings.share:
        return []
    from ..manager.share import summary

    state = summary.of(settings, open_store(settings))
    if not state.at:
        return [Aspect("share", HINT, f"{state.shelf}: no round yet", "run `aia-store refresh` or the daemon")]
    told = (
        f"{state.shelf}: {state.taken:,} here from others; last round {shown_time(state.at, _MINUTE)}: {state.message}"
    )
    remedy = "correct what failed; meanwhile this machine learns by itself" if state.failed else None
    return [Aspect("share", HINT if state.failed else OK, told, remedy)]


def _on_demand(settings: Settings) -> Aspect:
    state = "from a large CA file, the hook loads only what a chain names"
    return Aspect("trust on demand", OK, state if settings.trust_on_demand else "switched off by a setting")
