"""Virtual environments, each with one client and the hook, installed as a user would; made once per session."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.manager.venvs import make_wheel

SECONDS = 120  # for one installation: some old releases have to be compiled
_HOOK = "from aia_store.install import hook; hook.install()"


class NotInstallable(Exception):
    """A release cannot be installed on this Python or machine. The message is the installer's last line."""


class Environments:
    """Environments below a folder, by what is installed in them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wheel = make_wheel(folder)
        self._made: dict[frozenset[str], Path | NotInstallable] = {}

    def python(self, requirements: list[str]) -> Path:
        """The interpreter of an environment with these and the hook. Raises NotInstallable."""
        key = frozenset(requirements)
        if key not in self._made:
            try:
                self._made[key] = self._make(self._folder / str(len(self._made)), requirements)
            except NotInstallable as error:
                self._made[key] = error
        made = self._made[key]
        if isinstance(made, NotInstallable):
            raise made
        return made

    def _make(self, folder: Path, requirements: list[str]) -> Path:
        uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
        python = folder / "bin" / "python"
        if uv:
            _run(uv, "venv", "--quiet", "--python", sys.executable, folder)
            install = [uv, "pip", "install", "--quiet", "--python", python]
        else:
            venv.create(folder, symlinks=True)
            install = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install", "-q"]
        if requirements:
            _run(*install, *requirements)
        _run(*install, "--no-deps", self._wheel)
        _run(python, "-c", _HOOK)
        return python


def version(python: Path, package: str) -> str:
    """The version of a distribution in an environment."""
    return _run(python, "-c", "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))", package).strip()


def _run(*command: object) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstallable(f"it takes longer than {SECONDS} s") from error
    if done.returncode:
        raise NotInstallable((done.stderr.strip() or "no reason given").splitlines()[-1].strip())
    return done.stdout
