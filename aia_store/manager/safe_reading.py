"""Open files that other users may have made, or may replace between a check and the opening."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from io import BufferedReader

from ..inside.store import READ_FLAGS

# Links are followed, and a terminal does not become our controlling terminal.
_FLAGS = READ_FLAGS & ~getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NOCTTY", 0)


def opened(path: str) -> BufferedReader:
    """Open a regular file, or one that this process has open already: /dev/stdin, or a shell's `<(command)`.

    Links are followed. Raises OSError, also for any other FIFO, socket or device, because reading it may never end. The
    size is not limited.
    """
    file = open(os.open(path, _FLAGS), "rb")  # noqa: SIM115  # for the caller
    try:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            if not _was_given(file.fileno()):
                raise OSError(errno.EINVAL, "it is no regular file", path)
            os.set_blocking(file.fileno(), True)
    except BaseException:
        file.close()
        raise
    return file


def first_bytes(path: str, most: int) -> bytes:
    """Read at most `most` bytes of a file, opened as `opened` does. Raises OSError, also if no byte is there yet."""
    with opened(path) as file:
        found: bytes | None = file.read(most)
    if found is None:  # /proc/kmsg calls itself a regular file
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)
    return found


def _was_given(descriptor: int) -> bool:
    """Whether another descriptor of this process refers to the same file."""
    status = os.fstat(descriptor)
    for other in map(int, os.listdir("/dev/fd")):
        with contextlib.suppress(OSError):  # the descriptor of the listing is closed by now
            if other != descriptor and os.path.samestat(os.fstat(other), status):
                return True
    return False
