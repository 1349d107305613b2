"""A revoked intermediate leaves the store and the bundle, is used by no program, and does not come back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import write_pem
from tests.manager.machine import HOOKED, Machine, fingerprint
from tests.manager.revoking import by_key, by_serial, onecrl, report
from tests.support.pki import Authority, Leaf, crl
from tests.support.servers import AIAHost, TLSServer

UNKNOWN_ISSUER = "unable to get local issuer certificate"


class World:
    """A root, an intermediate that names a CRL and is published, and a leaf below it."""

    def __init__(self, machine: Machine, root: Authority, aia: AIAHost) -> None:
        self.machine, self.root, self.aia = machine, root, aia
        self.ca = root.intermediate("Doubtful CA", aia=[aia.publish("/root.cer", root.der)], crl=[aia.url("/root.crl")])
        self.leaf: Leaf = self.ca.leaf(aia=[aia.publish("/ca.cer", self.ca.der)])
        self.list = machine.folder / "list"
        aia.publish("/root.crl", crl(root))

    def connects(self, port: int) -> str | None:
        """What a program with the hook has against the server; None if nothing."""
        done = self.machine.execute(sys.executable, "-c", HOOKED, port, self.machine.roots)
        errors = (line for line in done.stderr.splitlines() if line.startswith("ssl."))  # a note may follow
        return None if done.returncode == 0 else next(errors)

    def set_list(self, content: bytes) -> None:
        self.list.write_bytes(content)
        self.machine.environment["AIA_STORE_REVOCATION_LISTS"] = str(self.list)


@pytest.fixture
def world(machine: Machine, root: Authority, aia: AIAHost) -> World:
    return World(machine, root, aia)


WAYS: dict[str, tuple[Callable[[World], object], str]] = {
    "CRL": (lambda world: world.aia.publish("/root.crl", crl(world.root, [world.ca])), "by its issuer"),
    "OneCRL, issuer and serial": (lambda world: world.set_list(onecrl([by_serial(world.ca)])), "by OneCRL"),
    "OneCRL, subject and key": (lambda world: world.set_list(onecrl([by_key(world.ca)])), "by OneCRL"),
    "CCADB": (lambda world: world.set_list(report([world.ca])), "by the CCADB's word ((4) superseded)"),
    "CCADB, no PEM": (lambda world: world.set_list(report([world.ca], with_pem=False)), "by the CCADB's word"),
}


@pytest.mark.parametrize(("revoke", "reason"), WAYS.values(), ids=WAYS.keys())
def test_it_goes_and_does_not_come_back(world: World, revoke: Callable[[World], object], reason: str) -> None:
    machine, ca = world.machine, world.ca
    with TLSServer(world.leaf) as server:
        assert world.connects(server.port) is None
        assert machine.kept() == {ca.der}
        assert ca.der in machine.build()

        revoke(world)
        (dropped,) = machine.json("refresh")["dropped"]
        assert dropped["sha256"] == fingerprint(ca)
        assert "it is revoked" in dropped["reason"]
        assert reason in dropped["reason"]
        assert machine.kept() == set()
        assert machine.bundled() == [world.root.der]

        fetches = world.aia.count("/ca.cer")
        assert UNKNOWN_ISSUER in (world.connects(server.port) or "")
        assert world.aia.count("/ca.cer") == fetches + 1, "or nothing is shown about AIA"
        shown = machine.says("check", f"localhost:{server.port}", status=1)
        assert "Revoked: Doubtful CA" in shown
        assert reason in shown
        assert f"an intermediate is revoked {reason}" in machine.run("add", f"localhost:{server.port}").stderr
    file = write_pem(machine.folder / "ca.pem", ca)
    for source in (file, world.aia.url("/ca.cer")):
        added = machine.says("add", source, status=1)
        assert f"not kept: it is revoked {reason}" in added
    machine.says("refresh")
    assert machine.kept() == set()
    assert machine.bundled() == [world.root.der]


def test_it_does_not_come_back_when_its_crl_is_gone_and_a_signature_is_changed(world: World) -> None:
    """Anybody can encode an ECDSA signature differently: that changes the fingerprint, but not the serial number."""
    world.machine.plant(world.ca)
    world.aia.publish("/root.crl", crl(world.root, [world.ca]))
    world.machine.says("refresh")
    world.aia.publish("/root.crl", b"", status=404)
    changed = other_signature(world.ca.der)
    assert changed != world.ca.der
    file = write_pem(world.machine.folder / "changed.pem", changed)
    assert "revoked" in world.machine.says("add", file, status=1)
    world.machine.plant(changed)
    world.machine.says("refresh")
    assert world.machine.kept() == set()


def other_signature(der: bytes) -> bytes:
    """The same certificate with (r, n - s) for (r, s)."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

    from tests.support import asn1

    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    certificate = x509.load_der_x509_certificate(der)
    r, s = decode_dss_signature(certificate.signature)
    signature = asn1.tlv(asn1.BIT_STRING, b"\0" + encode_dss_signature(r, order - s))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    return asn1.tlv(asn1.SEQUENCE, certificate.tbs_certificate_bytes, algorithm, signature)


