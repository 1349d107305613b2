"""What connections pay: handshakes on one context, and the bytes of a download."""

from __future__ import annotations

from pathlib import Path

from .pairs import BenchmarkError, Row, Sample, reported, take_turns
from .world import CLIENTS, World, url

HANDSHAKES = 200
DOWNLOAD = 300_000_000  # bytes


def right_server(world: World, rounds: int) -> list[Row]:
    """Handshakes with a server that sends its whole chain: the hook recognizes it, and does nothing else."""
    command: list[str | Path] = [CLIENTS / "handshakes.py", str(world.right.tls_port), str(HANDSHAKES)]
    environment = world.environment(AIA_STORE_DIR=str(world.empty_store()))
    pairs = take_turns(
        lambda: reported([world.hooked, *command], environment),
        lambda: reported([world.bare, *command], environment),
        rounds,
    )
    return [Row(f"{HANDSHAKES} handshakes, right server, one context", "without the hook", pairs, 1.05)]


def leaf_only_server(world: World, rounds: int) -> list[Row]:
    """Handshakes with a leaf-only server, on one context: the first completes the chain for the others."""
    environment = world.environment(AIA_STORE_DIR=str(world.store))
    fetched = world.broken.counts()["aia_connections"]

    def client(python: Path, port: int | None) -> Sample:
        return reported([python, CLIENTS / "handshakes.py", str(port), str(HANDSHAKES)], environment)

    pairs = take_turns(
        lambda: client(world.hooked, world.broken.tls_port),
        lambda: client(world.bare, world.right.tls_port),
        rounds,
    )
    if world.broken.counts()["aia_connections"] != fetched:
        raise BenchmarkError("what is known on disk was fetched")
    return [
        Row(
            f"{HANDSHAKES} handshakes, leaf-only server, one context, known on disk",
            "whole chain, no hook",
            pairs,
            1.10,
        )
    ]


def download(world: World, rounds: int) -> list[Row]:
    """A long download: OpenSSL calls the hook for every record of it."""
    size = DOWNLOAD // 10 if world.quick else DOWNLOAD
    command: list[str | Path] = [CLIENTS / "download.py", url(world.right, f"/bytes/{size}"), str(size)]
    environment = world.environment(AIA_STORE_DIR=str(world.empty_store()))
    pairs = take_turns(
        lambda: reported([world.hooked, *command], environment),
        lambda: reported([world.bare, *command], environment),
        rounds,
    )
    what = f"{size // 1_000_000} MB download, bytes per second"
    return [Row(what, "without the hook", pairs, 0.97, at_least=True, unit="MB/s")]
