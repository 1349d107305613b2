"""OpenSSL loads all of what counts as plain: tested with real files, and with damaged copies of them."""

from __future__ import annotations

import _ssl
import os
import ssl
from pathlib import Path
from random import Random
from typing import Any

import certifi
import pytest

from aia_store.inside import plain
from aia_store.inside.cafile import CAFile, NotPlainError
from aia_store.inside.certificate import Certificate, to_pem
from tests.support.pki import Authority, pem

FILES = [Path(certifi.where()), Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt")]
SEED = int(os.environ.get("AIA_STORE_TEST_SEED", "0"))
DAMAGED = int(os.environ.get("AIA_STORE_TEST_DAMAGED", "6000"))
FEWEST_PLAIN = 1 / 10  # of the damaged


def count_by_openssl(path: Path) -> int:
    """How many certificates it loads from a file. Raises ssl.SSLError."""
    context: Any = _ssl._SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(path)
    return int(context.cert_store_stats()["x509"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_files_of_the_world_are_plain(path: Path) -> None:
    if not path.exists():
        pytest.skip("this system keeps its roots elsewhere")
    found = CAFile(path.read_bytes()).ders
    assert len(set(found)) == count_by_openssl(path)


def test_whatever_is_called_plain_openssl_loads(tmp_path: Path) -> None:
    random = Random(SEED)
    ders = CAFile(FILES[0].read_bytes()).ders
    file = tmp_path / "damaged.pem"
    called_plain = 0
    for number in range(DAMAGED):
        text = to_pem(_damaged(random.choice(ders), random)).encode()
        if random.random() < 0.3:
            text = _damaged_text(text, random)
        try:
            (found,) = CAFile(text).ders
        except NotPlainError:
            continue
        called_plain += 1
        file.write_bytes(text)
        assert count_by_openssl(file) == 1, f"number {number} of seed {SEED}: {text!r}"
        certificate = Certificate(found)
        assert certificate.subject_key and certificate.issuer_key  # both can be read
    assert called_plain >= DAMAGED * FEWEST_PLAIN


def test_text_between_the_blocks_does_not_matter(tmp_path: Path) -> None:
    one, two = Authority.root("One"), Authority.root("Two")
    text = f"# Tőke, (c) 2026\n\n{one.pem}Label: x\n  indented -----\n{'=' * 1000}\n{two.pem[:-1]}".encode()
    assert CAFile(text).ders == (one.der, two.der)
    file = tmp_path / "file.pem"
    file.write_bytes(text)
    assert count_by_openssl(file) == 2


def test_memory_for_the_parts_of_certificates_is_bounded() -> None:
    one = Authority.root("Number 0000").der
    for number in range(plain.MOST_SOUND + 100):  # each has a name of its own
        assert CAFile(to_pem(one.replace(b"Number 0000", b"Number %04d" % number)).encode()).ders
    assert 0 < len(plain._sound) <= plain.MOST_SOUND


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no block\n",
        b" " + pem(Authority.root("One")).encode(),
        b"x" + pem(Authority.root("One")).encode(),
        pem(Authority.root("One")).encode() + b"\0",
        pem(Authority.root("One")).encode() + b"-----BEGIN X509 CRL-----\n",
        pem(Authority.root("One")).encode() + b"indented -----BEGIN CERTIFICATE-----\n",
        pem(Authority.root("One")).replace("-----END", "\n-----END").encode(),
        pem(Authority.root("One")).replace("-----END CERTIFICATE-----\n", "-----END CERTIFICATE----- x\n").encode(),
    ],
)
def test_a_text_out_of_the_usual_is_not_plain(text: bytes) -> None:
    with pytest.raises(NotPlainError):
        CAFile(text)


def _damaged(der: bytes, random: Random) -> bytes:
    damaged = bytearray(der)
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randrange(min(len(damaged), random.choice((60, 200, 400, len(damaged)))))
        kind = random.randrange(4)
        if kind == 0:
            damaged[at] = random.randrange(256)
        elif kind == 1:
            damaged[at] ^= 1 << random.randrange(8)
        elif kind == 2:
            damaged[at : at + 1] = b""
        else:
            damaged.insert(at, random.randrange(256))
    return bytes(damaged)


def _damaged_text(text: bytes, random: Random) -> bytes:
    at = random.randrange(len(text))
    piece = random.choice((b"\n", b"\r\n", b" ", b"=", b"-", b"A", b"\0", b"#", b"-----BEGIN ", b""))
    return text[:at] + piece + text[at + random.randrange(2) :]
