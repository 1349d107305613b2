"""Hand in an intermediate: a user's process leaves a copy in the hand-in folder of the machine's shared store.

All users may put files into this folder. They may not list the files, nor remove or replace those of other users. The
daemon or `aia-store refresh` takes the files out, trusts none of them, and keeps what it has verified in the shared
store (`manager/handins.py`). A file holds one intermediate, and does not reveal the host that was visited. If anything
goes wrong, nothing is handed in.
"""

from __future__ import annotations

import os
import stat

from . import unless_interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .certificate import Certificate

MODE = 0o1733
LARGEST_FILE = 65_536
MOST_OF_A_PROCESS = 16

# O_PATH, because users may enter the folder but not read it. On systems without O_PATH, nothing is handed in.
_PLACE_FLAGS = getattr(os, "O_PATH", 0) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)

_left = 0


def leave(certificate: Certificate, folder: str) -> None:
    """Leave a copy of an intermediate in a hand-in folder, if the folder is safe. At most 16 copies per process."""
    global _left
    contents = certificate.pem.encode("ascii")
    if _left >= MOST_OF_A_PROCESS or len(contents) > LARGEST_FILE or not hasattr(os, "O_PATH"):
        return
    try:
        place = os.open(folder, _PLACE_FLAGS)
    except unless_interrupted(OSError):
        return
    try:
        if _is_sound(os.fstat(place), os.stat(os.path.dirname(folder))):
            _left += 1
            # The random part prevents other users from taking the name first, and so blocking the hand-in.
            name = f"{certificate.fingerprint}-{os.urandom(8).hex()}.pem"
            file = os.open(name, _FILE_FLAGS, 0o600, dir_fd=place)
            try:
                os.fchmod(file, 0o644)  # whatever the umask is: another user may have to read it
                os.write(file, contents)
            finally:
                os.close(file)
    except unless_interrupted(OSError):
        pass
    finally:
        os.close(place)


def _is_sound(place: os.stat_result, site: os.stat_result) -> bool:
    """Whether `place` belongs to root or to the owner of `site`, and is sticky: users cannot remove others' files."""
    return stat.S_ISDIR(place.st_mode) and bool(place.st_mode & stat.S_ISVTX) and place.st_uid in (0, site.st_uid)
