"""A command runs nothing from its working folder, which may be a folder that anybody can write."""

from __future__ import annotations

import sys

import pytest

from tests.manager.machine import Machine

#: As the installed script runs it: Python puts the script's folder on the path, and not the working folder.
INSTALLED = "import sys; del sys.path[0]; sys.argv[0] = 'aia-store'; from aia_store.cli import main; main()"


@pytest.mark.parametrize(
    "command", ["selftest", "status", "hook status", "hook remove", "bundle --rebuild", "refresh", "check 127.0.0.1:1"]
)
def test_modules_in_the_working_folder_are_not_imported(machine: Machine, command: str) -> None:
    marker = machine.folder / "imported"
    for name in ("aia_store", "certifi", "http", "json", "site", "socket", "ssl", "sitecustomize", "urllib"):
        (machine.folder / f"{name}.py").write_text(f"open({str(marker)!r}, 'w')\n")
    machine.execute(sys.executable, "-c", INSTALLED, *command.split())
    assert not marker.exists()
