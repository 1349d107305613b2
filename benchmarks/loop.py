"""What completion costs an event loop: how long it stands still during `prepare`, and during the connections."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .pairs import Row, Sample, reported, take_turns
from .world import CLIENTS, LOOPBACK, PROJECT, World

HOSTS = 100
PROMISED = 20.0  # ms that no callback of the loop may exceed


def stalls(world: World, rounds: int) -> list[Row]:
    """100 connections at once, after `prepare`, to 100 hosts whose intermediates were not in the store."""
    hosts = HOSTS // 10 if world.quick else HOSTS
    with _crowd(world, hosts, "leaf-only") as (cold, trusted), _crowd(world, hosts, "whole-chain") as (right, also):

        def prepared(what: str) -> Sample:
            environment = world.environment(
                AIA_STORE_DIR=str(world.empty_store()), SSL_CERT_FILE=str(trusted), **LOOPBACK
            )
            return reported([world.hooked, CLIENTS / "crowd.py", what, *cold], environment)

        def plain(what: str) -> Sample:
            environment = world.environment(SSL_CERT_FILE=str(also))
            return reported([world.bare, CLIENTS / "crowd.py", what, *right], environment)

        limit = f"{PROMISED:g} ms"
        at_once = f"{hosts} connections at once to hosts prepared, asyncio: longest"
        return [
            Row(
                f"`prepare` of {hosts} hosts: longest stall of the loop",
                limit,
                take_turns(lambda: prepared("prepare"), lambda: Sample(PROMISED), rounds),
                1.0,
            ),
            Row(
                f"{at_once} callback",
                limit,
                take_turns(lambda: prepared("callback"), lambda: Sample(PROMISED), rounds),
                1.0,
            ),
            Row(
                f"{at_once} turn of the loop",
                "whole chain, no hook",
                take_turns(lambda: prepared("turn"), lambda: plain("plain-turn"), rounds),
            ),
        ]


@contextlib.contextmanager
def _crowd(world: World, hosts: int, chain: str) -> Iterator[tuple[list[str], Path]]:
    """Servers in a process of their own: their ports, and a file with the system's trust anchors and their root."""
    root, both = world.folder / f"{chain}-root.pem", world.folder / f"{chain}-anchors.pem"
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.crowd", str(hosts), str(root), chain],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        both.write_text(f"{world.ca_file.read_text(encoding='utf-8')}\n{root.read_text(encoding='ascii')}")
        yield [str(port) for port in ports], both
        process.communicate()
