"""Machines of several users share over a folder that lets them write, as docs/fleet.md says."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.manager.machine import fingerprint
from tests.support.pki import Authority
from tests.support.users import Users, require_users

PLANT = """
import sys
from aia_store.inside import settings
from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder
Folder(settings.load().dir).keep(Certificate(bytes.fromhex(sys.argv[1])))
"""
COMMAND = """
import sys
sys.argv[0] = "aia-store"
from aia_store.cli import main
sys.exit(main())
"""


ROOT = Authority.root()
ISSUER = ROOT.intermediate()
MALLORY = 1004


@pytest.fixture
def users() -> Iterator[Users]:
    """A machine with a shelf in a folder, which everybody may write to; it trusts one root."""
    require_users()
    environment = {"AIA_STORE_SHARE": "file:///var/cache/shelf", "AIA_STORE_ROOTS": "/var/cache/roots.pem"}
    with Users({**environment, "AIA_STORE_SHARE_PRIVATE": "1"}) as made:
        cache = made.root / "var/cache"
        (cache / "roots.pem").write_text(ROOT.pem)
        (cache / "shelf").mkdir()
        yield made


@pytest.fixture
def shelf(users: Users) -> Path:
    return users.root / "var/cache/shelf"


def run(users: Users, user: int, *arguments: str, before: str = "") -> Any:
    """Run a command as this user, with a store of the user's own; what it prints comes back."""
    store = f"/var/cache/home-{user}/store"
    return json.loads(users.run(user, before + COMMAND, *arguments, "--json", AIA_STORE_DIR=store))


def plant(users: Users, user: int) -> None:
    """Put an intermediate into this user's store, as if it had been needed."""
    users.run(user, PLANT, ISSUER.der.hex(), AIA_STORE_DIR=f"/var/cache/home-{user}/store")


def test_three_users_share_over_a_folder(users: Users, shelf: Path) -> None:
    (shelf / "in").mkdir()
    (shelf / "in").chmod(0o1777)
    for user in (1001, 1002):
        plant(users, user)
        shared = run(users, user, "refresh")["shared"]
        assert (shared["handed_in"], shared["notes"]) == (1, []), "the second may not replace the first one's file"
    assert [path.name for path in (shelf / "in").iterdir()] == [f"{fingerprint(ISSUER)}.der"]
    assert run(users, 0, "share", "publish")["published"]["total"] == 1
    pulled = run(users, 1003, "share", "pull")
    assert (pulled["taken"], pulled["notes"]) == (1, [])


@pytest.mark.parametrize("folder", ["in", "out"])
def test_no_link_of_another_user_leads_root_away_from_the_shelf(users: Users, shelf: Path, folder: str) -> None:
    """As where `in/` and `out/` are not there yet, and the shelf itself is open to all."""
    shelf.chmod(0o1777)
    precious = users.root / "var/cache/precious"
    precious.mkdir()
    (precious / "manifest").write_text("precious")
    (shelf / folder).symlink_to("/var/cache/precious")
    os.chown(shelf / folder, MALLORY, MALLORY, follow_symlinks=False)
    plant(users, 0)
    variables = {"AIA_STORE_DIR": "/var/cache/home-0/store"}
    with users.start(0, COMMAND, "share", "publish", **variables) as process:
        said = "".join(process.communicate(timeout=60))
    assert f"/var/cache/shelf/{folder} is a link of another user" in said
    assert [(path.name, path.read_text()) for path in precious.iterdir()] == [("manifest", "precious")]


def test_an_administrators_link_is_followed(users: Users, shelf: Path) -> None:
    """As to a folder that a web server shows."""
    (users.root / "var/cache/web").mkdir()
    (shelf / "out").symlink_to("/var/cache/web")
    plant(users, 0)
    assert run(users, 0, "share", "publish")["published"]["total"] == 1
    assert run(users, 1003, "share", "pull")["taken"] == 1


def test_what_a_hub_publishes_all_can_read_whatever_its_umask(users: Users, shelf: Path) -> None:
    plant(users, 0)
    assert run(users, 0, "share", "publish", before="import os; os.umask(0o077)\n")["published"]["total"] == 1
    assert stat.S_IMODE((shelf / "out").stat().st_mode) == 0o755
    assert run(users, 1003, "share", "pull")["taken"] == 1


FLOOD = """
import os, sys
os.chdir("/var/cache/shelf/in")
for number in range(int(sys.argv[1])):
    os.close(os.open(f"{number:064x}.der", os.O_CREAT))
"""
LIST = """
from aia_store.manager.share.folder_shelf import FolderShelf
names = FolderShelf("/var/cache/shelf").names("in", 100_000)
print(len(names), "f" * 64 + ".der" in names)
"""


def test_names_with_which_one_user_floods_the_shelf_leave_room_for_those_of_others(users: Users, shelf: Path) -> None:
    """A hub looks at 500 in a round: of a hundred thousand, an honest one would come after many hours."""
    (shelf / "in").mkdir()
    (shelf / "in").chmod(0o1777)
    users.run(MALLORY, FLOOD, 20_000)
    users.run(1001, f"open('/var/cache/shelf/in/{'f' * 64}.der', 'w')")
    assert users.run(0, LIST) == "10001 True\n"


def test_a_name_that_another_user_has_taken_keeps_no_other_from_being_handed_in(users: Users, shelf: Path) -> None:
    """In a sticky folder nobody can replace another user's file, and the names of public intermediates are known."""
    (shelf / "in").mkdir()
    (shelf / "in").chmod(0o1777)
    issuers = sorted((ROOT.intermediate(f"Issuer {number}") for number in range(12)), key=fingerprint)
    taken, free = issuers[:9], issuers[9:]
    for issuer in taken:
        file = shelf / "in" / f"{fingerprint(issuer)}.der"
        file.write_bytes(b"rubbish")
        os.chown(file, MALLORY, MALLORY)
    for issuer in issuers:
        users.run(1001, PLANT, issuer.der.hex(), AIA_STORE_DIR="/var/cache/home-1001/store")
    for _ in range(20):  # each time in another order
        shared = run(users, 1001, "refresh")["shared"]
        assert "cannot be written" in shared["notes"][0]
        if all((shelf / "in" / f"{fingerprint(issuer)}.der").exists() for issuer in free):
            break
    found = {path.stem for path in (shelf / "in").iterdir() if path.read_bytes() != b"rubbish"}
    assert found == set(map(fingerprint, free))
