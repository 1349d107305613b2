"""Trust anchors that an administrator adds to the machine's own, such as a company's CA mounted into a container."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aia_store import AIASession
from tests.manager.machine import Machine, fingerprint
from tests.support.pki import Authority
from tests.support.servers import TLSServer

COMPANY, SUBSIDIARY = Authority.root("Company Root"), Authority.root("Subsidiary Root")
ISSUING = COMPANY.intermediate("Company Issuing CA")

only_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root is so careful")


@pytest.fixture
def extra(machine: Machine) -> Path:
    """Where the settings say that there are extra roots; nothing is there yet."""
    path = machine.folder / "company"
    machine.environment["AIA_STORE_EXTRA_ROOTS"] = str(path)
    return path


def a_file(path: Path) -> Path:
    path.write_text(COMPANY.pem)
    return path


def a_folder(path: Path) -> Path:
    path.mkdir()
    return a_file(path / "company.crt")


def config_map(path: Path, *authorities: Authority) -> None:
    """Write what Kubernetes mounts: links to links, of which one is turned when the ConfigMap changes."""
    path.mkdir(exist_ok=True)
    data = path / f"..{len(list(path.iterdir()))}"
    data.mkdir()
    for number, authority in enumerate(authorities):
        (data / f"{number}.pem").write_text(authority.pem)
        link = path / f"{number}.pem"
        if not link.is_symlink():
            link.symlink_to(f"..data/{number}.pem")
    turned = path / "..data_tmp"
    turned.symlink_to(data.name)
    turned.replace(path / "..data")


@pytest.mark.parametrize("put", [a_file, a_folder])
def test_they_are_added_to_the_machines(
    machine: Machine, root: Authority, extra: Path, put: Callable[[Path], Path]
) -> None:
    put(extra)
    assert machine.build() == [root.der, COMPANY.der]
    assert set(machine.build_folder().values()) == {root.der, COMPANY.der}


def test_check_does_not_say_that_an_anchor_is_in_both(machine: Machine, root: Authority, extra: Path) -> None:
    a_file(extra)
    with TLSServer(ISSUING.leaf(), [ISSUING]) as server:
        shown = machine.says("check", f"localhost:{server.port}")
    assert f"Company Root trust anchor, in {machine.roots} or {extra}," in " ".join(shown.split())


def test_what_hangs_on_them_is_in_the_bundle_and_goes_with_them(machine: Machine, root: Authority, extra: Path) -> None:
    a_file(extra)
    machine.plant(ISSUING)
    assert machine.build() == [root.der, COMPANY.der, ISSUING.der]
    plan = machine.json("refresh", "--dry-run")
    assert (plan["keep"], plan["drop"]) == (1, [])
    assert machine.build(AIA_STORE_EXTRA_ROOTS="") == [root.der]
    (dropped,) = machine.json("refresh", "--dry-run", AIA_STORE_EXTRA_ROOTS="")["drop"]
    assert dropped["sha256"] == fingerprint(ISSUING)


def test_every_file_of_a_folder_counts_but_none_with_a_leading_dot_or_below(
    machine: Machine, root: Authority, extra: Path
) -> None:
    hidden, below = Authority.root("Hidden Root"), Authority.root("Root Below")
    extra.mkdir()
    (extra / "b.pem").write_text(COMPANY.pem + SUBSIDIARY.pem)
    (extra / "a").write_text(root.pem + SUBSIDIARY.pem)
    (extra / ".hidden.pem").write_text(hidden.pem)
    (extra / "folder").mkdir()
    (extra / "folder" / "c.pem").write_text(below.pem)
    assert machine.build() == [root.der, SUBSIDIARY.der, COMPANY.der]


def test_a_config_map_that_is_updated_is_followed(machine: Machine, root: Authority, extra: Path) -> None:
    config_map(extra, COMPANY)
    assert machine.build() == [root.der, COMPANY.der]
    config_map(extra, SUBSIDIARY)
    assert machine.build() == [root.der, SUBSIDIARY.der]


def changed(file: Path) -> None:
    file.write_text(SUBSIDIARY.pem)


def replaced_by_another_name(file: Path) -> None:
    file.with_name("another").write_text(SUBSIDIARY.pem)
    file.unlink()


@pytest.mark.parametrize("event", [changed, replaced_by_another_name])
def test_the_bundle_is_built_again_after_a_change(
    machine: Machine, root: Authority, extra: Path, event: Callable[[Path], None]
) -> None:
    file = a_folder(extra)
    machine.build()
    event(file)
    assert machine.build() == [root.der, SUBSIDIARY.der]


def test_the_bundle_is_fresh_until_then(machine: Machine, root: Authority, extra: Path) -> None:
    a_folder(extra)
    machine.build()
    before = machine.state_file.read_bytes()
    machine.build()
    assert machine.state_file.read_bytes() == before


def absent(path: Path) -> str:
    return "cannot be read (No such file or directory)"


def an_empty_file(path: Path) -> str:
    path.write_text("")
    return "is empty"


def an_empty_folder(path: Path) -> str:
    path.mkdir()
    return "holds no file"


def a_dangling_link(path: Path) -> str:
    path.mkdir()
    (path / "company.pem").symlink_to("..data/company.pem")
    return "company.pem"


def cut_short(path: Path) -> str:
    path.write_text(COMPANY.pem[:300])
    return "is cut short"


def a_key_among_them(path: Path) -> str:
    a_folder(path)
    (path / "tls.key").write_text(COMPANY.key_pem)
    return "tls.key holds no certificate"


def a_damaged_one_among_them(path: Path) -> str:
    a_folder(path)
    (path / "other.pem").write_text(SUBSIDIARY.pem.replace("\n", "\n@", 3))
    return "other.pem is damaged"


def a_pipe(path: Path) -> str:
    os.mkfifo(path)
    return "is not a regular file"


FAULTS = [
    absent,
    an_empty_file,
    an_empty_folder,
    a_dangling_link,
    cut_short,
    a_key_among_them,
    a_damaged_one_among_them,
    a_pipe,
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_said_in_one_line_and_the_last_bundle_stays(
    machine: Machine, root: Authority, extra: Path, fault: Callable[[Path], str]
) -> None:
    a_file(extra)
    machine.build()
    extra.unlink()
    complaint = fault(extra)
    said = machine.keeps_the_last_bundle()
    assert said.startswith(str(extra))
    assert complaint in said
    assert "AIA_STORE_EXTRA_ROOTS" in said
    assert complaint in machine.complains("refresh")
    (aspect,) = [one for one in machine.json("status", status=1) if one["name"] == "roots"]
    assert complaint in aspect["remedy"]
    assert machine.bundled() == [root.der, COMPANY.der]


def test_before_they_were_ever_there_the_bundle_without_them_stays(
    machine: Machine, root: Authority, extra: Path
) -> None:
    """As in an image whose bundle was built with the image. It trusts less than it should, but nothing else."""
    machine.build(AIA_STORE_EXTRA_ROOTS="")
    assert "cannot be read" in machine.keeps_the_last_bundle()


def test_a_bundle_with_other_extra_roots_does_not_serve(machine: Machine, root: Authority, extra: Path) -> None:
    a_file(extra)
    machine.build()
    other = str(extra) + ".other"
    assert "cannot be read" in machine.complains("bundle", AIA_STORE_EXTRA_ROOTS=other)
    assert machine.build(AIA_STORE_EXTRA_ROOTS="") == [root.der]


def test_without_them_nothing_is_added(machine: Machine, root: Authority) -> None:
    a_file(machine.folder / "company")
    assert machine.build() == [root.der]


def test_status_names_them(machine: Machine, root: Authority, extra: Path) -> None:
    a_file(extra)
    (aspect,) = [
        one for one in machine.json("status", status=machine.run("status").returncode) if one["name"] == "roots"
    ]
    assert aspect["state"].startswith(f"2 in {machine.roots} and {extra}: ")


def test_our_own_bundle_is_no_extra_root(machine: Machine, root: Authority, extra: Path) -> None:
    """Its intermediates would become trust anchors for ever."""
    machine.plant(root.intermediate("Planted"))
    machine.build(AIA_STORE_EXTRA_ROOTS="")
    extra.mkdir()
    (extra / "copy.pem").write_bytes(machine.bundle_file.read_bytes())
    assert "copy.pem is a bundle made by aia-store" in machine.keeps_the_last_bundle()


@only_root
@pytest.mark.parametrize("put", [a_file, a_folder])
@pytest.mark.parametrize("mode", [0o666, 0o664])
def test_root_refuses_what_others_can_change(
    machine: Machine, root: Authority, extra: Path, put: Callable[[Path], Path], mode: int
) -> None:
    file = put(extra)
    machine.build()
    file.chmod(mode)
    said = machine.keeps_the_last_bundle()
    assert f"users other than root can change {file}" in said
    assert "users other than root can change" in machine.complains("refresh")


@only_root
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o3770])
def test_root_refuses_a_folder_in_which_others_can_put_files(
    machine: Machine, root: Authority, extra: Path, mode: int
) -> None:
    """A sticky one, too: where the kernel does not prevent it, a user can put hard links to root's files there."""
    a_folder(extra)
    machine.build()
    extra.chmod(mode)
    assert f"users other than root can change {extra}" in machine.keeps_the_last_bundle()


