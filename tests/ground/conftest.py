"""What these tests share: many certificates, and child processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder

from ..support.pki import Authority, private_key

Run = Callable[..., str]

ROOT = Authority.root("Ground Root")


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no configuration file but the test's own."""
    for name in [*os.environ]:
        if name.startswith(("AIA_STORE_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-user-config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "no-site-config"))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "store"))


@pytest.fixture(scope="session")
def issued() -> list[Certificate]:
    """200 intermediates of 100 names; one key serves them all, because keys are what takes time."""
    key = private_key()
    return [Certificate(ROOT.intermediate(f"Ground CA {number // 2}", key=key).der) for number in range(200)]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run Python code in a process of its own, perhaps behind another command; what it prints comes back."""

    def run_code(code: str, *arguments: object, before: tuple[str, ...] = ()) -> str:
        done = subprocess.run(
            [*before, sys.executable, "-c", code, *map(str, arguments)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_code
