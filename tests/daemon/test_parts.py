"""The parts of the daemon that can be tested alone: which folders to watch, when to act, and what a mount is."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from aia_store.manager.daemon import schedule
from aia_store.manager.daemon.parent_folders import EVERYTHING, MOST_HOPS, identity, plan
from aia_store.manager.daemon.watching import Watcher, is_remote

HOUR = 3600.0


def below(folder: Path, *paths: Path) -> dict[str, set[str]]:
    """The part of the plan for these paths that is in this folder."""
    top = os.path.realpath(folder)
    return {
        os.path.relpath(name, top): place.names
        for name, place in plan(map(str, paths)).items()
        if name == top or name.startswith(top + os.sep)
    }


def test_every_folder_down_to_the_root_is_watched(tmp_path: Path) -> None:
    found = plan([str(tmp_path / "file")])
    assert {os.path.realpath(folder) for folder in tmp_path.resolve().parents} < found.keys()
    assert found["/"].names == {tmp_path.resolve().parts[1]}


def test_links_are_followed_hop_by_hop(tmp_path: Path) -> None:
    """a -> b/c; b -> d; d/c -> ../e/f (a file); e is a folder."""
    for name in ("d", "e"):
        (tmp_path / name).mkdir()
    (tmp_path / "a").symlink_to("b/c")
    (tmp_path / "b").symlink_to(tmp_path / "d")
    (tmp_path / "d" / "c").symlink_to("../e/f")
    (tmp_path / "e" / "f").touch()
    assert below(tmp_path, tmp_path / "a") == {".": {"a", "b", "d", "e"}, "d": {"c"}, "e": {"f"}}


def test_where_something_is_missing_its_appearance_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert below(tmp_path, tmp_path / "there" / "not" / "yet") == {".": {"there"}, "there": {"not"}}
    (tmp_path / "dangling").symlink_to("there/gone")
    assert below(tmp_path, tmp_path / "dangling") == {".": {"dangling", "there"}, "there": {"gone"}}


def test_a_folder_matters_with_all_in_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert below(tmp_path, tmp_path / "link") == {".": {"link", "real"}, "real": {EVERYTHING}}


def test_rings_of_links_end(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert below(tmp_path, tmp_path / "one" / "x") == {".": {"one", "two"}}
    (tmp_path / "swells").symlink_to("swells/swells")
    assert MOST_HOPS
    assert below(tmp_path, tmp_path / "swells") == {".": {"swells"}}


def test_only_what_is_written_is_watched_for_writing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    found = plan([str(tmp_path / "folder" / "file")])
    top = os.path.realpath(tmp_path)
    assert (found[top].is_written_to, found[f"{top}/folder"].is_written_to) == (False, True)


def test_identity_tells_any_change(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    assert identity(str(file)) == ()
    seen = set()
    file.write_text("one")
    seen.add(identity(str(file)))
    time = file.stat().st_mtime_ns
    file.write_text("two")
    os.utime(file, ns=(time, time))
    seen.add(identity(str(file)))
    folder.mkdir()
    seen.add(identity(str(folder)))
    (folder / "link").symlink_to(file)
    seen.add(identity(str(folder)))
    file.write_text("three")
    seen.add(identity(str(folder)))
    assert len(seen) == 5
    assert identity(str(folder)) in seen
    file.read_text()
    os.listdir(folder)
    assert identity(str(folder)) in seen


def test_a_burst_is_due_when_it_is_quiet_or_has_lasted() -> None:
    burst = schedule.Burst(1, 3)
    assert burst.due_at == float("inf")
    assert not burst.take(1e9)
    burst.hint(10)
    assert not burst.take(10.9)
    assert burst.take(11)
    assert not burst.take(12)
    for now in (20, 20.9, 21.8, 22.7):
        burst.hint(now)
        assert not burst.take(now)
    assert burst.due_at == 23
    assert burst.take(23)


def test_the_pause_after_a_failure_doubles_to_a_limit() -> None:
    pause = schedule.Pause(1, 5, 60)
    lengths = []
    for _ in range(6):
        pause.failed(100)
        lengths.append(pause.until - 100)
    assert lengths == [5, 10, 20, 40, 60, 60]
    for _ in range(5000):
        pause.failed(100)
    assert pause.until == 160
    pause.succeeded(100)
    assert pause.until == 101
    pause.failed(100)
    assert pause.until == 105


@pytest.mark.parametrize(
    ("last", "earliest", "latest"),
    [
        (None, 0, 60),
        (-1 * HOUR, 20 * HOUR, 23 * HOUR),
        (-23.99 * HOUR, 0, 60),
        (-999 * HOUR, 0, 60),
        (1 * HOUR, 0, 60),
        (99_999 * HOUR, 0, 60),
    ],
    ids=["never", "lately", "due", "overdue", "the clock was turned back", "the clock was years ahead"],
)
def test_the_next_refresh(last: float | None, earliest: float, latest: float) -> None:
    now = 1e9
    found = {schedule.next_refresh(None if last is None else now + last, 24, now) - now for _ in range(200)}
    assert len(found) > 100  # not all machines at once
    assert earliest < min(found) < max(found) <= latest


#: As the kernel writes it: an optional field or none, and a space in a path as \\040.
MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:44 / /home rw,nosuid - nfs4 server:/home rw,vers=4.2
31 22 0:45 / /mnt/with\\040-\\040dash rw shared:2 master:1 - fuse.sshfs host: rw
32 22 0:46 / /run rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("device", "remote"), [((8, 1), False), ((0, 44), True), ((0, 45), True), ((0, 46), False), ((9, 9), False)]
)
def test_file_systems_that_change_unseen(device: tuple[int, int], remote: bool) -> None:
    assert is_remote(os.makedev(*device), MOUNTS) is remote


def test_the_disk_of_this_machine_is_known(tmp_path: Path) -> None:
    assert isinstance(is_remote(tmp_path.stat().st_dev), bool)


def test_a_file_whose_time_or_mode_is_set_has_changed(tmp_path: Path) -> None:
    """So a store says that something was learned, and so a file of trust anchors becomes unreadable."""
    file = tmp_path / "changed"
    file.touch()
    seen = threading.Event()
    watcher = Watcher(seen.set, lambda: None, lambda _: None)
    try:
        watcher.watch(plan([str(file)]))
        for change in (lambda: os.utime(file, (1, 1)), lambda: file.chmod(0o600)):
            seen.clear()
            change()
            assert seen.wait(10)
    finally:
        watcher.stop()
