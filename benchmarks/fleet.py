"""A fleet over some days: how many fetches reach the CAs, what the engine has to carry, and how fast news travels.

    python -m benchmarks.fleet [--machines N…] [--hours HOURS]

The manager's own code decides: when rounds come (`daemon.schedule`), what a machine takes (`share.taking`) and hands in
(`share.handing_in`), what the hub publishes (`share.publishing`), over a shelf in a real folder. Time is simulated, and
so are the servers and whether a certificate verifies: honest ones do, the poison does not.

Machines begin within the first hours, a tenth of them is replaced each day by new ones with nothing, each meets broken
servers at random times, some far more often than others (Zipf). For some hours the engine is down. A poisoner hands in
and publishes rubbish.
"""

from __future__ import annotations

import argparse
import bisect
import functools
import hashlib
import heapq
import itertools
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from aia_store.inside.certificate import Certificate
from aia_store.manager.daemon import fleet
from aia_store.manager.daemon.schedule import HOUR, jittered
from aia_store.manager.share import getting, handing_in, manifest, packs, publishing, taking
from aia_store.manager.share import shelf as shelves
from aia_store.manager.share.folder_shelf import FolderShelf
from aia_store.manager.share.memory import REFUSED_FOR, Remembered
from aia_store.manager.share.shelf import Found, ShelfError
from tests.support.pki import Authority

from . import spread

DAY = 24 * HOUR
SERVERS = 1_000  # with a broken chain, each with an intermediate of its own
MEETINGS_A_DAY = 20.0  # of one machine with broken servers
ROLLOUT = 12 * HOUR  # within which machines begin
REPLACED_A_DAY = 0.1  # of the machines
OUTAGE = (20 * HOUR, 22 * HOUR)  # of the engine
POISON = 200  # hostile certificates, half of them handed in, half published
POISONED_AT = 26 * HOUR
NEWS_AT = 30 * HOUR  # when one machine learns an intermediate that nobody knew
STREAM_SECONDS = 1.0  # until what was sent is kept by the others
MOST_FETCHES, MOST_REQUESTS = 0.01, 2.0  # of those without sharing; of a machine in an hour
PERCENTS = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 100)  # of the machines that know the news
REQUEST_BYTES = 600  # headers of a request and its answer

_split = packs.split
packs.split = functools.lru_cache(64)(lambda content: tuple(_split(content)))  # many machines read the same packs
Action = Callable[[float, int], None]  # takes the time and the number of a machine


