"""What the hook says under AIA_STORE_LOG, and only then: one line an event, on standard error."""

from __future__ import annotations

import os
import sys


def debug(event: str) -> None:
    """Say what the hook did, if it was asked to. Never raises: a program may have closed its standard error."""
    if os.environ.get("AIA_STORE_LOG", "").lower() == "debug":
        try:
            harmless = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in event)
            sys.stderr.write(f"aia-store: {harmless}\n")
        except (AttributeError, OSError, ValueError):
            pass
