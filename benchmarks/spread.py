"""Draws how news spreads in a fleet: which part of the machines knows it after how many hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

WIDTH, HEIGHT, LEFT, TOP = 560, 200, 44, 12
HOURS = 3
STYLE = """
.spread { color: #1d2b36; --line: #0a7d54; font: 13px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { .spread { color: #e4e9ed; --line: #57d6a0; } }
.spread text { fill: currentColor; }
.spread path { fill: none; stroke: currentColor; }
.spread polyline { fill: none; stroke: var(--line); stroke-width: 2; }
"""


def picture(machines: int, until: Mapping[int, float], stream_seconds: float) -> str:
    """An SVG; `until` is the time in seconds when so many per cent know it without a stream."""
    told = (
        f"Over the shelf alone, half of them know it after {shown(until[50])}, 99 of 100 after {shown(until[99])}. "
        "With the stream, all know it within seconds."
    )
    size = f"0 0 {WIDTH + 60} {HEIGHT + 46}"
    labels = 'role="img" aria-labelledby="spread-title spread-desc"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="spread" viewBox="{size}" {labels}>',
        f'<title id="spread-title">How many of {machines:,} machines know a new intermediate</title>',
        f'<desc id="spread-desc">{told}</desc>',
        f"<style>{STYLE}</style>",
        f'<path d="M{_at(0, 100)}L{_at(0, 0)}L{_at(HOURS, 0)}"/>',
        *(f'<text x="2" y="{TOP + 4 + HEIGHT * (1 - part / 100):.0f}">{part} %</text>' for part in (0, 50, 99)),
        *(_text(LEFT + WIDTH * hour / HOURS - 8, TOP + HEIGHT + 18, f"{hour} h") for hour in range(HOURS + 1)),
        _line([(0, 0), *((seconds / 3_600, percent) for percent, seconds in until.items())]),
        _line([(0, 0), (stream_seconds / 3_600, 100), (HOURS, 100)], 'stroke-dasharray="4 4"'),
        _text(LEFT + 8, TOP + 18, "with the stream"),
        _text(LEFT + WIDTH * 0.3, TOP + HEIGHT * 0.6, "over the shelf alone"),
        "</svg>",
    ]
    return "\n".join([*lines, ""])


def shown(seconds: float) -> str:
    """A time in words."""
    return f"{seconds / 60:.0f} min" if seconds > 60 else f"{seconds:.0f} s"


def _at(hours: float, percent: float) -> str:
    return f"{LEFT + WIDTH * hours / HOURS:.1f},{TOP + HEIGHT * (1 - percent / 100):.1f}"


def _line(points: Iterable[tuple[float, float]], options: str = "") -> str:
    return f'<polyline points="{" ".join(_at(*point) for point in points)}" {options}/>'


def _text(x: float, y: float, words: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}">{words}</text>'
