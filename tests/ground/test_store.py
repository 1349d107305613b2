"""The store only reads sound certificates, whatever is put into its folders, and even if a writer is killed."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from aia_store.inside.certificate import Certificate, to_pem
from aia_store.inside.contexts import Terms
from aia_store.inside.rehearsal import Rehearsal
from aia_store.inside.settings import Settings
from aia_store.inside.store import (
    LARGEST_FILE,
    MOST_OF_ONE_NAME,
    Folder,
    IntermediateStore,
    Preloaded,
    folders_of,
    open_store,
    read_certificate,
)

from ..support import asn1
from ..support.pki import Authority, private_key
from .conftest import ROOT, Run

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX only")
needs_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may do this")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not here")

A_CA = ROOT.intermediate("Stored CA")
OURS = Certificate(A_CA.der)
NAMESAKE = Certificate(Authority.root("Elsewhere").intermediate("Stored CA").der)
OTHER = Certificate(ROOT.intermediate("Another CA").der)


def kept(folder: Folder, *certificates: Certificate) -> list[Path]:
    return [Path(folder.keep(certificate)) for certificate in certificates]


def found(folder: Folder, name: Certificate = OURS) -> set[Certificate]:
    return set(folder.find(name.subject_key))


def plant(folder: Folder, name: str, contents: bytes, bucket_of: Certificate = OURS) -> Path:
    """The path of a file in the folder for certificates of this name."""
    (path,) = kept(folder, bucket_of)
    planted = path.with_name(name)
    planted.write_bytes(contents)
    return planted


# Kept certificates are found


def test_what_is_kept_is_found_by_its_canonical_name(folder: Folder) -> None:
    kept(folder, OURS, NAMESAKE, OTHER)
    assert found(folder) == {OURS, NAMESAKE}
    assert found(folder, OTHER) == {OTHER}
    shouted = Certificate(ROOT.intermediate("STORED  ca").der)
    assert found(folder, shouted) == {OURS, NAMESAKE}


def test_a_file_is_named_by_its_content_and_found_by_listing(folder: Folder) -> None:
    (path,) = kept(folder, OURS)
    assert path.stem == hashlib.sha256(OURS.der).hexdigest()
    assert path.parent.name == hashlib.sha256(OURS.subject_key).hexdigest()
    assert list(folder.paths()) == [str(path)]


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize(("shared", "folder_mode", "file_mode"), [(False, 0o700, 0o600), (True, 0o755, 0o644)])
def test_a_shared_folder_can_be_read_by_others_whatever_the_umask_and_no_folder_be_written(
    tmp_path: Path, umask: int, shared: bool, folder_mode: int, file_mode: int
) -> None:
    previous = os.umask(umask)
    try:
        (path,) = kept(Folder(str(tmp_path / "store"), shared=shared), OURS)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == file_mode
    for above in [*path.parents][:4]:
        assert stat.S_IMODE(above.stat().st_mode) == folder_mode


@needs_openssl
def test_openssl_reads_the_files(folder: Folder) -> None:
    (path,) = kept(folder, OURS)
    command = ["openssl", "x509", "-noout", "-subject", "-fingerprint", "-sha256", "-in", str(path)]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert "Stored CA" in said
    assert OURS.fingerprint in said.replace(":", "").lower()


def test_what_is_removed_is_gone_and_its_folder_with_it(folder: Folder) -> None:
    ours, namesake = kept(folder, OURS, NAMESAKE)
    folder.remove(str(ours))
    assert found(folder) == {NAMESAKE}
    folder.remove(str(namesake))
    assert found(folder) == set()
    assert not ours.parent.exists()
    assert Path(folder.path).exists()


def test_use_is_noted_once_a_day(folder: Folder) -> None:
    (path,) = kept(folder, OURS)
    for age, noted in ((3_600, False), (90_000, True)):
        then = time.time() - age
        os.utime(path, (then, then))
        folder.note_use(OURS)
        assert (time.time() - path.stat().st_mtime < 60) is noted
    with pytest.raises(FileNotFoundError):
        folder.note_use(OTHER)


# Preloaded


def test_what_was_preloaded_is_found_and_is_needed_once_it_was_used(folder: Folder) -> None:
    folder.preloaded.keep(OURS)
    kept(folder, NAMESAKE)
    store, changed = IntermediateStore([folder]), folder.changed()
    assert set(store.find(OURS.subject_key)) == {OURS, NAMESAKE}
    assert store.needed(OURS.subject_key) == [NAMESAKE]
    store.note_use(NAMESAKE)
    assert folder.changed() == changed
    store.note_use(OURS)
    assert set(store.needed(OURS.subject_key)) == {OURS, NAMESAKE}
    assert len(store.find(OURS.subject_key)) == 2
    assert folder.changed() > changed
    assert [certificate for _, certificate in store.entries(preloaded=True)] == [OURS], "it stays preloaded"


def test_what_the_site_preloaded_is_needed_in_the_folder_that_is_written(folder: Folder, tmp_path: Path) -> None:
    site = Folder(str(tmp_path / "site"), shared=True)
    site.preloaded.keep(OURS)
    store = IntermediateStore([folder, site])
    assert store.find(OURS.subject_key) == [OURS]
    store.note_use(OURS)
    assert (found(folder), found(site)) == ({OURS}, set())


def test_removing_what_was_preloaded_leaves_what_was_needed_and_its_url(folder: Folder) -> None:
    folder.keep(OURS, "http://ca.example/ca.cer")
    folder.preloaded.remove(folder.preloaded.keep(OURS))
    assert list(folder.find(OURS.subject_key)) == [OURS]
    assert folder.source_of(OURS) == "http://ca.example/ca.cer"
    assert found(folder) == {OURS}
    assert not Path(folder.path, "preloaded").exists()


def test_what_is_preloaded_or_removed_again_is_a_change(folder: Folder) -> None:
    path = folder.preloaded.keep(OURS)
    kept = folder.changed()
    folder.preloaded.remove(path)
    assert 0 < kept < folder.changed()


# Planted files


def cut(der: bytes) -> bytes:
    return to_pem(der[:-20]).encode()


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        to_pem(OURS.der).encode()[:300],
        cut(OURS.der),
        os.urandom(2_000),
        b"\0" * 2_000,
        OURS.der,
        to_pem(NAMESAKE.der).encode(),
        to_pem(os.urandom(500)).encode(),
        to_pem(OURS.der).replace("CERTIFICATE", "TRUSTED CERTIFICATE").encode(),
        A_CA.key_pem.encode(),
        b"-----BEGIN CERTIFICATE-----\n" * 3_000,
        to_pem(OURS.der).encode() + b" " * LARGEST_FILE,
    ],
    ids=[
        "empty",
        "truncated",
        "a truncated certificate",
        "random",
        "zeros",
        "DER",
        "another certificate",
        "PEM of no certificate",
        "trusted certificate",
        "a key",
        "only beginnings",
        "too large",
    ],
)
def test_a_damaged_file_is_ignored(folder: Folder, contents: bytes) -> None:
    damaged, _ = kept(folder, OURS, NAMESAKE)
    damaged.write_bytes(contents)
    assert found(folder) == {NAMESAKE}
    assert read_certificate(str(damaged)) is None


@pytest.mark.parametrize(
    "name",
    [
        "README",
        ".hidden",
        "x.pem",
        f"{NAMESAKE.fingerprint.upper()}.pem",
        f"{NAMESAKE.fingerprint}.crt",
        f"{0:064}.pem",
    ],
    ids=["foreign", "hidden", "a word", "upper case", "another extension", "another's"],
)
def test_a_file_whose_name_does_not_match_its_content_is_ignored(folder: Folder, name: str) -> None:
    planted = plant(folder, name, to_pem(NAMESAKE.der).encode())
    assert found(folder) == {OURS}
    assert str(planted) in list(folder.paths()), "it can be seen, so that it can be removed"


@posix
def test_a_file_name_that_is_not_unicode_is_ignored(folder: Folder) -> None:
    (path,) = kept(folder, OURS)
    try:
        Path(os.fsdecode(os.fsencode(path.parent) + b"/\xff\xfe.pem")).write_bytes(b"")
    except OSError:
        pytest.skip("the file system takes only Unicode names")
    assert found(folder) == {OURS}


@pytest.mark.parametrize("bucket_of", [OURS, OTHER], ids=["right bucket", "wrong bucket"])
@pytest.mark.parametrize(
    "planted",
    [ROOT.intermediate("Stored CA").leaf(), ROOT, Authority.root("Elsewhere").intermediate("Stored CA")],
    ids=["leaf", "root", "impostor"],
)
def test_a_planted_certificate_is_found_under_its_own_name_only(
    folder: Folder, planted: Authority, bucket_of: Certificate
) -> None:
    """An impostor may be found, because a search verifies it each time. In the wrong folder it is ignored."""
    certificate = Certificate(planted.der)
    plant(folder, f"{certificate.fingerprint}.pem", to_pem(planted.der).encode(), bucket_of)
    belongs = certificate.subject_key == bucket_of.subject_key
    assert found(folder, bucket_of) == {bucket_of, *([certificate] if belongs else [])}


@posix
@pytest.mark.parametrize("kind", ["link", "dangling link", "link to a device", "FIFO", "folder", "socket"])
def test_what_is_no_regular_file_is_ignored_at_once(folder: Folder, tmp_path: Path, kind: str) -> None:
    original, namesake = kept(folder, OURS, NAMESAKE)
    elsewhere = tmp_path / original.name
    original.rename(elsewhere)
    if kind == "link":
        original.symlink_to(elsewhere)
    elif kind == "dangling link":
        original.symlink_to(tmp_path / "nothing")
    elif kind == "link to a device":
        original.symlink_to("/dev/zero")
    elif kind == "FIFO":
        os.mkfifo(original)
    elif kind == "folder":
        original.mkdir()
    else:
        import socket

        # Its whole path would be too long for a socket's name.
        here = os.open(original.parent, os.O_RDONLY)
        try:
            with socket.socket(socket.AF_UNIX) as planted:
                planted.bind(f"/proc/self/fd/{here}/{original.name}")
        except OSError:
            pytest.skip("a socket cannot be made here")
        finally:
            os.close(here)
    started = time.monotonic()
    assert found(folder) == {NAMESAKE}
    assert time.monotonic() - started < 5
    assert namesake.exists()


@needs_root
def test_a_device_is_ignored_at_once(folder: Folder) -> None:
    path, _ = kept(folder, OURS, NAMESAKE)
    path.unlink()
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except OSError:
        pytest.skip("a device cannot be made here")
    assert found(folder) == {NAMESAKE}


@posix
@pytest.mark.parametrize("where", ["bucket", "certificates", "tmp", "failures", "locks"])
@pytest.mark.parametrize("what", ["file", "dangling link"])
def test_something_else_in_place_of_a_folder_leaves_memory(folder: Folder, where: str, what: str) -> None:
    (path,) = kept(folder, OTHER)
    shutil.rmtree(path.parents[2])
    shutil.rmtree(Path(folder.path, "tmp"))
    bucket = Path(folder.path_of(OURS)).parent
    place = bucket if where == "bucket" else Path(folder.path, where)
    place.parent.mkdir(parents=True, exist_ok=True)
    if what == "file":
        place.write_bytes(b"")
    else:
        place.symlink_to("/nowhere/at/all")
    store = IntermediateStore([folder])
    store.keep(OURS)
    assert store.find(OURS.subject_key) == [OURS]


def test_of_a_thousand_candidates_of_one_name_a_bounded_number_is_read(folder: Folder) -> None:
    (path,) = kept(folder, OURS)
    key = private_key()
    for number in range(1_000):
        certificate = Certificate(ROOT.intermediate("Stored CA", key=key, serial=number + 1).der)
        path.with_name(f"{certificate.fingerprint}.pem").write_text(certificate.pem)
    started = time.monotonic()
    assert len(list(folder.find(OURS.subject_key))) == MOST_OF_ONE_NAME
    assert time.monotonic() - started < 5


def test_a_thousand_namesakes_do_not_hide_what_was_kept_or_used_last(folder: Folder) -> None:
    key = private_key()
    namesakes = [Certificate(ROOT.intermediate("Stored CA", key=key, serial=number + 1).der) for number in range(1_000)]
    (path,) = kept(folder, OURS)
    for certificate in namesakes:
        path.with_name(f"{certificate.fingerprint}.pem").write_text(certificate.pem)
    store = IntermediateStore([folder])
    store.keep(OURS)  # after it was fetched again
    assert OURS in found(folder)
    for file in path.parent.iterdir():
        os.utime(file, (1_000_000_000,) * 2)
    folder.note_use(OURS)
    assert OURS in found(folder)


def in_other_words(certificate: Certificate) -> list[Certificate]:
    """The same certificate, as OpenSSL reads it, with needless octets in lengths around the signed part."""
    to_sign, algorithm, signature = asn1.children(certificate.der)
    kind, bits = asn1.children(algorithm)[0], signature[2:]
    contents = [
        to_sign + bytes((0x30, 0x81, len(kind))) + kind + signature,
        to_sign + algorithm + bytes((0x03, 0x82, 0, len(bits))) + bits,
    ]
    whole = to_sign + algorithm + signature
    return [Certificate(der) for der in (*map(sequence, contents), b"\x30\x83" + len(whole).to_bytes(3, "big") + whole)]


def sequence(contents: bytes) -> bytes:
    return asn1.tlv(asn1.SEQUENCE, contents)


def test_one_certificate_is_kept_once_in_whatever_ways_it_is_written(folder: Folder) -> None:
    store = IntermediateStore([folder])
    leaf = A_CA.leaf()
    for written in in_other_words(OURS):
        rehearsal = Rehearsal(Terms(0, None), [ROOT.der])
        assert rehearsal.refusal([leaf.der, written.der]) is None, "OpenSSL accepts it"
        store.note_use(written)
        assert found(folder) == set()
    assert store.keep(OURS)
    assert found(folder) == {OURS}


def test_memory_is_bounded_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = IntermediateStore([Folder(str(tmp_path / "file" / "store"))])
    key = private_key()
    for number in range(200):
        store.keep(Certificate(ROOT.intermediate(f"CA {number}", key=key).der))
    last = [Certificate(ROOT.intermediate("Stored CA", key=key).der) for _ in range(20)]
    for certificate in last:
        store.keep(certificate)
    assert store.find(OURS.subject_key) == last[-8:]
    assert len(store._memory) <= 128


# Ownership of the folder


@posix
def test_a_folder_that_everyone_may_write_is_ignored(folder: Folder) -> None:
    kept(folder, OURS)
    Path(folder.path).chmod(0o777)
    assert "by everyone" in str(folder.fault())
    store = IntermediateStore([folder])
    assert store.find(OURS.subject_key) == []
    assert store.home is None
    store.keep(NAMESAKE)
    assert store.find(OURS.subject_key) == [NAMESAKE], "memory serves"
    assert found(folder) == {OURS}, "nothing was written there"


@needs_root
def test_a_folder_of_another_user_is_ignored(folder: Folder) -> None:
    kept(folder, OURS)
    os.chown(folder.path, 12_345, 12_345)
    assert "another user" in str(folder.fault())
    assert IntermediateStore([folder]).find(OURS.subject_key) == []


@posix
@pytest.mark.parametrize("what", ["file", "link to itself", "beneath a file"])
def test_a_path_that_is_no_folder_has_a_fault_in_words(tmp_path: Path, what: str) -> None:
    place = tmp_path / "store"
    if what == "link to itself":
        place.symlink_to(place)
    else:
        place.write_bytes(b"")
    folder = Folder(str(place / "deeper" if what == "beneath a file" else place))
    assert folder.path in str(folder.fault())
    store = IntermediateStore([folder])
    store.keep(OURS)
    assert store.find(OURS.subject_key) == [OURS]
    assert store.home is None


def test_an_absent_folder_is_no_fault_and_is_made_when_needed(folder: Folder) -> None:
    assert folder.fault() is None
    store = IntermediateStore([folder])
    assert store.find(OURS.subject_key) == []
    assert not Path(folder.path).exists(), "looking makes nothing"
    store.keep(OURS)
    assert found(folder) == {OURS}


def test_all_folders_are_read_and_the_first_writable_one_is_written(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_bytes(b"")
    blocked, user, site = (Folder(str(tmp_path / name)) for name in ("in the way", "user", "site"))
    kept(site, OTHER)
    store = IntermediateStore([blocked, user, site])
    assert store.find(OTHER.subject_key) == [OTHER]
    store.keep(OTHER)
    assert list(user.paths()) == [], "what the site has is not kept twice"
    store.keep(OURS)
    assert found(user) == {OURS}
    assert found(site) == set()


def test_a_certificate_in_two_folders_is_found_once(tmp_path: Path) -> None:
    user, site = Folder(str(tmp_path / "user")), Folder(str(tmp_path / "site"))
    kept(user, OURS)
    kept(site, OURS)
    assert IntermediateStore([user, site]).find(OURS.subject_key) == [OURS]


@posix
def test_settings_decide_which_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings()
    monkeypatch.chdir(tmp_path)
    settings.set("dir", "somewhere", "AIA_STORE_DIR")
    assert [folder.path for folder in folders_of(settings)] == [str(tmp_path / "somewhere")]
    settings.dir = None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (site,) = folders_of(settings)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    user, again = folders_of(settings)
    assert (user.path, again.path) == (str(tmp_path / "aia-store"), site.path)
    assert open_store(settings).folders[0].path == user.path


# Disks that fail

KEEP_AND_FIND = """
import sys
from aia_store.inside.certificate import Certificate, pem_certificates
from aia_store.inside.pauses import Failures
from aia_store.inside.store import Folder, IntermediateStore
certificates = [Certificate(der) for der in pem_certificates(open(sys.argv[2], "rb").read())]
store = IntermediateStore([Folder(sys.argv[1])])
failures = Failures(store.home)
for certificate in certificates:
    store.keep(certificate)
    assert certificate in store.find(certificate.subject_key)
