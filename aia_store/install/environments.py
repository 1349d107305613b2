"""The virtual environments of this machine or user, according to their pyvenv.cfg files; none of them is run."""

from __future__ import annotations

import glob
import os
from typing import NamedTuple

from .interpreters import Interpreter, expanded, home_of

MOST = 1_000  # environments; they are only shown
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
    "~/*",
    "~/*/.venv",
    "~/*/venv",
    "/opt/*",
    "/opt/*/.venv",
    "/opt/*/venv",
    "/opt/pipx/venvs/*",
    "/srv/*",
    "/srv/*/.venv",
    "/srv/*/venv",
)


class Environment(NamedTuple):
    """A virtual environment: its folder, and the interpreter that it was made from."""

    folder: str
    home: str  # the interpreter's folder
    is_orphan: bool  # its interpreter is gone

    def is_of(self, interpreter: Interpreter) -> bool:
        """Whether it was made from this interpreter."""
        real = os.path.realpath(os.path.join(self.folder, "bin", "python"))
        if real.startswith(os.path.realpath(self.folder) + os.sep):  # a copy, so pyvenv.cfg must tell
            real = os.path.join(os.path.realpath(self.home), os.path.basename(os.path.realpath(interpreter.python)))
        return real == os.path.realpath(interpreter.python)


def find() -> list[Environment]:
    """The environments in the usual places, at most `MOST`."""
    found: dict[str, Environment] = {}
    for pattern in map(expanded, _PLACES):
        for file in sorted(glob.iglob(os.path.join(pattern, "pyvenv.cfg"))):
            folder = os.path.dirname(file)
            environment = _read(folder, file)
            if environment is not None:
                found.setdefault(os.path.realpath(folder), environment)
            if len(found) >= MOST:
                return list(found.values())
    return list(found.values())


def _read(folder: str, file: str) -> Environment | None:
    home = home_of(file)
    if home is None:
        return None
    return Environment(folder, home, not os.path.exists(os.path.join(folder, "bin", "python")))
