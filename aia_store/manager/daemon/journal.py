"""The daemon's log: one line per event, on standard error, as text or as JSON."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress

from ..words import one_line

FORMATS = ("text", "json")
_STANDARD_ERROR = 2  # the descriptor


class Journal:
    """Writes events. Never raises: if the log cannot be written, the daemon goes on."""

    def __init__(self, form: str = "text") -> None:
        self._as_json = form == "json"

    def say(self, event: str, message: str, *, failed: bool = False) -> None:
        """Log one event: its name, and a message, which is escaped to one line that is harmless for a terminal."""
        message = one_line(message)
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        level = "error" if failed else "info"
        if self._as_json:
            line = json.dumps({"time": when, "level": level, "event": event, "message": message})
        else:
            line = f"{when} {level} {event}: {message}"
        with suppress(OSError):  # nobody reads it, or the log's disk is full
            # Not through sys.stderr, which buffers what it cannot write.
            os.write(_STANDARD_ERROR, f"{line}\n".encode("utf-8", "replace"))