failures.failed("http://dead.example/")
assert failures.paused("http://dead.example/")
assert not failures.paused("http://alive.example/")
print(len(list(Folder(sys.argv[1]).paths())))
"""


@pytest.fixture
def some(tmp_path: Path, issued: list[Certificate]) -> Path:
    """A PEM file of twenty intermediates."""
    file = tmp_path / "some.pem"
    file.write_text("".join(certificate.pem for certificate in issued[:20]))
    return file


def assert_nothing_is_damaged(folder: Folder) -> None:
    for path in folder.paths():
        assert read_certificate(path) is not None, f"{path} is damaged"


@posix
def test_an_unwritable_folder_is_still_read_and_memory_is_used(
    folder: Folder, run: Run, some: Path, issued: list[Certificate]
) -> None:
    kept(folder, *issued[:5])
    for top, _, _ in os.walk(folder.path):
        Path(top).chmod(0o500)
    before: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root writes everywhere, and setpriv is not here")
        before = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
    try:
        assert run(KEEP_AND_FIND, folder.path, some, before=before).strip() == "5"
    finally:
        for top, _, _ in os.walk(folder.path):
            Path(top).chmod(0o700)


@posix
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_a_folder_that_cannot_be_made_leaves_memory(run: Run, some: Path) -> None:
    assert run(KEEP_AND_FIND, "/proc/aia-store", some).strip() == "0"


NO_FILE_MAY_GROW = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(__import__("sys").argv[3]),) * 2)
"""


