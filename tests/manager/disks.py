"""A disk for the store of one test: full, out of inodes, or read-only. It is in a mount namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.manager.machine import SECONDS, Machine

FULL = """
mount -t tmpfs -o size=1m none "$STORE"
cp -a "$SAVED/." "$STORE"
dd if=/dev/zero of="$STORE/filler" bs=4k 2>/dev/null || true
"""
WITHOUT_INODES = """
mount -t tmpfs -o nr_inodes=60 none "$STORE"
cp -a "$SAVED/." "$STORE"
n=0; while (: > "$STORE/filler$n") 2>/dev/null; do n=$((n + 1)); done
"""
READ_ONLY = """
mount --bind "$STORE" "$STORE"
mount -o remount,ro,bind "$STORE"
"""

IN_A_NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]


def need_namespaces(*arguments: str) -> None:
    """Skip the test where `unshare` with these arguments does nothing."""
    command = [*arguments, "true"]
    if shutil.which("unshare") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no namespace can be made here")


class Done(NamedTuple):
    """How a command ended there, and what it printed."""

    status: int
    output: str
    errors: str


def on_disk(disk: str, machine: Machine, *commands: Sequence[object]) -> list[Done]:
    """Run commands while the store lies on that disk; afterwards the store is a copy of what it was there."""
    need_namespaces(*IN_A_NAMESPACE)
    saved, results = machine.folder / "saved", machine.folder / "results"
    shutil.copytree(machine.store, saved, symlinks=True)
    results.mkdir()
    script = f"set -e\n{disk}\nset +e\nnumber=0\n"
    for command in commands:
        line = " ".join(f"'{part}'" for part in command)
        script += f'{line} >"$RESULTS/$number.out" 2>"$RESULTS/$number.err"; echo $? >"$RESULTS/$number.status"\n'
        script += "number=$((number + 1))\n"
    script += 'cp -a "$STORE" "$RESULTS/store"\n'
    subprocess.run(
        [*IN_A_NAMESPACE, "sh", "-c", script],
        env={**machine.environment, "STORE": str(machine.store), "SAVED": str(saved), "RESULTS": str(results)},
        check=True,
        timeout=SECONDS,
    )
    shutil.rmtree(machine.store)
    (results / "store").rename(machine.store)
    found = [_done(results, number) for number in range(len(commands))]
    shutil.rmtree(saved)
    shutil.rmtree(results)
    return found


def _done(results: Path, number: int) -> Done:
    status, output, errors = ((results / f"{number}.{name}").read_text() for name in ("status", "out", "err"))
    return Done(int(status), output, errors)
