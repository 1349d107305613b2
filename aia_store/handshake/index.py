"""Which CA files were found plain before, so that a process need not examine one before it is used.

The file `ca-files/NUMBER` in a store folder holds the identity of one CA file, and nothing of its contents. It is a
hint: whatever it says, a file is examined before one of its certificates is trusted. So an index that is wrong, stale
or hostile can put an error off until the handshake, and that is all.
"""

from __future__ import annotations

import os

from ..store import open_store, read_regular_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..config import Settings

FOLDER = "ca-files"
SLOTS = 64  # so that programs that write a CA file at each start cannot fill a disk
LARGEST_NOTE = 256


class Index:
    """The notes in the store folders that the settings mean."""

    def __init__(self, settings: Settings) -> None:
        self._folders = open_store(settings).folders

    def has(self, status: os.stat_result) -> bool:
        """Whether a file with this status, all of it, was found plain."""
        place = os.path.join(FOLDER, _slot(status))
        return any(_holds(os.path.join(folder.path, place), _identity(status)) for folder in self._folders)

    def add(self, status: os.stat_result) -> None:
        """Note that such a file is plain, where a store is there already. Never raises."""
        for folder in self._folders:
            if os.path.isdir(folder.path) and folder.may_be_written():
                try:
                    folder.write(_identity(status), FOLDER, _slot(status))
                except OSError:
                    continue
                return


def _identity(status: os.stat_result) -> bytes:
    fields = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return " ".join(map(str, fields)).encode("ascii")


def _slot(status: os.stat_result) -> str:
    return str(status.st_ino % SLOTS)


def _holds(path: str, identity: bytes) -> bool:
    try:
        return read_regular_file(path, LARGEST_NOTE) == identity
    except OSError:
        return False
