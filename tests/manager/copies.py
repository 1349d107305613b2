"""Copies of interpreters, which tests may change, and installations of aia-store beside them.

A copy has the binary and a standard library folder of its own, in which each entry is a link to the original: what is
written there is written by renaming, and so replaces the link.
"""

from __future__ import annotations

import compileall
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import aia_store
from tests.manager.machine import Machine

_NAME = f"python{sys.version_info[0]}.{sys.version_info[1]}"


VERSIONS = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
#: Interpreters of this machine that the hook serves, though this package needs a newer one, or nearly so.
OLDEST = [found / "bin" / "python" for found in sorted(VERSIONS.glob("3.9.*")) + sorted(VERSIONS.glob("3.10.*"))]


class Copy:
    """A copy of an interpreter without a hook, by default of the one that runs the tests; no site-packages to speak of.

    `original`: the binary, no link.
    """

    def __init__(self, folder: Path, machine: Machine, original: Path = Path(sys.base_prefix, "bin", _NAME)) -> None:
        base, name = original.parents[1], original.name
        self.folder, self.machine = folder, machine
        self.python = folder / "bin" / name
        self.library = folder / "lib" / name
        self.cache = self.library / "__pycache__"
        self.site = self.library / "site-packages"
        self.sitecustomize = self.library / "sitecustomize.py"
        for part in (self.python.parent, self.cache, self.site):
            part.mkdir(parents=True)
        shutil.copy2(os.path.realpath(original), self.python)
        library = base / "lib" / name
        for source in (library, library / "__pycache__"):
            for entry in source.iterdir():
                if entry.name not in ("__pycache__", "site-packages") and not _is_of_a_hook(entry.name):
                    (self.library / entry.relative_to(library)).symlink_to(entry)

    def venv(self, folder: Path) -> Environment:
        """A virtual environment made from it in the usual way, with nothing in it."""
        self.machine.execute(self.python, "-B", "-m", "venv", "--without-pip", folder)
        return Environment(folder, self.machine)

    def run(self, *arguments: object, **variables: str | None) -> subprocess.CompletedProcess[str]:
        return run(self.machine, self.python, *arguments, **variables)

    def compile(self, file: Path) -> None:
        """Compile a file as an installer does."""
        assert self.run("-S", "-m", "py_compile", file, PYTHONDONTWRITEBYTECODE=None).returncode == 0


def _is_of_a_hook(name: str) -> bool:
    return "sitecustomize" in name or name.startswith("aia_store")


class Environment:
    """A virtual environment."""

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.folder, self.machine = folder, machine
        self.python = folder / "bin" / "python"
        self.site = folder / "lib" / _NAME / "site-packages"

    def run(self, *arguments: object, **variables: str | None) -> subprocess.CompletedProcess[str]:
        return run(self.machine, self.python, *arguments, **variables)


class Installation:
    """The package in a folder of its own, as an installer leaves it."""

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.folder, self.machine = folder, machine
        self.package = folder / "aia_store"
        source = Path(aia_store.__file__).parent
        compileall.compile_dir(source, quiet=2)
        shutil.copytree(source, self.package)

    @property
    def path(self) -> str:
        """The PYTHONPATH of its command, whose dependencies come from outside."""
        found = (importlib.metadata.distribution(name).locate_file("") for name in ("click", "cryptography", "rich"))
        return os.pathsep.join(dict.fromkeys([str(self.folder), *map(str, found)]))

    def hook(self, *arguments: object, **variables: str | None) -> subprocess.CompletedProcess[str]:
        """Run its `aia-store hook`."""
        return run(
            self.machine, sys.executable, "-m", "aia_store", "hook", *arguments, PYTHONPATH=self.path, **variables
        )

    def does(self, *arguments: object, **variables: str | None) -> str:
        """What `aia-store hook` prints; it must go well."""
        done = self.hook(*arguments, **variables)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout


def run(
    machine: Machine, python: Path | str, *arguments: object, **variables: str | None
) -> subprocess.CompletedProcess[str]:
    """Run an interpreter that leaves no compiled files behind, which a test would take for ours."""
    given = {"PYTHONPATH": None, "PYTHONDONTWRITEBYTECODE": "1", **variables}
    return machine.execute(python, *arguments, **given)


def tree(*folders: Path) -> dict[str, str]:
    """All that is below these folders: hashes of files, where links lead, and modes."""
    return {
        str(path): f"{path.lstat().st_mode:o} {_digest(path)}"
        for folder in folders
        for path in sorted(folder.rglob("*"))
    }


def _digest(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
