"""CRLs: a bad one is reported in one line and changes nothing; a good one is fetched once, until it expires."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from aia_store.inside import settings as config
from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder
from aia_store.manager import download
from aia_store.manager.refresh import RefreshReport, run
from aia_store.manager.revocation import crl as crl_module
from aia_store.manager.revocation import record, update
from aia_store.manager.revocation.crls import MOST_BYTES
from tests.manager.machine import Machine
from tests.manager.revoking import crl_with, raw_crl, raw_entry
from tests.support import asn1
from tests.support.pki import Authority, crl
from tests.support.servers import AIAHost, refusing_port

PATH = "/root.crl"
STRANGER = Authority.root("Stranger")
MONTH = 31 * 86_400


class World:
    """A root, and in the store two intermediates that name its CRL; refreshed in this very process."""

    def __init__(self, machine: Machine, root: Authority, aia: AIAHost) -> None:
        self.machine, self.root, self.aia = machine, root, aia
        self.url = aia.url(PATH)
        self.ca, self.other = (root.intermediate(name, crl=[self.url]) for name in ("Doubtful CA", "Other CA"))
        machine.plant(self.ca, self.other)

    def refresh(self) -> RefreshReport:
        return run(config.load())

    def is_kept(self) -> bool:
        """Whether the doubtful one stands in the store and in the bundle; both must say the same."""
        in_store, in_bundle = self.ca.der in self.machine.kept(), self.ca.der in self.machine.bundled()
        assert in_store == in_bundle
        return in_store


@pytest.fixture
def world(machine: Machine, root: Authority, aia: AIAHost, monkeypatch: pytest.MonkeyPatch) -> World:
    machine.enter(monkeypatch)
    return World(machine, root, aia)


def scope(authority: Authority, serial: int, **options: object) -> bytes:
    """A CRL whose issuing distribution point says this."""
    names = ("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl", "only_contains_attribute_certs")
    options = {
        "full_name": None,
        "relative_name": None,
        "only_some_reasons": None,
        **dict.fromkeys(names, False),
    } | options
    return crl_with(authority, (x509.IssuingDistributionPoint(**options), True), revoked=serial)  # type: ignore[arg-type]


def uri(url: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(url)]


Make = Callable[[Authority, int], bytes]
BAD: dict[str, tuple[Make, str]] = {
    "garbage": (lambda root, serial: os.urandom(500), "cannot be read"),
    "a certificate": (lambda root, serial: root.der, "cannot be read"),
    "nothing": (lambda root, serial: b"", "empty"),
    "a page": (lambda root, serial: b"<html>", "cannot be read"),
    "cut": (lambda root, serial: crl(root, [serial])[:-9], "cannot be read"),
    "expired": (lambda root, serial: crl(root, [serial], next_update=timedelta(hours=-1)), "has expired"),
    "not yet valid": (lambda root, serial: crl(root, [serial], last_update=timedelta(hours=1)), "not yet valid"),
    "signed by another": (lambda root, serial: crl(root, [serial], signed_by=STRANGER.key), "signature"),
    "by another": (lambda root, serial: crl(STRANGER, [serial]), "another issuer"),
    "delta": (lambda root, serial: crl_with(root, (x509.DeltaCRLIndicator(1), True), revoked=serial), "delta"),
    "indirect": (lambda root, serial: scope(root, serial, indirect_crl=True), "indirect"),
    "leaves only": (lambda root, serial: scope(root, serial, only_contains_user_certs=True), "not about all CA"),
    "some reasons": (
        lambda root, serial: scope(
            root, serial, full_name=uri("http://x/"), only_some_reasons=frozenset([x509.ReasonFlags.superseded])
        ),
        "not about all CA",
    ),
    "of another point": (lambda root, serial: scope(root, serial, full_name=uri("http://x/")), "another distribution"),
    "critical": (
        lambda root, serial: crl_with(
            root, (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), True), revoked=serial
        ),
        "critical extension",
    ),
}


@pytest.mark.parametrize(("make", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_one_changes_nothing_and_is_reported_in_one_line(world: World, make: Make, reason: str) -> None:
    world.aia.publish(PATH, make(world.root, world.ca.certificate.serial_number))
    report = world.refresh()
    assert world.is_kept()
    (note,) = report.notes
    assert world.url in note
    assert reason in note
    assert "2 intermediates kept" in note
    assert "\n" not in note
    world.refresh()
    assert world.aia.count(PATH) == 1, "a failure is remembered"


def unreachable(aia: AIAHost) -> str:
    return f"http://127.0.0.1:{refusing_port()}{PATH}"


UNFETCHABLE: dict[str, tuple[Callable[[AIAHost], str], str]] = {
    "404": (lambda aia: aia.url("/none"), "status 404"),
    "endless body": (lambda aia: aia.stream_forever(PATH), "too large"),
    "endless chunks": (lambda aia: aia.stream_forever(PATH, "chunked"), "too large"),
    "endless headers": (lambda aia: aia.stream_forever(PATH, "headers"), "cannot be read"),
    "a byte too large": (lambda aia: aia.publish(PATH, bytes(MOST_BYTES + 1)), "too large"),
    "silent": (lambda aia: aia.silent(PATH), "timed out"),
    "dripping": (lambda aia: aia.drip(PATH, bytes(5000), 0.01), "timed out"),
    "unreachable": (unreachable, "cannot be reached"),
    "https only": (lambda aia: "https://ca.example/root.crl", "plain http only"),
    "ldap only": (lambda aia: "ldap://ca.example/cn=CA?certificateRevocationList", "plain http only"),
    "redirect to a file": (lambda aia: aia.redirect(PATH, "file:///etc/passwd"), "only plain http"),
    "private address": (lambda aia: "http://10.1.2.3/root.crl", "no public address"),
}


@pytest.mark.parametrize(("make", "reason"), UNFETCHABLE.values(), ids=UNFETCHABLE.keys())
def test_one_that_cannot_be_fetched(
    machine: Machine,
    root: Authority,
    aia: AIAHost,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[AIAHost], str],
    reason: str,
) -> None:
    machine.enter(monkeypatch)
    monkeypatch.setattr(download, "SECONDS", 0.5 if reason == "timed out" else 10.0)
    url = make(aia)
    ca = root.intermediate("Unchecked CA", crl=[url])
    machine.plant(ca)
    started = time.monotonic()
    (note,) = run(config.load()).notes
    assert time.monotonic() - started < 10
    assert url in note
    assert reason in note
    assert machine.kept() == {ca.der}
    assert ca.der in machine.bundled()


def test_one_is_fetched_once_for_all_its_time(world: World) -> None:
    world.aia.publish(PATH, crl(world.root))
    for _ in range(3):
        assert world.refresh().notes == []
    assert world.aia.count(PATH) == 1
    assert world.is_kept()


def test_a_new_one_is_fetched_when_it_is_due(world: World) -> None:
    world.aia.publish(PATH, crl(world.root, next_update=timedelta(seconds=2)))
    world.refresh()
    world.aia.publish(PATH, crl(world.root, [world.ca]))
    time.sleep(2.1)
    world.refresh()
    assert world.aia.count(PATH) == 2
    assert not world.is_kept()


@pytest.mark.parametrize(
    ("next_update", "age"), [("99991231235959Z", MONTH), (None, 90_000)], ids=["in the year 9999", "never"]
)
def test_one_without_an_end_is_not_believed_for_ever(world: World, next_update: str | None, age: int) -> None:
    world.aia.publish(PATH, raw_crl(world.root, next_update=next_update))
    assert world.refresh().notes == []
    assert world.refresh().notes == []
    assert world.aia.count(PATH) == 1
    (kept,) = Path(world.machine.store, "crls").iterdir()
    os.utime(kept, (time.time() - age, time.time() - age))
    world.aia.publish(PATH, crl(world.root, [world.ca]))
    world.refresh()
    assert not world.is_kept()


def test_what_an_old_one_revoked_stays_revoked_without_a_new_one(world: World) -> None:
    world.aia.publish(PATH, crl(world.root, [world.ca], next_update=timedelta(seconds=1)))
    world.refresh()
    time.sleep(1.1)
    world.aia.publish(PATH, b"", status=500)
    world.machine.plant(world.ca)
    (note,) = world.refresh().notes
    assert "the previous one is used" in note
    assert not world.is_kept()
    (world.machine.store / "revoked").unlink()
    world.refresh()
    world.machine.plant(world.ca)
    world.refresh()
    assert not world.is_kept()


@pytest.mark.parametrize("planted", [b"rubbish", crl(STRANGER), None], ids=["rubbish", "by another", "link"])
def test_what_is_on_disk_is_not_believed(world: World, planted: bytes | None) -> None:
    world.aia.publish(PATH, crl(world.root))
    world.refresh()
    (kept,) = Path(world.machine.store, "crls").iterdir()
    if planted is None:
        kept.rename(kept.with_name("elsewhere"))
        kept.symlink_to(kept.with_name("elsewhere"))
    else:
        kept.write_bytes(planted)
    world.aia.publish(PATH, crl(world.root, [world.ca]))
    world.refresh()
    assert not world.is_kept()


def test_a_mirror_serves_where_the_first_url_fails(world: World) -> None:
    urls = ["ldap://ca.example/x", world.aia.url("/none"), world.aia.publish("/mirror", crl(world.root, [4711]))]
    ca = world.root.intermediate("Mirrored", serial=4711, crl=urls)
    world.aia.publish(PATH, crl(world.root))
    world.machine.plant(ca)
    report = world.refresh()
    assert report.notes == []
    assert ca.der not in world.machine.kept()


def test_pem_and_the_reason(world: World) -> None:
    der = crl_with(world.root, revoked=world.ca.certificate.serial_number)
    world.aia.publish(PATH, x509.load_der_x509_crl(der).public_bytes(Encoding.PEM))
    (dropped,) = world.refresh().dropped
    assert dropped.reason == "it is revoked by its issuer (cACompromise)"


def test_a_whole_crl_of_the_point_that_was_named_counts(world: World) -> None:
    serial = world.ca.certificate.serial_number
    world.aia.publish(PATH, scope(world.root, serial, full_name=uri(world.url), only_contains_ca_certs=True))
    assert world.refresh().notes == []
    assert not world.is_kept()


def test_a_crl_is_no_business_of_the_cas_below(world: World) -> None:
    """The intermediate signs a CRL that revokes itself, and its sister: only its issuer may."""
    world.aia.publish(PATH, crl(world.ca, [world.ca, world.other]))
    (note,) = world.refresh().notes
    assert "another issuer" in note
    assert world.is_kept()


def test_a_revoked_cas_crl_does_not_count(world: World) -> None:
    below = world.ca.intermediate("Below", crl=[world.aia.url("/ca.crl")])
    world.machine.plant(below)
    world.aia.publish("/ca.crl", crl(world.ca, [4711]))
    world.aia.publish(PATH, crl(world.root, [world.ca]))
    world.refresh()
    assert world.machine.kept() == {world.other.der}
    assert len((world.machine.store / "revoked").read_bytes()) == 32, "the root's word on the CA, and nothing of it"


def test_an_issuer_that_may_not_sign_crls(world: World) -> None:
    usage = x509.KeyUsage(False, False, False, False, False, True, False, False, False)
    ca = world.root.intermediate("No CRLs", key_usage=usage)
    below = ca.intermediate("Below", crl=[world.aia.url("/ca.crl")])
    world.aia.publish("/ca.crl", crl(ca, [below]))
    world.aia.publish(PATH, crl(world.root))
    world.machine.plant(ca, below)
    (note,) = world.refresh().notes
    assert "may not sign CRLs" in note
    assert below.der in world.machine.kept()


def test_what_else_a_crl_revokes_is_not_even_learned(world: World) -> None:
    sister = world.root.intermediate("Sister", crl=[world.url])
    world.aia.publish(PATH, crl(world.root, [sister]))
    world.refresh()
    file = world.machine.folder / "sister.pem"
    file.write_text(sister.pem)
    assert "it is revoked" in world.machine.says("add", file, status=1)


def test_a_huge_one_costs_little(world: World) -> None:
    """Of nearly 5 MB: what is asked of it is found, and what it says of others is not written down."""
    entries = [raw_entry(serial) for serial in range(1 << 24, (1 << 24) + 216_000)]
    content = raw_crl(world.root, *entries, raw_entry(world.ca.certificate.serial_number))
    assert 4_900_000 < len(content) < MOST_BYTES
    world.aia.publish(PATH, content)
    started = time.process_time()
    assert world.refresh().notes == []
    assert time.process_time() - started < 5
    assert not world.is_kept()
    assert len((world.machine.store / "revoked").read_bytes()) == 32


def test_offline_nothing_is_fetched_and_what_is_known_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.aia.publish(PATH, crl(world.root, [world.ca]))
    monkeypatch.setenv("AIA_STORE_OFFLINE", "1")
    assert world.refresh().notes == ["AIA_STORE_OFFLINE is set: 1 CRL could not be fetched"]
    assert world.is_kept()
    assert world.aia.connections == 0
    monkeypatch.delenv("AIA_STORE_OFFLINE")
    world.refresh()
    world.machine.plant(world.ca)
    monkeypatch.setenv("AIA_STORE_OFFLINE", "1")
    assert world.refresh().notes == []
    assert not world.is_kept()


def test_crls_that_nobody_names_are_not_kept(world: World) -> None:
    world.aia.publish(PATH, crl(world.root))
    world.refresh()
    folder = Path(world.machine.store, "crls")
    (folder / ("0" * 64)).write_text("")
    world.refresh()
    assert len([*folder.iterdir()]) == 1


def test_a_url_that_would_control_a_terminal_is_escaped(world: World) -> None:
    names = asn1.tlv(asn1.IA5_URI, b"http://ca.example/\x1b[31m\x9b\r\nroot.crl")
    value = asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.SEQUENCE, asn1.tlv(0xA0, asn1.tlv(0xA0, names))))
    extension = x509.UnrecognizedExtension(x509.CRLDistributionPoints.oid, value)
    world.machine.plant(world.root.intermediate("Steering CA", extensions=[(extension, False)]))
    world.aia.publish(PATH, crl(world.root))
    (note,) = world.refresh().notes
    assert note.isprintable()
    assert "\\x1b[31m\\x9b\\r\\nroot.crl" in note


@pytest.mark.parametrize("value", [b"", b"\x30", b"\x30\x03\x02\x01\x01", b"\x30\x80\x00\x00", b"\x04\x00"])
def test_distribution_points_that_cannot_be_read_are_none(world: World, value: bytes) -> None:
    extension = x509.UnrecognizedExtension(x509.CRLDistributionPoints.oid, value)
    odd = world.root.intermediate("Odd CA", extensions=[(extension, False)])
    world.machine.plant(odd)
    world.aia.publish(PATH, crl(world.root, [world.ca]))
    world.refresh()
    assert world.ca.der not in world.machine.kept()


def test_too_many_urls_are_none(world: World) -> None:
    urls = [world.aia.url(f"/{number}") for number in range(10)]
    ca = world.root.intermediate("Many URLs", crl=urls)
    world.aia.publish(PATH, crl(world.root))
    world.machine.plant(ca)
    (note,) = world.refresh().notes
    assert urls[0] in note
    assert world.aia.count() == 1


def test_a_hostile_certificate_cannot_block_the_crl_of_another(world: World, machine: Machine) -> None:
    hostile = Authority.root("Hostile Root")
    machine.trust(world.root, hostile)
    machine.plant(hostile.intermediate("Hostile CA", crl=[world.url]))
    world.aia.publish(PATH, crl(world.root, [world.ca]))
    report = world.refresh()
    assert not world.is_kept()
    (note,) = report.notes
    assert "another issuer" in note


def test_a_ca_of_the_same_name_cannot_revoke_another_cas_certificates(world: World, machine: Machine) -> None:
    """Not even with the other's key identifiers: a CA may write into its certificates what it likes."""
    machine.trust(world.root, company := Authority.root("Company Root"))
    limited = company.intermediate("Company CA", permitted=["corp.test"])
    url = world.aia.url("/company.crl")
    namesake = limited.intermediate("Manager Root", subject_key_id=world.root.key_id or b"")
    below = namesake.intermediate("Below the namesake", crl=[url])
    serials = [world.ca.certificate.serial_number, below.certificate.serial_number]
    world.aia.publish("/company.crl", crl(namesake, serials))
    machine.plant(limited, namesake, below)
    report = world.refresh()
    assert [one.certificate.der for one in report.dropped if one.certificate] == [below.der], "it is heard at home"
    assert world.is_kept()
    world.refresh()
    assert world.is_kept(), "what was remembered says nothing of it either"