MOUNTED = 'mount -t tmpfs -o mode=777 none "$0" && cp "$1" "$0/ca.pem"'


def bundle_after(machine: Machine, extra: Path, *steps: str) -> subprocess.CompletedProcess[str]:
    """Build the bundle in a mount namespace after these steps. Their arguments: where extra roots are, and one."""
    extra.mkdir(exist_ok=True)
    company = a_file(machine.folder / "company.pem")
    script = " && ".join([MOUNTED, *steps, 'shift && exec "$@"'])
    command = [sys.executable, "-m", "aia_store", "bundle"]
    return machine.execute("unshare", "--mount", "sh", "-c", script, extra, company, *command)


@only_root
def test_a_folder_that_is_mounted_read_only_cannot_be_changed(machine: Machine, root: Authority, extra: Path) -> None:
    """Kubernetes mounts a ConfigMap so, with the mode 777, and its files and links belong to root."""
    assert "users other than root can change" in bundle_after(machine, extra, "true").stderr
    done = bundle_after(machine, extra, 'mount -o remount,ro "$0"')
    assert done.returncode == 0, done.stderr
    assert machine.bundled() == [root.der, COMPANY.der]


@only_root
def test_a_part_of_a_file_system_that_is_only_there_read_only_cannot_be_changed(
    machine: Machine, root: Authority, extra: Path
) -> None:
    """As in a container: the node can write to it, but nobody here."""
    part = ['mkdir -m 777 "$0/part"', 'mv "$0/ca.pem" "$0/part"', 'mount --bind "$0/part" /mnt', 'umount "$0"']
    done = bundle_after(machine, extra, *part, 'mount --bind /mnt "$0"', "umount /mnt", 'mount -o remount,bind,ro "$0"')
    assert done.returncode == 0, done.stderr
    assert machine.bundled() == [root.der, COMPANY.der]


