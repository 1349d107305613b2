"""python -m benchmarks: measure, print one table, and exit with 1 if a limit is missed.

With `--from`, earlier runs are shown and drawn again, and nothing is measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from . import (
    bars,
    connections,
    lookup,
    loop,
    on_demand,
    preloading,
    programs,
    refusals,
    startup,
    table,
    trust_folder,
    upkeep,
)
from .pairs import BenchmarkError, Row
from .world import World


class Benchmark(NamedTuple):
    """One measure: the function for its rows, and how many pairs it takes by default and with --quick."""

    run: Callable[[World, int], list[Row]]
    rounds: int
    quick_rounds: int


BENCHMARKS = {
    "pass": Benchmark(startup.python_pass, 2, 1),
    "import-ssl": Benchmark(startup.import_ssl, 150, 10),
    "contexts": Benchmark(on_demand.contexts, 30, 2),
    "programs": Benchmark(on_demand.right_server, 60, 3),
    "right-server": Benchmark(connections.right_server, 20, 2),
    "leaf-only-server": Benchmark(connections.leaf_only_server, 20, 2),
    "refused": Benchmark(refusals.one_context, 20, 2),
    "refused-threads": Benchmark(refusals.threads, 20, 2),
    "known": Benchmark(programs.known, 80, 5),
    "first-meeting": Benchmark(programs.first_meeting, 80, 5),
    "peers": Benchmark(programs.second_process, 20, 1),
    "download": Benchmark(connections.download, 20, 2),
    "loop": Benchmark(loop.stalls, 10, 1),
    "lookup": Benchmark(lookup.find, 25, 2),
    "bundle": Benchmark(startup.bundle, 100, 5),
    "refresh": Benchmark(upkeep.refresh, 5, 1),
    "preload": Benchmark(preloading.preload, 5, 1),
    "trust-folder": Benchmark(trust_folder.trust_folder, 40, 4),
}


def main() -> int:
    """Run what the arguments ask for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="just this one; may be repeated")
    parser.add_argument("--rounds", type=int, help="so many pairs of each")
    parser.add_argument(
        "--quick", action="store_true", help="few pairs and small sizes, to see that all run; no limits"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every pair to this file, too")
    parser.add_argument(
        "--from", type=Path, action="append", metavar="FILE", dest="earlier", help="what --json wrote; may be repeated"
    )
    parser.add_argument("--bars", type=Path, metavar="FILE", help="draw the ratios and their limits as an SVG")
    parser.add_argument("--first-byte", type=Path, metavar="FILE", help="draw what a program takes as an SVG")
    arguments = parser.parse_args()
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if arguments.earlier is not None:
        runs = [table.read_json(file) for file in arguments.earlier]
        heading = "; ".join(heading for heading, _ in runs)
        rows = [row for _, measured in runs for row in measured]
    else:
        try:
            rows = _measured(arguments)
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            return 2
        heading = table.heading()
    table.show(rows, heading, judged=not arguments.quick)
    if arguments.json:
        table.write_json(rows, heading, arguments.json)
    if arguments.bars:
        arguments.bars.write_text(bars.ratios(rows, heading), encoding="utf-8")
    if arguments.first_byte:
        arguments.first_byte.write_text(bars.first_byte(rows, heading), encoding="utf-8")
    return int(not arguments.quick and any(row.is_over for row in rows))


def _measured(arguments: argparse.Namespace) -> list[Row]:
    """Run the benchmarks that were asked for. Raises BenchmarkError."""
    rows: list[Row] = []
    with World(quick=arguments.quick) as world:
        for name in arguments.only or BENCHMARKS:
            benchmark = BENCHMARKS[name]
            rounds = arguments.rounds or (benchmark.quick_rounds if arguments.quick else benchmark.rounds)
            start = time.monotonic()
            try:
                rows += benchmark.run(world, rounds)
            except BenchmarkError as error:
                raise BenchmarkError(f"{name}: {error}") from error
            print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    return rows


if __name__ == "__main__":
    sys.exit(main())
