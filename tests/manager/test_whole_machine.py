"""`hook install --all` on this very machine, under overlays: its own interpreters, with all their peculiarities."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CONNECT_ONCE, MakeHierarchy
from tests.manager.copies import Installation
from tests.manager.machine import Machine
from tests.manager.overlay import Overlay
from tests.support.servers import AIAHost, TLSServer

DEBIANS = Path("/usr/lib/python3.11/sitecustomize.py")
PYENV = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
INSTALLED = Path("/usr/lib/aia-store-as-installed")
#: One that takes itself out of PYTHONPATH and imports the next.
OPENTELEMETRY = (
    "import os, sys\nprint('telemetry')\nos.environ.pop('PYTHONPATH')\n"
    "sys.path.remove(os.path.dirname(os.path.abspath(__file__)))\n"
    "del sys.modules['sitecustomize']\ntry:\n    import sitecustomize\nexcept ImportError:\n    pass\n"
)


class ThisMachine:
    """The interpreters of this machine, in a namespace of the test's."""

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.machine = machine
        folders = [Path(name) for name in ("/usr", "/etc", "/opt") if Path(name).is_dir()]
        self.overlay = Overlay(folder / "overlay", *folders, *([PYENV.resolve()] if PYENV.is_dir() else []))
        ours = Installation(folder / "ours", machine)
        assert self.execute("cp", "-rp", ours.folder, INSTALLED).returncode == 0  # where all users can read it
        self._path = ours.path.replace(str(ours.folder), str(INSTALLED))
        self.hook("remove", "--all")  # that of this machine, if there is one
        self._as_installed = self.overlay.changes()

    def execute(self, *command: object, **variables: str | None) -> subprocess.CompletedProcess[str]:
        given = {"PYTHONPATH": None, "PYTHONDONTWRITEBYTECODE": "1", "PYENV_ROOT": str(PYENV), **variables}
        return self.machine.execute(*self.overlay.enter(*command), **given)

    def changes(self) -> dict[str, str]:
        """Each file that is not what it was, and what happened to it."""
        now = self.overlay.changes()
        assert now.items() >= self._as_installed.items()
        return {path: change for path, change in now.items() if path not in self._as_installed}

    def hook(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return self.execute(sys.executable, "-m", "aia_store", "hook", *arguments, PYTHONPATH=self._path)

    def interpreters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.hook("status", "--all", "--json").stdout)
        return found


@pytest.fixture
def here(tmp_path: Path, machine: Machine) -> Iterator[ThisMachine]:
    if sys.platform != "linux" or os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("nsenter")):
        pytest.skip("overlays in a mount namespace need Linux, root, unshare and nsenter")
    try:
        this = ThisMachine(tmp_path, machine)
    except OSError as error:
        pytest.skip(f"no overlays here: {error}")
    yield this
    this.overlay.close()


@pytest.fixture
def broken(machine: Machine, hierarchy: MakeHierarchy) -> Iterator[tuple[int, Path]]:
    """A server that forgets its intermediate: its port, and a file with its root."""
    pki = hierarchy()
    with TLSServer(pki.leaf) as server:
        yield server.port, pki.cafile


#: With urllib, as a program that knows nothing of us has it: `-c URLLIB port`, with SSL_CERT_FILE.
URLLIB = "import sys, urllib.request as u; print(u.urlopen(f'https://localhost:{sys.argv[1]}/', timeout=30).status)"


