"""`hook path` in PYTHONPATH: reaches every Python that inherits the environment, and leaves the old ones alone."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CONNECT_ONCE, MakeHierarchy
from tests.manager.copies import OLDEST, VERSIONS, Installation, run
from tests.manager.machine import Machine
from tests.support.servers import TLSServer

_OLD = re.compile(r"2\.7|3\.[5-8]\b")
#: Where aia-store is not installed, if the tests run in a virtual environment.
BASE: str = getattr(sys, "_base_executable", sys.executable)
OLD = [found / "bin" / "python" for found in sorted(VERSIONS.glob("*")) if _OLD.match(found.name)]


@pytest.fixture
def ours(tmp_path: Path, machine: Machine) -> Installation:
    return Installation(tmp_path / "ours", machine)


@pytest.fixture
def hooks(ours: Installation) -> str:
    """What `hook path` prints."""
    path = ours.does("path").removesuffix("\n")
    assert path == str(ours.package / "install" / "hooks")
    return path


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder with a sitecustomize that prints."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import sys\nsys.stdout.write('theirs\\n')\n")
    return folder


@pytest.fixture
def broken(machine: Machine, hierarchy: MakeHierarchy) -> Iterator[tuple[int, Path]]:
    """A server that forgets its intermediate: its port, and a file with its root."""
    pki = hierarchy()
    with TLSServer(pki.leaf) as server:
        yield server.port, pki.cafile


def test_a_program_and_its_children_complete_chains(
    machine: Machine, hooks: str, theirs: Path, broken: tuple[int, Path]
) -> None:
    child = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', *sys.argv[1:]]))"
    for path in (hooks, hooks + os.sep, f"{theirs}{os.pathsep}{hooks}", f"{hooks}{os.pathsep}{theirs}"):
        done = run(machine, BASE, "-c", child, CONNECT_ONCE, *broken, PYTHONPATH=path)
        if path.startswith(str(theirs)):
            assert done.returncode == 1  # it looks for no other
        else:
            assert (done.stdout.replace("theirs\n", ""), done.stderr) == ("ok\n", ""), path
        assert done.stdout.count("theirs") == (2 if str(theirs) in path else 0)


@pytest.mark.parametrize("option", ["-I", "-E"])
def test_it_is_out_of_reach_of_isolated_programs(
    machine: Machine, hooks: str, broken: tuple[int, Path], option: str
) -> None:
    done = run(machine, BASE, option, "-c", CONNECT_ONCE, *broken, PYTHONPATH=hooks)
    assert "unable to get local issuer certificate" in done.stderr


def test_a_start_loads_no_ssl_and_nothing_of_ours_but_the_finder(machine: Machine, hooks: str) -> None:
    done = run(machine, BASE, "-X", "importtime", "-c", "pass", PYTHONPATH=hooks)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {name for name in loaded if "aia_store" in name} == {"aia_store_finder"}
    assert "ssl" not in loaded


#: Also where ssl is loaded anew, and where its first context is one of a class of the program's own.
ATTACHES = """
import importlib, ssl, sys
class Context(ssl.SSLContext):
    pass
for make in (Context, ssl.SSLContext, importlib.reload(ssl).SSLContext):
    print(hasattr(type(make(ssl.PROTOCOL_TLS_CLIENT))._wrap_bio, "__code__"))
"""


@pytest.mark.skipif(not OLDEST, reason="no Python 3.9 or 3.10 is here")
@pytest.mark.parametrize("python", OLDEST, ids=lambda python: python.parents[1].name)
def test_the_oldest_pythons_attach(machine: Machine, hooks: str, python: Path) -> None:
    done = run(machine, python, "-c", ATTACHES, PYTHONPATH=hooks)
    assert (done.stdout, done.stderr) == ("True\n" * 3, "")
    machine.config.parent.mkdir(parents=True)
    machine.config.write_text("disable = true  # read without tomllib\n")
    done = run(machine, python, "-c", ATTACHES, PYTHONPATH=hooks)
    assert (done.stdout, done.stderr) == ("False\n" * 3, "")


@pytest.mark.skipif(not OLD, reason="no Python older than 3.9 is here")
@pytest.mark.parametrize("python", OLD, ids=lambda python: python.parents[1].name)
def test_old_pythons_load_it_and_nothing_happens(machine: Machine, hooks: str, theirs: Path, python: Path) -> None:
    code = "import ssl, sys; sys.stdout.write(str(sorted(n for n in sys.modules if 'aia_store' in n)) + ssl.__name__)"
    alone = run(machine, python, "-c", code, PYTHONPATH=hooks)
    assert (alone.returncode, alone.stdout, alone.stderr) == (0, "[]ssl", "")
    # The one that would have run without ours runs.
    both = run(machine, python, "-c", code, PYTHONPATH=f"{hooks}{os.pathsep}{theirs}")
    assert (both.returncode, both.stdout, both.stderr) == (0, "theirs\n[]ssl", "")


def test_it_never_prints_whatever_is_broken(machine: Machine, ours: Installation, hooks: str) -> None:
    code = "import ssl; ssl.create_default_context(); print(ssl.SSLContext.__name__)"
    for ruin in ("inside/patch.py", "inside/startup.py", "inside/__init__.py", "install/hooks/aia_store_finder.py"):
        (ours.package / ruin).write_text("((")
        done = run(machine, BASE, "-c", code, PYTHONPATH=hooks)
        assert (done.returncode, done.stdout, done.stderr) == (0, "SSLContext\n", ""), ruin
    (ours.package / "install" / "hooks" / "aia_store_finder.py").unlink()
    assert run(machine, BASE, "-c", code, PYTHONPATH=hooks).stderr == ""
