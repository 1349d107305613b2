"""A file is replaced as a whole, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from aia_store.manager import atomic_write

resource = pytest.importorskip("resource")


def test_where_there_is_no_space_nothing_is_left_behind(tmp_path: Path) -> None:
    """A limit for files stands for a full disk: writing fails in the same place, when the buffer is flushed."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            atomic_write.write(str(path), bytes(100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("file", b"old")]


@pytest.mark.parametrize("like_the_old", [False, True])
def test_a_link_that_another_user_puts_in_place_of_the_new_file_changes_no_other(
    tmp_path: Path, like_the_old: bool
) -> None:
    """In a folder that is not sticky, others can rename what is in it, also between writing a file and renaming it."""
    secret, path = tmp_path / "secret", tmp_path / "folder" / "file"
    secret.write_bytes(b"secret")
    secret.chmod(0o600)
    path.parent.mkdir()
    with atomic_write.Replacement(str(path)) as new:
        new.file.write(b"new")
        (temporary,) = path.parent.iterdir()
        temporary.unlink()
        temporary.symlink_to(secret)
        path.write_bytes(b"old")
        new.publish(like_the_old=like_the_old)
    assert (secret.read_bytes(), stat.S_IMODE(secret.stat().st_mode)) == (b"secret", 0o600)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="there are no extended attributes here")
def test_mode_and_extended_attributes_of_the_old_file_stay_if_wished(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    atomic_write.write(str(path), b"new", like_the_old=True)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o640)
    assert os.getxattr(path, "user.note") == b"kept"
    atomic_write.write(str(path), b"newer")
    assert (os.listxattr(path), stat.S_IMODE(path.stat().st_mode)) == ([], 0o644)
