"""The packages of distributions name the version of the project."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import aia_store
from tests.packaging.test_packaging import needs

PACKAGING = Path(__file__).parents[2] / "packaging"


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("arch/PKGBUILD", f"pkgver={aia_store.__version__}"),
        ("arch/.SRCINFO", f"\tpkgver = {aia_store.__version__}"),
        ("debian/changelog", f"aia-store ({aia_store.__version__}) unstable; urgency=medium"),
        ("rpm/aia-store.spec", f"Version:        {aia_store.__version__}"),
    ],
)
def test_the_version_is_that_of_the_project(file: str, line: str) -> None:
    assert line in (PACKAGING / file).read_text().splitlines()


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_the_scripts_of_the_debian_package_are_read_by_its_shell(script: str) -> None:
    command = [needs("dash"), "-n", PACKAGING / "debian" / f"aia-store.{script}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
