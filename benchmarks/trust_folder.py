"""The trust folder with the world's intermediates: what programs pay for it, and what publishing it takes."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from aia_store.inside.certificate import Certificate
from aia_store.inside.store import EXPORTED, ONE_ANCHOR, TRUST, TRUST_FOLDERS, TRUST_STATE, VERIFIED, Folder

from .pairs import Row, Sample, take_turns, wall
from .upkeep import REPORT
from .world import PROJECT, World, url

COMMAND = [sys.executable, "-m", "aia_store"]
FIRST_TIME = (TRUST, TRUST_STATE, TRUST_FOLDERS, EXPORTED, VERIFIED)


def trust_folder(world: World, rounds: int) -> list[Row]:
    """Programs with the folder, and with the system's file; the folder published first, again, and with one more."""
    if not REPORT.exists():
        return [Row("the trust folder", "", note=f"not measured: {REPORT.name} is not here")]
    environment = _preloaded(world)
    return [*_programs(world, environment, rounds), *_publications(world, environment, max(1, rounds // 4))]


def _preloaded(world: World) -> dict[str, str]:
    """A store with the report's intermediates and ours, and its folder; returns the environment of its commands."""
    ours = world.folder / "ours-in-the-folder.csv"
    with ours.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["PEM"], [world.hierarchy.intermediate.pem]])
    environment = world.environment(
        AIA_STORE_DIR=str(world.empty_store()),
        AIA_STORE_ROOTS=str(world.ca_file),
        AIA_STORE_OFFLINE="1",
        PYTHONPATH=str(PROJECT),
    )
    for command in (["preload", REPORT, ours], ["bundle", "--folder"]):
        subprocess.run([*COMMAND, *command], env=environment, cwd=PROJECT, stdout=subprocess.DEVNULL, check=True)
    return environment


def _programs(world: World, environment: dict[str, str], rounds: int) -> list[Row]:
    """A leaf-only server with the folder; a right one with the system's file."""
    store = Path(environment["AIA_STORE_DIR"])
    folder, anchor = store / TRUST, store / ONE_ANCHOR
    files = sum(1 for _ in folder.iterdir())
    plain = world.environment()

    def openssl(place: str, *trust: object) -> list[str]:
        host = place.removeprefix("https://").rstrip("/")
        verify = ("-verify_return_error", "-verify_hostname", "localhost", "-connect", host)
        return ["openssl", "s_client", *map(str, trust), *verify]

    def curl(place: str, *trust: object) -> list[str]:
        return ["curl", "-q", "-sSf", "--noproxy", "*", *map(str, trust), place]

    rows = []
    asked: list[tuple[str, Callable[..., list[str]], tuple[object, ...], tuple[object, ...]]] = [
        (
            "`openssl s_client`",
            openssl,
            ("-no-CAfile", "-CApath", folder),
            ("-no-CApath", "-CAfile", world.ca_file),
        ),
        ("curl", curl, ("--capath", folder, "--cacert", anchor), ("--cacert", world.ca_file)),
    ]
    for name, command, with_folder, with_file in asked:
        what, against = f"{name}, leaf-only server, the folder of {files:,}", "right server, the system's file"
        if shutil.which(command("").pop(0)) is None:
            rows.append(Row(what, against, note="not measured: it is not here"))
            continue
        ours, theirs = command(url(world.broken), *with_folder), command(url(world.right), *with_file)
        pairs = take_turns(
            lambda: wall(ours, plain, says=b"Q\n"),  # noqa: B023  called in this turn; it ends s_client
            lambda: wall(theirs, plain, says=b"Q\n"),  # noqa: B023
            rounds,
        )
        rows.append(Row(what, against, pairs, 0.35))
    return rows


def _publications(world: World, environment: dict[str, str], rounds: int) -> list[Row]:
    """Published first, again, and with one intermediate more; in this order, as each needs what the one before made."""
    store = Path(environment["AIA_STORE_DIR"])
    preloaded = Folder(str(store)).preloaded

    def publish(*options: str) -> Sample:
        return wall([*COMMAND, "bundle", "--folder", *options], environment)

    again, more = [], []
    for number in range(rounds):
        for name in FIRST_TIME:
            path = store / name
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        first = publish()
        again.append((publish("--rebuild"), first))
        preloaded.keep(Certificate(world.hierarchy.root.intermediate(f"One More {number}").der))
        more.append((publish(), first))
    what = "`aia-store bundle --folder`"
    return [
        Row(f"{what}, nothing changed", "the first time", again, 0.1),
        Row(f"{what}, one intermediate more", "the first time", more, 0.15),
    ]
