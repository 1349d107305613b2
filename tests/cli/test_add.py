"""`add` keeps what leads to a trust anchor, and reports what does not."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import certifi
import pytest

from tests.conftest import Hierarchy, MakeHierarchy
from tests.manager.machine import Machine, fingerprint
from tests.support.pki import Authority, Certified, der_of, pem, pkcs7, pkcs7_ber
from tests.support.servers import AIAHost, TLSServer

CCADB = Path(__file__).parents[3] / "shared" / "data" / "ccadb"
SOME = 150


@pytest.fixture
def pki(machine: Machine, hierarchy: MakeHierarchy) -> Hierarchy:
    """Two intermediates under the machine's trust anchor."""
    made = hierarchy({}, {})
    machine.trust(made.root)
    return made


def pem_pkcs7(*ders: bytes) -> bytes:
    body = pem(pkcs7(*ders)).replace("CERTIFICATE", "PKCS7")
    return body.encode()


def test_a_host(machine: Machine, pki: Hierarchy) -> None:
    with TLSServer(pki.leaf) as server:
        first = machine.says("add", f"localhost:{server.port}")
        again = machine.says("add", f"localhost:{server.port}")
    assert "2 new, 0 known already, 0 not kept." in first
    assert "0 new, 2 known already, 0 not kept." in again
    assert machine.kept() == set(map(der_of, pki.intermediates))


def test_a_host_that_sends_everything(machine: Machine, pki: Hierarchy, aia: AIAHost) -> None:
    with TLSServer(pki.leaf, pki.intermediates) as server:
        assert "2 new" in machine.says("add", f"localhost:{server.port}")
    assert machine.kept() == set(map(der_of, pki.intermediates))
    assert aia.count() == 0


def test_a_host_that_cannot_be_verified(machine: Machine, pki: Hierarchy) -> None:
    with TLSServer(Authority.root("Stranger").leaf()) as server:
        line = machine.complains("add", f"localhost:{server.port}")
    assert f"localhost:{server.port}" in line
    assert "aia-store check" in line


def test_a_url(machine: Machine, pki: Hierarchy, aia: AIAHost) -> None:
    assert "1 new" in machine.says("add", pki.urls(aia)[1])
    assert machine.kept() == {pki.intermediates[1].der}
    assert aia.requests[0].path == "/1.cer"


def test_a_url_that_cannot_be_fetched(machine: Machine, pki: Hierarchy, aia: AIAHost) -> None:
    for url in (aia.url("/none.cer"), "http://10.1.2.3/x.cer", aia.publish("/page.html", b"<html>")):
        assert url in machine.complains("add", url)
    assert "AIA_STORE_OFFLINE" in machine.complains("add", pki.urls(aia)[0], AIA_STORE_OFFLINE="1")


@pytest.mark.parametrize(
    "encoded",
    [
        lambda *ders: pem(*ders).encode(),
        lambda *ders: pem(*ders).replace("\n", "\r\n").encode(),
        lambda *ders: b"Bag Attributes\n\xff\xfe\n" + pem(*ders).encode() + b"the end",
        pkcs7,
        pkcs7_ber,
        pem_pkcs7,
    ],
    ids=["PEM", "PEM with CRLF", "PEM amid text", "PKCS#7 in DER", "PKCS#7 in BER", "PKCS#7 in PEM"],
)
def test_a_file(machine: Machine, pki: Hierarchy, encoded: Callable[..., bytes]) -> None:
    file = machine.folder / "intermediates"
    file.write_bytes(encoded(*map(der_of, pki.intermediates)))
    assert "2 new, 0 known already, 0 not kept." in machine.says("add", file)
    assert machine.kept() == set(map(der_of, pki.intermediates))


def test_a_file_in_der(machine: Machine, pki: Hierarchy) -> None:
    file = machine.folder / "intermediate.cer"
    file.write_bytes(pki.intermediates[1].der)
    assert "1 new" in machine.says("add", file)


def test_the_order_within_a_file_does_not_matter(machine: Machine, root: Authority) -> None:
    chain = [root.intermediate("Level 0")]
    for level in range(1, 4):
        chain.append(chain[-1].intermediate(f"Level {level}"))
    file = machine.folder / "chain.pem"
    file.write_text(pem(*reversed(chain)))
    assert "4 new" in machine.says("add", file)


def test_several_sources(machine: Machine, pki: Hierarchy, aia: AIAHost) -> None:
    file = machine.folder / "upper.pem"
    file.write_text(pki.intermediates[1].pem)
    assert "2 new, 0 known already" in machine.says("add", file, pki.urls(aia)[0])


