"""python -m benchmarks: measure, print one table, and exit with 1 if a limit is missed."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from . import connections, lookup, loop, on_demand, preloading, programs, refusals, startup, table, upkeep
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
    arguments = parser.parse_args()
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    rows = []
    with World(quick=arguments.quick) as world:
        for name in arguments.only or BENCHMARKS:
            benchmark = BENCHMARKS[name]
            start = time.monotonic()
            try:
                rounds = benchmark.quick_rounds if arguments.quick else benchmark.rounds
                rows += benchmark.run(world, arguments.rounds or rounds)
            except BenchmarkError as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 2
            print(f"{name}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    table.show(rows, judged=not arguments.quick)
    if arguments.json:
        table.write_json(rows, arguments.json)
    return int(not arguments.quick and any(row.is_over for row in rows))


if __name__ == "__main__":
    sys.exit(main())
