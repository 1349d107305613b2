"""The hook's files in the standard library folder of a base interpreter, where its virtual environments see them, too.

- `aia_store_finder.py`: the finder, which knows where the package is.
- `sitecustomize.py`, which imports the finder: a file of ours if there is none, else a marked block at the end of the
  existing one. (Debian's is a link to a conffile: the block goes into this file, and dpkg keeps it.)
- `aia_store_hook.json`, the receipt, notes what was there before, so that `remove` can restore it byte for byte.

Another sitecustomize earlier on the path hides ours, and may not run it. So a `.pth` in the site-packages (from
Python 3.15 on, a `.start`) also loads the finder for the base interpreter, if no other package manager owns the
site-packages.

Each file is written under another name and then renamed: an existing one may be a hard link into uv's or conda's cache.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..inside import locks
from ..inside.certificate import sha256
from ..manager import atomic_write
from . import watcher
from .interpreters import Interpreter

FINDER, SITECUSTOMIZE, RECEIPT = watcher.FILE, "sitecustomize.py", "aia_store_hook.json"
PTH, START = "aia_store_finder.pth", "aia_store_finder.start"
LOCK, LONGEST_WAIT = "aia_store_hook.lock", 60.0  # seconds
BLOCK = b"""
# >>> aia-store block >>>
# Completes certificate chains; `aia-store hook remove --all` takes it out again.
try:
    __import__("aia_store_finder")
except Exception:
    pass
# <<< aia-store block <<<
"""
_BLOCKS = re.compile(rb"\n# >>> aia-store block >>>\n.*?# <<< aia-store block <<<\n", re.DOTALL)
_FILE = re.compile(rb"# >>> aia-store file >>>\n.*?# <<< aia-store file <<<\n", re.DOTALL)
_TEXT, _FOLDER = 0o644, 0o755


class NewFiles(NamedTuple):
    """Compiled files and folders that the hook adds to the package. `remove` removes them."""

    files: list[str]  # some may not exist yet: programs of root's write those for their level of optimization
    folders: list[str]  # the deepest first


class Place(NamedTuple):
    """Where the hook's files for one interpreter go."""

    interpreter: Interpreter
    folder: str  # the standard library's, or a user's site-packages, which virtual environments do not see
    pth_folder: str | None  # where a .pth is read

    @property
    def receipt(self) -> str:
        return os.path.join(self.folder, RECEIPT)

    @property
    def is_library(self) -> bool:
        """Whether this is the standard library folder, where virtual environments see a sitecustomize."""
        return self.folder == self.interpreter.stdlib

    @property
    def sitecustomize(self) -> str:
        """The real path of the sitecustomize.py in this place."""
        return os.path.realpath(os.path.join(self.folder, SITECUSTOMIZE))

    @property
    def is_ours(self) -> bool:
        """Whether this place has a file of the hook, or a block of ours in its sitecustomize."""
        return any(os.path.lexists(os.path.join(self.folder, name)) for name in (RECEIPT, FINDER)) or (
            self.is_library and _without_ours(current := watcher.contents(self.sitecustomize)) != current
        )


def place_of(interpreter: Interpreter) -> Place:
    """The place that reaches the interpreter and all its virtual environments."""
    site = interpreter.site
    is_free = not interpreter.is_externally_managed and os.access(site, os.W_OK)
    return Place(interpreter, interpreter.stdlib, site if is_free else None)


def install(place: Place, in_package: NewFiles) -> None:
    """Write the hook's files into a place. `in_package` is what `compile_package` returned. Raises OSError."""
    receipt = _receipt(place, in_package)  # first, because it notes which folders we make
    with _locked(place.folder):
        cache = os.path.join(place.folder, "__pycache__")
        if not os.path.exists(cache):
            os.makedirs(cache)
            if place.is_library:
                os.chmod(cache, _FOLDER)
        _write(place.receipt, json.dumps(receipt, indent=1).encode("ascii"))
        for path, contents in _contents(place).items():
            _write(path, contents)
            if path.endswith(".py"):
                _compile(place, os.path.basename(path))


