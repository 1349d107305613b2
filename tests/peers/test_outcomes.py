"""What counts as a difference that the hook makes, and what the reports of the two runners are read as."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.outcomes import AGAIN, THE_RUN, Comparison, Outcomes, read

pytest_plugins = ["pytester"]


class Runs:
    """A suite whose runs end as they are told to, both ways; `asked` has the tests that each was asked for."""

    def __init__(self, plain: list[Outcomes], hooked: list[Outcomes]) -> None:
        self._left: dict[bool, Iterator[Outcomes]] = {False: iter(plain), True: iter(hooked)}
        self.asked: list[list[str]] = []

    def __call__(self, hooked: bool, tests: list[str]) -> Outcomes:
        self.asked.append(tests)
        return next(self._left[hooked])


def test_what_ends_alike_is_run_once_each_way() -> None:
    runs = Runs([{"a": "passed", "b": "failed"}], [{"a": "passed", "b": "failed"}])
    comparison = Comparison.of(runs)
    assert runs.asked == [[], []]
    assert not comparison.different
    assert not comparison.flaky
    assert comparison.counts == {"passed": 1, "failed": 1}


def test_what_differs_is_run_again_and_stays_different() -> None:
    runs = Runs(
        [{"a": "passed", "b": "passed"}, *[{"b": "passed"}] * AGAIN],
        [{"a": "passed", "b": "failed"}, {"b": "passed"}, *[{"b": "failed"}] * (AGAIN - 1)],
    )
    comparison = Comparison.of(runs)
    assert runs.asked == [[], [], *[["b"]] * 2 * AGAIN]
    assert comparison.different == {"b": "passed; with the hook failed (3 of 4 times)"}


def test_what_changes_without_the_hook_too_is_flaky() -> None:
    runs = Runs([{"a": "passed"}, {"a": "failed"}], [{"a": "failed"}, {"a": "passed"}])
    comparison = Comparison.of(runs)
    assert not comparison.different
    assert comparison.flaky == {"a": "failed, passed"}


@pytest.mark.parametrize(("plain", "hooked"), [({"a": "passed"}, {}), ({}, {"a": "passed"})], ids=["gone", "come"])
def test_a_test_that_is_run_only_one_way_differs(plain: Outcomes, hooked: Outcomes) -> None:
    assert list(Comparison(plain, hooked).different) == ["a"]


def test_an_interpreter_that_dies_is_one_difference() -> None:
    comparison = Comparison({"a": "passed", "b": "passed"}, {THE_RUN: "ended with status -11"})
    assert comparison.different == {THE_RUN: "ended; with the hook ended with status -11 (1 of 1 times)"}


def test_a_report_by_cpythons_runner(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        """<testsuites><testsuite>
        <testcase name="test.test_ssl.A.test_good" status="run" result="completed" />
        <testcase name="test.test_ssl.A.test_off"><skipped>not here</skipped></testcase>
        <testcase name="test.test_ssl.A.test_bad"><failure type="AssertionError">1 != 2</failure></testcase>
        <testcase name="test.test_ssl.A.test_broken"><error type="OSError">no</error></testcase>
        <testcase />
        </testsuite></testsuites>""",
        encoding="utf-8",
    )
    assert read(report) == {
        "test.test_ssl.A.test_good": "passed",
        "test.test_ssl.A.test_off": "skipped",
        "test.test_ssl.A.test_bad": "failed",
        "test.test_ssl.A.test_broken": "failed",
    }


def test_the_names_in_a_report_by_pytest_are_those_that_it_takes(pytester: pytest.Pytester) -> None:
    pytester.mkpydir("pack")
    file = "pack/test_it.py"
    Path(file).write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('host', ['a.b', 'c'])\n"
        "def test_host(host): pass\n"
        "class TestIt:\n"
        "    def test_bad(self): assert False\n"
        "    @pytest.mark.skip\n"
        "    def test_off(self): pass\n"
        "@pytest.fixture\n"
        "def falls():\n"
        "    yield\n"
        "    assert False\n"
        "def test_teardown(falls): pass\n",
        encoding="utf-8",
    )
    pytester.runpytest_inprocess("--junit-xml", "report.xml", file)
    outcomes = read(Path("report.xml"), [file])
    assert outcomes == {
        f"{file}::test_host[a.b]": "passed",
        f"{file}::test_host[c]": "passed",
        f"{file}::TestIt::test_bad": "failed",
        f"{file}::TestIt::test_off": "skipped",
        f"{file}::test_teardown": "failed",
    }
    assert pytester.runpytest_inprocess(*outcomes).parseoutcomes() == {
        "passed": 3,
        "failed": 1,
        "skipped": 1,
        "errors": 1,
    }
