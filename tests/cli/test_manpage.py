"""The man page in the real formatters."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from aia_store import __version__
from aia_store.cli import manpage
from aia_store.cli.commands import cli
from aia_store.inside import settings as config
from tests.manager.machine import Machine

FORMATTERS = {
    "man": ["man", "--warnings", "--local-file"],
    "groff": ["groff", "-man", "-Tascii", "-P-cbou", "-wall"],
    "mandoc": ["mandoc", "-T", "lint", "-W", "warning"],
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("man") / "aia-store.1"
    file.write_text(manpage.page(), encoding="utf-8")
    return file


def read(formatter: str, page: Path) -> str:
    """The output of this formatter for the page, without any warning."""
    if shutil.which(formatter) is None:
        pytest.skip(f"{formatter} is not here")
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "200"}
    done = subprocess.run([*FORMATTERS[formatter], page], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def commands(command: click.Command = cli, path: str = "aia-store") -> Iterator[tuple[str, click.Command]]:
    """Each command with its whole name."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, f"{path} {name}")


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_it_is_without_fault(page: Path, formatter: str) -> None:
    shown = read(formatter, page)
    assert shown == "" if formatter == "mandoc" else "aia-store check [OPTIONS] HOST" in shown


def test_a_fault_would_be_found(page: Path, tmp_path: Path) -> None:
    """Otherwise the test above proves nothing."""
    broken = tmp_path / "broken.1"
    broken.write_text(page.read_text(encoding="utf-8").replace(".SH SYNOPSIS", ".SYNOPSIS"), encoding="utf-8")
    with pytest.raises(AssertionError):
        read("groff", broken)


def test_it_names_every_command_with_its_options_and_every_setting(page: Path) -> None:
    shown = read("man", page)
    assert f"aia-store {__version__}" in shown
    _, *sections = shown.split("\n   aia-store ")
    described = {f"aia-store {section.partition(chr(10))[0]}": section for section in sections}
    described["aia-store"] = shown
    for path, command in commands():
        for option in command.params:
            if isinstance(option, click.Option):
                assert all(name in described[path] for name in option.opts), (path, option.opts)
                assert (option.help or "").partition("\n")[0] in described[path]
    assert all(f"AIA_STORE_{key.upper()}" in shown for key in config.KEYS)


@pytest.mark.parametrize("section", ["EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "FILES"])
def test_it_has_the_sections_that_readers_look_for(page: Path, section: str) -> None:
    assert f"\n{section}\n" in read("man", page)


def test_the_command_prints_it(page: Path, machine: Machine) -> None:
    assert machine.says("man") == page.read_text(encoding="utf-8")


def test_its_examples_are_commands(machine: Machine) -> None:
    for command, _ in manpage._EXAMPLES:
        words = command.partition("aia-store ")[2].rstrip(")").split()
        done = machine.run(*[word for word in words if word != "--all"], "--help")
        assert done.returncode == 0, done.stderr


def test_it_says_the_same_each_time(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SOURCE_DATE_EPOCH, a package that is built again is the same, byte for byte."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert manpage.page().startswith('.TH AIA\\-STORE 1 "1970-01-02" ')
