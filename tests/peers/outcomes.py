"""What became of each test, and what the hook changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from xml.etree import ElementTree

Outcomes = dict[str, str]  #: a test's name, as its runner takes it on the command line, to what became of it

AGAIN = 3  #: how often what differs is run again, without the hook and with it
ABSENT = "not run"
THE_RUN = "the run itself"  #: a name beside those of the tests, for an interpreter that died or did not end
ENDED = "ended"

_BY_CHILD = {"error": "failed", "failure": "failed", "skipped": "skipped"}


def read(report: Path, files: Iterable[str] = ()) -> Outcomes:
    """The outcomes in a JUnit report, by CPython's runner or, of tests in these files, by pytest."""
    outcomes: Outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("name")
        if name is None:  # CPython's runner names no test of which a subtest failed
            continue
        found = [_BY_CHILD[child.tag] for child in case if child.tag in _BY_CHILD]
        outcome = "failed" if "failed" in found else found[0] if found else "passed"
        name = _pytest_name(name, case.get("classname") or "", files)
        if outcomes.get(name) != "failed":  # pytest reports a test whose teardown failed twice
            outcomes[name] = outcome
    return outcomes


def _pytest_name(name: str, classname: str, files: Iterable[str]) -> str:
    """As pytest takes it, file::class::function, from module.class and function. CPython's runner has whole names."""
    for file in files:
        module, *classes = classname.partition(file.removesuffix(".py").replace("/", "."))[1:]
        if module:
            return "::".join([file, *filter(None, classes[0].split(".")), name])
    return name


class Comparison:
    """The outcomes of one suite without the hook and with it, over one or more runs of both."""

    def __init__(self, plain: Outcomes, hooked: Outcomes) -> None:
        self.plain = plain
        self._plain: dict[str, set[str]] = {}
        self._hooked: dict[str, list[str]] = {}
        self._add(plain, hooked, plain.keys() | hooked.keys())

    @classmethod
    def of(cls, run: Callable[[bool, list[str]], Outcomes]) -> Comparison:
        """Run a suite both ways, and what differs up to `AGAIN` times more. `run(hooked, tests)`; no test means all."""
        comparison = cls(run(False, []), run(True, []))
        for _ in range(AGAIN):
            suspects = list(comparison.different)
            if not suspects:
                break
            comparison._add(run(False, suspects), run(True, suspects), suspects)
        return comparison

    def _add(self, plain: Outcomes, hooked: Outcomes, names: Iterable[str]) -> None:
        for name in names:
            otherwise = ENDED if name == THE_RUN else ABSENT
            self._plain.setdefault(name, set()).add(plain.get(name, otherwise))
            self._hooked.setdefault(name, []).append(hooked.get(name, otherwise))

    @property
    def counts(self) -> Counter[str]:
        """How many tests passed, failed and were skipped without the hook, the first time."""
        return Counter(self.plain.values())

    @property
    def flaky(self) -> dict[str, str]:
        """The tests whose outcome changed between runs without the hook, and what it was."""
        return {name: ", ".join(sorted(plain)) for name, plain in sorted(self._plain.items()) if len(plain) > 1}

    @property
    def different(self) -> dict[str, str]:
        """The others whose outcome with the hook was ever another than without it: what it was, and what it became."""
        changes = {}
        tells_nothing = ABSENT if THE_RUN in self._hooked else None  # nothing is known if the interpreter died
        for name, plain in sorted(self._plain.items()):
            others = [outcome for outcome in self._hooked[name] if outcome not in {*plain, tells_nothing}]
            if len(plain) == 1 and others:
                times = f"{len(others)} of {len(self._hooked[name])} times"
                changes[name] = f"{next(iter(plain))}; with the hook {', '.join(sorted(set(others)))} ({times})"
        return changes
