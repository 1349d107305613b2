"""Listens to the stream, in its own process, and keeps certificates that lead to a trust anchor of this machine.

At the start, if the stream may lack entries since the last time, a round (an exchange with the shelf) brings them. At
most 500 entries a minute are examined, so a flood of bad entries costs a bounded part of a processor. If the stream
drops honest certificates during a flood, the next round brings them.
"""

from __future__ import annotations

import contextlib
import select
import time

from ...inside.certificate import sha256
from ...inside.settings import Settings
from ...inside.store import StoreError
from ..roots import RootsError
from ..store_folder import writable_home
from ..words import shown_time
from . import memory as memories
from . import rounds
from .opening import open_stream
from .shelf import ShareError
from .stream import END, START, OversizeError, Stream, is_position, order

MOST_EXAMINED, EVERY = 500, 60.0  # entries, seconds


def listen(settings: Settings, interrupted: int) -> None:
    """Listen until the descriptor `interrupted` is readable or closed. Raises ShareError, StoreError and RootsError."""
    try:
        with open_stream(settings) as stream:
            _listen(settings, stream, interrupted)
    except OversizeError as error:
        _note(settings, str(error), "")  # the next time, continue after it
        raise
    except ShareError as error:
        _note(settings, str(error))
        raise


def _listen(settings: Settings, stream: Stream, interrupted: int) -> None:
    position = _caught_up(settings, stream)
    _note(settings, f"listening since {shown_time(time.time(), '%Y-%m-%d %H:%M UTC')}", position)
    examined, until = 0, 0.0
    while (entries := stream.read(position, interrupted)) is not None:
        if time.monotonic() > until:
            examined, until = 0, time.monotonic() + EVERY
        if entries:
            position = entries[-1].position
            offered = {sha256(entry.der): entry.der for entry in entries if entry.der}
            rounds.receive(settings, offered, position)
        else:
            position = _after_silence(stream, position)
        examined += max(1, len(entries))
        if examined >= MOST_EXAMINED and select.select([interrupted], [], [], max(0.0, until - time.monotonic()))[0]:
            return


def _after_silence(stream: Stream, position: str) -> str:
    """The position to continue from: the start if the stream was made anew (its newest entry is before `position`)."""
    ends = stream.ends()
    is_behind = position == END or ends is None or order(position) <= order(ends[1])
    return position if is_behind else START


def _caught_up(settings: Settings, stream: Stream) -> str:
    """The position to continue from. If entries may have been missed, a round first takes what is on the shelf."""
    noted = memories.read(writable_home(settings)).position
    try:
        ends = stream.ends()
    except OversizeError:
        following = END
    else:
        if ends is None:
            following = START
        elif not is_position(noted):
            following = ends[1]
        elif order(ends[0]) <= order(noted) <= order(ends[1]):
            return noted
        else:  # entries are gone, or the stream was made anew
            following = noted if order(noted) < order(ends[0]) else START
    with contextlib.suppress(ShareError, StoreError, RootsError):  # the next round over the shelf will say so
        rounds.pull(settings)
    return following


def _note(settings: Settings, state: str, position: str | None = None) -> None:
    with contextlib.suppress(ShareError, StoreError, OSError), memories.opened(writable_home(settings)) as memory:
        memory.stream = state
        memory.position = memory.position if position is None else position