@posix
@pytest.mark.parametrize("most", [0, 1, 300])
def test_files_that_cannot_grow_leave_memory_and_no_debris(folder: Folder, run: Run, some: Path, most: int) -> None:
    assert run(NO_FILE_MAY_GROW + KEEP_AND_FIND, folder.path, some, most).strip() == "0"
    assert list(folder.paths()) == []
    assert list(Path(folder.path, "tmp").iterdir()) == []


@needs_root
def test_a_full_disk_leaves_memory_and_no_damage(tmp_path: Path, some: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "script.py").write_text(KEEP_AND_FIND)
    script = """
        mount -t tmpfs -o size=56k none "$1" || exit 77
        cd "$1" && mkdir store && chmod 700 store && "$2" "$3" store "$4" && cp -r store "$5"
    """
    arguments = [disk, sys.executable, tmp_path / "script.py", some, tmp_path / "copy"]
    command = ["unshare", "-m", "sh", "-c", script, "-", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("a small disk cannot be mounted here")
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout) < 20, "some went to the disk, the others to memory"
    copy = Folder(str(tmp_path / "copy"))
    assert len(list(copy.paths())) == int(done.stdout)
    assert_nothing_is_damaged(copy)
    assert list(Path(copy.path, "tmp").iterdir()) == []


