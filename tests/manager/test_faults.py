"""If anything is wrong with the place of the store: one line says so, the last good bundle stays, programs go on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.manager.disks import FULL, IN_A_NAMESPACE, READ_ONLY, WITHOUT_INODES, Done, need_namespaces, on_disk
from tests.manager.machine import COMMAND, HOOKED, Machine, fingerprint
from tests.support.pki import Authority
from tests.support.servers import AIAHost, TLSServer

DISKS = pytest.mark.parametrize("disk", [FULL, WITHOUT_INODES, READ_ONLY], ids=["full", "no inodes", "read-only"])


def command(*arguments: object) -> Sequence[object]:
    return [*COMMAND, *arguments]


def one_line(done: Done, *words: str) -> None:
    """The command failed with one line that has these words."""
    assert (done.status, done.output) == (1, ""), done
    assert done.errors.count("\n") == 1, done
    assert done.errors.startswith("aia-store: "), done
    for word in words:
        assert word in done.errors, done


@DISKS
def test_a_disk_that_takes_nothing(machine: Machine, root: Authority, disk: str) -> None:
    held, another = root.intermediate("Held"), root.intermediate("Another")
    machine.plant(held)
    machine.build()
    machine.folder.joinpath("another.pem").write_text(another.pem)
    bundle, rebuild, refresh, listed, shown, status, add = on_disk(
        disk,
        machine,
        command("bundle"),
        command("bundle", "--rebuild"),
        command("refresh"),
        command("list"),
        command("show", fingerprint(held)),
        command("status"),
        command("add", machine.folder / "another.pem"),
    )
    assert bundle == (0, f"{machine.bundle_file}\n", "")
    one_line(rebuild, str(machine.store), "cannot be written")
    one_line(refresh, str(machine.store), "cannot be written")
    assert (listed.status, listed.errors) == (0, "")
    assert "Held" in listed.output
    assert (shown.status, shown.errors) == (0, "")
    assert (status.status, status.errors) == (1, "")
    one_line(add, str(machine.store))
    assert machine.bundled() == [root.der, held.der]
    assert machine.kept() == {held.der}
    assert not list(machine.store.glob("tmp/*"))
    machine.says("refresh")  # with another disk, all is well again
    assert machine.bundled() == [root.der, held.der]


@DISKS
def test_a_stale_bundle_serves_until_it_can_be_built_again(machine: Machine, root: Authority, disk: str) -> None:
    machine.build()
    hung = root.intermediate()
    machine.plant(hung)
    bundle, env = on_disk(disk, machine, command("bundle"), command("env", "--shell", "sh"))
    for done in (bundle, env):
        assert done.status == 0
        assert str(machine.bundle_file) in done.output
        assert done.errors.count("\n") == 1
        assert "cannot be written" in done.errors
        assert "last good bundle" in done.errors
    assert machine.bundled() == [root.der]
    assert machine.build() == [root.der, hung.der]


@DISKS
def test_where_there_never_was_a_bundle_there_is_none(machine: Machine, root: Authority, disk: str) -> None:
    machine.plant(root.intermediate())
    (done,) = on_disk(disk, machine, command("bundle"))
    one_line(done, str(machine.store))
    assert not machine.bundle_file.exists()


@DISKS
def test_a_program_is_not_disturbed(machine: Machine, root: Authority, aia: AIAHost, disk: str) -> None:
    held, other = root.intermediate("Held"), root.intermediate("Other")
    machine.plant(held)
    machine.build()
    url = aia.publish("/other.cer", other.der)
    with TLSServer(held.leaf()) as known, TLSServer(other.leaf(aia=[url])) as unknown:
        connect = [sys.executable, "-c", HOOKED]
        done = on_disk(disk, machine, [*connect, known.port, machine.roots], [*connect, unknown.port, machine.roots])
    assert done == [(0, "TLSv1.3\n", "")] * 2
    assert machine.bundled() == [root.der, held.der]


def test_no_file_may_grow_at_all(machine: Machine, root: Authority) -> None:
    machine.build()
    hung = root.intermediate()
    machine.plant(hung)
    limited = ["sh", "-c", 'ulimit -f 0; exec "$@" | cat; exit 0', "sh"]
    done = machine.execute(*limited, *COMMAND, "bundle")
    assert done.stdout == f"{machine.bundle_file}\n"
    assert "File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert machine.bundled() == [root.der]
    assert not list(machine.store.glob("tmp/*"))
    assert machine.build() == [root.der, hung.der]


def world_writable(folder: Path) -> None:
    folder.chmod(0o777)


def of_another(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(folder, 54321, 54321)


@pytest.mark.parametrize(("spoil", "word"), [(world_writable, "everyone"), (of_another, "another user")])
def test_a_folder_that_is_not_ours_alone(
    machine: Machine, root: Authority, spoil: Callable[[Path], None], word: str
) -> None:
    held = root.intermediate()
    machine.plant(held)
    machine.build()
    spoil(machine.store)
    for arguments in (["bundle"], ["bundle", "--rebuild"], ["refresh"], ["list"], ["clear", "--yes"], ["add", "x.pem"]):
        (machine.folder / "x.pem").write_text(held.pem)
        line = machine.complains(*arguments)
        assert str(machine.store) in line
        assert word in line
    assert word in " ".join(f"{aspect['state']}" for aspect in machine.json("status", status=1))
    with TLSServer(held.leaf()) as server:
        done = machine.execute(sys.executable, "-c", HOOKED, server.port, machine.roots)
        assert "CERTIFICATE_VERIFY_FAILED" in done.stderr, "as without the hook"
    assert machine.kept() == {held.der}
    assert machine.bundled() == [root.der, held.der]
    machine.store.chmod(0o700)
    if word != "everyone":
        os.chown(machine.store, os.geteuid(), os.getegid())
    machine.says("refresh")


#: As a user of whom nobody knows anything, and where the site's store cannot be written.
_WITHOUT_SITE = 'mount -t tmpfs -o ro none /var/cache && exec unshare --user --map-user=54321 --map-group=54321 "$@"'
NOBODY = [*IN_A_NAMESPACE, "sh", "-c", _WITHOUT_SITE, "sh"]


@pytest.mark.parametrize("home", [None, ""], ids=["unset", "empty"])
def test_no_home_and_no_entry_of_this_user(machine: Machine, root: Authority, home: str | None) -> None:
    need_namespaces(*NOBODY)
    nowhere = dict.fromkeys(("AIA_STORE_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")) | {"HOME": home}
    for arguments in (["bundle"], ["refresh"], ["add", machine.roots]):
        done = machine.execute(*NOBODY, *COMMAND, *arguments, **nowhere)
        one_line(Done(done.returncode, done.stdout, done.stderr), "AIA_STORE_DIR")
    done = machine.execute(*NOBODY, *COMMAND, "list", **nowhere)
    assert "Traceback" not in done.stderr
    done = machine.execute(*NOBODY, *COMMAND, "status", **nowhere)
    assert (done.returncode, done.stderr) == (1, "")
    with TLSServer(root.leaf()) as server:
        done = machine.execute(*NOBODY, sys.executable, "-c", HOOKED, server.port, machine.roots, **nowhere)
    assert (done.stdout, done.stderr) == ("TLSv1.3\n", "")
    assert machine.execute(*NOBODY, *COMMAND, "bundle", HOME=home).returncode == 0, "with a store that was set"


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    try:
        os.mknod(path, 0o020600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this user may not make devices")


def symlink(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder_there(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [fifo, device, symlink, folder_there])
@pytest.mark.parametrize("name", ["bundle.json", "changed", "refreshed", "locks/bundle", "failures/0ff"])
def test_something_foreign_where_a_file_of_ours_belongs(
    machine: Machine, root: Authority, name: str, make: Callable[[Path], None]
) -> None:
    held = root.intermediate()
    machine.plant(held)
    machine.build()
    path = machine.store / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    make(path)
    for arguments in (["bundle"], ["refresh"]):
        done = machine.run(*arguments)
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") <= 1, done.stderr
    assert machine.bundled() == [root.der, held.der]
    assert machine.kept() == {held.der}


@pytest.mark.parametrize("copies", [1, 2])
def test_a_hard_link_does_no_harm(machine: Machine, root: Authority, copies: int) -> None:
    held = root.intermediate()
    file = machine.plant(held)[0]
    outside = machine.folder / "outside.pem"
    os.link(file, outside)
    if copies == 2:
        os.link(file, file.with_name("0" * 64 + ".pem"))
    report = machine.json("refresh")
    assert (report["kept"], len(report["dropped"])) == (1, copies - 1)
    assert machine.kept() == {held.der}
    assert outside.read_text() == held.pem
