"""The metrics for Prometheus: well-formed, complete at every moment, and true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aia_store.cli.check.metrics_output import _escaped
from tests.cli.check.fleet import Fleet
from tests.conftest import Hierarchy, MakeHierarchy
from tests.manager.machine import Machine

_SAMPLE = re.compile(r'(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (-?\d+)')


@pytest.fixture
def pki(machine: Machine, hierarchy: MakeHierarchy) -> Hierarchy:
    """Two intermediates under the machine's trust anchor."""
    made = hierarchy({}, {})
    machine.trust(made.root)
    return made


def samples(text: str) -> dict[str, dict[str, int]]:
    """The samples by metric, and then by their labels. What the exposition format forbids is an error."""
    found: dict[str, dict[str, int]] = {}
    kinds: set[str] = set()
    current = ""
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split()[2]
            assert current not in found, "the lines of one metric stand together"
            found[current] = {}
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {current} gauge"
            kinds.add(current)
        else:
            sample = _SAMPLE.fullmatch(line)
            assert sample is not None, line
            assert sample[1] == current
            labels = sample[2] or ""
            assert labels not in found[current], "no sample twice"
            found[current][labels] = int(sample[3])
    assert kinds == found.keys()
    return found


def parsed(text: str) -> dict[str, dict[str, int]]:
    """The samples by metric, and then by host and port."""

    def place(labels: str) -> str:
        return ":".join(re.findall(r'"([^"]*)"', labels))

    return {name: {place(labels): value for labels, value in each.items()} for name, each in samples(text).items()}


def test_the_metrics_are_true(machine: Machine, pki: Hierarchy) -> None:
    file = machine.folder / "aia_store.prom"
    with Fleet() as fleet:
        (right,), (wrong,), (dead,) = fleet.tls(1, pki.leaf, pki.intermediates), fleet.tls(1, pki.leaf), fleet.deaf(1)
        done = machine.run("check", right, wrong, dead, "no host", "--prometheus", file)
    assert done.returncode == 1
    found = parsed(file.read_text(encoding="utf-8"))
    name = "aia_store_check_{}".format
    assert found[name("complete")] == {right: 1, wrong: 0}
    assert found[name("could_not_tell")] == {right: 0, wrong: 0, dead: 1, "no host:": 1}
    assert found[name("missing_intermediates")] == {right: 0, wrong: 2}
    ends = int(pki.leaf.certificate.not_valid_after_utc.timestamp())
    assert found[name("expiry_timestamp_seconds")] == {right: ends, wrong: ends}
    assert abs(found[name("timestamp_seconds")][""] - file.stat().st_mtime) < 60
    assert file.stat().st_mode & 0o777 == 0o644, "the exporter is another user"


def test_labels_are_escaped() -> None:
    """No host name can contain these characters; if one ever does, it must not end the label."""
    line = f'x{{host="{_escaped(chr(34) + chr(92) + chr(10))}"}} 1'
    assert _SAMPLE.fullmatch(line), line


def test_an_old_file_stays_until_the_new_one_is_whole(machine: Machine, pki: Hierarchy) -> None:
    folder = machine.folder / "collector"
    folder.mkdir()
    file = folder / "aia_store.prom"
    file.write_text("what was there")
    assert "cannot be written" in machine.complains(
        "check", "localhost:1", "--prometheus", Path("/dev/null/x"), status=2
    )
    machine.trust()
    assert machine.run("check", "localhost:1", "--prometheus", file).returncode != 0
    assert file.read_text() == "what was there"
    assert list(folder.iterdir()) == [file]