@only_root
@pytest.mark.parametrize("elsewhere", ['mount --bind "$0" /mnt', 'mkdir "$0/x" && mount --bind "$0/x" /mnt'])
def test_what_is_mounted_read_only_here_and_not_elsewhere_can_be_changed(
    machine: Machine, root: Authority, extra: Path, elsewhere: str
) -> None:
    done = bundle_after(machine, extra, elsewhere, 'mount -o remount,bind,ro "$0"')
    assert f"users other than root can change {extra}" in done.stderr


@only_root
def test_nor_does_it_count_that_a_service_sees_everything_read_only(
    machine: Machine, root: Authority, extra: Path
) -> None:
    """As with systemd's ProtectSystem=strict: users, in another mount namespace, write there all the same."""
    inner = 'unshare --mount --propagation slave sh -c \'mount -o remount,bind,ro "$0" && shift && exec "$@"\''
    done = bundle_after(machine, extra, 'mount --make-shared "$0"', f'{inner} "$0" "$@"; exit')
    assert f"users other than root can change {extra}" in done.stderr


def test_the_librarys_session_trusts_them_too(
    machine: Machine, root: Authority, extra: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_file(extra)
    machine.enter(monkeypatch)
    with TLSServer(COMPANY.leaf()) as server:
        assert AIASession().ssl_context_from_host(f"localhost:{server.port}").get_ca_certs(True) == [COMPANY.der]
