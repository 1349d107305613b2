"""What the hook says under AIA_STORE_LOG, and only then: one line an event, on standard error."""

from __future__ import annotations

import os
import sys


def debug(event: str) -> None:
    """Say what the hook did, if it was asked to. Never raises: a program may have closed its standard error."""
    if os.environ.get("AIA_STORE_LOG", "").lower() == "debug":
        try:
            sys.stderr.write(f"aia-store: {escaped(event)}\n")
        except (AttributeError, OSError, ValueError):
            pass


def escaped(text: str) -> str:
    """Text from anywhere as one line: what steers a terminal or breaks a line is written as Python would."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