def test_every_environment_of_every_interpreter_and_every_byte_back(
    here: ThisMachine, tmp_path: Path, broken: tuple[int, Path], aia: AIAHost
) -> None:
    port, roots = broken
    assert here.changes() == {}
    before = {found["python"]: found for found in here.interpreters()}
    done = here.hook("install", "--all")
    assert (done.returncode, done.stderr) == (0, "")
    after = {found["python"]: found for found in here.interpreters()}
    assert after.keys() == before.keys()
    supported = 0
    makers = {"venv": None, "virtualenv": shutil.which("virtualenv"), "uv": shutil.which("uv")}
    for number, (python, found) in enumerate(sorted(after.items())):
        version = tuple(map(int, found["version"].split(".")[:2]))
        if version < (3, 9):
            assert found["reached"] == "too old: left alone"
            started = here.execute(python, "-c", "print(1)")
            assert (started.stdout, started.stderr) == ("1\n", "")
            continue
        assert (found["reached"], found["obstacles"]) == ("with its virtual environments", [])
        supported += 1
        for maker, program in makers.items():
            folder = tmp_path / f"{maker}-{number}"
            if maker == "venv":
                made = here.execute(python, "-m", "venv", "--without-pip", folder)
            elif program is None:
                continue
            elif maker == "virtualenv":
                made = here.execute(program, "--no-seed", "--no-periodic-update", "-p", python, folder)
            else:
                made = here.execute(program, "venv", "--offline", "-p", python, folder)
            assert made.returncode == 0, made
            got = here.execute(folder / "bin" / "python", "-c", URLLIB, port, SSL_CERT_FILE=str(roots))
            assert (got.stdout, got.stderr) == ("200\n", ""), (python, maker)
    assert supported
    assert aia.count() == 1
    done = here.hook("remove", "--all")
    assert (done.returncode, done.stderr) == (0, "")
    assert here.changes() == {}
    assert {found["python"]: found for found in here.interpreters()} == before


@pytest.mark.skipif(not DEBIANS.is_symlink(), reason="this is not Debian's Python 3.11")
def test_debians_own_sitecustomize(here: ThisMachine, tmp_path: Path, broken: tuple[int, Path]) -> None:
    apport = Path("/usr/lib/python3/dist-packages/apport_python_hook.py")
    here.execute("sh", "-c", f"echo \"def install(): print('apport')\" > {apport}")
    done = here.hook("install", "--python", "/usr/bin/python3.11")
    assert (done.returncode, done.stderr) == (0, "")
    conffile = str(DEBIANS.resolve())
    changes = here.changes()
    assert changes.pop(conffile) == "changed"
    assert str(DEBIANS) not in changes
    telemetry = tmp_path / "telemetry"
    telemetry.mkdir()
    (telemetry / "sitecustomize.py").write_text(OPENTELEMETRY)
    plain = here.execute("/usr/bin/python3.11", "-c", CONNECT_ONCE, *broken)
    assert (plain.stdout, plain.stderr) == ("apport\nok\n", "")
    with_telemetry = here.execute("/usr/bin/python3.11", "-c", CONNECT_ONCE, *broken, PYTHONPATH=str(telemetry))
    assert (with_telemetry.stdout, with_telemetry.stderr) == ("telemetry\napport\nok\n", "")
    assert here.hook("remove", "--python", "/usr/bin/python3.11").returncode == 0
    here.execute("rm", apport)
    assert here.changes() == {}


@pytest.mark.skipif(not DEBIANS.is_symlink(), reason="this is not Debian's Python 3.11")
def test_interpreters_start_for_a_user_who_may_read_nothing_of_ours(here: ThisMachine, tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not here")
    assert here.hook("install", "--python", "/usr/bin/python3.11").returncode == 0
    finder = DEBIANS.parent / "aia_store_finder.py"
    compiled = DEBIANS.parent / "__pycache__" / "aia_store_finder.cpython-311.pyc"
    code = "import ssl; ssl.create_default_context(); print(hasattr(ssl.SSLContext._wrap_bio, '__code__'))"
    as_somebody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3.11", "-c")
    assert here.execute(*as_somebody, code, HOME="/nonexistent").stdout == "True\n"
    for unreadable in ((INSTALLED,), (finder, compiled)):
        assert here.execute("chmod", "000", *unreadable).returncode == 0
        for program, expected in (("pass", ""), (code, "False\n")):
            done = here.execute(*as_somebody, program, HOME="/nonexistent")
            assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")
