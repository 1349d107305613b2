"""The package for Arch Linux: built by the real makepkg as an ordinary user, installed by the real pacman."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CONNECT_ONCE, MakeHierarchy
from tests.support.servers import AIAHost, TLSServer

REPOSITORY = Path(__file__).parents[2]
ARCH = REPOSITORY / "packaging" / "arch"
BUILDER = "nobody"
PYTHON = "/usr/bin/python3"  # that anybody can run; its environment must be too

pytestmark = pytest.mark.timeout(300)


def run(*command: str | Path, **environment: str) -> str:
    variables = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment}
    done = subprocess.run(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=250
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where the builder works; pytest's own folders are closed to others."""
    missing = [name for name in ("makepkg", "pacman", "runuser", "unshare") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not here")
    if os.geteuid() != 0:
        pytest.skip("only root can become an ordinary user, and install into a root of its own")
    if not Path(PYTHON).exists() or run(PYTHON, "-c", "import sys; print(sys.version)") < "3.11":
        pytest.skip(f"{PYTHON} is missing, or too old")
    with tempfile.TemporaryDirectory(prefix="arch-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    """The variables of a builder whose `python` has the build tools, and puts packages where a distribution does."""
    tools = folder / "tools"
    build = ["build", "hatchling", "installer"]
    needed = importlib.metadata.requires("aia-store") or []  # to make the man page and the completions
    depends = [requirement for requirement in needed if "extra ==" not in requirement]
    run(sys.executable, "-m", "pip", "--python", PYTHON, "install", "-q", "--target", tools, *build, *depends)
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{tools}:$PYTHONPATH" exec {PYTHON} "$@"\n')
    python.chmod(0o755)
    return {
        "PATH": f"{python.parent}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder / "work"),
        "DEB_PYTHON_INSTALL_LAYOUT": "deb",  # elsewhere than Debian it means nothing
    }


@pytest.fixture(scope="module")
def package(folder: Path, environment: dict[str, str]) -> Path:
    """The package, built from this working tree."""
    work = folder / "work"
    work.mkdir()
    files = run("git", "-C", REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, files):
        source = REPOSITORY / name
        if source.is_file() or source.is_symlink():
            (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / "tree" / name, follow_symlinks=False)
    run("python", "-m", "build", "--sdist", "--no-isolation", "--outdir", work, folder / "tree", **environment)
    shutil.copy(ARCH / "PKGBUILD", work)
    run("chown", "-R", BUILDER, work)
    run("runuser", "-u", BUILDER, "--", "sh", "-c", f"cd {work} && exec makepkg --nodeps", **environment)
    (built,) = work.glob("*.pkg.tar*")
    return built


@pytest.fixture(scope="module")
def root(folder: Path, package: Path) -> Path:
    """A root of its own that the package was installed into."""
    where = folder / "root"
    (where / "var/lib/pacman").mkdir(parents=True)
    run("pacman", "--root", where, "--noconfirm", "--nodeps", "--nodeps", "-U", package)
    return where


def test_the_srcinfo_is_that_of_the_pkgbuild(folder: Path, package: Path, environment: dict[str, str]) -> None:
    command = f"cd {package.parent} && exec makepkg --printsrcinfo"
    assert run("runuser", "-u", BUILDER, "--", "sh", "-c", command, **environment) == (ARCH / ".SRCINFO").read_text()


def test_the_version_is_that_of_the_project(package: Path) -> None:
    import aia_store

    assert package.name.startswith(f"aia-store-{aia_store.__version__}-1-any.pkg.tar")


def test_everything_is_in_its_place(root: Path) -> None:
    for file in (
        "usr/bin/aia-store",
        "usr/lib/systemd/system/aia-store.service",
        "usr/lib/systemd/system/aia-store-refresh.service",
        "usr/lib/systemd/system/aia-store-refresh.timer",
        "usr/lib/sysusers.d/aia-store.conf",
        "usr/lib/tmpfiles.d/aia-store.conf",
        "usr/share/libalpm/hooks/zz-aia-store.hook",
        "usr/share/aia-store/trust-changed",
        "usr/share/licenses/aia-store/LICENSE",
        "usr/share/man/man1/aia-store.1.gz",  # makepkg packs it
        "usr/share/bash-completion/completions/aia-store",
        "usr/share/zsh/site-functions/_aia-store",
        "usr/share/fish/vendor_completions.d/aia-store.fish",
    ):
        assert (root / file).stat().st_size > 0, file
    assert os.access(root / "usr/share/aia-store/trust-changed", os.X_OK)


def test_the_installed_hook_works(root: Path, store: Path, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    """Its files lie over the system's Python, where only this process sees them."""
    pki = hierarchy()
    (site,) = (path.parent for path in root.rglob("aia_store.pth"))
    place = Path("/") / site.relative_to(root)
    with TLSServer(pki.leaf) as server:
        inside = f'mount --bind "{site}" "{place}" && exec "$@"'
        place.mkdir(parents=True, exist_ok=True)
        command = [PYTHON, "-c", CONNECT_ONCE, str(server.port), str(pki.cafile)]
        variables = {name: value for name, value in os.environ.items() if name.startswith(("AIA_STORE_", "XDG_"))}
        said = run("unshare", "--mount", "sh", "-c", inside, "sh", *command, HOME=os.environ["HOME"], **variables)
    assert said.strip() == "ok"
    assert aia.count() == 1


def test_removing_it_leaves_nothing(root: Path) -> None:
    run("pacman", "--root", root, "--noconfirm", "-R", "aia-store")
    assert [path for path in root.rglob("*aia*") if not path.is_relative_to(root / "var")] == []
