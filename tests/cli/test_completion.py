"""TAB in a real bash, zsh and fish, with the completions that click makes from the commands; it must be fast."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import on_terminal
from tests.manager.machine import COMMAND, Machine

#: For each shell, the file that it reads at its start; the prompt is what the terminal waits for.
START = {
    "bash": ("bashrc", "PS1='ready]: '\nbind 'set enable-bracketed-paste off'\nsource {completions}\n"),
    "zsh": (".zshrc", "PROMPT='ready]: '\nautoload -U compinit\ncompinit -u -D\nsource {completions}\n"),
}


def completions(machine: Machine, shell: str) -> Path:
    """The file for this shell, as its users and the packages make it; the command is on the machine's PATH."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    command = machine.folder / "bin" / "aia-store"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    command.chmod(0o755)
    machine.environment["PATH"] = f"{command.parent}{os.pathsep}{machine.environment['PATH']}"
    file = machine.folder / f"completions.{shell}"
    file.write_text(machine.says("completion", shell))
    return file


@pytest.mark.parametrize("shell", START)
@pytest.mark.parametrize(
    ("typed", "meant"), [("ch\t--help", "check"), ("hook i\t--help", "hook install"), ("list --j\t--help", "list")]
)
def test_a_tab_completes_it(machine: Machine, shell: str, typed: str, meant: str) -> None:
    name, text = START[shell]
    file = machine.folder / name
    file.write_text(text.format(completions=completions(machine, shell)))
    command = ["bash", "--rcfile", str(file), "-i"] if shell == "bash" else ["zsh", "-i"]
    path = shutil.which(command[0])
    assert path is not None
    _, shown = on_terminal(
        machine,
        command=[path, *command[1:]],
        keys=f"aia-store {typed}\nexit\n",
        ZDOTDIR=str(machine.folder),
        INPUTRC="/dev/null",
    )
    assert f"Usage: aia-store {meant} [OPTIONS]" in shown


def test_fish_offers_them_all(machine: Machine) -> None:
    file = completions(machine, "fish")
    script = f"source {file}; complete -C 'aia-store '; complete -C 'aia-store ch'; complete -C 'aia-store check --js'"
    lines = machine.execute("fish", "--no-config", "-c", script).stdout.splitlines()
    offered = [line.partition("\t")[0] for line in lines]
    assert {"add", "bundle", "hook", "status"} <= set(offered)
    assert offered[-2:] == ["check", "--json"]


def test_a_tab_imports_nothing_of_what_the_commands_need(machine: Machine) -> None:
    """The user waits for Python and click, but not for cryptography and rich."""
    done = machine.execute(
        *[sys.executable, "-X", "importtime", "-m", "aia_store"],
        _AIA_STORE_COMPLETE="bash_complete",
        COMP_WORDS="aia-store ",
        COMP_CWORD="1",
    )
    assert "plain,check" in done.stdout
    imported = set(re.findall(r"\| +(\w+)[\w.]*$", done.stderr, re.MULTILINE))
    assert "click" in imported
    assert not imported & {"rich", "cryptography", "watchdog", "ssl"}
