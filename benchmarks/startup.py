"""The cost where nothing is to be completed: at the start of Python, at `import ssl`, in a shell's start-up file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .pairs import BenchmarkError, Row, Sample, take_turns, wall
from .world import PROJECT, World

OTHER_PTH = "Lib/site-packages/other.pth" if os.name == "nt" else "lib/python3.{}/site-packages/other.pth"


def python_pass(world: World, rounds: int) -> list[Row]:
    """`python -c pass`, in instructions, which no other load on the machine can change."""
    what = "`python -c pass` with the hook, instructions"
    if shutil.which("valgrind") is None:
        return [Row(what, "without", note="not measured: valgrind is not here")]
    environment = world.environment(PYTHONHASHSEED="0")

    def take(pairs: int) -> list[tuple[Sample, Sample]]:
        return take_turns(
            lambda: _instructions(world.hooked, environment),
            lambda: _instructions(world.bare, environment),
            pairs,
            warm=True,
        )

    for python in (world.hooked, world.bare):
        wall([python, "-c", "pass"], environment)  # so that its imports are compiled
    rows = [Row(what, "without", take(rounds), 1.03, unit="M")]
    # What Python does for the first .pth file, whatever is in it: from 3.13 on it imports a codec then. Editable
    # installations, uv and virtualenv put one into every environment.
    others = [python.parents[1] / OTHER_PTH.format(sys.version_info[1]) for python in (world.hooked, world.bare)]
    try:
        for path in others:
            path.write_text("# nothing\n", encoding="ascii")
        return [*rows, Row(what, "without, both beside another .pth file", take(rounds), unit="M")]
    finally:
        for path in others:
            path.unlink()


def _instructions(python: Path, environment: dict[str, str]) -> Sample:
    """What `python -c pass` executes, in millions."""
    tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    answer = subprocess.run(
        [*tool, python, "-c", "pass"],
        env=environment,
        cwd=environment["HOME"],
        capture_output=True,
        text=True,
        check=False,
    )
    collected = re.search(r"Collected : (\d+)", answer.stderr)
    if answer.returncode or collected is None:
        raise BenchmarkError(f"valgrind: {answer.stderr.strip()}")
    return Sample(int(collected[1]) / 1e6)


def import_ssl(world: World, rounds: int) -> list[Row]:
    """`python -c "import ssl"`: the hook is loaded and attaches."""
    environment = world.environment()
    pairs = take_turns(
        lambda: wall([world.hooked, "-c", "import ssl"], environment),
        lambda: wall([world.bare, "-c", "import ssl"], environment),
        rounds,
    )
    return [Row('`python -c "import ssl"` with the hook', "without", pairs, 1.05)]


def bundle(world: World, rounds: int) -> list[Row]:
    """`aia-store bundle` with a fresh bundle, as a shell runs it at its start."""
    settings = {"AIA_STORE_DIR": str(world.store), "AIA_STORE_ROOTS": str(world.ca_file)}
    environment = world.environment(**settings)
    # Building it takes `cryptography`, which is not in the measured environments, but is in ours.
    subprocess.run(
        [sys.executable, "-m", "aia_store", "bundle"],
        env={**environment, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    script = world.hooked.parent / ("aia-store.exe" if os.name == "nt" else "aia-store")
    pairs = take_turns(
        lambda: wall([script, "bundle"], environment),
        lambda: wall([world.bare, "-c", "pass"], environment),
        rounds,
    )
    return [Row("`aia-store bundle`, fresh", "`python -c pass`", pairs, 3)]
