"""The pictures of the benchmarks: drawn from what a run has written, well-formed, and with every limit in them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import bars, table
from benchmarks.on_demand import FLOOR, WITHOUT
from benchmarks.pairs import Row, Sample
from benchmarks.programs import WHOLE_CHAIN

HEADING = "2026-11-26, a machine & its load"
RIGHT = "a program, urllib, right server, 145 roots"
KNOWN = "a program, urllib, leaf-only server, known on disk, 145 roots"


def row(measure: str, against: str, ratio: float, limit: float | None = None, *, at_least: bool = False) -> Row:
    """A row of whole processes, whose second half takes 80 ms of processor time."""
    pair = Sample(100 * ratio + 1, 80 * ratio, is_whole=True), Sample(100, 80, is_whole=True)
    return Row(measure, against, [pair], limit, at_least=at_least)


ROWS = [
    row(RIGHT, WITHOUT, 0.8, 0.75),
    row(RIGHT, FLOOR, 1.0, 1.06),
    row(KNOWN, WHOLE_CHAIN, 0.85, 0.8),
    row("the same, first meeting, fetch included", WHOLE_CHAIN, 0.9, 0.88),
    row("a download", WITHOUT, 0.9, 0.97, at_least=True),
    row("`aia-store bundle`, fresh", "`python -c pass`", 2, 2.5),
    row("for the record", WITHOUT, 1.25),
    Row("the same, second process", "a peer", note="not measured: it is not here"),
]


def texts_of(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_run_can_be_drawn_again(tmp_path: Path) -> None:
    table.write_json(ROWS, HEADING, tmp_path / "run.json")
    assert table.read_json(tmp_path / "run.json") == (HEADING, ROWS)


def test_every_measured_row_is_there_with_its_limit() -> None:
    texts = texts_of(bars.ratios(ROWS, HEADING))
    assert HEADING in texts
    expected = ["0.800 > 0.75", "1.000 ≤ 1.06", "0.850 > 0.8", "0.900 > 0.88", "0.900 < 0.97", "1.250", "2.000 ≤ 2.5"]
    assert [text for text in texts if text in expected] == expected
    assert not any("second process" in text for text in texts)


def test_what_a_process_measures_itself_is_drawn_as_it_is() -> None:
    """The processor time is that of the whole process."""
    measured = Row("memory", WITHOUT, [(Sample(15, 300), Sample(830, 310))], 0.2, unit="kB")
    assert "0.018 ≤ 0.2" in texts_of(bars.ratios([measured], HEADING))


def test_what_misses_its_limit_is_marked() -> None:
    svg = bars.ratios(ROWS, HEADING)
    assert svg.count('<rect class="over"') == 4
    assert svg.count('<rect class="ours"') == 3


def test_the_floor_is_drawn_where_it_is_known() -> None:
    assert bars.ratios(ROWS, HEADING).count("dashed") == 1 + bars.ratios(ROWS[2:], HEADING).count("dashed")


def test_what_a_program_takes() -> None:
    texts = texts_of(bars.first_byte(ROWS, HEADING))
    assert [text for text in texts if text.endswith(" ms")] == [
        "80 ms",
        "64 ms",
        "72 ms",
        "68 ms",
        "the least that is possible, with a CA file of one root: 64 ms",
    ]
    with pytest.raises(KeyError):
        bars.first_byte(ROWS[1:], HEADING)


@pytest.mark.parametrize(
    "svg", [bars.ratios(ROWS, HEADING), bars.first_byte(ROWS, HEADING)], ids=["ratios", "first byte"]
)
def test_it_is_for_light_and_dark_and_says_what_it_shows(svg: str) -> None:
    assert "prefers-color-scheme: dark" in svg
    parts = {element.tag.rpartition("}")[2]: element.text for element in ElementTree.fromstring(svg)}
    assert parts["title"]
    assert "1.06" in (parts["desc"] or "") or "68 ms" in (parts["desc"] or "")
