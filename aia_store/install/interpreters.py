"""The base interpreters of this machine or this user, from which virtual environments are made."""

from __future__ import annotations

import glob
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..inside import ownership
from ..inside.startup import OLDEST
from ..inside.store import read_regular_file

SECONDS = 20  # for an interpreter to start, on a slow disk
SYSTEM_GROUPS = range(1_000)  # Debian's staff may write to /usr/local
LARGEST_CFG = 65_536  # bytes of a pyvenv.cfg
_NAME = re.compile(r"(python|pypy)(\d(\.\d+)?t?)?")
_CONDAS = ("miniconda", "miniforge", "anaconda")
#: Where interpreters are, the system's first. `~` is the home of the user who runs this.
_FOLDERS = (
    "/usr/bin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/home/linuxbrew/.linuxbrew/bin",
    "{PYENV_ROOT}/versions/*/bin",
    "/opt/pyenv/versions/*/bin",
    "{UV_PYTHON_INSTALL_DIR}/*/bin",
    "{PIPX_HOME}/py/*/bin",
    "{PIPX_HOME}/py/*/python/bin",
    "/opt/pipx/py/*/bin",
    *(
        f"{root}{part}/bin"
        for root in ("{CONDA_ROOT}", "/opt/conda", *(f"{top}/{name}3" for top in ("/opt", "~") for name in _CONDAS))
        for part in ("", "/envs/*")
    ),
)
_DEFAULTS = {
    "PYENV_ROOT": "~/.pyenv",
    "UV_PYTHON_INSTALL_DIR": "~/.local/share/uv/python",
    "UV_TOOL_DIR": "~/.local/share/uv/tools",
    "PIPX_HOME": "~/.local/share/pipx",
    "CONDA_ROOT": "~/.conda",
    "WORKON_HOME": "~/.virtualenvs",
}
# Run with -E -s -S, which Python 2.7 knows too, so that neither the environment nor site-packages matters.
_QUESTION = """
import json, os, sys, sysconfig
base = getattr(sys, "base_prefix", sys.prefix)
folders = list(sysconfig.get_paths(vars={"base": base, "platbase": base}).values())
if sys.version_info >= (3,):  # in Python 2, importing site runs what is in these
    import site
    folders += site.getsitepackages([base])
print(json.dumps({
    "python": getattr(sys, "_base_executable", None) or sys.executable,
    "version": sys.version_info[:3],
    "prefix": base,
    "stdlib": os.path.dirname(os.path.abspath(os.__file__)),
    "site": sysconfig.get_path("purelib", vars={"base": base, "platbase": base}),
    "tag": getattr(getattr(sys, "implementation", None), "cache_tag", None),
    "folders": folders,
}))
"""


class InterpreterError(Exception):
    """An interpreter that cannot be used. The message is one line that names it, the reason and the remedy."""


