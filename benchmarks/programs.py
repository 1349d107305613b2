"""What completion costs whole programs, measured from outside: known on disk, first meetings, and our peers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.served import Served

from . import peers
from .pairs import BenchmarkError, Row, Sample, take_turns, wall
from .world import CLIENTS, LOOPBACK, World, url

GET = CLIENTS / "get.py"
WHOLE_CHAIN = "whole chain, no hook"


def known(world: World, rounds: int) -> list[Row]:
    """A program connects to a leaf-only server whose intermediate is in the store."""
    rows = []
    fetched = world.broken.counts()["aia_connections"] if world.store else 0
    many, one = (world.ca_file, f"{world.roots} roots"), (world.small_ca_file, "1 root")

    def sample(python: Path, server: Served, ca_file: Path) -> Sample:
        environment = world.environment(AIA_STORE_DIR=str(world.store), SSL_CERT_FILE=str(ca_file))
        return wall([python, GET, url(server)], environment)

    for (ca_file, roots), against, ca_file_of_other, limit in (
        (many, WHOLE_CHAIN, world.ca_file, 0.80),
        (many, f"{WHOLE_CHAIN}, 1 root: the floor", world.small_ca_file, 1.10),
        (one, WHOLE_CHAIN, world.small_ca_file, None),
    ):
        pairs = take_turns(
            lambda: sample(world.hooked, world.broken, ca_file),  # noqa: B023  called in this turn
            lambda: sample(world.bare, world.right, ca_file_of_other),  # noqa: B023
            rounds,
        )
        rows.append(Row(f"a program, urllib, leaf-only server, known on disk, {roots}", against, pairs, limit))
    if world.broken.counts()["aia_connections"] != fetched:
        raise BenchmarkError("what is known on disk was fetched")
    return rows


def first_meeting(world: World, rounds: int) -> list[Row]:
    """The same with an empty store each time: there is one fetch, from this machine, and the store is written."""
    before = world.broken.counts()["aia_connections"]

    def meet() -> Sample:
        environment = world.environment(AIA_STORE_DIR=str(world.empty_store()), **LOOPBACK)
        return wall([world.hooked, GET, url(world.broken)], environment)

    pairs = take_turns(meet, lambda: wall([world.bare, GET, url(world.right)], world.environment()), rounds)
    if world.broken.counts()["aia_connections"] - before != rounds + 1:
        raise BenchmarkError("a first meeting is not one fetch")
    return [Row("the same, first meeting, fetch included", WHOLE_CHAIN, pairs, 0.88)]


def second_process(world: World, rounds: int) -> list[Row]:
    """The same job by each peer, which keeps nothing on disk, against ours in a second process."""
    ours = world.environment(AIA_STORE_DIR=str(world.store))
    rows = []
    for peer in peers.PEERS:
        reason = peer.missing(world)
        if reason is not None:
            rows.append(Row("the same, second process", peer.name, note=f"not measured: {reason}"))
            continue
        run = _peer_run(world, peer)
        note = f"{peer.name}: {_footprint(world, run)} each time"
        pairs = take_turns(
            lambda: wall([world.hooked, GET, url(world.broken)], ours),
            run,
            min(rounds, 3) if peer.is_slow else rounds,
        )
        rows.append(Row("the same, second process", peer.name, pairs, peers.LIMIT, note=note))
        if not peer.is_python:
            # A Python program that has nothing to complete, compared with a client written in C.
            bare = take_turns(lambda: wall([world.bare, GET, url(world.right)], ours), run, rounds)
            rows.append(Row("urllib, whole chain, no hook: the floor of the row above", peer.name, bare))
    return rows


def _peer_run(world: World, peer: peers.Peer) -> Callable[[], Sample]:
    command: list[str | Path] = peer.command(world)
    environment = world.environment()
    return lambda: wall(command, environment, says=peer.says)


def _footprint(world: World, run: Callable[[], Sample]) -> str:
    """What one run does to the network, by what the servers saw of it."""
    before = world.broken.counts()
    run()
    after = world.broken.counts()
    connections = after["connections"] - before["connections"]
    fetches = after["aia_connections"] - before["aia_connections"]
    return f"{connections} connection{'s' * (connections != 1)}, {fetches} fetch{'es' * (fetches != 1)}"
