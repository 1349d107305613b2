"""Which fetches failed, and when they may be tried again: after a pause of a minute, which doubles up to a day.

Failures are noted on disk, so that all processes know of a dead host. If the disk cannot be written, they are noted in
memory. Only digests of URLs and hosts are written, so no file reveals which host was visited. The number of files for
notes, the slots, is fixed: a hostile server that names ever new URLs can replace other notes, but never fill a disk.
Each note may be in one of two slots, so that no two notes keep replacing each other.
"""

from __future__ import annotations

import os
import time

from . import remember, unless_interrupted
from .certificate import sha256
from .store import FAILURES, read_regular_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .fetch import FetchError
    from .store import Folder

    Note = tuple[str, int, float]  # whose failures (a digest), how many in a row, until when (seconds since 1970)

FIRST_PAUSE, LONGEST_PAUSE = 60, 86_400  # seconds
HINTED_PAUSE = 3_600  # seconds
LONGEST_BY_PROXY = 600  # seconds: the proxy may have been to blame, and may soon work again
MOST_IN_MEMORY = 4_096  # as many as there are slots on disk
SLOT_DIGITS = 3  # of a digest: the name of its slot


class Failures:
    """The memory of failed fetches: a folder, or `memory` if the folder cannot be written.

    A key is a URL, a host or a proxy. Without `patient`, failures are noted, but nothing is paused: the user may just
    have repaired a server.
    """

    def __init__(
        self, folder: Folder | None, memory: dict[str, tuple[int, float]] | None = None, *, patient: bool = True
    ) -> None:
        self._folder = folder
        self._patient = patient
        self._memory = {} if memory is None else memory  # by digest

    def url_is_paused(self, url: str, proxy: str | None = None) -> bool:
        """Whether the URL (through this proxy) or the proxy is paused; without a proxy, the URL or its host."""
        return self.paused(key_of(url, proxy)) or self.paused(host_of(url) if proxy is None else proxy)

    def pause_ends(self, *keys: str) -> float:
        """When the last of these keys' pauses ends (seconds since 1970); 0 if no pause was noted."""
        return max(self._recall(digest_of(key))[1] for key in keys)

    def blame(self, url: str, error: FetchError, proxy: str | None = None) -> None:
        """Note that the URL could not be fetched; also note a dead host or proxy. If we are to blame, note nothing."""
        if error.is_ours:
            return
        longest = longest_pause(error.proxy)
        if error.proxy is not None and error.is_proxy_dead:
            longest = FIRST_PAUSE
            self.failed(error.proxy, longest)
        self.failed(key_of(url, proxy), longest)
        if error.dead_url is not None:
            self.failed(host_of(error.dead_url))

    def forgive(self, url: str, proxy: str | None = None) -> None:
        """After a successful fetch, forget the failures of the URL and of the proxy; without a proxy, of the host."""
        self.succeeded(key_of(url, proxy))
        self.succeeded(host_of(url) if proxy is None else proxy)

    def paused(self, key: str) -> bool:
        """Whether a pause runs for this key, so that it must not be tried now."""
        return self._patient and _is_running(self._recall(digest_of(key))[1], time.time())

    def failed(self, key: str, longest: int = LONGEST_PAUSE) -> None:
        """Note one more failure of this key, and double its pause, up to `longest` seconds."""
        digest = digest_of(key)
        count = self._recall(digest)[0] + 1
        pause = min(FIRST_PAUSE << min(count - 1, 11), longest)
        self._note(digest, count, time.time() + pause)

    def succeeded(self, key: str) -> None:
        """Forget the failures of this key."""
        digest = digest_of(key)
        if self._recall(digest)[0]:
            self._note(digest, 0, 0)

    def hinted(self, digest: str) -> bool:
        """Do not try the URL or host with this digest for an hour: another machine could not reach it.

        A failure that this machine has noted itself stays as it is. Returns whether the hint was noted.
        """
        if self._recall(digest)[0]:
            return False
        self._note(digest, 1, time.time() + HINTED_PAUSE)
        return True

    def _recall(self, digest: str) -> tuple[int, float]:
        """How often the key with this digest failed in a row, and when its pause ends (seconds since 1970)."""
        found = [(count, until) for whose, count, until in self._notes(digest).values() if whose == digest]
        return max([self._memory.get(digest, (0, 0.0)), *found])

    def _notes(self, digest: str) -> dict[str, Note]:
        """The notes in the slots of a digest, by the slots' names."""
        if self._folder is None:
            return {}
        return {slot: read_note(os.path.join(self._folder.path, FAILURES, slot)) for slot in slots(digest)}

    def _note(self, digest: str, count: int, until: float) -> None:
        if self._folder is not None:
            try:
                slot = self._slot(digest)
                self._folder.write(f"{digest} {count} {until:.0f}\n".encode("ascii"), FAILURES, slot)
                self._memory.pop(digest, None)
                return
            except unless_interrupted(OSError):
                pass
        remember(self._memory, digest, (count, until), MOST_IN_MEMORY)

    def _slot(self, digest: str) -> str:
        """The slot to write a note to: the one that has it already, else one whose pause has ended, else the first."""
        now = time.time()
        notes = self._notes(digest)
        mine = [slot for slot, (whose, _, _) in notes.items() if whose == digest]
        free = [slot for slot, (_, _, until) in notes.items() if not _is_running(until, now)]
        return [*mine, *free, *notes][0]