def remove(place: Place) -> list[str]:
    """Remove the hook's files, and restore what was there before; returns the changed paths. Raises OSError."""
    with _locked(place.folder):
        receipt = _read_receipt(place)
        changed = _restore_sitecustomize(place, receipt.get("before") or {}) if place.is_library else []
        paths = [os.path.join(place.pth_folder or place.interpreter.site, name) for name in (PTH, START)]
        paths.append(os.path.join(place.folder, FINDER))
        if os.path.lexists(paths[-1]):
            paths += _compiled(place, FINDER)
        compiled = [path for path in receipt.get("compiled", []) if isinstance(path, str) and _is_compiled_ours(path)]
        for path in filter(os.path.lexists, [*paths, *compiled, place.receipt]):
            os.unlink(path)
            changed += [] if path.endswith(".pyc") else [path]
    for folder in receipt.get("folders", []):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return changed


def fault(place: Place) -> str | None:
    """What was changed in a place since `install`, in words; None if nothing. The place must be `is_ours`."""
    for path, contents in _contents(place).items():
        found = watcher.contents(path)
        if place.is_library and path == place.sitecustomize:
            if BLOCK not in found and watcher.packaged(SITECUSTOMIZE) not in found:
                return f"{path} was replaced"
        elif found != contents:
            return f"{path} is {'not what it was' if os.path.lexists(path) else 'gone'}"
    return None


def is_foreign_sitecustomize(folder: str) -> bool:
    """Whether this folder has a sitecustomize.py that contains nothing of ours."""
    contents = watcher.contents(os.path.join(folder, SITECUSTOMIZE))
    return bool(contents) and _without_ours(contents) == contents


def compile_package(interpreter: Interpreter) -> NewFiles:
    """Compile the modules that programs load, if this user may (programs often may not). Returns what is new."""
    folders = [watcher.INSIDE, os.path.join(watcher.INSIDE, "pyopenssl")]
    if not all(os.access(folder, os.W_OK) for folder in folders):
        return NewFiles([], [])
    sources = [os.path.join(folder, name) for folder in folders for name in sorted(os.listdir(folder))]
    sources = [source for source in sources if source.endswith(".py")]
    compiled = [path for source in sources for path in watcher.compiled(source, interpreter.tag)]
    new = NewFiles(
        [path for path in compiled if not os.path.exists(path)],
        [missing for folder in folders for missing in _missing(os.path.join(folder, "__pycache__"))],
    )
    interpreter.run("-I", "-S", "-m", "compileall", "-qq", *sources)
    for path in filter(os.path.exists, new.files):
        os.chmod(path, _TEXT)  # whatever the umask
    for folder in filter(os.path.exists, new.folders):
        os.chmod(folder, _FOLDER)
    return new


def _contents(place: Place) -> dict[str, bytes]:
    """The contents that the files should have, by path. A file that Python runs comes after the files that it loads."""
    wanted = {os.path.join(place.folder, FINDER): watcher.source()}
    if place.is_library:
        rest = _without_ours(current := _read_or_raise(place.sitecustomize))
        is_ours = not os.path.exists(place.sitecustomize) or _FILE.search(current) is not None
        wanted[place.sitecustomize] = watcher.packaged(SITECUSTOMIZE) + rest if is_ours else rest + BLOCK
    if place.pth_folder is not None:
        wanted[os.path.join(place.pth_folder, START)] = watcher.start_line(FINDER[:-3]).encode("ascii")
        wanted[os.path.join(place.pth_folder, PTH)] = watcher.pth_line(FINDER[:-3]).encode("ascii")
    return wanted


