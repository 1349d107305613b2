"""The file of revoked certificates: three ways to name one, and nothing in the file can do anything else."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from aia_store.inside import revoked
from aia_store.inside.certificate import Certificate
from aia_store.inside.store import REVOKED, Folder
from tests.support.pki import Authority

ROOT = Authority.root("File Root")
KEY = ROOT.intermediate("Revoked")
CERTIFICATE, ISSUER = Certificate(KEY.der), Certificate(ROOT.der)
OTHERS = [hashlib.sha256(bytes([number])).digest() for number in range(100)]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path))


def is_revoked(folder: Folder, certificate: Certificate = CERTIFICATE) -> bool:
    return revoked.is_revoked(certificate, ISSUER, [Folder(os.path.join(folder.path, "none")), folder])


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("count", [0, 1, 2, 99, 100])
def test_any_of_the_digests_is_found_wherever_it_stands(folder: Folder, which: int, count: int) -> None:
    digest = revoked.digests(CERTIFICATE, ISSUER)[which]
    folder.write(b"".join(sorted([*OTHERS[:count], digest])), REVOKED)
    assert is_revoked(folder)
    folder.write(b"".join(sorted(OTHERS[:count])), REVOKED)
    assert not is_revoked(folder)


def test_the_digests_are_what_is_written_down_of_them() -> None:
    key_hash = hashlib.sha256(CERTIFICATE.public_key).digest()
    issuer_key_hash = hashlib.sha256(ISSUER.public_key).digest()
    assert revoked.digests(CERTIFICATE, ISSUER) == (
        hashlib.sha256(CERTIFICATE.der).digest(),
        hashlib.sha256(b"serial" + CERTIFICATE.issuer_key + CERTIFICATE.serial).digest(),
        hashlib.sha256(b"key" + CERTIFICATE.subject_key + key_hash).digest(),
        hashlib.sha256(b"issued" + ISSUER.subject_key + issuer_key_hash + CERTIFICATE.serial).digest(),
    )


def test_a_reissue_shares_the_key_but_not_the_serial_number(folder: Folder) -> None:
    reissue = Certificate(KEY.reissue().der)
    own, serial, key, issued = revoked.digests(CERTIFICATE, ISSUER)
    folder.write(b"".join(sorted([own, serial, issued])), REVOKED)
    assert not is_revoked(folder, reissue)
    folder.write(key, REVOKED)
    assert is_revoked(folder, reissue)


@pytest.mark.parametrize("make", ["nothing", "cut", "link", "folder", "FIFO"])
def test_what_is_no_such_file_revokes_nothing(folder: Folder, make: str) -> None:
    path = Path(folder.path, REVOKED)
    digest = revoked.digests(CERTIFICATE, ISSUER)[0]
    if make == "cut":
        path.write_bytes(digest + digest[:5])
    elif make == "link":
        path.with_name("elsewhere").write_bytes(digest)
        path.symlink_to(path.with_name("elsewhere"))
    elif make == "folder":
        path.mkdir()
    elif make == "FIFO":
        os.mkfifo(path)
    assert not is_revoked(folder)
