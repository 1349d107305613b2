"""The README's tables, which the site shows too, leave no command out, and say of settings what the man page says."""

from __future__ import annotations

import re

import pytest

from aia_store.cli.commands import COMMANDS
from aia_store.cli.manpage import SETTINGS
from aia_store.inside.settings import KEYS
from tests.docs.blocks import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def rows(section: str) -> dict[str, str]:
    """The first two columns of the table between the marks by which `docs/commands.md` includes it."""
    table = README.partition(f"[start:{section}]")[2].partition(f"[end:{section}]")[0]
    return dict(re.findall(r"^\| (`.*?) \| (.*?) \|$", table, re.MULTILINE))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_there(command: str) -> None:
    assert re.search(rf"`(?:aia-store )?{command}\b", "\n".join(rows("commands")))


def test_every_setting_is_in_the_man_page() -> None:
    assert [setting.partition("=")[0] for setting in SETTINGS] == [f"AIA_STORE_{key.upper()}" for key in KEYS]


def test_the_settings_are_those_of_the_man_page() -> None:
    assert rows("settings") == {f"`{setting}`": about for setting, about in SETTINGS.items()}