def test_what_is_below_a_revoked_one_goes_too(world: World) -> None:
    below = world.ca.intermediate("Below")
    world.machine.plant(world.ca, below)
    assert len(world.machine.build()) == 3
    world.set_list(onecrl([by_serial(world.ca)]))
    dropped = {item["sha256"]: item["reason"] for item in world.machine.json("refresh")["dropped"]}
    assert dropped.keys() == {fingerprint(world.ca), fingerprint(below)}
    assert "only over a certificate that is revoked" in dropped[fingerprint(below)]
    assert world.machine.bundled() == [world.root.der]


def test_another_path_serves_where_there_is_one(world: World) -> None:
    """A CA with two certificates for its key, one of them revoked: as after a cross-signature gone wrong."""
    good = world.ca.reissue(aia=[])
    below = world.ca.intermediate("Below")
    world.machine.plant(world.ca, good, below)
    world.set_list(report([world.ca]))
    world.machine.says("refresh")
    assert world.machine.kept() == {good.der, below.der}
    assert set(world.machine.bundled()) == {world.root.der, good.der, below.der}
    with TLSServer(world.leaf) as server, TLSServer(below.leaf()) as lower, TLSServer(world.leaf, [world.ca]) as bad:
        assert world.connects(server.port) is None
        assert world.connects(lower.port) is None
        assert world.connects(bad.port) is None


def test_a_server_that_sends_a_revoked_certificate_is_reported(world: World) -> None:
    world.set_list(onecrl([by_serial(world.ca)]))
    world.machine.says("refresh")
    with TLSServer(world.leaf, [world.ca]) as server:
        assert world.connects(server.port) is None, "a whole chain is none of the hook's business"
        (found,) = world.machine.json("check", f"localhost:{server.port}", status=1)
        shown = world.machine.says("check", f"localhost:{server.port}", status=1)
    assert found["complete"] is False
    assert found["revoked"] == {fingerprint(world.ca): "by OneCRL"}
    assert "revoked by OneCRL" in shown
    assert "browsers do not" in shown


def test_show_says_it(world: World) -> None:
    world.set_list(onecrl([by_serial(world.ca)]))
    world.machine.says("refresh")
    world.machine.plant(world.ca)
    assert "it is revoked by OneCRL" in world.machine.says("show", fingerprint(world.ca))
    assert world.machine.json("show", fingerprint(world.ca))["in_bundle"] is False


def test_what_a_list_no_longer_says_is_forgotten(world: World) -> None:
    world.set_list(onecrl([by_serial(world.ca)]))
    world.machine.says("refresh")
    assert Path(world.machine.store, "revoked").exists()
    world.set_list(onecrl([]))
    world.machine.says("refresh")
    assert not Path(world.machine.store, "revoked").exists()
    file = write_pem(world.machine.folder / "ca.pem", world.ca)
    assert "1 new" in world.machine.says("add", file)