def running(folder: Folder) -> dict[str, float]:
    """The pauses in a folder that still run: the digest of each key, and when its pause ends (seconds since 1970)."""
    now = time.time()
    notes = [(os.path.basename(path), read_note(path)) for path in _files(folder)]
    return {whose: until for slot, (whose, _, until) in notes if slot in slots(whose) and _is_running(until, now)}


def clear(folder: Folder) -> int:
    """Forget all failures noted in a folder; returns how many pauses this ended."""
    ended = len(running(folder))
    for path in _files(folder):
        try:
            os.unlink(path)
        except unless_interrupted(OSError):
            pass  # it belongs to another user
    return ended - len(running(folder))


def _files(folder: Folder) -> Iterator[str]:
    """The paths of the slots in use. Files whose names are not a slot's are skipped."""
    try:
        path = folder.within(FAILURES)
        names = os.listdir(path)
    except unless_interrupted(OSError):
        return
    for name in names:
        if len(name) == SLOT_DIGITS:
            yield os.path.join(path, name)


def _is_running(until: float, now: float) -> bool:
    """Whether a pause runs. One with more than LONGEST_PAUSE left does not: the clock was wrong when it was noted."""
    return 0 < until - now <= LONGEST_PAUSE


def key_of(url: str, proxy: str | None) -> str:
    """The key of a URL that is fetched directly, or through this proxy (host:port)."""
    return url if proxy is None else f"{url} through {proxy}"


def longest_pause(proxy: str | None) -> int:
    """How many seconds a URL is paused at most if it was fetched directly, or through this proxy."""
    return LONGEST_PAUSE if proxy is None else LONGEST_BY_PROXY


def host_of(url: str) -> str:
    """The scheme, host and port of a URL: the key that is paused if the host is dead."""
    return "/".join(url.split("/", 3)[:3]).lower()


def slots(digest: str) -> tuple[str, str]:
    """The names of the two slots in which the failures of the key with this digest may be noted."""
    return digest[:SLOT_DIGITS], digest[SLOT_DIGITS : 2 * SLOT_DIGITS]


def read_note(path: str) -> Note:
    """The note in one slot; ("", 0, 0.0) if there is none."""
    try:
        whose, count, until = read_regular_file(path, 256).decode("ascii").split()
        return (whose, int(count), float(until)) if int(count) >= 0 else ("", 0, 0.0)
    except unless_interrupted(OSError, ValueError):
        return "", 0, 0.0


def digest_of(key: str) -> str:
    """The digest under which a key is noted."""
    return sha256(key.encode("utf-8", "surrogatepass"))
