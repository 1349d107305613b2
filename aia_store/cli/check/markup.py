"""Text from hosts and certificates as HTML."""

from __future__ import annotations

import html

from .. import output


def text(value: str) -> str:
    """Any text as HTML, which may also be used in a quoted attribute."""
    return html.escape(output.harmless(value))
