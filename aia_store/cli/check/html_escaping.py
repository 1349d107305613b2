"""Text from hosts and certificates as HTML."""

from __future__ import annotations

import html
import re

from .. import output


def text(value: str) -> str:
    """Any text as HTML, which may also be used in a quoted attribute."""
    return html.escape(output.harmless(value))


def dated(value: str) -> str:
    """Like `text`, with dates that are not broken at the end of a line."""
    return re.sub(r"\d{4}-\d\d-\d\d", r"<time>\g<0></time>", text(value))
