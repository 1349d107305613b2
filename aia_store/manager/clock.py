"""Whether the clock is plausible. If it is years off, every certificate looks expired or long unused.

A store folder records the last refresh, and when an intermediate was last added, removed or used. A handshake that used
one verified a leaf, which is valid for about a year. So the clock was at most about a year off at that time.
"""

from __future__ import annotations

import contextlib
import os
import time

from ..inside.certificate import Certificate
from ..inside.settings import Settings
from ..inside.store import DOUBTED, REFRESHED, Folder, folders_of, open_store, read_regular_file
from .names import as_openssl_prints
from .upkeep import modified
from .words import day

FIRST_RELEASE = 1_735_689_600  # 2025-01-01: a clock that shows an earlier time is wrong
LONGEST_SILENCE = 366 * 86_400  # seconds; if nothing was recorded for longer, the clock is doubted
DOUBTED_FOR = 7 * 86_400  # seconds; a doubted clock that keeps running for this long is believed


def doubt(settings: Settings, anchors: list[Certificate]) -> str | None:
    """Why nothing should be verified now (a wrong clock, or no valid trust anchor), in words; None if all is well."""
    now = time.time()
    today = day(now)
    if now < FIRST_RELEASE:
        return f"the clock shows {today}, which is in the past; set it right"
    is_silent = now - _newest_sign(settings, now) > LONGEST_SILENCE
    if not any(anchor.is_valid_at(now) for anchor in anchors):
        last = max(anchors, key=lambda anchor: anchor.validity[1])
        if not is_silent and last.validity[1] < now:
            which = "the last trust anchor" if len(anchors) > 1 else "the only trust anchor"
            ended = f"{which}, {as_openssl_prints(last.subject)}, ended on {day(last.validity[1])}"
            return f"{ended}; bring the machine's trust anchors up to date"
        return f"the clock shows {today}, when not one trust anchor of this machine is valid; set it right"
    home = open_store(settings).home
    if home is None or not is_silent:
        return None
    since = _time_in(home, DOUBTED)
    if not 0 < since <= now:
        _write_time(home, DOUBTED)
    elif now - since > DOUBTED_FOR:
        return None
    return f"the clock shows {today}, more than a year after the last sign of life in {home.path}; set it right"


def believe(settings: Settings) -> None:
    """Write down that a refresh just ran, and no longer doubt the clock."""
    home = open_store(settings).home
    if home is not None:
        _write_time(home, REFRESHED)
        with contextlib.suppress(OSError):  # the clock was not doubted
            os.unlink(os.path.join(home.path, DOUBTED))


def _newest_sign(settings: Settings, now: float) -> float:
    """When the clock was last known to be right (seconds since 1970); `now` if nothing was recorded."""
    folders = [folder for folder in folders_of(settings) if folder.fault() is None]
    signs = [_time_in(folder, REFRESHED) for folder in folders]
    signs += [folder.changed() / 1e9 for folder in folders]
    newest = max((sign for sign in signs if 0 < sign <= now), default=0.0)
    if now - newest > LONGEST_SILENCE:
        uses = (modified(path, 0.0) for folder in folders for path in folder.paths())
        newest = max((use for use in uses if use <= now), default=newest)
    return newest or now


def _time_in(folder: Folder, name: str) -> float:
    try:
        return float(int(read_regular_file(os.path.join(folder.path, name), 32)))
    except (OSError, ValueError):
        return 0.0


def _write_time(folder: Folder, name: str) -> None:
    with contextlib.suppress(OSError):  # a full disk
        folder.write(f"{int(time.time())}\n".encode("ascii"), name)
