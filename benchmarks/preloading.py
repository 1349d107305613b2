"""How long preloading takes, the first and the second time, and what the many intermediates then cost a program."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder

from .lookup import FEW, fill, numbered
from .pairs import BenchmarkError, Row, Sample, take_turns, wall
from .programs import GET
from .upkeep import REPORT
from .world import PROJECT, World, url

COMMAND = [sys.executable, "-m", "aia_store", "preload"]
ALL = REPORT.with_name("AllCertificatePEMs.csv")


def preload(world: World, rounds: int) -> list[Row]:
    """`aia-store preload` of each real report, into an empty store and once more; then handshakes with what it made."""
    if not REPORT.exists():
        return [Row("`aia-store preload`", "", note=f"not measured: {REPORT.name} is not here")]
    return [*(_twice(world, report, rounds) for report in (REPORT, ALL)), *_handshakes(world, rounds * 10)]


def _twice(world: World, report: Path, rounds: int) -> Row:
    environment = _environment(world, world.empty_store())

    def again() -> Sample:
        return wall([*COMMAND, report], environment)

    def first() -> Sample:
        shutil.rmtree(environment["AIA_STORE_DIR"], ignore_errors=True)
        return again()

    pairs = []
    for _ in range(rounds):  # in this order: the second needs what the first made
        made = first()
        pairs.append((again(), made))
    return Row(f"`aia-store preload` of {report.name}, the second time", "the first time", pairs, 0.1)


def _handshakes(world: World, rounds: int) -> list[Row]:
    """A program connects to a leaf-only server whose intermediate was preloaded: the first time, and later."""
    ours = world.folder / "ours.csv"
    with ours.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["PEM"], [world.hierarchy.intermediate.pem]])
    large, small = world.empty_store(), world.empty_store()
    environment = _environment(world, large)
    subprocess.run([*COMMAND, REPORT, ours], env=environment, cwd=PROJECT, stdout=subprocess.DEVNULL, check=True)
    fill(small, [*numbered(FEW - 1), Certificate(world.hierarchy.intermediate.der)])
    fetched = world.broken.counts()["aia_connections"]

    def get(store: Path) -> Sample:
        return wall([world.hooked, GET, url(world.broken)], world.environment(AIA_STORE_DIR=str(store)))

    def first() -> Sample:
        shutil.rmtree(Folder(str(large)).make("certificates"))
        return get(large)

    what, against = (
        "a program, urllib, leaf-only server, its intermediate preloaded with 2,200 others",
        f"{FEW} on disk",
    )
    rows = [
        Row(what, against, take_turns(lambda: get(large), lambda: get(small), rounds), 1.05),
        Row(f"{what}, and needed for the first time", against, take_turns(first, lambda: get(small), rounds)),
    ]
    if world.broken.counts()["aia_connections"] != fetched:
        raise BenchmarkError("what was preloaded was fetched")
    return rows


def _environment(world: World, store: Path) -> dict[str, str]:
    return world.environment(
        AIA_STORE_DIR=str(store), AIA_STORE_ROOTS=str(world.ca_file), AIA_STORE_OFFLINE="1", PYTHONPATH=str(PROJECT)
    )
