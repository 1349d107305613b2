"""Draws docs/report.svg, the picture of what `check` says: `python -m tests.docs.report`.

The command checks a real server. Only places are renamed in its output, which would otherwise show this machine.
"""

from __future__ import annotations

import io
import tempfile
import textwrap
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.style import Style
from rich.text import Text

from benchmarks.svg import Picture
from tests.docs.blocks import PROJECT
from tests.manager.machine import Machine
from tests.support.pki import Authority
from tests.support.servers import AIAHost, TLSServer

FILE = PROJECT / "docs" / "report.svg"
COLUMNS = 104  # of the prose, which is wrapped
_LEFT, _TOP, _CHARACTER, _LINE = 16, 28, 7.25, 19
_COLOURS = {1: "over", 2: "ours", 3: "over", 6: "ours"}  # by the numbers of the terminal's: red, green, yellow, cyan
_TITLE = "What aia-store check says of a server that sends only its own certificate"
_DESCRIPTION = (
    "The chain as a tree, from the server's certificate to the root. Two intermediates are not sent, and the tree says "
    "from where they were fetched. Below stand the verdict, in which clients the server works and fails, and what its "
    "owner should do."
)


def lines() -> list[Text]:
    """What `check` prints of a server that sends only its leaf, in its colours, as a terminal wraps it."""
    with tempfile.TemporaryDirectory() as folder, AIAHost() as aia:
        machine = Machine(Path(folder, "machine"))
        root = Authority.root("Example Root R1", not_after=timedelta(days=4_800))
        machine.trust(root)
        cross = root.intermediate("Example Cross CA", not_after=timedelta(days=1_500))
        issuing = cross.intermediate(
            "Example TLS CA 7", not_after=timedelta(days=900), aia=[aia.publish("/cross.cer", cross.der)]
        )
        leaf = issuing.leaf("www.example.org", aia=[aia.publish("/tls7.cer", issuing.der)])
        with TLSServer(leaf) as server:
            place = f"localhost:{server.port}"
            done = machine.run("check", "www.example.org", "--connect", place, FORCE_COLOR="1", TERM="xterm-256color")
        renamed = {
            aia.url(""): "http://ca.example",
            str(machine.roots): "/etc/ssl/certs/ca-certificates.crt",
            f" --connect {place}": "",
            f"  at {place}, at 127.0.0.1": "",
            f"  at {place}": "",
        }
    output = done.stdout
    for ours, shown in renamed.items():
        output = output.replace(ours, shown)
    prompt = Text.assemble(("$ ", "dim"), ("aia-store check www.example.org", "bold"))
    found = [prompt]
    for line in output.splitlines():
        text = Text.from_ansi(line)
        is_prose = not text.spans
        found += map(Text, textwrap.wrap(text.plain, COLUMNS)) if is_prose else [text]
    return found


def drawn(shown: list[Text]) -> str:
    """These lines as an SVG."""
    console = Console(file=io.StringIO(), width=200, color_system="standard", force_terminal=True)
    longest = max(text.cell_len for text in shown)
    picture = Picture("report", round(2 * _LEFT + longest * _CHARACTER), _TITLE, _DESCRIPTION)
    for row, text in enumerate(shown):
        column = 0
        for part, style, _ in text.render(console, end=""):
            words = part.strip(" ")
            if words:
                at = column + len(part) - len(part.lstrip(" "))
                picture.text(_LEFT + at * _CHARACTER, _TOP + row * _LINE, words, _kind(style))
            column += len(part)
    return picture.source(_TOP + len(shown) * _LINE)


def _kind(style: Style | None) -> str:
    """The kind of text in a picture for a style on a terminal."""
    if style is None:
        return "code"
    colour = _COLOURS.get(style.color.number or 0, "") if style.color is not None else ""
    return " ".join(filter(None, ["code", colour, "bold" if style.bold else "", "quiet" if style.dim else ""]))


if __name__ == "__main__":
    FILE.write_text(drawn(lines()), encoding="utf-8")