def _receipt(place: Place, in_package: NewFiles) -> dict[str, Any]:
    """What was there before the hook, for the receipt. If the hook is there already, the earlier receipt counts."""
    earlier = _read_receipt(place)
    current = _read_or_raise(place.sitecustomize) if place.is_library else b""
    before = earlier.get("before")
    if place.is_library and _without_ours(current) == current:
        before = None
        compiled, *optimized = _compiled(place, SITECUSTOMIZE)
        if os.path.exists(place.sitecustomize):
            before = {
                "sha256": sha256(current),
                "mtime_ns": os.stat(place.sitecustomize).st_mtime_ns,
                "compiled": base64.b64encode(watcher.contents(compiled)).decode("ascii"),
                "compiled_mtime_ns": os.stat(compiled).st_mtime_ns if os.path.exists(compiled) else 0,
                "optimized": list(filter(os.path.exists, optimized)),
            }
    made = [*_missing(os.path.join(place.folder, "__pycache__")), *in_package.folders, *earlier.get("folders", [])]
    compiled_before = {*in_package.files, *earlier.get("compiled", [])}
    return {"before": before, "folders": made, "compiled": sorted(compiled_before)}


def _missing(folder: str) -> list[str]:
    """The folders on this path that do not exist, the deepest first."""
    missing = []
    while not os.path.exists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    return missing


def _restore_sitecustomize(place: Place, before: dict[str, Any]) -> list[str]:
    path = place.sitecustomize
    current = _read_or_raise(path)
    rest = _without_ours(current)
    if rest == current:
        return []
    if not rest and _FILE.search(current):
        os.unlink(path)
    else:
        _write(path, rest)
    compiled, *optimized = _compiled(place, SITECUSTOMIZE)
    stale = {compiled, *optimized}.difference(before.get("optimized", []))
    if before and sha256(rest) == before["sha256"]:
        os.utime(path, ns=(before["mtime_ns"], before["mtime_ns"]))
        if before["compiled"]:
            _write(compiled, base64.b64decode(before["compiled"]))
            os.utime(compiled, ns=(before["compiled_mtime_ns"], before["compiled_mtime_ns"]))
            stale.discard(compiled)
    for file in filter(os.path.lexists, stale):
        os.unlink(file)
    return [path]


def _without_ours(contents: bytes) -> bytes:
    return _FILE.sub(b"", _BLOCKS.sub(b"", contents))


def _read_receipt(place: Place) -> dict[str, Any]:
    try:
        receipt = json.loads(watcher.contents(place.receipt))
    except ValueError:
        return {}
    return receipt if isinstance(receipt, dict) else {}


def _compiled(place: Place, name: str) -> list[str]:
    return watcher.compiled(os.path.join(place.folder, name), place.interpreter.tag)


def _is_compiled_ours(path: str) -> bool:
    return path == os.path.normpath(path) and path.startswith(watcher.PACKAGE + os.sep) and path.endswith(".pyc")


def _compile(place: Place, name: str) -> None:
    """Compile the file `name`, because programs may not write there. If this fails, they compile it at each start."""
    place.interpreter.run("-I", "-S", "-m", "py_compile", os.path.join(place.folder, name))
    if os.path.exists(compiled := _compiled(place, name)[0]):
        os.chmod(compiled, _TEXT)  # whatever the umask


class _Lockable(NamedTuple):
    """A folder whose lock files are directly in it. (A store folder keeps them in a subfolder.)"""

    path: str

    def make(self, *_: str) -> str:
        os.makedirs(self.path, exist_ok=True)
        return self.path


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Hold the lock of a folder, so that two processes do not undo each other's changes of the same file.

    Only its owner can open the lock file. Otherwise, any user could hold the lock for ever. Raises OSError.
    """
    try:
        lock = locks.acquire(_Lockable(folder), LOCK, time.monotonic() + LONGEST_WAIT)
    except locks.LockError as error:
        raise error.__cause__ or OSError(str(error)) from None
    if lock is None:
        raise TimeoutError(errno.ETIMEDOUT, "another process has been changing it for too long", folder)
    try:
        yield
    finally:
        lock.release()


def _write(path: str, contents: bytes) -> None:
    """Make or replace a file. The owner, mode and attributes of a replaced file stay."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    atomic_write.write(path, contents, like_the_old=True)


def _read_or_raise(path: str) -> bytes:
    """Read a file that will be changed; empty if missing. Raises OSError if it is unreadable, so that it stays."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return b""
