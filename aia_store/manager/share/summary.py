"""The state of sharing with other machines, for `aia-store share status`, `aia-store status` and the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...inside.settings import Settings
from ...inside.store import IntermediateStore
from ..words import shown_time
from . import memory as memories
from . import shelf as shelves

_MINUTE = "%Y-%m-%d %H:%M UTC"
_NEVER = "never"


class Summary(NamedTuple):
    """The state of sharing. Times are in seconds since 1970; 0 means never. `counts` and `refused` are totals."""

    shelf: str
    stream: str
    hub: bool
    private: bool
    at: float  # when the last round ended
    message: str
    failed: bool
    reached: float  # when the shelf was last read
    taken: int  # certificates that are here because they were shared
    counts: dict[str, int]
    refused: dict[str, int]  # by reason

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield the lines of the summary: a name and a value, both in words."""
        yield "shelf", self.shelf + (" (this machine is a hub)" if self.hub else "")
        yield "stream", self.stream
        shared = "also what leads only to roots of this machine" if self.private else "what leads to public roots"
        yield "shared", shared
        yield "last round", f"{_time(self.at)}: {self.message}" if self.at else _NEVER
        yield "last reached", _time(self.reached)
        yield "here from others", f"{self.taken:,}"
        for what, count in sorted(self.counts.items()):
            yield f"{what} in total", f"{count:,}"
        for reason, count in sorted(self.refused.items(), key=lambda item: -item[1]):
            yield "refused", f"{count:,}: {reason}"


def of(settings: Settings, store: IntermediateStore) -> Summary:
    """The summary, from the first store folder that remembers the shelf of the settings. If none does, it is empty."""
    shelf = shelves.without_secrets(settings.share)
    found = (memories.read(folder) for folder in store.folders)
    memory = next((one for one in found if one.shelf == shelf), memories.Remembered())
    stream = shelves.without_secrets(settings.share_notify)
    return Summary(
        shelf,
        f"{stream}: {memory.stream or 'not listened to yet'}" if stream else "none",
        settings.share_publish,
        settings.share_private,
        memory.at,
        memory.message,
        memory.failed,
        memory.reached,
        len(memory.taken),
        {what: int(count) for what, count in memory.counts.items()},
        {reason: int(count) for reason, count in memory.reasons.items()},
    )


def _time(seconds: float) -> str:
    return shown_time(seconds, _MINUTE) if seconds else _NEVER
