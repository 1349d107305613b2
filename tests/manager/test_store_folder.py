"""The store's folder must be of our own making, and nobody else may change it; no link in it is followed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aia_store.inside import store as layout
from aia_store.inside.store import Folder
from tests.manager.machine import Machine
from tests.manager.test_users import COMMAND
from tests.support.pki import Authority, pem
from tests.support.users import Users, require_users

VICTIM, MEMBER = 12_001, 12_002
TEAM = 12_100

#: What a home may hold under the names that a store has, too.
AT_HOME = [
    "tmp/thesis.txt",
    "locks/front-door.txt",
    "failures/abc",
    "lists/shopping.txt",
    "crls/notes.txt",
    "certificates/school/2019/diploma.pem",
    "certificates/3f/2019/diploma.pem",
]


def old(path: Path, content: str = "precious") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (time.time() - 400 * 86_400,) * 2)
    return path


@pytest.mark.parametrize("command", [["refresh"], ["clear", "--yes"], ["bundle"], ["preload", "report.csv"]])
def test_a_folder_with_other_contents_is_refused_in_one_line_and_stays_as_it_is(
    machine: Machine, root: Authority, command: list[str]
) -> None:
    files = [old(machine.store / name) for name in [*AT_HOME, ".bashrc"]]
    complaint = machine.complains(*command)
    assert f"{machine.store} holds files that aia-store did not make" in complaint
    assert "set AIA_STORE_DIR" in complaint
    assert [file.read_text() for file in files] == ["precious"] * len(files)
    assert {path.name for path in machine.store.iterdir()} == {Path(name).parts[0] for name in [*AT_HOME, ".bashrc"]}


@pytest.mark.parametrize("command", [["refresh"], ["clear", "--yes"]])
def test_of_a_folder_that_looks_like_a_store_only_names_of_our_making_are_removed(
    machine: Machine, root: Authority, command: list[str]
) -> None:
    """Nothing at home but such names: it is taken for a store of before there was a mark."""
    files = [old(machine.store / name) for name in AT_HOME if name != "failures/abc"]
    (certificate,) = machine.plant(Authority.root("Stranger").intermediate())
    assert machine.run(*command).returncode == 0
    assert not certificate.exists()
    assert [file.read_text() for file in files] == ["precious"] * len(files)


def test_a_store_is_marked_and_then_foreign_files_do_no_harm(machine: Machine, root: Authority) -> None:
    machine.build()
    assert (machine.store / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    (machine.store / "README").write_text("Ours. Call us before you touch it.")
    assert Folder(str(machine.store)).fault() is None
    machine.says("refresh")


def test_a_store_without_a_mark_is_recognized_and_marked(machine: Machine, root: Authority) -> None:
    machine.plant(root.intermediate())
    machine.build()
    (machine.store / layout.MARK).unlink()
    (machine.store / "lost+found").mkdir()
    assert Folder(str(machine.store)).fault() is None
    machine.says("refresh")
    assert (machine.store / layout.MARK).exists()


def test_the_mark_of_another_program_is_none_of_ours(machine: Machine, root: Authority) -> None:
    old(machine.store / "CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# a browser's\n")
    old(machine.store / "pages/1")
    assert "did not make" in str(Folder(str(machine.store)).fault())


def test_every_file_of_a_store_has_a_name_of_the_one_list(machine: Machine, root: Authority) -> None:
    """What a manager makes in its life; programs and hand-ins have theirs from the same list."""
    machine.plant(root.intermediate())
    machine.build()
    machine.says("refresh")
    assert {path.name for path in machine.store.iterdir()} <= layout.NAMES


# Others who can write there


@pytest.fixture
def users() -> Iterator[Users]:
    require_users()
    with Users({"AIA_STORE_ROOTS": "/var/cache/roots.pem", "AIA_STORE_DIR": "/var/cache/store"}) as made:
        root = Authority.root("Site Root")
        (made.root / "var/cache/roots.pem").write_text(pem(root), encoding="ascii")
        yield made


def run(users: Users, *command: str) -> str:
    with users.start(VICTIM, COMMAND, *command) as process:
        output, errors = process.communicate(timeout=60)
    return output + errors


LEAD_ASTRAY = """
import os, sys
os.setgroups([int(sys.argv[1])])
os.setuid(int(sys.argv[2]))
os.symlink(sys.argv[3], "/var/cache/store/certificates")
"""


def test_a_folder_that_its_group_may_write_is_refused_and_a_members_link_deletes_nothing(users: Users) -> None:
    users.folder("store", VICTIM, 0o2775, TEAM)
    name = "0" * 64
    precious = users.root / f"var/cache/home-{VICTIM}/3f/3f{name[2:]}/{name}.pem"
    run(users, "status")  # makes the home
    old(precious)
    users.run(0, LEAD_ASTRAY, TEAM, MEMBER, f"/var/cache/home-{VICTIM}")
    said = run(users, "refresh")
    assert "/var/cache/store can be written by its group" in said
    assert said.count("\n") == 1
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("part", ["certificates", "certificates/3f", "tmp", "locks", "failures", "crls", "lists"])
@pytest.mark.parametrize("command", [["refresh"], ["clear", "--yes"]])
def test_no_link_in_a_store_is_followed(machine: Machine, root: Authority, part: str, command: list[str]) -> None:
    """As one that could be made while the group could write."""
    machine.build()
    name = "0" * 64
    names = {"tmp": "1-2-3", "failures": "abc", "certificates/3f": f"3f{name[2:]}/{name}.pem"}
    names["certificates"] = f"3f/3f{name[2:]}/{name}.pem"
    precious = old(machine.folder / "precious" / names.get(part, name))
    link = machine.store / part
    shutil.rmtree(link, ignore_errors=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(machine.folder / "precious")
    machine.run(*command)
    assert precious.read_text() == "precious"
    assert {path.name for path in (machine.folder / "precious").iterdir()} == {Path(names.get(part, name)).parts[0]}


@pytest.mark.parametrize("how", ["of a member", "that a group may write"])
def test_a_folder_in_a_store_that_others_can_change_is_not_read(users: Users, how: str) -> None:
    store = users.folder("store", VICTIM, 0o755)
    name = "0" * 64
    file = old(store / f"certificates/00/{name}/{name}.pem")
    inner = file.parents[1]
    for path in (*file.parents[:3], file):
        os.chown(path, VICTIM, VICTIM)
    if how == "of a member":
        os.chown(inner, MEMBER, MEMBER)
    else:
        os.chown(inner, VICTIM, TEAM)
        inner.chmod(0o2775)
    run(users, "refresh")
    assert file.exists()
    os.chown(inner, VICTIM, VICTIM)
    inner.chmod(0o755)
    assert "1 dropped" in run(users, "refresh")
    assert not file.exists()


PRIVATE_GROUP = "victim:x:12001:12001::/var/cache/home-12001:/bin/sh\nroot:x:0:0:root:/root:/bin/sh\n"


@pytest.mark.parametrize(
    ("passwd", "group", "is_private"),
    [
        (PRIVATE_GROUP, "victim:x:12001:\n", True),
        (PRIVATE_GROUP, "victim:x:12001:victim\n", True),
        (PRIVATE_GROUP, "victim:x:12001:victim,member\n", False),
        (PRIVATE_GROUP + "member:x:12002:12001::/:/bin/sh\n", "victim:x:12001:\n", False),
        (PRIVATE_GROUP.replace(":12001::", ":100::"), "victim:x:12001:\nusers:x:100:\n", False),
        ("root:x:0:0:root:/root:/bin/sh\n", "", False),
    ],
    ids=["alone", "named", "with a member", "another's primary", "not primary", "unknown"],
)
def test_a_group_may_write_only_if_it_is_the_users_private_one(
    users: Users, passwd: str, group: str, is_private: bool
) -> None:
    etc = users.cover("/etc")
    (etc / "passwd").write_text(passwd)
    (etc / "group").write_text(group)
    users.folder("store", VICTIM, 0o775)
    said = run(users, "bundle")
    assert (said == "/var/cache/store/bundle.pem\n") is is_private, said