def test_a_source_that_fails_does_not_stop_the_others(machine: Machine, pki: Hierarchy) -> None:
    upper, lower = machine.folder / "upper.pem", machine.folder / "lower.pem"
    upper.write_text(pki.intermediates[1].pem)
    lower.write_text(pki.intermediates[0].pem)
    done = machine.run("add", upper, machine.folder / "none.pem", lower)
    assert done.returncode == 1
    assert "2 new" in done.stdout
    assert done.stderr.count("\n") == 1
    assert "none.pem does not exist" in done.stderr
    assert machine.kept() == set(map(der_of, pki.intermediates))


def test_what_is_not_kept_is_reported_with_the_reason(machine: Machine, root: Authority) -> None:
    stranger = Authority.root("Stranger")
    refused: list[tuple[Certified, str]] = [
        (root.leaf(), "not a CA"),
        (root, "self-signed"),
        (stranger.intermediate("Unknown"), "trust anchor"),
        (root.intermediate("Expired", not_after=timedelta(seconds=-1)), "expired"),
        (root.intermediate("Impostor", signed_by=stranger.key), "signature"),
    ]
    file = machine.folder / "mixed.pem"
    sound = root.intermediate("Sound")
    file.write_text(pem(*(certificate for certificate, _ in refused), sound))
    shown = machine.says("add", file, status=1)
    assert "1 new, 0 known already, 5 not kept." in shown
    for certificate, reason in refused:
        (line,) = [line for line in shown.splitlines() if line.startswith(fingerprint(certificate)[:16])]
        assert "not kept" in line
        assert reason in line
    assert machine.kept() == {sound.der}
    found = {item["sha256"]: item for item in machine.json("add", file, status=1)}
    assert len(found) == 6
    assert found[fingerprint(sound)] == {
        "sha256": fingerprint(sound),
        "subject": "CN=Sound",
        "kept": True,
        "new": False,
        "reason": None,
    }
    assert found[fingerprint(root)]["kept"] is False


def test_a_long_list_is_cut_and_says_so(machine: Machine, root: Authority) -> None:
    stranger = Authority.root("Stranger")
    file = machine.folder / "many.pem"
    file.write_text(pem(*(stranger.intermediate(f"Unknown {number}") for number in range(30))))
    shown = machine.says("add", file, status=1)
    assert "30 not kept" in shown
    assert len(shown.splitlines()) == 22, "twenty, that there are more, and the sum"
    assert "10 more" in shown


@pytest.mark.parametrize("folder", ["file/below", "file"])
def test_nothing_is_kept_where_the_store_cannot_be_used(machine: Machine, root: Authority, folder: str) -> None:
    (machine.folder / "file").write_text("")
    file = machine.folder / "sound.pem"
    file.write_text(root.intermediate().pem)
    line = machine.complains("add", file, AIA_STORE_DIR=str(machine.folder / folder))
    assert str(machine.folder / folder) in line
    assert "AIA_STORE_DIR" in line


@pytest.mark.parametrize(
    ("report", "column"), [("MozillaIntermediateCerts.csv", 4), ("AllCertificatePEMs.csv", 1)], ids=["Mozilla", "all"]
)
@pytest.mark.parametrize("quote", ["", "'"], ids=["", "PEM in single quotes"])
def test_a_report_of_the_ccadb(machine: Machine, report: str, column: int, quote: str) -> None:
    if not (CCADB / report).exists():
        pytest.skip("the CCADB's reports are not here")
    with (CCADB / report).open(newline="", encoding="utf-8") as file:
        rows = [row for _, row in zip(range(SOME + 1), csv.reader(file), strict=False)]
    for row in rows[1:]:
        row[column] = f"{quote}{row[column]}{quote}"
    some = machine.folder / "report.csv"
    with some.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    done = machine.run("add", some, AIA_STORE_ROOTS=certifi.where())
    kept = len(machine.kept())
    assert done.stderr == ""
    assert kept > SOME / 2
    new, _, refused = (int(part.split()[0]) for part in done.stdout.splitlines()[-1].split(","))
    assert new + refused <= SOME
    assert kept >= new
    assert done.returncode == bool(refused)


def test_what_leads_nowhere_is_not_kept(machine: Machine) -> None:
    if not (CCADB / "not_trusted.pem").exists():
        pytest.skip("the CCADB's reports are not here")
    done = machine.run("add", CCADB / "not_trusted.pem", AIA_STORE_ROOTS=certifi.where())
    assert done.returncode == 1
    assert "0 new, 0 known already" in done.stdout
    assert machine.kept() == set()
