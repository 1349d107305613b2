"""Who can change a file system: /proc/self/mountinfo (proc_pid_mountinfo(5)) shows what modes and owners do not."""

from __future__ import annotations

import os

from . import unless_interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE = "/proc/self/mountinfo"
_ESCAPES = ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\"))
_USER = "user_id="


class Mount:
    """One line of /proc/self/mountinfo."""

    def __init__(self, line: str) -> None:
        _, _, self.device, root, point, options, *rest = line.split(" ")
        end = rest.index("-")
        self.root = _unescaped(root)  # the folder of the file system that is seen at `point`
        self.point = _unescaped(point)
        self.is_shared = end > 0  # a mount made here appears in other mount namespaces, or the reverse
        self.type, self.superblock = rest[end + 1], rest[end + 3].split(",")
        self.is_read_only_everywhere = "ro" in self.superblock
        self.is_read_only = self.is_read_only_everywhere or "ro" in options.split(",")

    def shows_part_of(self, other: Mount) -> bool:
        """Whether some file can be reached through both mounts."""
        mine, others = self.root.rstrip("/") + "/", other.root.rstrip("/") + "/"
        return self.device == other.device and (mine.startswith(others) or others.startswith(mine))


def nobody_can_write(path: str) -> bool:
    """Whether a file system or a part of it is mounted read-only at this path, and users cannot write to it elsewhere.

    If another mount of the file system is writable, users can write there. That mount may be in another namespace. For
    example, everything is read-only to a service with ProtectSystem=strict, but users can write. Its mounts are shared
    with the namespace that it was started from, so the answer is False. A container's volumes are not shared.
    """
    mounts = list(mounted())
    here = _at(path, mounts)
    if here is None or here.is_read_only_everywhere or not here.is_read_only or here.is_shared:
        return here is not None and here.is_read_only_everywhere
    return all(other.is_read_only or not other.shows_part_of(here) for other in mounts)


def mounted_by(path: str) -> int:
    """The id of the user whose program provides the file system mounted here (FUSE); 0 if the kernel does.

    Such a program makes up the owners and modes of its files, and can change them at any time.
    """
    mount = _at(path, list(mounted()))
    if mount is None or not mount.type.startswith("fuse"):
        return 0
    users = (option[len(_USER) :] for option in mount.superblock if option.startswith(_USER))
    return int(next(users, "0"))


def mounted(table: bytes | None = None) -> Iterator[Mount]:
    """The mounts in the text of a mountinfo table, by default this process's; none if its table cannot be read."""
    if table is None:
        try:
            with open(_TABLE, "rb") as file:
                table = file.read()
        except unless_interrupted(OSError):
            return
    for line in table.splitlines():
        try:
            yield Mount(os.fsdecode(line))
        except unless_interrupted(ValueError, IndexError):
            continue


def _at(path: str, mounts: list[Mount]) -> Mount | None:
    """The mount whose mount point is this path, which has no links. The last mount counts: it covers earlier ones."""
    return next((mount for mount in reversed(mounts) if mount.point == path), None)


def _unescaped(text: str) -> str:
    for escape, character in _ESCAPES:
        text = text.replace(escape, character)
    return text
