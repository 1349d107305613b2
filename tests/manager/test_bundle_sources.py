"""Where the bundle's trust anchors come from, in whatever state their file is; never from our own bundle."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from aia_store.manager.roots import SYSTEM_FILES
from tests.manager.machine import Machine, loaded
from tests.support.pki import Authority, pem, pem_blocks

ONE, TWO, THREE = (Authority.root(f"Source Root {number}") for number in range(3))

NOT_A_CERTIFICATE = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


def bad_block(content: str) -> str:
    return ONE.pem + NOT_A_CERTIFICATE.format(content) + TWO.pem + THREE.pem


@pytest.mark.parametrize(
    "text",
    [
        ONE.pem + TWO.pem + THREE.pem.rstrip("\n"),
        (ONE.pem + TWO.pem + THREE.pem).replace("\n", "\r\n"),
        f"# one\nSubject: CN=é\n{ONE.pem}\n\n  two, says someone:\n{TWO.pem}\n=====\n{THREE.pem}the end",
        ONE.pem + TWO.pem + ONE.pem + THREE.pem + TWO.pem,
        ONE.pem + ONE.key_pem + TWO.pem + THREE.pem,
        "\ufeff" + ONE.pem + TWO.pem + THREE.pem,
        bad_block("this is no base64 @@@@"),
        bad_block(""),
        bad_block(base64.b64encode(b"no certificate").decode()),
        bad_block(ONE.pem[40:200]),
        ONE.pem + ONE.pem.partition("-----END")[0] + TWO.pem + THREE.pem,
        ONE.pem + TWO.pem + THREE.pem + ONE.pem[:200],
    ],
    ids=[
        "no final newline",
        "CRLF",
        "text between",
        "duplicates",
        "private key",
        "byte order mark",
        "no base64",
        "empty block",
        "no DER",
        "cut certificate",
        "block without its end",
        "cut file",
    ],
)
def test_every_good_certificate_is_taken_and_nothing_else(machine: Machine, text: str) -> None:
    machine.roots.write_text(text, encoding="utf-8", newline="")
    assert machine.build() == [ONE.der, TWO.der, THREE.der]
    first, _, rest = machine.bundle_file.read_text(encoding="ascii").partition("\n")
    assert first == "# aia-store bundle: 3 trust anchors, 0 intermediates"
    assert rest == pem(ONE, TWO, THREE)


@pytest.mark.parametrize("text", ["", "\n", "no certificate\n", NOT_A_CERTIFICATE.format("AAAA"), ONE.key_pem])
def test_a_file_without_certificates_is_refused_and_the_old_bundle_stays(
    machine: Machine, root: Authority, text: str
) -> None:
    machine.build()
    machine.roots.write_text(text)
    assert str(machine.roots) in machine.complains("bundle")
    assert machine.bundled() == [root.der]


def test_a_file_that_went_away_is_named_and_the_old_bundle_stays(machine: Machine, root: Authority) -> None:
    machine.build()
    machine.roots.unlink()
    assert str(machine.roots) in machine.complains("bundle")
    assert machine.bundled() == [root.der]


def renamed(bundle: Path, copy: Path) -> None:
    shutil.copy(bundle, copy)


def linked(bundle: Path, copy: Path) -> None:
    copy.symlink_to(bundle)


def hard_linked(bundle: Path, copy: Path) -> None:
    os.link(bundle, copy)


def extended(bundle: Path, copy: Path) -> None:
    copy.write_text(bundle.read_text() + THREE.pem)


def preceded(bundle: Path, copy: Path) -> None:
    copy.write_text(THREE.pem + bundle.read_text())


def with_other_line_ends(bundle: Path, copy: Path) -> None:
    copy.write_text("\n" + bundle.read_text(), newline="\r\n")


@pytest.mark.parametrize("copied", [renamed, linked, hard_linked, extended, preceded, with_other_line_ends])
def test_a_copy_of_our_own_bundle_is_refused(
    machine: Machine, root: Authority, copied: Callable[[Path, Path], None]
) -> None:
    machine.plant(root.intermediate())
    machine.build()
    copy = machine.folder / "copy.pem"
    copied(machine.bundle_file, copy)
    before = machine.bundle_file.read_bytes()
    assert "aia-store" in machine.complains("bundle", AIA_STORE_ROOTS=str(copy))
    assert "aia-store" in machine.complains("bundle", "--rebuild", AIA_STORE_ROOTS=str(copy))
    assert machine.bundle_file.read_bytes() == before


def test_our_own_bundle_is_refused(machine: Machine, root: Authority) -> None:
    machine.build()
    assert str(machine.bundle_file) in machine.complains("bundle", AIA_STORE_ROOTS=str(machine.bundle_file))


def test_a_removed_root_takes_along_what_hung_on_it(machine: Machine, root: Authority) -> None:
    gone = Authority.root("Removed Root")
    machine.trust(root, gone)
    stays, upper = root.intermediate("Stays"), gone.intermediate("Upper")
    machine.plant(stays, upper, upper.intermediate("Lower"))
    machine.environment |= {
        name: str(machine.bundle_file) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    }
    assert len(machine.build()) == 5
    machine.trust(root)
    assert machine.build() == [root.der, stays.der]


@pytest.fixture
def system_file() -> Path:
    """The file of this system's trust anchors."""
    for name in SYSTEM_FILES:
        if os.path.isfile(name) and os.path.getsize(name):
            return Path(name)
    pytest.skip("this system has no file of trust anchors that is known here")


def test_it_holds_every_root_of_the_system(machine: Machine, system_file: Path) -> None:
    machine.environment.pop("AIA_STORE_ROOTS")
    found = machine.build()
    assert set(found) == set(as_openssl_reads(system_file))
    assert machine.build(SSL_CERT_FILE=str(machine.bundle_file)) == found


def test_a_bundle_in_the_environment_is_no_source(machine: Machine, root: Authority, system_file: Path) -> None:
    hung = root.intermediate()
    machine.plant(hung)
    assert machine.build() == [root.der, hung.der]
    machine.environment["AIA_STORE_ROOTS"] = ""
    found = machine.build(SSL_CERT_FILE=str(machine.bundle_file), SSL_CERT_DIR=str(machine.store))
    assert root.der not in found
    assert hung.der not in found
    assert len(found) == loaded(system_file)


def as_openssl_reads(file: Path) -> list[bytes]:
    """The certificates of a PEM file, by the openssl command."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is not here")
    collected = subprocess.run(["openssl", "crl2pkcs7", "-nocrl", "-certfile", file], capture_output=True, check=True)
    printed = subprocess.run(
        ["openssl", "pkcs7", "-print_certs"], input=collected.stdout, capture_output=True, check=True
    )
    return pem_blocks(printed.stdout.decode())
