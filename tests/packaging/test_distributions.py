"""The wheel and the source archive: the same bytes from every build, and nothing in them that does not belong there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import aia_store

REPOSITORY = Path(__file__).parents[2]
WHEEL = f"aia_store-{aia_store.__version__}-py3-none-any.whl"
ARCHIVE = f"aia_store-{aia_store.__version__}.tar.gz"

pytestmark = pytest.mark.timeout(300)


def tracked(*paths: str) -> list[str]:
    """The files of the project, new ones included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths]
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted(name for name in found if name and os.path.lexists(REPOSITORY / name))


def build(folder: Path, umask: int) -> Path:
    """Both, from a copy of the working tree that was made just now; returns their folder."""
    for name in tracked():
        (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / "tree" / name, follow_symlinks=False)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "tree"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, umask=umask, check=False
    )
    assert done.returncode == 0, done.stdout
    return folder / "dist"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("first"), umask=0o022)


def test_a_second_build_gives_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    """Elsewhere, later, and by somebody with another umask."""
    again = build(tmp_path, umask=0o077)
    assert sorted(path.name for path in again.iterdir()) == [WHEEL, ARCHIVE]
    for path in again.iterdir():
        assert path.read_bytes() == (dist / path.name).read_bytes(), path.name


def test_twine_has_nothing_to_say(dist: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir()]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


def test_the_wheel_holds_the_package_and_nothing_else(dist: Path) -> None:
    about = f"aia_store-{aia_store.__version__}.dist-info"
    described = [f"{about}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")]
    with zipfile.ZipFile(dist / WHEEL) as wheel:
        assert sorted(wheel.namelist()) == sorted([*tracked("aia_store"), *described])


def test_the_source_archive_holds_the_project(dist: Path) -> None:
    with tarfile.open(dist / ARCHIVE) as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames()]
    assert sorted(names) == sorted([*tracked(), "PKG-INFO"])


def test_what_is_imported_is_what_is_required(dist: Path) -> None:
    """Of other projects; the parts that are asked for by an extra are for tests and the site."""
    with zipfile.ZipFile(dist / WHEEL) as wheel:
        (metadata,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        lines = wheel.read(metadata).decode().splitlines()
    required = [line.split(":", 1)[1] for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    names = sorted(line.split(">")[0].strip() for line in required)
    assert names == ["certifi", "click", "cryptography", "rich", "watchdog"]
    sources = "".join((REPOSITORY / name).read_text() for name in tracked("aia_store") if name.endswith(".py"))
    assert [name for name in names if f"import {name}" not in sources and f"from {name}" not in sources] == []
