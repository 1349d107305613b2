"""When the bundle is rebuilt, and when it stays unchanged."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from aia_store.inside import settings as config
from aia_store.manager import bundle, published
from tests.manager.machine import Machine
from tests.support.pki import Authority, pem, pem_blocks

DAY = 86_400


def set_state(machine: Machine, **changes: Any) -> None:
    """Change what is noted beside the bundle."""
    state = json.loads(machine.state_file.read_text())
    assert changes.keys() <= state.keys()
    machine.state_file.write_text(json.dumps(state | changes))


def build_time(machine: Machine) -> int:
    return machine.bundle_file.stat().st_mtime_ns


def test_its_path_is_all_that_is_printed(machine: Machine, root: Authority) -> None:
    assert machine.says("bundle") == f"{machine.bundle_file}\n"
    assert machine.says("bundle") == f"{machine.bundle_file}\n"
    assert machine.bundle_file.stat().st_mode & 0o777 == 0o644


def test_a_fresh_one_is_left_as_it_is(machine: Machine, root: Authority) -> None:
    machine.plant(root.intermediate())
    machine.build()
    before = {path: path.stat().st_mtime_ns for path in machine.store.rglob("*")}
    for _ in range(3):
        machine.says("bundle")
    assert {path: path.stat().st_mtime_ns for path in machine.store.rglob("*")} == before


@pytest.mark.parametrize("options", [[], ["--folder"]], ids=["file", "folder"])
def test_a_fresh_one_costs_few_imports(machine: Machine, root: Authority, options: list[str]) -> None:
    path = machine.says("bundle", *options)
    done = machine.execute(sys.executable, "-X", "importtime", "-m", "aia_store", "bundle", *options)
    assert done.stdout == path
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "aia_store" in imported
    assert imported.isdisjoint(
        {"cryptography", "click", "rich", "platformdirs", "ssl", "certifi", "typing", "tempfile"}
    )


def other_roots_in_the_same_file(machine: Machine, root: Authority) -> None:
    machine.trust(root, Authority.root("Another Root"))


def roots_file_of_the_same_size_and_time(machine: Machine, root: Authority) -> None:
    before = machine.roots.stat()
    replacement = machine.folder / "replacement"
    replacement.write_bytes(machine.roots.read_bytes())
    os.utime(replacement, ns=(before.st_atime_ns, before.st_mtime_ns))
    replacement.replace(machine.roots)


def new_intermediate(machine: Machine, root: Authority) -> None:
    machine.plant(root.intermediate())


def new_day(machine: Machine, root: Authority) -> None:
    set_state(machine, built=time.time() - DAY - 1)


def clock_set_back(machine: Machine, root: Authority) -> None:
    set_state(machine, built=time.time() + DAY / 2)


def end_of_an_intermediate(machine: Machine, root: Authority) -> None:
    set_state(machine, until=time.time() - 1)


def bundle_deleted(machine: Machine, root: Authority) -> None:
    machine.bundle_file.unlink()


def bundle_emptied(machine: Machine, root: Authority) -> None:
    machine.bundle_file.write_text("")


def bundle_extended(machine: Machine, root: Authority) -> None:
    with machine.bundle_file.open("a") as file:
        file.write(pem(Authority.root("Planted Root")))


def bundle_changed_in_place(machine: Machine, root: Authority) -> None:
    text = machine.bundle_file.read_bytes()
    machine.bundle_file.write_bytes(text[:-40] + b"A" + text[-39:])


def state_deleted(machine: Machine, root: Authority) -> None:
    machine.state_file.unlink()


@pytest.mark.parametrize(
    "event",
    [
        other_roots_in_the_same_file,
        roots_file_of_the_same_size_and_time,
        new_intermediate,
        new_day,
        clock_set_back,
        end_of_an_intermediate,
        bundle_deleted,
        bundle_emptied,
        bundle_extended,
        bundle_changed_in_place,
        state_deleted,
    ],
)
def test_it_is_built_again_after(
    machine: Machine, root: Authority, event: Callable[[Machine, Authority], None]
) -> None:
    machine.build()
    event(machine, root)
    before = build_time(machine) if machine.bundle_file.exists() else 0
    found = machine.build()
    assert build_time(machine) != before
    assert set(found) == {*pem_blocks(machine.roots.read_text()), *machine.kept()}
    before = build_time(machine)
    machine.build()
    assert build_time(machine) == before


@pytest.mark.parametrize(
    "text", ["", "null", "[]", '{"counts": [1, 0]}', '{"counts": 7}', "\0", "[" * 60_000], ids=lambda text: text[:9]
)
def test_a_note_that_cannot_be_read_is_no_obstacle(
    machine: Machine, root: Authority, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    machine.enter(monkeypatch)
    machine.store.mkdir(mode=0o700)
    machine.state_file.write_text(text)
    settings = config.load()
    assert published.counts(settings) in (None, (1, 0))
    assert bundle.path(settings) == str(machine.bundle_file)
    assert machine.bundled() == [root.der]
    assert published.counts(settings) == (1, 0)


def test_a_note_of_another_version_is_no_obstacle_to_a_command(machine: Machine, root: Authority) -> None:
    machine.build()
    machine.state_file.write_text('{"version": 7, "counts": [1]}')
    assert machine.run("status").stderr == ""
    assert machine.build() == [root.der]


@pytest.mark.parametrize("value", [None, "text", [], 7, {}], ids=str)
def test_a_note_with_a_strange_value_is_no_obstacle(
    machine: Machine, root: Authority, monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    machine.build()
    machine.enter(monkeypatch)
    for key in json.loads(machine.state_file.read_text()):
        set_state(machine, **{key: value})
        assert bundle.path(config.load()) == str(machine.bundle_file), key
        assert machine.bundled() == [root.der]


def test_other_roots_are_other_settings(machine: Machine, root: Authority) -> None:
    machine.build()
    other = Authority.root("Another Root")
    (machine.folder / "other.pem").write_text(other.pem)
    assert machine.build(AIA_STORE_ROOTS=str(machine.folder / "other.pem")) == [other.der]
    assert machine.build() == [root.der]


def test_it_can_be_asked_for(machine: Machine, root: Authority) -> None:
    machine.build()
    before = build_time(machine)
    assert machine.says("bundle", "--rebuild") == f"{machine.bundle_file}\n"
    assert build_time(machine) != before


def test_the_same_input_gives_the_same_bytes(machine: Machine, root: Authority) -> None:
    many = [root.intermediate(f"Intermediate {number}") for number in range(10)]
    machine.plant(*many)
    machine.build()
    first = machine.bundle_file.read_bytes()
    machine.says("bundle", "--rebuild")
    assert machine.bundle_file.read_bytes() == first
    machine.says("clear", "--yes")
    machine.build()
    assert machine.bundle_file.read_bytes() != first
    machine.plant(*reversed(many))
    machine.build()
    assert machine.bundle_file.read_bytes() == first
