"""The known anchors: OpenSSL loads each of them, and they are found by name like all others."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from aia_store.inside import cafile
from aia_store.inside.cafile import CAFile
from aia_store.inside.certificate import Certificate, Certificates, pem_certificates, to_pem
from tests.conftest import run_python
from tests.handshake.on_demand.test_plain import FILES, count_by_openssl
from tests.support.pki import Authority

CCADB = Path(__file__).parents[4] / "shared" / "data" / "ccadb" / "self_issued.pem"

#: Prints whether a CA file is plain, and whether blocks of it had to be examined.
EXAMINED = """
import sys
from aia_store.inside import cafile
print(cafile.of(sys.argv[1]) is not None, "aia_store.inside.plain" in sys.modules)
"""


def lines_of(der: bytes) -> bytes:
    """What stands between BEGIN and END in the block of a certificate."""
    return "".join(to_pem(der).splitlines(keepends=True)[1:-1]).encode("ascii")


def is_known(der: bytes) -> bool:
    return cafile.anchor_names()(lines_of(der)) is not None


@pytest.mark.parametrize("path", [CCADB, *FILES], ids=lambda path: path.name)
def test_openssl_loads_every_known_anchor(tmp_path: Path, path: Path) -> None:
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    alone = tmp_path / "alone.pem"
    known = [der for der in pem_certificates(path.read_bytes()) if is_known(der)]
    for der in known:
        alone.write_text(to_pem(der))
        assert count_by_openssl(alone) == 1
    assert known


def test_no_other_certificate_is_known() -> None:
    root = Authority.root("Somebody's")
    assert not is_known(root.der)
    for der in pem_certificates(Path(certifi.where()).read_bytes()):
        assert cafile.anchor_names()(lines_of(der) + b"\n") is None
        assert cafile.anchor_names()(lines_of(der).replace(b"\n", b"\r\n")) is None


def test_they_are_found_by_name_as_all_others_are() -> None:
    own = [Authority.root("Somebody's"), Authority.root("Another's")]
    text = own[0].pem + Path(certifi.where()).read_text(encoding="utf-8") + own[1].pem
    file = CAFile(text.encode())
    assert own[0].der == file.ders[0] and own[1].der == file.ders[-1]
    others = Certificates(file.ders)
    for der in file.ders:
        name = Certificate(der).subject_key
        assert file.named(name) == others.named(name) != []
    assert file.named(Certificate(Authority.root("Nobody's").der).subject_key) == []


def test_nothing_but_other_certificates_is_examined(tmp_path: Path) -> None:
    assert run_python(EXAMINED, certifi.where()).stdout.split() == ["True", "False"]
    more = tmp_path / "more.pem"
    more.write_text(Path(certifi.where()).read_text(encoding="utf-8") + Authority.root("Somebody's").pem)
    assert run_python(EXAMINED, more).stdout.split() == ["True", "True"]