# Many processes at once, some of which are killed

WRITE_UNTIL_KILLED = """
import os, random, signal, sys, time
from aia_store.inside.certificate import Certificate, pem_certificates
from aia_store.inside.store import Folder, IntermediateStore
certificates = [Certificate(der) for der in pem_certificates(open(sys.argv[2], "rb").read())]
random.seed(1)
for round in range(int(sys.argv[3])):
    said, says = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(said)
        store = IntermediateStore([Folder(sys.argv[1])])
        while True:
            certificate = random.choice(certificates)
            os.write(says, f"-{certificate.fingerprint}\\n".encode())
            for path in store.folders[0].paths():
                if certificate.fingerprint in path:
                    os.unlink(path)  # so that there is always something to write
            store.keep(certificate)
            os.write(says, f"+{certificate.fingerprint}\\n".encode())
    os.close(says)
    with open(said) as pipe:
        for _ in range(random.randint(2, 12)):
            print(pipe.readline(), end="")
        time.sleep(random.uniform(0, 0.003))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print(pipe.read(), end="")
"""


@posix
def test_fifty_kills_midway_lose_nothing_that_was_kept(folder: Folder, run: Run, some: Path) -> None:
    there: set[str] = set()
    writes = 0
    for line in run(WRITE_UNTIL_KILLED, folder.path, some, 50).split():
        (there.add if line[0] == "+" else there.discard)(line[1:])
        writes += line[0] == "+"
    assert writes >= 50
    assert_nothing_is_damaged(folder)
    on_disk = {Path(path).stem for path in folder.paths()}
    assert there <= on_disk
    store = IntermediateStore([folder])
    store.keep(OURS)
    assert found(folder) == {OURS}


