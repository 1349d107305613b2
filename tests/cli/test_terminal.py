"""Tables and progress on a real terminal, of any width."""

from __future__ import annotations

import pytest

from aia_store.cli.commands import COMMANDS
from tests.cli.terminal import on_terminal, screen
from tests.manager.machine import Machine
from tests.support.pki import Authority
from tests.support.servers import TLSServer


def seen(machine: Machine, *arguments: object, columns: int) -> list[str]:
    """The lines that a person sees at the end."""
    return screen(on_terminal(machine, *arguments, columns=columns)[1], columns)


def test_status_has_a_line_for_each_cell_of_a_narrow_terminal(machine: Machine, root: Authority) -> None:
    lines = seen(machine, "status", columns=40)
    assert {"! hook", "ok store", "- bundle", "ok daemon"} <= set(lines)
    text = " ".join(" ".join(lines).split())
    assert "State: active in no Python What to do: run `aia-store hook install --all`" in text


@pytest.mark.parametrize("columns", [80, 200])
def test_status_has_columns_where_they_can_be_read(machine: Machine, root: Authority, columns: int) -> None:
    lines = seen(machine, "status", columns=columns)
    assert lines[0].split() == ["State", "What", "to", "do"]
    assert lines[-1].split() == ["ok", "daemon", "not", "running", "(optional)"]


def test_help_fits_a_narrow_terminal(machine: Machine) -> None:
    for command in ([], *([name] for name in COMMANDS), ["hook", "install"], ["share", "pull"]):
        shown = machine.says(*command, "--help", COLUMNS="40")
        assert max(map(len, shown.splitlines())) <= 40, command


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_list_can_be_read(machine: Machine, root: Authority, columns: int) -> None:
    intermediate = root.intermediate("An Issuing CA with a Long Name")
    machine.plant(intermediate)
    text = " ".join(" ".join(seen(machine, "list", columns=columns)).split())
    assert f"{intermediate.certificate.not_valid_after_utc:%Y-%m-%d}" in text
    assert "Intermediate" in text
    if columns != 80:
        assert "An Issuing CA with a Long Name" in text


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_nothing_is_left_of_a_progress_bar(machine: Machine, root: Authority, columns: int) -> None:
    """Each answer starts on a line of its own."""
    with TLSServer(root.leaf()) as server:
        hosts = [f"localhost:{server.port}", f"127.0.0.1:{server.port}"]
        status, output = on_terminal(machine, "check", *hosts, columns=columns)
    assert (status, "checking 2 hosts" in output) == (0, True)
    lines = screen(output, columns)
    headings = [f"{hosts[0]}  at 127.0.0.1", hosts[1]]
    assert [line for line in lines if line.startswith(("localhost", "127"))] == headings
    assert "checking" not in "".join(lines)
    assert lines[-1] == "2 hosts: 2 complete."
