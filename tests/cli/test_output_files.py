"""What root, and any user, writes for people and other programs, in a folder where another user can put things."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

import pytest

from tests.manager.machine import Machine
from tests.support.pki import Authority
from tests.support.users import Users, require_users

ALICE, MALLORY = 12_001, 12_002
COMMAND = "import sys; sys.argv[0] = 'aia-store'; from aia_store.cli import main; main()"
DOCUMENTS = {"--html": "<!doctype html>", "--prometheus": "# HELP", "--fullchain": "-----BEGIN CERTIFICATE-----"}


@pytest.fixture
def users() -> Iterator[Users]:
    """A machine with root, Alice and Mallory, and the full chain of a server in a file."""
    require_users()
    root = Authority.root()
    with Users({"AIA_STORE_ROOTS": "/var/cache/roots.pem", "AIA_STORE_OFFLINE": "1"}) as made:
        (made.root / "var/cache/roots.pem").write_text(root.pem)
        (made.root / "var/cache/chain.pem").write_text(root.leaf().pem)
        yield made


def write(users: Users, user: int, *options: str) -> tuple[int, str]:
    """Check the file as this user; returns the status, and what is said on standard error."""
    with users.start(user, COMMAND, "check", "--quiet", "/var/cache/chain.pem", *options) as process:
        try:
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    return process.returncode, errors


@pytest.mark.parametrize(
    ("document", "owner", "mode"),
    [("--html", 0, 0o1777), ("--prometheus", 0, 0o777), ("--fullchain", MALLORY, 0o755), ("--html", ALICE, 0o1777)],
)
def test_a_link_in_a_folder_that_others_can_write_to_is_not_followed(
    users: Users, document: str, owner: int, mode: int
) -> None:
    """The kernel's protected_symlinks does not help: it is for opening a link, not for reading where it leads."""
    precious = users.root / "var/cache/precious"
    precious.write_text("precious")
    link = users.folder("out", owner, mode) / "document"
    link.symlink_to("/var/cache/precious")
    os.chown(link, MALLORY, MALLORY, follow_symlinks=False)
    status, said = write(users, 0, document, "/var/cache/out/document")
    assert (status, precious.read_text()) == (2, "precious")
    assert "/var/cache/out/document is a link that another user can change; name the file that it leads to" in said


def test_nor_does_a_link_of_roots_lead_there_that_was_moved_or_linked_by_another_user(users: Users) -> None:
    """In a folder that is not sticky it can be moved, and with fs.protected_hardlinks off it can be linked anywhere."""
    precious = users.root / "var/cache/precious"
    precious.write_text("precious")
    (users.folder("out", 0, 0o1777) / "document").symlink_to("/var/cache/precious")
    assert write(users, 0, "--html", "/var/cache/out/document")[0] == 2
    assert precious.read_text() == "precious"


def test_a_link_of_ones_own_is_followed_and_stays(users: Users) -> None:
    out = users.folder("out", ALICE, 0o755)
    link = out / "document"
    link.symlink_to("next")
    (out / "next").symlink_to("file")
    for each in (link, out / "next"):
        os.chown(each, ALICE, ALICE, follow_symlinks=False)
    assert write(users, ALICE, "--html", "/var/cache/out/document") == (0, "")
    assert (link.is_symlink(), (out / "next").is_symlink()) == (True, True)
    assert (out / "file").read_text().startswith(DOCUMENTS["--html"])


@pytest.mark.parametrize(("owner", "mode"), [(0, 0o1777), (MALLORY, 0o755)])
def test_nobody_waits_for_a_fifo_of_another_user(users: Users, owner: int, mode: int) -> None:
    fifo = users.folder("out", owner, mode) / "document"
    os.mkfifo(fifo)
    os.chown(fifo, MALLORY, MALLORY)
    status, said = write(users, 0, "--html", "/var/cache/out/document")
    assert status == 2
    assert "/var/cache/out/document is no regular file, and another user can have made it" in said


def test_a_file_of_another_user_is_replaced_and_its_hard_links_stay_as_they_are(users: Users) -> None:
    out = users.folder("out", MALLORY, 0o777)
    precious = users.root / "var/cache/precious"
    precious.write_text("precious")
    (out / "document").hardlink_to(precious)
    assert write(users, 0, "--html", "/var/cache/out/document") == (0, "")
    assert precious.read_text() == "precious"
    written = (out / "document").stat()
    assert (written.st_uid, stat.S_IMODE(written.st_mode)) == (0, 0o644)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_can_still_be_named(machine: Machine, root: Authority, name: str) -> None:
    chain = machine.folder / "chain.pem"
    chain.write_text(root.leaf().pem)
    assert DOCUMENTS["--html"] in machine.says("check", "--quiet", chain, "--html", name)
