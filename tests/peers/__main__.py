"""tests/peers/run: the tests of other projects, without and with the hook; see there."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from .environment import Environment, PeersError, download_source, install_command
from .outcomes import THE_RUN, Comparison, Outcomes, read
from .section import record, table
from .suites import REQUIREMENTS, SUITES, Suite

PROJECT = Path(__file__).parents[2]


class Pair(NamedTuple):
    """The two environments of one Python, which differ by the hook."""

    plain: Environment
    hooked: Environment


def main() -> int:
    """Run what the arguments ask for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tests/peers/run", description=__doc__)
    parser.add_argument("--record", action="store_true", help="put the results into docs/clients.md")
    parser.add_argument("pythons", nargs="*", metavar="PYTHON", default=[sys.executable])
    arguments = parser.parse_args()
    results = []
    try:
        with tempfile.TemporaryDirectory(prefix="peers-") as folder:
            command = install_command(PROJECT, Path(folder, "aia-store"))
            for python in arguments.pythons:
                results.append(_results(python, command))
    except (PeersError, subprocess.SubprocessError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(table(results)))
    for result in results:
        for row in result["suites"]:
            for kind in ("different", "flaky"):
                for test, outcomes in row[kind].items():
                    print(f"{kind}: Python {result['python']}, {row['name']}, {test}: {outcomes}")
    if arguments.record:
        record(results)
    return int(any(row["different"] for result in results for row in result["suites"]))


def _results(python: str, command: Path) -> dict[str, Any]:
    """What became of every suite that this Python has."""
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        pair = _environments(python, command, Path(folder))
        rows = []
        for suite in SUITES:
            if not suite.is_in(pair.plain):
                print(f"{suite.name}: not in this Python", file=sys.stderr)
                continue
            comparison = Comparison.of(lambda hooked, tests: _run(suite, pair[hooked], tests))  # noqa: B023  called here
            if THE_RUN in comparison.plain:
                raise PeersError(f"{suite.name} {comparison.plain[THE_RUN]} without the hook")
            counts = dict(comparison.counts)
            print(f"{suite.name}: {counts}, {len(comparison.different)} different", file=sys.stderr)
            rows.append({"name": suite.name, **counts, "different": comparison.different, "flaky": comparison.flaky})
        return {**pair.plain.versions, "suites": rows}


def _environments(python: str, command: Path, folder: Path) -> Pair:
    made = [Environment(python, folder / name, REQUIREMENTS) for name in ("plain", "hooked")]
    source, archive = download_source(python, "urllib3", folder)
    for environment in made:
        environment.add_source("urllib3", source, archive)
    pair = Pair(*made)
    pair.hooked.add_hook(command)
    return pair


def _run(suite: Suite, environment: Environment, tests: list[str]) -> Outcomes:
    """One run of these tests of a suite, all if none is named. Where the interpreter dies, that is the outcome."""
    tests = [test for test in tests if test != THE_RUN]
    report = Path(environment.folder, "report.xml")
    report.unlink(missing_ok=True)
    status, output = environment.run_on_loopback(*suite.command(environment, str(report), tests))
    if report.exists():
        return read(report, suite.files)
    print(*output.splitlines()[-60:], sep="\n", file=sys.stderr)
    return {THE_RUN: "took too long" if status is None else f"ended with status {status}"}


if __name__ == "__main__":
    sys.exit(main())
