"""The README's tables, which the site shows too, leave no command and no setting out."""

from __future__ import annotations

import re

import pytest

from aia_store.cli.commands import COMMANDS
from aia_store.inside import settings as config
from tests.docs.blocks import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def first_column(section: str) -> str:
    """The first column of the table between the marks by which `docs/commands.md` includes it."""
    table = README.partition(f"[start:{section}]")[2].partition(f"[end:{section}]")[0]
    return "\n".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_there(command: str) -> None:
    assert re.search(rf"`(?:aia-store )?{command}\b", first_column("commands"))


@pytest.mark.parametrize("key", config.KEYS)
def test_a_setting_is_there(key: str) -> None:
    assert re.search(rf"`AIA_STORE_{key.upper()}\b", first_column("settings"))