EIGHT_AT_ONCE = """
import os, random, sys, time
from aia_store.inside.certificate import Certificate, pem_certificates
from aia_store.inside.store import Folder, IntermediateStore
folder, file, start = sys.argv[1:]
certificates = [Certificate(der) for der in pem_certificates(open(file, "rb").read())]
store = IntermediateStore([Folder(folder)])
random.shuffle(certificates)
while time.time() < float(start):
    pass
for certificate in certificates:
    store.keep(certificate)
    here = list(Folder(folder).find(certificate.subject_key))
    assert certificate in here, "kept, and not there"
    assert all(other.subject_key == certificate.subject_key for other in here)
assert not store._memory, "a write failed"
"""


def test_eight_processes_keep_and_read_the_same_certificates(
    folder: Folder, tmp_path: Path, issued: list[Certificate]
) -> None:
    file = tmp_path / "all.pem"
    file.write_text("".join(certificate.pem for certificate in issued))
    command = [sys.executable, "-c", EIGHT_AT_ONCE, folder.path, str(file), str(time.time() + 1)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 8
    assert {path.rpartition(os.sep)[2] for path in folder.paths()} == {f"{each.fingerprint}.pem" for each in issued}
    assert_nothing_is_damaged(folder)
    assert list(Path(folder.path, "tmp").iterdir()) == []


# Constant time

COUNT_CALLS = """
import sys
from aia_store.inside.certificate import Certificate, pem_certificates
from aia_store.inside.store import Folder, IntermediateStore
from aia_store.inside import locks, settings
folder, file = sys.argv[1:]
certificate = Certificate(next(pem_certificates(open(file, "rb").read())))
store = IntermediateStore([Folder(folder)])
store.find(b"warm up")
calls = []
sys.addaudithook(lambda event, _: calls.append(event) if event.startswith(("open", "os.")) else None)
found = store.find(certificate.subject_key)
print(len(found), *sorted(calls))
"""


def fill(folder: Folder, number: int) -> None:
    """So many other certificates, whose contents are never read."""
    for count in range(number):
        name = hashlib.sha256(str(count).encode()).hexdigest()
        bucket = os.path.join(folder.path, folder.PART, name[:2], name)
        os.makedirs(bucket)
        os.close(os.open(os.path.join(bucket, f"{name}.pem"), os.O_CREAT | os.O_WRONLY))


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy has no audit event for scandir")
@pytest.mark.parametrize("part", [Folder, Preloaded], ids=["needed", "preloaded"])
def test_finding_does_the_same_with_ten_and_with_20000(tmp_path: Path, run: Run, part: type[Folder]) -> None:
    (tmp_path / "one.pem").write_text(OURS.pem)
    said = []
    # In memory if possible, because so many files are hard work for a disk.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path) as place:
        for number in (10, 20_000):
            folder = part(os.path.join(place, str(number)))
            kept(folder, OURS)
            fill(folder, number)
            said.append(run(COUNT_CALLS, folder.path, tmp_path / "one.pem"))
    assert said[0] == said[1] == "1 open os.scandir\n"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL] if os.name == "posix" else [])
def test_a_reader_is_not_disturbed_while_files_come_and_go(
    folder: Folder, tmp_path: Path, issued: list[Certificate], signum: int
) -> None:
    """One process keeps and removes certificates all the time; what another one reads meanwhile is whole or absent."""
    file = tmp_path / "all.pem"
    file.write_text("".join(certificate.pem for certificate in issued[:2]))
    churn = EIGHT_AT_ONCE.partition("for certificate in certificates:")[0] + (
        "home = store.home\nwhile True:\n    for each in certificates:\n        home.remove(home.keep(each))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", churn, folder.path, str(file), "0"])
    try:
        seen: set[Certificate] = set()
        until = time.monotonic() + 30  # for a busy machine to start it; half a second from when it has
        while time.monotonic() < until:
            seen |= found(folder, issued[0])
            until = min(until, time.monotonic() + 0.5) if seen and until - time.monotonic() > 0.5 else until
    finally:
        process.send_signal(signum)
        process.wait(10)
    assert seen <= {issued[0], issued[1]}
    assert seen, "some of the readings met a file"
