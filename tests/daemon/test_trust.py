"""The trust anchors change, in every way that trust managers and people change them: the bundle follows."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.daemon.conftest import Start
from tests.daemon.running import wait_until
from tests.manager.machine import Machine
from tests.support.pki import Authority, pem, pem_blocks

WITHIN = 8.0  # seconds: the machine may be busy
OTHER, THIRD = Authority.root("Other Root"), Authority.root("Third Root")


def follows(machine: Machine, *certificates: Authority, seconds: float = WITHIN) -> None:
    """Wait until the bundle holds exactly these."""
    wanted = {certificate.der for certificate in certificates}
    wait_until(
        lambda: set(pem_blocks(machine.bundle_file.read_text())) == wanted, seconds, machine.bundle_file.read_text
    )


def replace(file: Path, *certificates: Authority) -> None:
    """Like trust managers: write another file, and rename it."""
    beside = file.with_name("beside.new")
    beside.write_text(pem(*certificates))
    beside.replace(file)


def test_a_root_comes_and_goes_with_its_intermediates(machine: Machine, root: Authority, start: Start) -> None:
    hung, stays = OTHER.intermediate("Hung"), root.intermediate("Stays")
    machine.trust(root, OTHER)
    machine.plant(hung, stays)
    start()
    follows(machine, root, OTHER, hung, stays)
    replace(machine.roots, root)
    follows(machine, root, stays)
    replace(machine.roots, root, OTHER)
    follows(machine, root, OTHER, hung, stays)


def test_the_trust_folder_follows_too_once_it_is_there(machine: Machine, root: Authority, start: Start) -> None:
    hung, stays = OTHER.intermediate("Hung"), root.intermediate("Stays")
    machine.trust(root, OTHER)
    machine.preload(hung)
    machine.build_folder()

    def holds(*certificates: Authority) -> None:
        wanted = {certificate.der for certificate in certificates}
        wait_until(lambda: set(machine.in_folder().values()) == wanted, WITHIN)

    start()
    replace(machine.roots, root)
    holds(root)
    machine.preload(stays)
    holds(root, stays)
    replace(machine.roots, root, OTHER)
    holds(root, stays, OTHER, hung)


def test_extra_roots_come_change_and_go(machine: Machine, root: Authority, start: Start) -> None:
    company = machine.folder / "company"
    company.mkdir()
    replace(company / "ca.pem", OTHER)
    daemon = start(AIA_STORE_EXTRA_ROOTS=str(company))
    follows(machine, root, OTHER)
    replace(company / "ca.pem", THIRD)
    follows(machine, root, THIRD)
    replace(company / "other.pem", OTHER)
    follows(machine, root, THIRD, OTHER)
    (company / "ca.pem").write_text("")
    daemon.wait_for("build", "ca.pem is empty")
    follows(machine, root, THIRD, OTHER)
    (company / "ca.pem").unlink()
    follows(machine, root, OTHER)


def test_renamed_over_again_and_again(machine: Machine, root: Authority, start: Start) -> None:
    start()
    for anchors in [(root, OTHER), (root,), (OTHER,), (OTHER, root)]:
        replace(machine.roots, *anchors)
        follows(machine, *anchors)


def test_written_in_place(machine: Machine, root: Authority, start: Start) -> None:
    start()
    machine.trust(root, OTHER)
    follows(machine, root, OTHER)


def test_same_size_and_same_time(machine: Machine, root: Authority, start: Start) -> None:
    daemon = start()
    before = machine.roots.stat()
    beside = machine.folder / "beside"
    beside.write_text(pem(OTHER)[: before.st_size].ljust(before.st_size))
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.replace(machine.roots)
    daemon.wait_for("build", count=2, seconds=WITHIN)


def test_every_link_on_the_way_may_be_changed(machine: Machine, root: Authority, start: Start) -> None:
    """roots -> /…/one/ca.pem, where one -> real-one, and ca.pem -> ../deep/file.pem."""
    folder = machine.folder
    for name in ("real-one", "real-two", "deep"):
        (folder / name).mkdir()
    (folder / "deep" / "file.pem").write_text(pem(root))
    (folder / "real-one" / "ca.pem").symlink_to("../deep/file.pem")
    (folder / "real-two" / "ca.pem").write_text(pem(OTHER))
    (folder / "one").symlink_to(folder / "real-one")
    roots = folder / "link.pem"
    roots.symlink_to(folder / "one" / "ca.pem")
    start(AIA_STORE_ROOTS=str(roots))
    follows(machine, root)

    replace(folder / "deep" / "file.pem", root, OTHER)
    follows(machine, root, OTHER)

    (folder / "turned").symlink_to("real-two")
    (folder / "turned").replace(folder / "one")
    follows(machine, OTHER)

    replace(folder / "real-two" / "ca.pem", OTHER, root)
    follows(machine, root, OTHER)

    (folder / "turned").symlink_to(folder / "deep" / "file.pem")
    replace(folder / "deep" / "file.pem", root)
    (folder / "turned").replace(roots)
    follows(machine, root)


@pytest.mark.parametrize("rename", [False, True], ids=["removed", "renamed"])
def test_the_folder_goes_and_comes_back(machine: Machine, root: Authority, start: Start, rename: bool) -> None:
    folder = machine.folder / "etc" / "ssl" / "certs"
    folder.mkdir(parents=True)
    roots = folder / "ca.pem"
    roots.write_text(pem(root))
    daemon = start(AIA_STORE_ROOTS=str(roots))
    for number, anchors in enumerate([(root, OTHER), (OTHER,), (root,)]):
        top = machine.folder / "etc"
        if rename:
            top.rename(machine.folder / f"old-{number}")
        else:
            shutil.rmtree(top)
        if number == 1:  # long enough to be noticed
            daemon.wait_for("build", "is not a file")
        folder.mkdir(parents=True)
        roots.write_text(pem(*anchors))
        follows(machine, *anchors)
        replace(roots, *anchors, OTHER)
        follows(machine, *anchors, OTHER)


def test_without_roots_the_last_bundle_stays_until_there_are_some(
    machine: Machine, root: Authority, start: Start
) -> None:
    daemon = start()
    before = machine.bundle_file.read_bytes()
    machine.roots.unlink()
    failed = daemon.wait_for("build", "is not a file", seconds=WITHIN)
    assert failed["level"] == "error"
    assert machine.bundle_file.read_bytes() == before
    machine.trust(OTHER)
    follows(machine, OTHER)


def test_it_begins_without_roots(machine: Machine, start: Start) -> None:
    daemon = start()
    assert [event["level"] for event in daemon.named("build")] == ["error"]
    machine.trust(OTHER)
    wait_until(machine.bundle_file.exists)
    follows(machine, OTHER)


def test_a_burst_of_changes_is_one(machine: Machine, root: Authority, start: Start) -> None:
    """As a trust manager makes them: two thousand events beside the file, and the file renamed over at the end."""
    folder = machine.folder / "certs"
    folder.mkdir()
    roots = folder / "ca.pem"
    roots.write_text(pem(root))
    daemon = start(AIA_STORE_ROOTS=str(roots))
    for number in range(600):
        link = folder / f"{number}.pem"
        link.symlink_to(roots)
        link.unlink()
    replace(roots, root, OTHER)
    follows(machine, root, OTHER)
    time.sleep(1)
    assert len(daemon.named("build")) == 2


def test_what_was_learned_is_published(machine: Machine, root: Authority, start: Start) -> None:
    start()
    time.sleep(0.1)
    hung = root.intermediate()
    machine.plant(hung)
    follows(machine, root, hung, seconds=15)
