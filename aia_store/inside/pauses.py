"""Which fetches failed, and until when they are not tried again: one minute, doubling to a day.

Kept on disk, so that a dead host is not asked at every handshake of every process, and in memory where there is no
disk. Only digests are written: no file says which host was visited. Notes live in a fixed number of slots, two for
each to choose from, so that no two keep pushing each other out; a hostile server that names a fresh URL every time can
push others out, but never fill a disk.
"""

from __future__ import annotations

import os
import time

from .store import FAILURES, read_regular_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .store import Folder

FIRST_PAUSE, LONGEST_PAUSE = 60, 86_400  # seconds
MOST_IN_MEMORY = 4_096  # as many as there are slots on disk
SLOT_DIGITS = 3  # of a digest: the name of its slot


class Failures:
    """The memory of failed fetches. A key is any text: a URL, a host.

    Who is not `patient`, as a person who has just mended his server, notes failures but does not pause for them.
    """

    def __init__(self, folder: Folder | None, *, patient: bool = True) -> None:
        self._folder = folder
        self._patient = patient
        self._memory: dict[str, tuple[int, float]] = {}  # what could not be written

    def paused(self, key: str) -> bool:
        """Whether this failed so lately that it is not to be tried now."""
        remaining = self._recall(_digest(key))[1] - time.time()
        return self._patient and 0 < remaining <= LONGEST_PAUSE  # a longer one was written under another clock

    def failed(self, key: str) -> None:
        """Note one more failure, and pause twice as long as after the last."""
        digest = _digest(key)
        count = self._recall(digest)[0] + 1
        pause = min(FIRST_PAUSE << min(count - 1, 11), LONGEST_PAUSE)
        self._note(digest, count, time.time() + pause)

    def succeeded(self, key: str) -> None:
        """Forget the failures of this key."""
        digest = _digest(key)
        if self._recall(digest)[0]:
            self._note(digest, 0, 0)

    def _recall(self, digest: str) -> tuple[int, float]:
        """How often this failed in a row, and when the pause ends (seconds since 1970)."""
        found = [(count, until) for whose, count, until in self._notes(digest) if whose == digest]
        return max([self._memory.get(digest, (0, 0.0)), *found])

    def _notes(self, digest: str) -> list[tuple[str, int, float]]:
        """What the slots of a digest hold."""
        if self._folder is None:
            return []
        return [read_note(os.path.join(self._folder.path, FAILURES, slot)) for slot in slots(digest)]

    def _note(self, digest: str, count: int, until: float) -> None:
        if self._folder is not None:
            try:
                slot = self._slot(digest)
                self._folder.write(f"{digest} {count} {until:.0f}\n".encode("ascii"), FAILURES, slot)
                self._memory.pop(digest, None)
                return
            except OSError:
                pass
        if len(self._memory) >= MOST_IN_MEMORY:
            self._memory.clear()
        self._memory[digest] = (count, until)

    def _slot(self, digest: str) -> str:
        """Where to note: where it was noted before, else where no other's pause runs, else in the first slot."""
        now = time.time()
        places = list(zip(slots(digest), self._notes(digest), strict=True))
        mine = [slot for slot, (whose, _, _) in places if whose == digest]
        free = [slot for slot, (_, _, until) in places if not now < until <= now + LONGEST_PAUSE]
        return next(iter([*mine, *free, *slots(digest)]))


def slots(digest: str) -> tuple[str, str]:
    """The names of the slots in which a failure may be noted."""
    return digest[:SLOT_DIGITS], digest[SLOT_DIGITS : 2 * SLOT_DIGITS]


def read_note(path: str) -> tuple[str, int, float]:
    """Of one slot: whose failures these are (a digest), how many in a row, until when; ("", 0, 0.0) where none are."""
    try:
        whose, count, until = read_regular_file(path, 256).decode("ascii").split()
        return (whose, int(count), float(until)) if int(count) >= 0 else ("", 0, 0.0)
    except (OSError, ValueError):
        return "", 0, 0.0


def _digest(key: str) -> str:
    import hashlib

    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
