"""The rows as pictures: each ratio as a bar beside its limit, and what a program takes for one request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .on_demand import FLOOR, WITHOUT
from .pairs import Row
from .programs import WHOLE_CHAIN
from .svg import Picture

WIDTH, LABELS, SCALE = 900, 510, 280  # pixels: of all, of the labels, and of the bars
REQUEST_WIDTH = 640  # pixels
USUAL = 1.5  # the end of the scale for most rows; the others have a scale of their own
ROW, BAR = 40, 14  # pixels


def shown(row: Row) -> float:
    """The ratio that is drawn: of whole processes, that of their processor time."""
    cpu_ratio = row.cpu_ratio if all(sample.is_whole for pair in row.pairs for sample in pair) else None
    return row.ratio if cpu_ratio is None else cpu_ratio


def ratios(rows: Sequence[Row], heading: str) -> str:
    """An SVG with a bar for each measured row, its limit, and the floor where it is known."""
    measured = [row for row in rows if row.pairs]
    description = "; ".join(
        f"{_plain(row.measure)}, against {_plain(row.against)}: {_verdict(row)}" for row in measured
    )
    picture = Picture("ratios", WIDTH, "Ratios, and their limits", description)
    picture.text(0, 16, "Ratios, of whole processes those of their processor time; shorter is better", "bold")
    picture.text(0, 34, heading, "quiet")
    picture.text(
        0,
        52,
        "Solid line: the limit; orange: it is missed. Dashed: the floor. Thin: 1, what it is compared with.",
        "quiet",
    )
    y = 72.0
    usual = [row for row in measured if max(shown(row), row.limit or 0) <= USUAL]
    large = [row for row in measured if row not in usual]
    for group, end in ((usual, USUAL), (large, max((max(shown(row), row.limit or 0) for row in large), default=0))):
        if group:
            y = _group(picture, group, y, SCALE / end, _floors(measured)) + 16
    return picture.source(y)


def _group(picture: Picture, rows: Iterable[Row], y: float, unit: float, floors: dict[str, float]) -> float:
    """Draw rows on one scale, with so many pixels for a ratio of 1; returns where the next group may begin."""
    top = y
    for row in rows:
        picture.text(0, y + 12, _plain(row.measure))
        picture.text(0, y + 27, f"against {_plain(row.against)}", "quiet")
        picture.bar(LABELS, y + 6, shown(row) * unit, BAR, "over" if _is_over(row) else "ours")
        if row.limit is not None:
            picture.line(LABELS + row.limit * unit, y + 2, y + BAR + 10, "limit")
        if row.against == WITHOUT and row.measure in floors:
            picture.line(LABELS + floors[row.measure] * unit, y + 2, y + BAR + 10, "limit", dashed=True)
        picture.text(WIDTH, y + 17, _verdict(row), "over" if _is_over(row) else "quiet", anchor="end")
        y += ROW
    picture.line(LABELS + unit, top, y - 6, "line")
    picture.text(LABELS + unit, y + 8, "1", "quiet", anchor="middle")
    return y + 8


def first_byte(rows: Sequence[Row], heading: str) -> str:
    """An SVG: the processor time of a program with one request, without the hook and with it.

    All is derived from ratios to the program without the hook, because only the halves of a pair were measured under
    the same load. Raises KeyError if a row is missing.
    """
    found = {(row.measure.split(", ")[1], row.against): row for row in rows if row.pairs and ", " in row.measure}
    right, above_floor = found["urllib", WITHOUT], found["urllib", FLOOR]
    known = next(r for r in rows if r.pairs and "known on disk" in r.measure and r.against == WHOLE_CHAIN)
    meeting = found["first meeting", WHOLE_CHAIN]
    base = right.cpu_medians[1]
    floor = base * shown(right) / shown(above_floor)
    bars = (
        ("A server that sends its whole chain", (("without aia-store", base), ("with aia-store", base * shown(right)))),
        (
            "A server that forgets its intermediate",
            (
                ("without aia-store", None),
                ("with aia-store, the first time", base * shown(meeting)),
                ("with aia-store, from then on", base * shown(known)),
            ),
        ),
    )
    title = "What a Python program takes for one HTTPS request"
    told = [f"{group}: {name}, {_time(value)}." for group, them in bars for name, value in them]
    picture = Picture(
        "first-byte", REQUEST_WIDTH, title, " ".join([*told, f"The least that is possible: {floor:.0f} ms."])
    )
    labels, unit = 210, 340 / base
    picture.text(0, 16, title, "bold")
    picture.text(
        0, 34, "Processor time of the whole program (urllib, the system's CA file), from its start to its end", "quiet"
    )
    picture.text(0, 52, heading, "quiet")
    y = 74.0
    for group, them in bars:
        picture.text(0, y + 12, group, "bold")
        y += 22
        for name, value in them:
            picture.text(12, y + 14, name)
            if value is None:
                picture.text(labels, y + 14, _time(value), "over")
            else:
                picture.bar(labels, y + 2, value * unit, 16, "theirs" if name.startswith("without") else "ours")
                picture.text(labels + value * unit + 8, y + 14, _time(value))
            y += 24
        y += 12
    picture.line(labels + floor * unit, 68, y - 8, "line", dashed=True)
    note = f"the least that is possible, with a CA file of one root: {floor:.0f} ms"
    picture.text(REQUEST_WIDTH, y + 6, note, "quiet", anchor="end")
    return picture.source(y + 16)


def _floors(rows: Iterable[Row]) -> dict[str, float]:
    """By measure, the ratio of the floor to the program without the hook."""
    ratio = {(row.measure, row.against): shown(row) for row in rows}
    return {
        measure: value / ratio[measure, FLOOR]
        for (measure, against), value in ratio.items()
        if against == WITHOUT and (measure, FLOOR) in ratio
    }


def _is_over(row: Row) -> bool:
    return row.limit is not None and (shown(row) < row.limit if row.at_least else shown(row) > row.limit)


def _verdict(row: Row) -> str:
    if row.limit is None:
        return f"{shown(row):.3f}"
    sign = ("<" if row.at_least else ">") if _is_over(row) else ("≥" if row.at_least else "≤")
    return f"{shown(row):.3f} {sign} {row.limit:g}"


def _time(value: float | None) -> str:
    return "refused: CERTIFICATE_VERIFY_FAILED" if value is None else f"{value:.0f} ms"


def _plain(text: str) -> str:
    return text.replace("`", "")
