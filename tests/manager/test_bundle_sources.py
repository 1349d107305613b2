"""Where the bundle's trust anchors come from, in any state of their file; never from our own bundle."""

from __future__ import annotations

import base64
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from aia_store.manager.roots import SYSTEM_FILES, pem_files
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
        (ONE.pem + TWO.pem + THREE.pem).replace(" CERTIFICATE", " X509 CERTIFICATE"),
        (ONE.pem + TWO.pem + THREE.pem).replace("\n", " \t\n"),
        re.sub("([^-])\n([^-])", r"\1\2", ONE.pem + TWO.pem + THREE.pem),
    ],
    ids=[
        "no final newline",
        "CRLF",
        "text between",
        "duplicates",
        "private key",
        "byte order mark",
        "the old label",
        "white space at the end of lines",
        "each in a line",
    ],
)
def test_every_good_certificate_is_taken_and_nothing_else(machine: Machine, text: str) -> None:
    machine.roots.write_text(text, encoding="utf-8", newline="")
    assert machine.build() == [ONE.der, TWO.der, THREE.der]
    first, _, rest = machine.bundle_file.read_text(encoding="ascii").partition("\n")
    assert first == "# aia-store bundle: 3 trust anchors, 0 intermediates"
    assert rest == pem(ONE, TWO, THREE)


DAMAGED = {
    "empty": ("", "is empty"),
    "an empty line": ("\n", "holds no certificate"),
    "text": ("no certificate\n", "holds no certificate"),
    "a private key": (ONE.key_pem, "holds no certificate"),
    "no base64": (bad_block("this is no base64 @@@@"), "the block in line 11 is not base64"),
    "bad padding": (bad_block("AAA"), "the block in line 11 is not base64"),
    "an empty line in a block": (
        ONE.pem + TWO.pem[:93] + "\n" + TWO.pem[93:],
        "the block in line 11 has an empty line",
    ),
    "empty block": (bad_block("").replace("\n\n", "\n"), "the block in line 11 is empty"),
    "no DER": (bad_block(base64.b64encode(b"no certificate").decode()), "1 of its 4 certificates cannot be read"),
    "cut certificate": (bad_block(base64.b64encode(ONE.der[:200]).decode()), "1 of its 4 certificates cannot be read"),
    "more than a certificate": (bad_block(base64.b64encode(ONE.der + b"x").decode()), "1 of its 4 certificates"),
    "block without its end": (
        ONE.pem + ONE.pem.partition("-----END")[0] + TWO.pem + THREE.pem,
        "the block in line 11 has no end",
    ),
    "another end": (ONE.pem.replace("END CERTIFICATE", "END PRIVATE KEY") + TWO.pem, "the block in line 1 has no end"),
    "cut at its beginning": (ONE.pem[200:] + TWO.pem, "line 7 does not begin a block"),
    "lines joined": (ONE.pem.rstrip() + TWO.pem, "the block in line 1 has no end"),
    "joined to text": (f"One:{ONE.pem}{TWO.pem}", "line 1 does not begin a block"),
    "indented": (ONE.pem + " " + TWO.pem, "line 11 does not begin a block"),
    "CR for newline": ((ONE.pem + TWO.pem).replace("\n", "\r"), "does not begin a block"),
    "NUL at its end": (ONE.pem + TWO.pem + "\0" * 4096, "holds NUL bytes"),
    "cut in a block": (ONE.pem + TWO.pem[:200], "is cut short: line 11 begins a block that has no end"),
    "cut after a line": (ONE.pem + TWO.pem[:93], "is cut short: line 11 begins a block that has no end"),
    "cut in its last line": (ONE.pem + TWO.pem[:-3], "is cut short: line 11 begins a block that has no end"),
    "cut in a first line": (ONE.pem + TWO.pem[:9], "is cut short: line 11 begins a block that has no end"),
    "cut in a key": (ONE.pem + ONE.key_pem[:90], "is cut short: line 11 begins a block that has no end"),
}


