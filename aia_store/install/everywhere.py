"""Install the hook for every Python program of the machine: for its interpreters and the environments made from them.

If this fails for one interpreter, a line says so, and the others still get the hook.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from . import standard_library as library
from . import watcher
from .hook import PROBE, HookError
from .interpreters import Interpreter, InterpreterError, ask, candidates, changed_by_others, run

ALL, ITSELF, NOT, TOO_OLD = "with its virtual environments", "by itself only", "no", "too old: left alone"
_USER_SITE = "import site; print(site.getusersitepackages() if site.ENABLE_USER_SITE else '')"


class Standing(NamedTuple):
    """The state of the hook for one interpreter."""

    interpreter: Interpreter
    reached: str  # one of the four constants above
    by: list[str]  # the files of ours that reach it
    obstacles: list[str]  # why the hook does not work fully, each as a line with the remedy
    notes: list[str]  # facts that need no remedy

    @property
    def is_fine(self) -> bool:
        return self.reached == TOO_OLD or (self.reached == ALL and not self.obstacles)


def interpreters(paths: tuple[str, ...], *, usual: bool) -> Iterator[Interpreter | InterpreterError]:
    """Yield each base interpreter at these paths once, or its error. `usual` adds those in the usual places."""
    seen = set()
    for path in [*(candidates() if usual else ()), *paths]:
        try:
            found = ask(path)
        except InterpreterError as error:
            yield error
            continue
        library_folder = os.path.realpath(found.stdlib)
        if library_folder not in seen:
            seen.add(library_folder)
            yield found


def install(interpreter: Interpreter) -> Standing:
    """Install the hook for one interpreter; returns the resulting state."""
    if not interpreter.is_supported:
        return status(interpreter)
    obstacles = []
    try:
        compiled = library.compile_package(interpreter)
        place = library.place_of(interpreter)
        try:
            library.install(place, compiled)
        except OSError as error:
            with contextlib.suppress(OSError):
                library.remove(place)
            obstacles.append(_cannot_write(interpreter, error))
            for own in _users_place(interpreter):
                library.install(own, compiled)
        standing = status(interpreter)
        return standing._replace(obstacles=obstacles or standing.obstacles)
    except OSError as error:
        obstacles.append(f"{error.filename} cannot be written ({error.strerror})")
    except InterpreterError as error:
        obstacles.append(str(error))
    return Standing(interpreter, NOT, [], obstacles, [])


def remove(interpreter: Interpreter) -> list[str]:
    """Remove the hook from one interpreter. Returns the changed files. Raises HookError if one cannot be changed."""
    changed = []
    for place in reversed(_places(interpreter)):  # the user's own place first, because the other may be root's
        if place.is_ours:
            try:
                changed += library.remove(place)
            except OSError as error:
                raise HookError(
                    f"the hook in {place.folder} cannot be removed ({error.strerror}); run this as its owner"
                ) from error
    return changed


def status(interpreter: Interpreter) -> Standing:
    """The state of the hook for one interpreter, tested in fresh processes. Raises InterpreterError if these fail."""
    if not interpreter.is_supported:
        return Standing(interpreter, TOO_OLD, [], [], [])
    places = [place for place in _places(interpreter) if place.is_ours]
    by = [os.path.join(place.folder, library.FINDER) for place in places]
    faults = filter(None, map(library.fault, places))
    obstacles = [f"{fault}; run `aia-store hook install --all` again" for fault in faults]
    alone, in_environment, said = _try(interpreter)
    reached = ALL if alone and in_environment else ITSELF if alone else NOT
    if said:
        obstacles.append(f"{interpreter.python} says at its start: {said}; repair its sitecustomize or .pth files")
    by_itself = "its virtual environments are not reached; run `aia-store hook install --all`"
    if reached != ALL and not places:
        obstacles.append(by_itself if reached == ITSELF else "run `aia-store hook install --all`")
    elif reached != ALL and not obstacles:
        incomplete = "the hook is installed but does nothing; check that the package is complete: " + watcher.PACKAGE
        obstacles.append(f"{by_itself} as its owner" if reached == ITSELF else incomplete)
    if any(place.is_library and _is_for_all(place.folder) for place in places) and not _is_for_all(watcher.PACKAGE):
        obstacles.append(f"other users cannot read {watcher.PACKAGE}; install aia-store where they can")
    notes = ["externally managed: its site-packages stay unchanged"] if interpreter.is_externally_managed else []
    return Standing(interpreter, reached, by, obstacles, notes)


def refuse_unsafe() -> None:
    """Raises HookError if `hook install --all` cannot work here, or would make root run code that others can change."""
    if os.name != "posix":
        raise HookError("`--all` is for POSIX systems; run `aia-store hook install` in each environment")
    if not os.path.isfile(os.path.join(watcher.HOOKS, library.FINDER)):
        raise HookError(f"{watcher.PACKAGE} is incomplete; install aia-store again, not in an archive")
    if os.geteuid() != 0:
        return
    weak = changed_by_others(watcher.PACKAGE)
    if weak is not None:
        raise HookError(
            f"{weak} can be changed by users other than root, and every program would run what is there; "
            "install aia-store as root, say into /opt"
        )


def hiding() -> list[str]:
    """The folders in PYTHONPATH that have another program's sitecustomize.py. It may hide the one of the hook."""
    folders = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    return [folder for folder in folders if library.is_foreign_sitecustomize(folder)]


def _places(interpreter: Interpreter) -> list[library.Place]:
    return [library.place_of(interpreter), *_users_place(interpreter)]


def _users_place(interpreter: Interpreter) -> list[library.Place]:
    """The user's site-packages, for users who may not write to the standard library folder. Empty for root."""
    if os.geteuid() == 0 or not interpreter.is_supported:
        return []
    folder = _last_line(interpreter.run("-c", _USER_SITE).stdout)
    return [library.Place(interpreter, folder, folder)] if os.path.isabs(folder) else []


def _try(interpreter: Interpreter) -> tuple[bool, bool, str]:
    """Whether the hook works in a fresh process, whether it works in a virtual environment, and the last error line."""
    alone = interpreter.run("-c", PROBE)
    with tempfile.TemporaryDirectory() as folder:
        weak = changed_by_others(folder)
        if weak is not None:
            raise InterpreterError(
                f"no environment was tried, because users other than root can change {weak}; "
                "set TMPDIR to another folder"
            )
        python = os.path.join(folder, "bin", "python")
        os.mkdir(os.path.dirname(python))
        os.symlink(interpreter.python, python)
        with open(os.path.join(folder, "pyvenv.cfg"), "w", encoding="utf-8") as file:
            file.write(f"home = {os.path.dirname(interpreter.python)}\ninclude-system-site-packages = false\n")
        in_environment = run([python, "-B", "-c", PROBE])
    said = (alone.stderr or in_environment.stderr).strip().splitlines()
    return _last_line(alone.stdout) == "True", _last_line(in_environment.stdout) == "True", said[-1] if said else ""


def _last_line(output: str) -> str:
    """The last line, which is the answer. Another start-up hook may have printed something before it."""
    return "".join(output.splitlines()[-1:])


def _cannot_write(interpreter: Interpreter, error: OSError) -> str:
    remedy = "run this as root" if os.geteuid() else "make it writable, or set PYTHONPATH to `aia-store hook path`"
    return f"{interpreter.stdlib} cannot be written ({error.strerror}), so its environments are not reached; {remedy}"


def _is_for_all(path: str) -> bool:
    """Whether every user can read this folder."""
    real = Path(os.path.realpath(path))
    return all(part.stat().st_mode & stat.S_IXOTH for part in (real, *real.parents[:-1]))
