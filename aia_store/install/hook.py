"""Install the hook for every program of one interpreter, remove it, and say whether it works.

`site` runs a `.pth` file at every start; Python 3.15 reads `.start` files instead. Both load the watcher, which waits
until the program imports ssl. Whatever is broken, neither file can stop an interpreter from starting. Our `.pth` never
prints anything. For a `.start`, `site` reports a missing or broken watcher, but not a missing or broken package.
"""

from __future__ import annotations

import contextlib
import os
import py_compile
import site
import subprocess
import sys
import sysconfig
from typing import NamedTuple

from ..manager import atomic_write
from . import watcher
from .interpreters import changed_by_others

PTH_FILE, START_FILE, WATCHER_FILE = "aia_store.pth", "aia_store.start", "aia_store_watcher.py"
# Prints whether a fresh interpreter attaches.
PROBE = "import ssl; c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); print(hasattr(type(c)._wrap_bio, '__code__'))"


class HookError(Exception):
    """The hook cannot be installed or removed. The message is one line that says why and what to do."""


class HookStatus(NamedTuple):
    """The state of the hook for the running interpreter."""

    python: str
    version: str
    files: list[str]  # the hook's files that exist
    broken: list[str]  # those of them with wrong contents
    is_active: bool  # whether a fresh interpreter really attaches

    @property
    def remedy(self) -> str | None:
        """What to do, in words; None if all is well."""
        if self.is_active and not self.broken:
            return None
        if self.files:
            return "a file of the hook is there but does nothing; run `aia-store hook install` again"
        return "run `aia-store hook install`"


def folders() -> list[str]:
    """The folders where the hook's files may be: this interpreter's site-packages, preferably, or the user's."""
    found = [sysconfig.get_path("purelib")]
    if sys.prefix == sys.base_prefix and site.ENABLE_USER_SITE:
        users = site.getusersitepackages()
        found += [users] if changed_by_others(users) is None else []  # `sudo -E` keeps the caller's HOME
    return found


def install() -> list[str]:
    """Write the files of the hook; returns their paths. Raises HookError if no folder can be written."""
    problems = []
    for folder in folders():
        try:
            os.makedirs(folder, exist_ok=True)
            return _write_all(folder)
        except OSError as error:
            problems.append(f"{folder} ({error.strerror})")
    raise HookError(
        f"nowhere to put the hook: {', '.join(problems)}; run this as the owner, or in a virtual environment"
    )


def stage(folder: str, root: str) -> list[str]:
    """For packagers: write the hook's files below the build root `root`, to be installed in `folder` with the package.

    Returns their paths. Raises OSError.
    """
    staged = os.path.join(root, os.path.relpath(folder, os.sep))
    os.makedirs(staged, exist_ok=True)
    contents = _contents(os.path.join(folder, "aia_store", "inside"))
    return [_write(staged, name, text, meant_for=folder) for name, text in contents.items()]


def remove() -> list[str]:
    """Remove the hook's files from all `folders`; returns their paths. Raises HookError if one cannot be removed."""
    paths = _present()
    for path in paths:
        try:
            _unlink(path)
        except OSError as error:
            raise HookError(f"{path} cannot be removed ({error.strerror}); run this as its owner") from error
    return paths


def status() -> HookStatus:
    """Look for the hook's files, and test whether the hook works in a fresh interpreter."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIA_STORE_")}
    command = [sys.executable, "-c", PROBE]
    # Python imports from the working folder, so it must be a folder that others cannot change.
    answer = subprocess.run(command, capture_output=True, check=False, cwd=sys.prefix, env=environment, text=True)
    files = _present()
    return HookStatus(
        sys.executable,
        sys.version.split()[0],
        files,
        [path for path in files if watcher.contents(path) != _contents()[os.path.basename(path)]],
        answer.stdout.splitlines()[-1:] == ["True"],  # other start-up hooks may print something before the answer
    )


def _contents(inside: str = watcher.INSIDE) -> dict[str, bytes]:
    """The contents of the hook's files, by name. Those that `site` runs come last, because they need the watcher."""
    module = WATCHER_FILE.removesuffix(".py")
    return {
        WATCHER_FILE: watcher.source(inside),
        START_FILE: watcher.start_line(module).encode("ascii"),
        PTH_FILE: watcher.pth_line(module).encode("ascii"),
    }


def _present() -> list[str]:
    candidates = [os.path.join(folder, name) for folder in folders() for name in (PTH_FILE, START_FILE, WATCHER_FILE)]
    return [path for path in candidates if os.path.lexists(path)]


def _write_all(folder: str) -> list[str]:
    written: list[str] = []
    present = _present()
    try:
        for name, contents in _contents().items():
            written.append(_write(folder, name, contents))
    except OSError:
        for path in written:
            if path not in present:
                _unlink(path)
        raise
    return written


def _unlink(path: str) -> None:
    os.unlink(path)
    if not path.endswith(".py"):
        return
    compiled = watcher.compiled(path, sys.implementation.cache_tag)
    for file in filter(os.path.exists, compiled):
        os.unlink(file)
    with contextlib.suppress(OSError):  # the folder may hold compiled files of other modules
        os.rmdir(os.path.dirname(compiled[0]))


def _write(folder: str, name: str, contents: bytes, meant_for: str | None = None) -> str:
    path = os.path.join(folder, name)
    atomic_write.write(path, contents)
    if name.endswith(".py"):
        # Otherwise, programs that may not write here would compile it at each start.
        py_compile.compile(path, dfile=os.path.join(meant_for or folder, name))
    return path
