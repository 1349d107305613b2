"""What one user's process learned, left for the whole machine: a copy in the hand-in folder of the site's store.

The folder is like /tmp, and stricter: everyone may put files there, nobody may list it, and none may remove or replace
what is another's. The manager takes them out, believes none of them, and keeps in the site's store what it verified
(`collect`). A copy holds one intermediate, which says nothing of the host that was visited.

Runs inside every program: whatever goes wrong here, nothing is handed in.
"""

from __future__ import annotations

import os
import stat
import time

from .settings import site_cache
from .store import HAND_IN, HANDED_IN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from .certificate import Certificate
    from .settings import Settings

    class Folder(Protocol):
        """As much of `store.Folder` as is needed here."""

        path: str

        def write(self, contents: bytes, *parts: str) -> str: ...


MODE = 0o1733
LARGEST_FILE = 65_536
MOST_OF_A_PROCESS = 16
AGAIN_AFTER = 86_400  # seconds

# O_PATH, because the folder may be passed and not be read; where that is unknown, nothing is handed in.
_PLACE_FLAGS = getattr(os, "O_PATH", 0) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)

_left = 0


def folder(settings: Settings) -> str | None:
    """The hand-in folder of this machine, there or not; None where the settings name a store of their own."""
    site = site_cache()
    return os.path.join(site, HAND_IN) if site is not None and settings.dir in (None, site) else None


def leave(certificate: Certificate, site: Folder) -> None:
    """Leave a copy of an intermediate for the site's store, if it has a hand-in folder; at most a few a process."""
    global _left
    contents = certificate.pem.encode("ascii")
    if _left >= MOST_OF_A_PROCESS or len(contents) > LARGEST_FILE or not hasattr(os, "O_PATH"):
        return
    try:
        place = os.open(os.path.join(site.path, HAND_IN), _PLACE_FLAGS)
    except OSError:
        return
    try:
        if _is_sound(os.fstat(place), os.stat(site.path)):
            _left += 1
            # The random part, so that nobody can be kept from handing in by one who took the name before.
            name = f"{certificate.fingerprint}-{os.urandom(8).hex()}.pem"
            file = os.open(name, _FILE_FLAGS, 0o600, dir_fd=place)
            try:
                os.fchmod(file, 0o644)  # whatever the umask is: the manager may be another user
                os.write(file, contents)
            finally:
                os.close(file)
    except OSError:
        pass
    finally:
        os.close(place)


def leave_again(certificate: Certificate, site: Folder, home: Folder | None) -> None:
    """Hand in what the site's store has, at most once a day and user: by that its manager knows that it is used.

    When it was done, a note in the user's own store says, `home`; without one it is not done.
    """
    if home is None or home is site:
        return
    try:
        note = os.path.join(home.path, HANDED_IN, certificate.fingerprint)
        if os.path.exists(note) and 0 <= time.time() - os.stat(note).st_mtime < AGAIN_AFTER:
            return
        home.write(b"", HANDED_IN, certificate.fingerprint)
    except OSError:
        return
    leave(certificate, site)


def _is_sound(place: os.stat_result, site: os.stat_result) -> bool:
    """Whether a folder is the hand-in folder: the site's or root's, and nobody there can take away another's."""
    return stat.S_ISDIR(place.st_mode) and bool(place.st_mode & stat.S_ISVTX) and place.st_uid in (0, site.st_uid)
