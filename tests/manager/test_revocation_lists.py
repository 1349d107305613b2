"""Revocation lists: every format, and what happens if one cannot be fetched or read."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aia_store.inside import settings as config
from aia_store.manager import download
from aia_store.manager.refresh import RefreshReport, run
from tests.manager.machine import Machine, fingerprint
from tests.manager.revoking import by_key, by_serial, onecrl, report
from tests.support.pki import Authority, pem
from tests.support.servers import AIAHost, TLSServer, refusing_port

CCADB = Path(__file__).parents[3] / "shared" / "data" / "ccadb"


class World:
    """A root and in the store three intermediates; refreshed in this very process."""

    def __init__(self, machine: Machine, root: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        self.machine, self.root, self.monkeypatch = machine, root, monkeypatch
        self.cas = [root.intermediate(f"CA {number}") for number in range(3)]
        self.bad = self.cas[0]
        machine.plant(*self.cas)
        self.file = machine.folder / "list"

    def refresh(self, *sources: object) -> RefreshReport:
        """With these lists, or the file."""
        lists = ",".join(map(str, sources or [self.file]))
        self.monkeypatch.setenv("AIA_STORE_REVOCATION_LISTS", lists)
        return run(config.load())

    def dropped(self, content: bytes) -> set[str | None]:
        """The fingerprints that go when the list says this."""
        self.file.write_bytes(content)
        found = self.refresh()
        assert found.notes == []
        return {item.certificate and item.certificate.fingerprint for item in found.dropped}


@pytest.fixture
def world(machine: Machine, root: Authority, monkeypatch: pytest.MonkeyPatch) -> World:
    machine.enter(monkeypatch)
    return World(machine, root, monkeypatch)


FORMS: dict[str, Callable[[World], bytes]] = {
    "OneCRL in its envelope": lambda world: onecrl([by_serial(world.bad)]),
    "OneCRL as a bare list": lambda world: b"\n " + onecrl([by_key(world.bad)], envelope=False),
    "CCADB": lambda world: report([world.bad]),
    "CCADB, parent revoked": lambda world: report([world.bad], status="Parent Cert Revoked"),
    "CCADB, no quotes": lambda world: report([world.bad], pem_quote=""),
    "CCADB with a byte order mark": lambda world: b"\xef\xbb\xbf" + report([world.bad]),
    "CCADB, all records": lambda world: report([world.bad]) + report(world.cas[1:], status="Not Revoked"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_form(world: World, form: Callable[[World], bytes]) -> None:
    assert world.dropped(form(world)) == {fingerprint(world.bad)}


def test_a_serial_number_written_without_its_leading_zero(world: World) -> None:
    ca = world.root.intermediate("High Serial", serial=0xFEDC_BA98)
    world.machine.plant(ca)
    record = by_serial(ca)
    record["serialNumber"] = "/ty6mA=="
    assert world.dropped(onecrl([record])) == {fingerprint(ca)}


def test_a_key_revokes_every_certificate_for_it(world: World) -> None:
    again = world.bad.reissue()
    world.machine.plant(again)
    assert world.dropped(onecrl([by_key(again)])) == {fingerprint(again), fingerprint(world.bad)}


def test_entries_that_cannot_be_read_are_counted_and_left_out(world: World) -> None:
    odd: list[object] = [{}, 7, None, [], {"issuerName": "?", "serialNumber": "AQ=="}, {"subject": 1, "pubKeyHash": 2}]
    odd += [{"issuerName": "AAAA", "serialNumber": "AQ=="}, {"subject": "MAA=", "pubKeyHash": "AAAA"}]
    world.file.write_bytes(json.dumps({"data": [*odd, by_serial(world.bad)]}).encode())
    found = world.refresh()
    assert found.notes == [f"{world.file}: 8 entries cannot be read and were left out"]
    assert world.machine.kept() == {ca.der for ca in world.cas[1:]}


def test_rows_that_cannot_be_read_are_counted_and_certificates_too_odd_for_a_parser_are_no_obstacle(
    world: World,
) -> None:
    text = report([world.bad, b"no certificate"]).decode()
    table = list(csv.reader(io.StringIO(text)))
    table.append(["", "Revoked"])
    out = io.StringIO()
    csv.writer(out).writerows(table)
    world.file.write_bytes(out.getvalue().encode())
    found = world.refresh()
    assert found.notes == [f"{world.file}: 1 entries cannot be read and were left out"]
    assert world.machine.kept() == {ca.der for ca in world.cas[1:]}


BAD: dict[str, bytes] = {
    "empty": b"",
    "garbage": os.urandom(1000),
    "a page": b"<html><body>maintenance</body></html>",
    "JSON of another kind": b'{"error": "none"}',
    "cut JSON": b'{"data": [{"issuerName": "',
    "JSON without end": b"[" * 200_000,
    "records of another kind": b'{"data": [{"name": 1}]}',
    "JSON with too many records": json.dumps([by_serial(Authority.root()), *([{}] * 600_000)]).encode(),
    "PEM": pem(Authority.root("Some Root")).encode(),
    "huge field": b'"Revocation Status","PEM"\n"Revoked","' + b"x" * 200_000 + b'"\n',
    "a report of good ones": b'"SHA256","PEM"\n"%s",""\n' % (b"0" * 64),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_a_bad_list_is_reported_and_its_last_good_copy_counts(world: World, content: bytes) -> None:
    world.file.write_bytes(content)
    (note,) = world.refresh().notes
    assert str(world.file) in note
    assert "nothing of it is known" in note
    assert "\n" not in note
    assert world.machine.kept() == {ca.der for ca in world.cas}
    assert len(world.dropped(onecrl([by_serial(world.bad)]))) == 1
    world.file.write_bytes(content)
    world.machine.plant(world.bad)
    (note,) = world.refresh().notes
    assert "what it said on 20" in note
    assert world.machine.kept() == {ca.der for ca in world.cas[1:]}


@pytest.mark.parametrize("name", ["MozillaIntermediateCerts.csv", "AllCertificatePEMs.csv"])
def test_a_real_report_of_good_ones_revokes_nothing(world: World, name: str) -> None:
    if not (CCADB / name).exists():
        pytest.skip("the CCADB's reports are not here")
    (note,) = world.refresh(CCADB / name).notes
    assert "no column holds a revocation status" in note
    assert not (world.machine.store / "revoked").exists()


def test_what_is_no_file_that_can_be_read(world: World) -> None:
    folder = world.machine.folder
    os.mkfifo(folder / "fifo")
    with (folder / "huge").open("wb") as file:
        file.truncate(1 << 40)
    sources = [folder / "none", folder, folder / "fifo", folder / "huge", "ftp://ca.example/list"]
    notes = world.refresh(*sources).notes
    assert len(notes) == len(sources)
    for source, note in zip(sources, notes, strict=True):
        assert note.startswith(f"{source}: ")
    assert world.machine.kept() == {ca.der for ca in world.cas}


def test_over_http(world: World, aia: AIAHost) -> None:
    url = aia.publish("/list", onecrl([by_serial(world.bad)]))
    assert world.refresh(url).notes == []
    assert world.machine.kept() == {ca.der for ca in world.cas[1:]}
    aia.publish("/list", b"", status=503)
    for reason in ("status 503", "failed recently"):
        world.machine.plant(world.bad)
        (note,) = world.refresh(url).notes
        assert reason in note
        assert "what it said on 20" in note
        assert world.bad.der not in world.machine.kept()
    assert aia.count() == 2


def test_over_https_verified_against_the_machines_roots(world: World) -> None:
    content = onecrl([by_serial(world.bad)])
    stranger = Authority.root("Stranger").leaf()
    with TLSServer(world.root.leaf(), reply=content) as server, TLSServer(stranger, reply=onecrl([])) as impostor:
        assert world.refresh(server.url).notes == []
        (note,) = world.refresh(server.url, impostor.url).notes
    assert impostor.url in note
    assert "CERTIFICATE_VERIFY_FAILED" in note
    assert world.machine.kept() == {ca.der for ca in world.cas[1:]}
    world.machine.plant(world.bad)
    (note,) = world.refresh(server.url).notes
    assert "what it said on 20" in note
    assert world.bad.der not in world.machine.kept()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_hangs_or_is_not_there(world: World, aia: AIAHost, scheme: str) -> None:
    world.monkeypatch.setattr(download, "SECONDS", 0.5)
    started = time.monotonic()
    silent = aia.silent("/list").replace("http:", f"{scheme}:")
    notes = world.refresh(silent, f"{scheme}://127.0.0.1:{refusing_port()}/list").notes
    assert time.monotonic() - started < 5
    assert len(notes) == 2
    assert world.machine.kept() == {ca.der for ca in world.cas}


def test_offline_what_was_kept_counts(world: World, aia: AIAHost) -> None:
    url = aia.publish("/list", onecrl([by_serial(world.bad)]))
    world.refresh(url)
    world.machine.plant(world.bad)
    world.monkeypatch.setenv("AIA_STORE_OFFLINE", "1")
    (note,) = world.refresh(url).notes
    assert "AIA_STORE_OFFLINE" in note
    assert world.bad.der not in world.machine.kept()
    assert aia.count() == 1


def test_several_lists_add_up_and_those_no_longer_set_are_forgotten(world: World) -> None:
    other = world.machine.folder / "other"
    world.file.write_bytes(onecrl([by_serial(world.bad)]))
    other.write_bytes(report([world.cas[1]]))
    world.refresh(world.file, other)
    assert world.machine.kept() == {world.cas[2].der}
    assert len([*Path(world.machine.store, "lists").iterdir()]) == 2
    world.refresh(other)
    world.machine.plant(world.bad, world.cas[1])
    world.refresh(other)
    assert world.machine.kept() == {world.bad.der, world.cas[2].der}
    assert len([*Path(world.machine.store, "lists").iterdir()]) == 1


def test_the_notes_of_a_refresh_are_shown_and_cut(world: World) -> None:
    missing = ",".join(str(world.machine.folder / f"none{number}\x1b[31m") for number in range(24))
    done = world.machine.run("refresh", AIA_STORE_REVOCATION_LISTS=missing)
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 21
    assert "4 more" in done.stderr
    assert "\x1b" not in done.stderr
    assert len(world.machine.json("refresh", AIA_STORE_REVOCATION_LISTS=missing)["notes"]) == 24


@pytest.mark.parametrize("content", [b"x", b"{", b"[" * 100_000, b'{"remembered": {"zz": 1}, "listed": 3}', None])
def test_a_foreign_file_where_the_reasons_belong(world: World, content: bytes | None) -> None:
    world.file.write_bytes(onecrl([by_serial(world.bad)]))
    place = world.machine.store / "revoked.json"
    if content is None:
        os.mkfifo(place)
    else:
        place.write_bytes(content)
    world.refresh()
    assert world.machine.kept() == {ca.der for ca in world.cas[1:]}


def test_where_nothing_can_be_written_the_refresh_still_uses_the_list(world: World) -> None:
    world.file.write_bytes(onecrl([by_serial(world.bad)]))
    (world.machine.store / "revoked").mkdir()
    (note,) = world.refresh().notes
    assert str(world.machine.store) in note
    assert world.bad.der not in world.machine.kept()