def test_a_ca_cannot_use_up_the_time_of_others(
    machine: Machine, root: Authority, aia: AIAHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its intermediates are higher than the others, and each names as many URLs as are tried, which never answer."""
    machine.enter(monkeypatch)
    monkeypatch.setattr(download, "SECONDS", 1.0)
    monkeypatch.setattr(update, "SECONDS", 1.5)
    hostile, honest = root.intermediate("Hostile"), root.intermediate("Honest")
    silent = [
        hostile.intermediate(f"Silent {number}", crl=[aia.silent(f"/{number}/{at}") for at in range(5)])
        for number in range(2 * update.AT_ONCE)
    ]
    below = honest.intermediate("Below")
    revoked = below.intermediate("Revoked", crl=[aia.url("/crl")])
    aia.publish("/crl", crl(below, [revoked]))
    machine.plant(hostile, *silent, honest, below, revoked)
    report = run(config.load())
    assert [item.certificate.der for item in report.dropped if item.certificate] == [revoked.der]


def test_a_ca_cannot_use_up_the_room_of_others(
    machine: Machine, root: Authority, aia: AIAHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a CRL revokes that was never here is noted, too, but not without limit."""
    machine.enter(monkeypatch)
    monkeypatch.setattr(record, "MOST_DIGESTS", 4)
    hostile, honest = root.intermediate("Hostile"), root.intermediate("Honest")
    full = [
        hostile.intermediate(f"Full {number}", crl=[aia.publish(f"/{number}", crl(hostile, [number, number + 10]))])
        for number in (1, 2)
    ]
    below = honest.intermediate("Below")
    revoked = below.intermediate("Never here")
    beside = below.intermediate("Beside it", crl=[aia.publish("/crl", crl(below, [revoked]))])
    machine.plant(hostile, *full, honest, below, beside)
    assert run(config.load()).notes == []
    is_revoked = record.reader([Folder(str(machine.store))])
    assert is_revoked(Certificate(revoked.der), Certificate(below.der))


def test_an_older_one_does_not_replace_a_newer_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network could replay the one before, which may be valid for a year, when the newer one is fetched again."""
    never_here = world.root.intermediate("Never here")
    before = crl(world.root, last_update=timedelta(days=-2))
    world.aia.publish(PATH, crl(world.root, [never_here]))
    assert world.refresh().notes == []
    is_revoked = record.reader([Folder(str(world.machine.store))])
    assert is_revoked(Certificate(never_here.der), Certificate(world.root.der))
    world.aia.publish(PATH, before)
    monkeypatch.setattr(crl_module, "LONGEST_TRUST", -1)
    (note,) = world.refresh().notes
    assert "older than the previous one" in note
    assert is_revoked(Certificate(never_here.der), Certificate(world.root.der))
