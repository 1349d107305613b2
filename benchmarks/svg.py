"""A static SVG with texts, bars and lines, which follows the reader's light or dark colours.

Its styles only apply to the picture itself, because the site puts pictures into its pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

LIGHT = {
    "ink": "#1d2b36",
    "quiet": "#566573",
    "line": "#8795a1",
    "ours": "#0a7d54",
    "theirs": "#9aa7b2",
    "over": "#b3541e",
}
DARK = {
    "ink": "#e4e9ed",
    "quiet": "#a9b6c1",
    "line": "#71808c",
    "ours": "#57d6a0",
    "theirs": "#6b7985",
    "over": "#f0a06a",
}


class Picture:
    """What is drawn so far. Positions and lengths are in pixels from the upper left corner.

    `name` is the class of the whole picture. Texts, bars and lines have a `kind`: for texts "bold", "quiet" or a
    colour of `LIGHT`; for the others a colour.
    """

    def __init__(self, name: str, width: int, title: str, description: str) -> None:
        self._name = name
        self._width = width
        self._title = title
        self._description = description
        self._parts: list[str] = []

    def text(self, x: float, y: float, content: str, kind: str = "", *, anchor: str = "start") -> None:
        """A line of text; `anchor` says which part of it is at `x`: its "start", "middle" or "end"."""
        self._add("text", {"class": kind, "x": x, "y": y, "text-anchor": anchor}, escape(content))

    def bar(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """A filled rectangle."""
        self._add("rect", {"class": kind, "x": x, "y": y, "width": max(width, 1), "height": height, "rx": 2})

    def line(self, x: float, top: float, bottom: float, kind: str, *, dashed: bool = False) -> None:
        """A vertical line."""
        self._add("line", {"class": f"{kind} dashed" if dashed else kind, "x1": x, "x2": x, "y1": top, "y2": bottom})

    def source(self, height: float) -> str:
        """The SVG, as high as this."""
        name = self._name
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{name}" viewBox="0 0 {self._width} {height:g}" '
            f'width="{self._width}" height="{height:g}" role="img" aria-labelledby="{name}-title {name}-desc">'
        )
        parts = [
            f'<title id="{name}-title">{escape(self._title)}</title>',
            f'<desc id="{name}-desc">{escape(self._description)}</desc>',
            f"<style>\n{self._styles()}\n</style>",
            *self._parts,
        ]
        return "\n".join([head, *(f"  {part}" for part in parts), "</svg>\n"])

    def _add(self, element: str, attributes: Mapping[str, object], content: str = "") -> None:
        values = (
            (name, f"{value:.5g}" if isinstance(value, float) else str(value)) for name, value in attributes.items()
        )
        written = "".join(f" {name}={quoteattr(value)}" for name, value in values if value not in ("", "start"))
        self._parts.append(f"<{element}{written}>{content}</{element}>" if content else f"<{element}{written}/>")

    def _styles(self) -> str:
        def variables(colours: Mapping[str, str]) -> str:
            return " ".join(f"--{name}: {colour};" for name, colour in colours.items())

        rules = {
            "": f"{variables(LIGHT)} font: 13px system-ui, sans-serif; max-width: 100%; height: auto;",
            " text": "fill: var(--ink);",
            " .bold": "font-weight: 600;",
            " .quiet": "fill: var(--quiet); font-size: 12px;",
            " line": "stroke: var(--ink); stroke-width: 1.5;",
            " line.line": "stroke: var(--line); stroke-width: 1;",
            " .dashed": "stroke-dasharray: 3 3;",
            **{f" .{colour}": f"fill: var(--{colour});" for colour in ("ours", "theirs", "over")},
        }
        lines = [f"    .{self._name}{selector} {{ {rule} }}" for selector, rule in rules.items()]
        return "\n".join(
            [*lines, f"    @media (prefers-color-scheme: dark) {{ .{self._name} {{ {variables(DARK)} }} }}"]
        )
