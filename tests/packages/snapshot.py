"""What is in a root folder: one line a file, with its kind, mode, owner, and a digest of its contents or its target.

snapshot.py ROOT        of everything that stays but the records that dpkg, rpm, apt and shadow keep of what they did
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterator

RECORDS = (
    "/etc/group-",  # shadow's copies of the files as they were before its last change
    "/etc/gshadow-",
    "/etc/passwd-",
    "/etc/shadow-",
    "/given",
    "/proc",
    "/run",
    "/sys",
    "/tmp",
    "/var/cache/apt",
    "/var/cache/debconf",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/var/log",
)


def lines(root: str) -> Iterator[str]:
    """The lines, in the order of the paths."""
    for folder, folders, files in os.walk(root or "/"):
        inner = folder[len(root) :].rstrip("/")
        folders[:] = sorted(name for name in folders if f"{inner}/{name}" not in RECORDS)
        for name in sorted([*folders, *files]):
            path = f"{inner}/{name}"
            if path not in RECORDS:
                yield f"{path} {_described(root + path)}"


def _described(path: str) -> str:
    status = os.lstat(path)
    said = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
    if stat.S_ISLNK(status.st_mode):
        return f"{said} -> {os.readlink(path)}"
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            return f"{said} {hashlib.sha256(file.read()).hexdigest()}"
    return said


print("\n".join(lines(sys.argv[1].rstrip("/"))))
