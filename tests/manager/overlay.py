"""This machine, which tests may change: overlays over its folders, visible only in a mount namespace."""

from __future__ import annotations

import filecmp
import os
import stat
import subprocess
from pathlib import Path

_MOUNT = """
set -e
mount -t tmpfs none "$1"
upper=$1; shift
number=0
for folder in "$@"; do
    number=$((number + 1))
    mkdir "$upper/$number" "$upper/$number/upper" "$upper/$number/work"
    mount -t overlay overlay -o "lowerdir=$folder,upperdir=$upper/$number/upper,workdir=$upper/$number/work" "$folder"
done
echo ready
exec sleep 600
"""


class Overlay:
    """Folders that commands run with `enter` may change, while nobody else sees it. Raises OSError if it cannot be."""

    def __init__(self, place: Path, *folders: Path) -> None:
        place.mkdir()
        self._place, self._folders = place, folders
        command = ["unshare", "--mount", "sh", "-c", _MOUNT, "sh", str(place), *map(str, folders)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        if self._process.stdout.readline() != "ready\n":
            said = self._process.stderr.read()
            self.close()
            raise OSError(said.strip())

    def enter(self, *command: object) -> list[object]:
        """The command line that runs this command in the namespace."""
        return ["nsenter", f"--mount=/proc/{self._process.pid}/ns/mnt", *command]

    def changes(self) -> dict[str, str]:
        """Each file that is not what it is outside: its path and what happened to it."""
        found: dict[str, str] = {}
        for number, folder in enumerate(self._folders, 1):
            upper = Path(f"/proc/{self._process.pid}/root{self._place}/{number}/upper")
            for path in sorted(upper.rglob("*")):
                outside = folder / path.relative_to(upper)
                change = _change(path, outside)
                if change:
                    found[str(outside)] = change
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def _change(path: Path, outside: Path) -> str | None:
    now = path.lstat()
    if stat.S_ISCHR(now.st_mode) and now.st_rdev == 0:
        return "deleted"
    if not os.path.lexists(outside):
        return "made"
    before = outside.lstat()
    if (now.st_mode, now.st_uid, now.st_gid) != (before.st_mode, before.st_uid, before.st_gid):
        return "of another mode or owner"
    if path.is_symlink():
        return None if path.readlink() == outside.readlink() else "leads elsewhere"
    if path.is_file() and (not filecmp.cmp(path, outside, shallow=False) or now.st_mtime_ns != before.st_mtime_ns):
        return "changed"
    return None
