"""Ratios that mean something on a busy machine: A and B take turns, and each pair gives one ratio.

If something slows the machine down for a while, it slows both halves of a pair. So the median of the pairs' ratios is
stable, while a ratio of two averages would drift. The halves take turns in going first.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class BenchmarkError(Exception):
    """A measured program did not do what it should."""


class Sample(NamedTuple):
    """The result of one run."""

    value: float  #: what is measured
    cpu: float | None = None  #: the milliseconds of processor time that the whole process took
    is_whole: bool = False  #: whether `value` is the time that the whole process took, too


@dataclass(frozen=True)
class Row:
    """One line of the table. Without `pairs` it was not measured, and `note` says why."""

    measure: str
    against: str
    pairs: list[tuple[Sample, Sample]] = field(default_factory=list)  #: A and B
    limit: float | None = None
    at_least: bool = False  #: whether the limit is a lower one
    unit: str = "ms"
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """A / B of every pair."""
        return [a.value / b.value for a, b in self.pairs]

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios."""
        return statistics.median(self.ratios)

    @property
    def medians(self) -> tuple[float, float]:
        """The medians of A and of B, in `unit`."""
        return statistics.median(a.value for a, _ in self.pairs), statistics.median(b.value for _, b in self.pairs)

    @property
    def cpu_medians(self) -> tuple[float, float]:
        """The medians of the processor time of A and of B, in milliseconds."""
        return statistics.median(a.cpu or 0 for a, _ in self.pairs), statistics.median(
            b.cpu or 0 for _, b in self.pairs
        )

    @property
    def cpu_ratio(self) -> float | None:
        """The median of A / B in processor time, which is more stable than wall-clock time under other load."""
        ratios = [a.cpu / b.cpu for a, b in self.pairs if a.cpu and b.cpu]
        return statistics.median(ratios) if ratios else None

    @property
    def is_over(self) -> bool:
        """Whether the limit is missed."""
        if not self.pairs or self.limit is None:
            return False
        return self.ratio < self.limit if self.at_least else self.ratio > self.limit


def take_turns(
    a: Callable[[], Sample], b: Callable[[], Sample], rounds: int, *, warm: bool = False
) -> list[tuple[Sample, Sample]]:
    """Measure both so many times, after one pair that warms the caches and does not count; unless they are `warm`."""
    if not warm:
        a(), b()
    pairs = []
    for number in range(rounds):
        if number % 2:
            second, first = b(), a()
        else:
            first, second = a(), b()
        pairs.append((first, second))
    return pairs


def wall(command: Sequence[str | Path], environment: Mapping[str, str], *, says: bytes | None = None) -> Sample:
    """The milliseconds that a whole process takes, from outside; `says` is written to it, and its input left open."""
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        env=environment,
        cwd=environment["HOME"],  # otherwise `python -c` would import the package from the working tree
        stdin=subprocess.DEVNULL if says is None else subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if says is not None else None,
    ) as process:
        if process.stdin is not None and says is not None:
            process.stdin.write(says)
            process.stdin.flush()
        cpu = _reap(process)
        return Sample((time.perf_counter() - start) * 1000, cpu, is_whole=True)


def reported(command: Sequence[str | Path], environment: Mapping[str, str]) -> Sample:
    """The number that a process prints, which it measured itself."""
    with subprocess.Popen(
        command, env=environment, cwd=environment["HOME"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        answer = process.stdout.read()
        cpu = _reap(process)
        return Sample(float(answer), cpu)


def _reap(process: subprocess.Popen[Any]) -> float:
    """Wait for the end of a process; the milliseconds of processor time that it took, user and system."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchmarkError(f"{process.args!r} ended with status {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1000
