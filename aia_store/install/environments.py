"""Finds the virtual environments of this machine or user by their pyvenv.cfg files, and runs none of them."""

from __future__ import annotations

import glob
import os
from itertools import chain
from typing import NamedTuple

from .interpreters import Interpreter, expanded, home_of

MOST = 1_000  # environments; they are only shown
_PARTS = ("", "/.venv", "/venv")  # where environments are, relative to a project's folder
_PLACES = (
    "{WORKON_HOME}/*",
    "{PIPX_HOME}/venvs/*",
    "{UV_TOOL_DIR}/*",
    "{PYENV_ROOT}/versions/*",
    "{PYENV_ROOT}/versions/*/envs/*",
    "~/.local/pipx/venvs/*",
    "~/.local/share/virtualenvs/*",
    "~/.cache/pypoetry/virtualenvs/*",
    "~/.local/share/hatch/env/virtual/*/*/*",
    "~/.venv",
    "~/.venvs/*",
    *(f"{root}/*{part}" for root in ("~", "/opt") for part in _PARTS),
    "/opt/pipx/venvs/*",
    *(f"/srv/*{part}" for part in _PARTS),
)


class Environment(NamedTuple):
    """A virtual environment: its folder, and the interpreter that it was made from."""

    folder: str
    home: str  # the interpreter's folder
    is_orphan: bool  # its interpreter is gone

    def is_of(self, interpreter: Interpreter) -> bool:
        """Whether this environment was made from this interpreter."""
        real = os.path.realpath(os.path.join(self.folder, "bin", "python"))
        if real.startswith(os.path.realpath(self.folder) + os.sep):  # a copied interpreter: see pyvenv.cfg
            real = os.path.join(os.path.realpath(self.home), os.path.basename(os.path.realpath(interpreter.python)))
        return real == os.path.realpath(interpreter.python)


def find() -> list[Environment]:
    """The environments in the usual places, at most `MOST`."""
    found: dict[str, Environment] = {}
    files = (sorted(glob.iglob(os.path.join(pattern, "pyvenv.cfg"))) for pattern in map(expanded, _PLACES))
    for file in chain.from_iterable(files):
        folder, home = os.path.dirname(file), home_of(file)
        if home is not None:
            is_orphan = not os.path.exists(os.path.join(folder, "bin", "python"))
            found.setdefault(os.path.realpath(folder), Environment(folder, home, is_orphan))
        if len(found) >= MOST:
            break
    return list(found.values())