class Engine(FolderShelf):
    """A real folder, which counts, and can be down."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._kept: dict[str, Found] = {}  # so that each content is read once
        self.requests = self.bytes = 0
        self.is_down = False

    def _count(self, size: int) -> None:
        self.requests += 1
        self.bytes += size + REQUEST_BYTES

    def _demand(self) -> None:
        if self.is_down:
            raise ShelfError("the engine is down")

    def get(self, name: str, most: int, mark: str = "") -> Found | None:
        self._demand()
        known = self._kept.get(name)
        if known is None or name == shelves.MANIFEST:  # the other files never change
            known = super().get(name, most, known.mark if known is not None else "") or known
            assert known is not None
            self._kept[name] = known
        found = known if known.mark != mark else None
        self._count(len(found.content) if found is not None else 0)
        return found

    def put(self, name: str, content: bytes) -> None:
        self._demand()
        super().put(name, content)
        self._count(len(content))

    def names(self, folder: str, most: int) -> list[str]:
        self._demand()
        found = super().names(folder, most)
        self._count(100 * len(found))
        return found


@dataclass(slots=True)
class Machine:
    """One machine: what it has, and when its next round comes."""

    rhythm: fleet.Rhythm = field(default_factory=fleet.Rhythm)
    needed: set[int] = field(default_factory=set)  # the servers that it met, by number
    learned: list[int] = field(default_factory=list)  # those of them that it has not handed in
    taken: frozenset[str] = frozenset()  # from others
    memory: Remembered = field(default_factory=Remembered)
    mark: str = ""
    listens_from: int = 0  # how many the stream had carried when it began


class NoNotes:
    """A store without notes of failures, so that the hub has no dead hosts to tell."""

    folders: tuple[()] = ()


class Result(NamedTuple):
    """What came of one run: counts in all, and seconds until so many per cent of the machines knew the news."""

    machines: int
    stream: bool
    alone: int  # fetches without sharing
    fetches: int
    requests: int
    bytes: int
    machine_hours: float
    until: dict[int, float]

    @property
    def share_of_fetches(self) -> float:
        return self.fetches / self.alone

    @property
    def requests_an_hour(self) -> float:
        return self.requests / self.machine_hours

    @property
    def bytes_a_day(self) -> float:
        return 24 * self.bytes / self.machine_hours


class Simulation:
    """One run. Machine 0 is the hub."""

    def __init__(
        self, certificates: list[Certificate], machines: int, hours: float, folder: Path, stream: bool
    ) -> None:
        self._certificates = certificates
        self._digests = [certificate.fingerprint for certificate in certificates]
        self._number_of = {digest: number for number, digest in enumerate(self._digests)}
        self._machines = [Machine() for _ in range(machines)]
        self._machines[0].rhythm = fleet.Rhythm(is_hub=True)
        self._began = [random.uniform(0, ROLLOUT) if number else 0.0 for number in range(machines)]
        self._end = hours * HOUR
        self._engine = Engine(str(folder))
        self._stream = stream
        self._streamed: dict[int, float] = {}  # since when all daemons have it, by server
        self._heard_from: dict[int, frozenset[str]] = {}  # what the stream carried to those that began at this point
        self._events: list[tuple[float, int, int, Action]] = []  # when, a counter, which machine, what
        self._counter = itertools.count()
        self._chances = list(itertools.accumulate(1 / (rank + 1) for rank in range(len(certificates) - 1)))
        self._parsed: dict[str, manifest.Manifest] = {}  # by mark
        self._differences: dict[tuple[int, int], frozenset[str]] = {}
        self._complete: dict[int, frozenset[str]] = {}  # by size
        self._honest_of: dict[int, frozenset[str]] = {}  # by the time of a manifest
        self._memories: dict[frozenset[str], Remembered] = {}
        self._published: manifest.Manifest | None = None
        self._there: set[str] = set()
        self._knowing: dict[int, float] = {}  # since when a machine knows the news
        self._alone = self._fetches = 0

    def run(self) -> Result:
        """Play all events until the end."""
        for number, began in enumerate(self._began):
            self._plan(began, number, self._begin)
        self._plan(OUTAGE[0], 0, lambda now, _: setattr(self._engine, "is_down", True))
        self._plan(OUTAGE[1], 0, lambda now, _: setattr(self._engine, "is_down", False))
        self._plan(POISONED_AT, 0, self._poison)
        self._plan(NEWS_AT, len(self._machines) - 1, lambda now, machine: self._meet(now, machine, NEWS))
        while self._events and self._events[0][0] < self._end:
            now, _, number, action = heapq.heappop(self._events)
            action(now, number)
        hours = sum(self._end - began for began in self._began) / HOUR
        counted = self._alone, self._fetches, self._engine.requests, self._engine.bytes
        return Result(len(self._machines), self._stream, *counted, hours, self._spread())

    def _spread(self) -> dict[int, float]:
        times = sorted(at - NEWS_AT for at in self._knowing.values())
        needed = {percent: -(-len(self._machines) * percent // 100) for percent in PERCENTS}
        times += [float("inf")] * len(self._machines)  # where too few knew it at the end
        return {percent: times[count - 1] for percent, count in needed.items()}

    def _plan(self, at: float, number: int, action: Action) -> None:
        heapq.heappush(self._events, (at, next(self._counter), number, action))

    def _begin(self, now: float, number: int) -> None:
        self._machines[number].listens_from = len(self._streamed)
        self._plan(now + self._machines[number].rhythm.first(), number, self._round)
        self._plan(now + random.expovariate(MEETINGS_A_DAY / DAY), number, self._meet_any)
        if number:
            self._plan(now + random.expovariate(REPLACED_A_DAY / DAY), number, self._replace)

    def _replace(self, now: float, number: int) -> None:
        """Another machine begins in the place of one; it pulls before it starts its work."""
        self._machines[number] = Machine(listens_from=len(self._streamed))
        while self._round_of(now, number, is_thorough=True)[1]:
            pass
        self._plan(now + random.expovariate(REPLACED_A_DAY / DAY), number, self._replace)

    def _meet_any(self, now: float, number: int) -> None:
        server = bisect.bisect(self._chances, random.uniform(0, self._chances[-1]))
        self._meet(now, number, server)
        self._plan(now + random.expovariate(MEETINGS_A_DAY / DAY), number, self._meet_any)

    def _meet(self, now: float, number: int, server: int) -> None:
        """A program of a machine meets a server with a broken chain."""
        machine = self._machines[number]
        if server in machine.needed:
            return
        machine.needed.add(server)
        self._alone += 1
        if self._digests[server] in machine.taken or now >= self._streamed.get(server, float("inf")):
            return
        self._fetches += 1
        machine.learned.append(server)
        if server == NEWS:
            self._knowing[number] = now
        if self._stream and server not in self._streamed:
            self._streamed[server] = now + STREAM_SECONDS
            if server == NEWS:
                self._knowing.update(dict.fromkeys(range(len(self._machines)), now + STREAM_SECONDS))
        self._plan(now + (0.0 if self._stream else jittered(fleet.HANDED_IN_AFTER)), number, self._hand_in_only)

    def _hand_in_only(self, now: float, number: int) -> None:
        try:
            self._hand_in(now, self._machines[number])
        except ShelfError:
            pass  # the next round does

    def _round(self, now: float, number: int) -> None:
        failed, has_more = self._round_of(now, number)
        self._plan(now + self._machines[number].rhythm.next(failed=failed, has_more=has_more), number, self._round)

    def _round_of(self, now: float, number: int, *, is_thorough: bool = False) -> tuple[bool, bool]:
        """A round of a machine: whether it failed, and whether there is more."""
        machine = self._machines[number]
        try:
            published = self._manifest(machine)
            handed_in = self._handed_in() if number == 0 else frozenset()
            has_more = self._take(now, number, published, handed_in, is_thorough or number == 0)
            self._hand_in(now, machine)
            if number == 0:
                self._publish(now, machine)
        except ShelfError:
            return True, False
        return False, has_more

    def _manifest(self, machine: Machine) -> manifest.Manifest:
        try:
            found = self._engine.get(shelves.MANIFEST, manifest.LARGEST, machine.mark)
        except shelves.AbsentError:
            return manifest.Manifest()
        if found is not None:
            if found.mark not in self._parsed:
                self._parsed[found.mark] = manifest.parse(found.content)
            machine.mark = found.mark
        return self._parsed[machine.mark]

    def _handed_in(self) -> frozenset[str]:
        names = self._engine.names(shelves.IN, shelves.MOST_NAMES)
        return frozenset(shelves.digests_in(names, shelves.CERTIFICATE))

    def _take(
        self, now: float, number: int, published: manifest.Manifest, handed_in: frozenset[str], is_thorough: bool
    ) -> bool:
        machine = self._machines[number]
        offered = self._difference(published, machine.taken) | handed_in.difference(machine.taken)
        heard = self._heard(machine)
        offered -= heard
        if number == 0:
            machine.taken |= heard  # to publish it; the others read what they lack of that
        if not offered:
            return False
        choice = taking.choose(offered, {self._digests[server] for server in machine.needed}, machine.memory, now)
        limits = getting.THOROUGH if is_thorough else getting.ROUTINE
        got = getting.get(self._engine, choice.get, published, limits, lambda name: False)
        if got.failures:
            raise next(iter(got.failures.values()))
        honest = frozenset(digest for digest in got.contents if digest in self._number_of)
        refused = got.contents.keys() - honest
        is_complete = len(honest) == sum(map(self._number_of.__contains__, choice.get)) and not choice.later and number
        machine.taken = self._honest(published) if is_complete else machine.taken | honest
        if refused:
            machine.memory = self._refusing(frozenset(machine.memory.refused) | refused, now)
        if self._digests[NEWS] in honest:
            self._knowing.setdefault(number, now)
        return bool(honest) and len(got.contents) < len(choice.get) + choice.later

    def _heard(self, machine: Machine) -> frozenset[str]:
        """What the stream has carried since a machine began; one set for all that began at the same point."""
        start = machine.listens_from
        heard = self._heard_from.get(start, frozenset())
        if len(heard) < len(self._streamed) - start:
            carried = itertools.islice(self._streamed, start, None)
            heard = self._heard_from[start] = frozenset(self._digests[server] for server in carried)
        return heard

    def _difference(self, published: manifest.Manifest, taken: frozenset[str]) -> frozenset[str]:
        """What is published and not taken; computed once for all machines that took the same."""
        if taken is not self._complete.get(len(taken)):
            return published.digests - taken
        key = published.made, len(taken)
        if key not in self._differences:
            self._differences[key] = published.digests - taken
        return self._differences[key]

    def _honest(self, published: manifest.Manifest) -> frozenset[str]:
        """What a machine has that took all of this; one set for all such machines, to save memory."""
        if published.made not in self._honest_of:
            honest = published.digests & self._number_of.keys()
            # Nothing expires here, so there is one of each size.
            self._honest_of[published.made] = self._complete.setdefault(len(honest), honest)
        return self._honest_of[published.made]

    def _refusing(self, refused: frozenset[str], now: float) -> Remembered:
        """What a machine remembers that refused these; all that refused the same share it, to save memory."""
        if refused not in self._memories:
            self._memories[refused] = Remembered(refused=dict.fromkeys(refused, now + REFUSED_FOR))
        return self._memories[refused]

    def _hand_in(self, now: float, machine: Machine) -> None:
        if not machine.learned:
            return
        certificates = [self._certificates[server] for server in machine.learned]
        published = self._parsed[machine.mark].digests if machine.mark else frozenset()
        known = published | machine.taken
        offers = handing_in.offers(certificates, known, machine.memory, lambda certificate: True)
        handing_in.hand_in(self._engine, offers)
        machine.learned.clear()

    def _publish(self, now: float, hub: Machine) -> None:
        mine = hub.taken | {self._digests[server] for server in hub.needed}
        certificates = {digest: self._certificates[self._number_of[digest]] for digest in sorted(mine)}
        before = self._parsed.get(hub.mark)
        publishing.publish(self._engine, certificates, NoNotes(), before, now)  # type: ignore[arg-type]

    def _poison(self, now: float, _: int) -> None:
        """Somebody with the rights of a machine hands in rubbish, and somebody with a hub's publishes some."""
        rubbish = [random.randbytes(1_400) for _ in range(POISON)]
        found = self._engine.get(shelves.MANIFEST, manifest.LARGEST)
        assert found is not None
        published = manifest.parse(found.content)
        digests = [hashlib.sha256(content).hexdigest() for content in rubbish]
        for place, (digest, content) in enumerate(zip(digests, rubbish, strict=True)):
            self._engine.put(shelves.file_of(shelves.OUT if place % 2 else shelves.IN, digest), content)
        poisoned = published._replace(digests=published.digests | set(digests[1::2]), made=int(now))
        self._engine.put(shelves.MANIFEST, manifest.text(poisoned))


