"""Hand in what a user's process learned: leave a copy for the whole machine in the hand-in folder of the site's store.

The folder is like /tmp, but stricter. Everyone may put files there, but nobody may list it, or remove or replace the
files of others. The manager takes the files out, trusts none of them, and keeps in the site's store what it has
verified (`manager/handins.py`). A copy holds one intermediate, which does not reveal the host that was visited.

This runs inside every program: if anything goes wrong here, nothing is handed in.
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
        """The part of `store.Folder` that is needed here."""

        path: str

        def write(self, contents: bytes, *parts: str) -> str: ...


MODE = 0o1733
LARGEST_FILE = 65_536
MOST_OF_A_PROCESS = 16
AGAIN_AFTER = 86_400  # seconds

# O_PATH, because users may enter the folder but not read it. On systems without O_PATH, nothing is handed in.
_PLACE_FLAGS = getattr(os, "O_PATH", 0) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)

_left = 0


def folder(settings: Settings) -> str | None:
    """The path of this machine's hand-in folder, which may not exist; None if the settings name another store."""
    site = site_cache()
    return os.path.join(site, HAND_IN) if site is not None and settings.dir in (None, site) else None


def leave(certificate: Certificate, site: Folder) -> None:
    """Leave a copy of an intermediate for the site's store, if it has a hand-in folder; only a few per process."""
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
            # The random part prevents other users from taking the name first, and so blocking the hand-in.
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
    """Hand in an intermediate that the site's store has, at most once a day per user, to tell its manager of the use.

    A note in the user's own store, `home`, says when this was done. Without such a store, it is not done.
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
    """Whether a folder is the hand-in folder: the site's or root's, and users cannot remove the files of others."""
    return stat.S_ISDIR(place.st_mode) and bool(place.st_mode & stat.S_ISVTX) and place.st_uid in (0, site.st_uid)