@pytest.mark.parametrize(("text", "complaint"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_in_one_line_and_the_last_bundle_stays(
    machine: Machine, root: Authority, text: str, complaint: str
) -> None:
    machine.build()
    machine.roots.write_text(text, newline="")
    said = machine.keeps_the_last_bundle()
    assert said.startswith(f"{machine.roots} ")
    assert complaint in said
    assert complaint in machine.complains("bundle", "--rebuild")
    assert complaint in machine.complains("refresh")
    assert machine.bundled() == [root.der]
    machine.trust(TWO)
    assert machine.build() == [TWO.der]


@pytest.mark.parametrize(("text", "complaint"), DAMAGED.values(), ids=DAMAGED)
def test_where_there_is_no_last_bundle_a_damaged_file_makes_none(machine: Machine, text: str, complaint: str) -> None:
    machine.roots.write_text(text, newline="")
    assert complaint in machine.complains("bundle")
    assert not machine.bundle_file.exists()


def test_a_file_is_damaged_wherever_it_is_cut(machine: Machine) -> None:
    """Except between two blocks, where the rest is a whole file."""
    text = f"# Comment\n{ONE.pem}{TWO.pem}".encode()
    ends = [text.index(b"-----END") + 25, len(text) - 1]
    whole = {len(text), *(end + extra for end in ends for extra in (0, 1))}
    for length in range(len(text) + 1):
        try:
            found = len(pem_files.in_text(text[:length]))
        except pem_files.DamagedError:
            found = 0
        assert (found > 0) == (length in whole), length


def test_what_is_taken_openssl_loads_whole_and_where_it_loads_less_it_is_damaged(machine: Machine) -> None:
    """Thousands of texts with a line or some bytes lost, doubled, moved or changed."""
    chance = random.Random(7)
    text = (ONE.pem + TWO.pem + THREE.pem).encode()
    verdicts = set()
    for _ in range(3_000):
        changed = mutated(text, chance)
        try:
            found = pem_files.in_text(changed)
        except pem_files.DamagedError:
            verdicts.add(False)
            continue
        machine.roots.write_bytes(changed)
        if found:
            assert loaded(machine.roots) == len(found), changed
        verdicts.add(len(found) == 3)
    assert verdicts == {False, True}


def mutated(text: bytes, chance: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    at, to = (chance.randrange(len(lines)) for _ in range(2))
    byte = chance.randrange(len(text))
    return chance.choice(
        [
            lambda: b"".join(lines[:at] + lines[at + 1 :]),
            lambda: b"".join(lines[:at] + lines[at : at + 1] * 2 + lines[at + 1 :]),
            lambda: b"".join(lines[:at] + lines[to : to + 1] + lines[at + 1 :]),
            lambda: b"".join([*lines[:at], lines[at].rstrip(), *lines[at + 1 :]]),
            lambda: text[:byte] + text[byte + chance.randrange(1, 90) :],
            lambda: text[:byte] + bytes([chance.randrange(256)]) + text[byte + 1 :],
            lambda: text[:byte] + chance.choice([b"\n", b"\r\n", b" ", b"=", b"-"]) + text[byte:],
        ]
    )()


def test_a_file_that_went_away_is_named_and_the_last_bundle_stays(machine: Machine, root: Authority) -> None:
    machine.build()
    machine.roots.unlink()
    assert str(machine.roots) in machine.keeps_the_last_bundle()


def test_the_lines_of_env_name_the_last_bundle(machine: Machine, root: Authority) -> None:
    machine.build()
    machine.roots.write_text("")
    done = machine.run("env", "--shell", "sh")
    assert done.returncode == 1
    assert f"export SSL_CERT_FILE='{machine.bundle_file}'" in done.stdout
    assert "is empty" in done.stderr


def test_the_last_bundle_of_other_roots_does_not_serve(machine: Machine, root: Authority) -> None:
    machine.build()
    other = machine.folder / "other.pem"
    other.write_text("")
    assert "is empty" in machine.complains("bundle", AIA_STORE_ROOTS=str(other))


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


def test_a_removed_root_takes_all_below_it_along(machine: Machine, root: Authority) -> None:
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
