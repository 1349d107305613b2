"""Virtual environments that hold aia-store as pip installs it, without its dependencies."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import aia_store
from tests.manager.copies import Copy
from tests.manager.machine import Machine, snapshot

NAME, VERSION = "aia_store", aia_store.__version__

_METADATA = f"Metadata-Version: 2.1\nName: aia-store\nVersion: {VERSION}\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_ENTRY_POINTS = "[console_scripts]\naia-store = aia_store.cli:main\n"


def make_wheel(folder: Path) -> Path:
    """A wheel of the package that is being tested."""
    package = Path(aia_store.__file__).parent
    wheel = folder / f"{NAME}-{VERSION}-py3-none-any.whl"
    contents = {
        f"{NAME}/{path.relative_to(package).as_posix()}": path.read_text(encoding="utf-8")
        for path in package.rglob("*.py")
    }
    info = f"{NAME}-{VERSION}.dist-info"
    contents |= {
        f"{info}/METADATA": _METADATA,
        f"{info}/WHEEL": _WHEEL,
        f"{info}/entry_points.txt": _ENTRY_POINTS,
    }
    record = "".join(f"{name},,\n" for name in [*contents, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return wheel


class Venv:
    """A virtual environment with nothing in it but aia-store, copied from where pip put it once."""

    def __init__(self, folder: Path, machine: Machine, installed: Path | None) -> None:
        base = Copy(folder.with_name(f"base of {folder.name}"), machine)  # the machine's own may have a hook
        environment = base.venv(folder)
        self.python, self.site = environment.python, environment.site
        self.machine = machine
        if installed is not None:
            shutil.copytree(installed, self.site, dirs_exist_ok=True, symlinks=True)

    def run(self, *arguments: object, **variables: str | None) -> subprocess.CompletedProcess[str]:
        """Run the environment's Python; it sees only what is installed there."""
        return self.machine.execute(self.python, *arguments, **{"PYTHONPATH": None, **variables})

    def hook(self, *arguments: object, **variables: str | None) -> subprocess.CompletedProcess[str]:
        """Run `aia-store hook` in it; its dependencies come from outside."""
        return self.command("hook", *arguments, **variables)

    def command(self, *arguments: object, **variables: str | None) -> subprocess.CompletedProcess[str]:
        """Run `aia-store` in it."""
        return self.run("-m", "aia_store", *arguments, **{"PYTHONPATH": _dependencies(self.site), **variables})

    def contents(self) -> dict[str, str]:
        """What is in site-packages: each file and its hash, compiled ones aside."""
        return {name: digest for name, digest in snapshot(self.site).items() if not name.endswith(".pyc")}


def _dependencies(site: Path) -> str:
    """Where the dependencies are; behind the environment's own folder, so that aia-store comes from there."""
    outside = dict.fromkeys(
        str(importlib.metadata.distribution(name).locate_file("")) for name in ("click", "cryptography", "rich")
    )
    return os.pathsep.join([str(site), *outside])


def pip(python: Path | str, *arguments: object) -> None:
    """Run this interpreter's pip for another one."""
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", *map(str, arguments)],
        check=True,
        capture_output=True,
    )