class Interpreter(NamedTuple):
    """A base interpreter, as it describes itself."""

    python: str
    version: tuple[int, ...]
    prefix: str
    stdlib: str  # its standard library folder
    site: str  # its own site-packages, which its virtual environments do not see
    tag: str | None  # part of the names of its compiled files

    @property
    def is_supported(self) -> bool:
        return self.version >= OLDEST

    @property
    def release(self) -> str:
        return ".".join(map(str, self.version))

    @property
    def is_externally_managed(self) -> bool:
        """Whether another package manager owns its site-packages (PEP 668)."""
        return os.path.exists(os.path.join(self.stdlib, "EXTERNALLY-MANAGED"))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run this interpreter with these arguments, without writing compiled files. Raises InterpreterError."""
        return run([self.python, "-B", *arguments])


def candidates() -> Iterable[str]:
    """The paths of the interpreters in the usual places, and then of the running one; each file once."""
    usual = [
        path
        for pattern in map(expanded, _FOLDERS)
        for folder in sorted(glob.glob(pattern))
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), "p*")))
        if _NAME.fullmatch(os.path.basename(path)) and os.path.isfile(path) and os.access(path, os.X_OK)
    ]
    found: dict[str, str] = {}
    for path in [*usual, sys.executable]:
        found.setdefault(os.path.realpath(path), path)
    return found.values()


def ask(path: str) -> Interpreter:
    """Ask the interpreter at this path for its base interpreter, which may be itself.

    Raises InterpreterError if this fails, or if root asks and others can change the interpreter or code that it runs.
    """
    _refuse_foreign(path, _decisive(path))
    answer = run([os.path.abspath(path), "-E", "-s", "-S", "-B", "-c", _QUESTION])
    try:
        told = json.loads(answer.stdout)
        found = Interpreter(
            told["python"] or path, tuple(told["version"]), told["prefix"], told["stdlib"], told["site"], told["tag"]
        )
    except (ValueError, KeyError, TypeError) as error:
        said = answer.stderr.strip().splitlines()
        raise InterpreterError(
            f"{path} cannot be run ({said[-1] if said else f'status {answer.returncode}'}); repair or remove it"
        ) from error
    if not os.path.isdir(found.stdlib):
        raise InterpreterError(f"{path} has no standard library folder ({found.stdlib}); it cannot be hooked")
    _refuse_foreign(path, [*_decisive(found.python), found.stdlib, found.site, *told["folders"]])
    return found


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run an interpreter in the folder /, without Python's and aia-store's variables.

    Raises InterpreterError if it cannot be started, or does not end in 20 seconds.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AIA_STORE_"))}
    if os.geteuid() == 0:
        environment["PYTHONNOUSERSITE"] = "1"  # under sudo, HOME may be another user's
    try:
        return subprocess.run(
            command,
            capture_output=True,
            check=False,
            cwd="/",
            encoding="utf-8",
            env=environment,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
        )
    except OSError as error:
        raise InterpreterError(f"{command[0]} cannot be run ({error.strerror}); repair or remove it") from error
    except subprocess.TimeoutExpired as error:
        raise InterpreterError(f"{command[0]} did not end in {SECONDS} seconds; repair or remove it") from error


def expanded(pattern: str) -> str:
    """Expand the variables and `~` in a pattern of paths."""
    for name, default in _DEFAULTS.items():
        pattern = pattern.replace(f"{{{name}}}", glob.escape(os.environ.get(name) or os.path.expanduser(default)))
    return os.path.expanduser(pattern)


def changed_by_others(path: str) -> str | None:
    """The first part of a path that users other than root can change; None if there is none, or this is not root."""
    is_root = os.name == "posix" and os.geteuid() == 0
    return ownership.changed_by_others(path, SYSTEM_GROUPS) if is_root else None


def _refuse_foreign(path: str, decisive: Iterable[str]) -> None:
    weak = next(filter(None, map(changed_by_others, decisive)), None)
    if weak is not None:
        raise InterpreterError(
            f"{path} is left alone, because users other than root can change {weak}; "
            "their owner can run `aia-store hook install --all`"
        )


def _decisive(path: str) -> Iterator[str]:
    """The paths that decide which code an interpreter runs first: its own path, pyvenv.cfg, and its prefixes.

    Python looks for pyvenv.cfg beside the path that started it and one level up, without following links (PEP 405). It
    looks for the standard library above its own path, links followed, or above the `home` in pyvenv.cfg.
    """
    path = os.path.abspath(path)
    folder = os.path.dirname(path)
    yield path
    homes = [folder, os.path.dirname(os.path.realpath(path))]
    for file in (os.path.join(folder, "pyvenv.cfg"), os.path.join(os.path.dirname(folder), "pyvenv.cfg")):
        if os.path.lexists(file):
            yield file
            homes += filter(None, [home_of(file)])
    for home in homes:
        yield home
        prefix = os.path.dirname(home)
        for library in ("lib", "lib64"):
            yield from glob.iglob(os.path.join(glob.escape(prefix), library, "p*"))


def home_of(file: str) -> str | None:
    """The folder of the interpreter that a virtual environment was made from, according to its pyvenv.cfg."""
    try:
        text = read_regular_file(file, LARGEST_CFG).decode("utf-8", "replace")
    except OSError:
        return None
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and key.strip().lower() == "home":
            return value.strip()
    return None