NEWS = SERVERS  # the number of the server that nobody met before


def certificates() -> list[Certificate]:
    """The intermediates of all servers, and the news; Zipf's first is the most popular."""
    root = Authority.root("Simulated Root")
    return [Certificate(root.intermediate(f"Simulated Intermediate {number}").der) for number in range(SERVERS + 1)]


def main() -> int:
    """Run what the arguments ask for, and print a table; 1 if the largest fleet misses a limit."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--machines", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    parser.add_argument("--hours", type=float, default=36.0, help="at least 36")
    parser.add_argument("--stream", nargs="+", choices=("no", "yes"), default=["no", "yes"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also draw how fast news spreads")
    arguments = parser.parse_args()
    known = certificates()
    results = []
    for machines, stream in itertools.product(arguments.machines, [kind == "yes" for kind in arguments.stream]):
        random.seed(arguments.seed)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
            result = Simulation(known, machines, arguments.hours, Path(folder), stream=stream).run()
        results.append(result)
        print(f"{machines} machines: {time.monotonic() - began:.0f} s", file=sys.stderr)
    show(results)
    if arguments.svg is not None:
        slow = max((one for one in results if not one.stream), key=lambda one: one.machines)
        arguments.svg.write_text(spread.picture(slow.machines, slow.until, STREAM_SECONDS), encoding="utf-8")
    judged = [result for result in results if result.stream and result.machines >= 100_000]
    return int(any(one.share_of_fetches > MOST_FETCHES or one.requests_an_hour > MOST_REQUESTS for one in judged))


def show(results: list[Result]) -> None:
    """Print the results as rows of Markdown."""
    heads = [
        "machines",
        "stream",
        "fetches alone",
        "fetches",
        "ratio",
        "requests/h",
        "MB/day",
        "50 %",
        "99 %",
        "100 %",
    ]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for one in results:
        times = [spread.shown(one.until[percent]) for percent in (50, 99, 100)]
        cells = [f"{one.machines:,}", "yes" if one.stream else "no", f"{one.alone:,}", f"{one.fetches:,}"]
        cells += [f"{one.share_of_fetches:.2%}", f"{one.requests_an_hour:.2f}", f"{one.bytes_a_day / 1e6:.2f}", *times]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    sys.exit(main())
