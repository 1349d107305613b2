"""Trust on demand: what it saves in programs that trust as many roots as the system does."""

from __future__ import annotations

from pathlib import Path

from .pairs import Row, Sample, reported, take_turns, wall
from .world import CLIENTS, World, url

CONTEXTS, ALIVE = 50, 1000
WITHOUT = "without the hook"
FLOOR = "the floor: without the hook, a CA file of 1 root"


def contexts(world: World, rounds: int) -> list[Row]:
    """`ssl.create_default_context()`: the first of a process alone, and many; and the memory of very many."""
    environment = world.environment(AIA_STORE_DIR=str(world.store))
    alive = ALIVE // 10 if world.quick else ALIVE

    def pairs(client: str, count: int, rounds: int) -> list[tuple[Sample, Sample]]:
        command: list[str | Path] = [CLIENTS / client, str(count)]
        return take_turns(
            lambda: reported([world.hooked, *command], environment),
            lambda: reported([world.bare, *command], environment),
            rounds,
        )

    kilobytes = pairs("memory.py", alive, max(1, rounds // 10))
    what = "`ssl.create_default_context()`"
    return [
        Row(f"{what}, {CONTEXTS} in one process", WITHOUT, pairs("contexts.py", CONTEXTS, rounds), 0.05),
        Row(f"{what}, the first of a process, the hook's import included", WITHOUT, pairs("contexts.py", 1, rounds)),
        Row(f"{alive} contexts alive, memory", WITHOUT, kilobytes, 0.2, unit="kB"),
    ]


def right_server(world: World, rounds: int) -> list[Row]:
    """A whole program that makes one request to a server that sends all; against itself without the hook, twice.

    With the same CA file, and with one of the root that is needed: the floor, which no hook can be below.
    """
    rows = []
    for name, client, limit, limit_above_floor in (
        ("urllib", "get.py", 0.75, 1.06),
        ("requests", "get_requests.py", 0.85, 1.05),
        ("httpx", "get_httpx.py", 0.85, 1.05),
    ):
        hooked, bare = (world.hooked, world.bare) if name == "urllib" else (world.hooked_clients, world.bare_clients)
        what = f"a program, {name}, right server, {world.roots} roots"

        def sample(python: Path, ca_file: Path) -> Sample:
            files = {"SSL_CERT_FILE": str(ca_file), "REQUESTS_CA_BUNDLE": str(ca_file)}
            environment = world.environment(AIA_STORE_DIR=str(world.store), **files)
            return wall([python, CLIENTS / client, url(world.right)], environment)  # noqa: B023  called in this turn

        for against, ca_file, most in (
            (WITHOUT, world.ca_file, limit),
            (FLOOR, world.small_ca_file, limit_above_floor),
        ):
            pairs = take_turns(
                lambda: sample(hooked, world.ca_file),  # noqa: B023
                lambda: sample(bare, ca_file),  # noqa: B023
                rounds,
            )
            rows.append(Row(what, against, pairs, most))
    return rows
