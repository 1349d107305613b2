"""What a person sees of `check` on a terminal of any width, in Unicode and in ASCII, and what a pipe gets."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from aia_store.cli.check.symbols import Sign
from tests.cli.terminal import on_terminal, screen
from tests.manager.machine import Machine
from tests.support.pki import Authority, pem

UNICODE, ASCII = ("✓", "✗", "!", "○", "◆"), ("ok", "x", "!", "~", "*")
ENCODINGS = {"utf-8": UNICODE, "ascii": ASCII}


@pytest.fixture
def file(machine: Machine, root: Authority) -> Path:
    """A file with a link of each kind: good, not for long, missing, unneeded; and the trust anchor."""
    upper = root.intermediate("Upper CA")
    short = upper.intermediate("Short-Lived CA", not_after=timedelta(days=4))
    machine.plant(upper)
    file = machine.folder / "server.pem"
    file.write_text(pem(short.leaf("www.example.org"), short, Authority.root("Needless Root")))
    return file


def assert_readable(text: str, signs: tuple[str, ...]) -> None:
    good, bad, doubt, unneeded, anchor = signs
    for sign, name in (
        (good, "www.example.org"),
        (doubt, "Short-Lived CA"),
        (bad, "Upper CA"),
        (anchor, "Manager Root"),
        (unneeded, "Needless Root"),
    ):
        assert f" {sign} {name}  " in text or f" {sign} {name} " in text, text


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_terminal(machine: Machine, file: Path, columns: int, encoding: str) -> None:
    status, output = on_terminal(machine, "check", file.name, columns=columns, PYTHONIOENCODING=encoding)
    lines = screen(output, columns)
    assert status == 1
    assert lines[0] == "server.pem"
    # The lines of a tree and the wrapping aside, it is the same text whatever the width.
    words = " ".join(word for line in lines for word in line.split() if word not in {"│", "|"})
    assert_readable(words, ENCODINGS[encoding])
    assert "Incomplete: 1 intermediate must be looked up (unable to get local issuer certificate)." in words
    assert "Upper CA NOT IN THE FILE; from the store, until" in words
    assert encoding != "ascii" or words.isascii()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_pipe(machine: Machine, file: Path, encoding: str) -> None:
    """Neither colours nor wrapping; a line of the tree is one line."""
    shown = machine.says("check", file, status=1, PYTHONIOENCODING=encoding)
    assert "\x1b" not in shown
    assert_readable(shown, ENCODINGS[encoding])
    assert not any(line.endswith(" ") for line in shown.splitlines())
    assert len(shown.splitlines()) == 11
    assert encoding != "ascii" or shown.isascii()


@pytest.mark.parametrize("columns", [20, 60, 100])
def test_a_command_can_be_copied_from_a_terminal(machine: Machine, file: Path, columns: int) -> None:
    """It is not cut into lines, as prose is: a shell would run the first."""
    _, output = on_terminal(machine, "check", file.name, columns=columns)
    assert "aia-store check server.pem --fullchain FILE\n" in output


def test_a_terminal_without_colours(machine: Machine, file: Path) -> None:
    coloured, plain = (on_terminal(machine, "check", file.name, NO_COLOR=value)[1] for value in (None, "1"))
    assert "\x1b[32m✓" in coloured
    assert "\x1b[32m" not in plain
    assert screen(coloured, 80) == screen(plain, 80)


def test_no_two_states_have_one_sign() -> None:
    for signs in zip(*(sign.value[:2] for sign in Sign), strict=True):
        assert len(set(signs)) == len(Sign)
