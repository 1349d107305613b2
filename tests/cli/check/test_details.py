"""`check --details`: all that is in each certificate."""

from __future__ import annotations

import hashlib
import struct
from datetime import datetime, timezone

import jsonschema
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.cli.check.test_json import SCHEMA
from tests.manager.machine import Machine
from tests.support import asn1
from tests.support.pki import Authority, Leaf, pem

LOG = bytes(range(32))
SEEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)


def scts(log: bytes, moment: datetime) -> x509.UnrecognizedExtension:
    """An extension with one SCT (RFC 6962, 3.3)."""
    sct = struct.pack("!B32sQH", 0, log, int(moment.timestamp() * 1_000), 0) + bytes((4, 3, 0, 1)) + b"x"
    entries = struct.pack("!H", len(sct)) + sct
    value = asn1.tlv(asn1.OCTET_STRING, struct.pack("!H", len(entries)) + entries)
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), value)


def all_in_one(ca: Authority) -> Leaf:
    return ca.leaf(
        "www.example.org",
        serial=0xC0FFEE,
        aia=["http://ca.example/ca.cer"],
        crl=["http://ca.example/ca.crl"],
        policies=["2.23.140.1.2.2", "1.2.3.4"],
        extensions=[(scts(LOG, SEEN), False)],
    )


def test_every_field_is_shown(machine: Machine, root: Authority) -> None:
    ca = root.intermediate("Details CA", key="rsa")
    leaf = all_in_one(ca)
    file = machine.folder / "server.pem"
    file.write_text(pem(leaf, ca))
    found = machine.json("check", file, "--details")
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    details = found[0]["path"][0]["details"]
    key = leaf.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert leaf.key_id is not None
    assert ca.key_id is not None
    assert details == {
        "names": ["www.example.org"],
        "serial": "00c0ffee",
        "key": "ECDSA, secp256r1",
        "signature": "RSA with SHA256",
        "key_sha256": hashlib.sha256(key).hexdigest(),
        "subject_key_id": leaf.key_id.hex(),
        "authority_key_id": ca.key_id.hex(),
        "ca_issuers": ["http://ca.example/ca.cer"],
        "ocsp": [],
        "crl": ["http://ca.example/ca.crl"],
        "policies": ["2.23.140.1.2.2", "1.2.3.4"],
        "validation": "OV",
        "scts": [{"log": LOG.hex(), "time": "2026-03-04T05:06:07Z"}],
    }
    assert found[0]["path"][1]["details"]["key"] == "RSA, 2048 bits"
    shown, page = machine.says("check", file, "--details"), machine.says("check", file, "--details", "--html", "-")
    for value in ("00c0ffee", "RSA, 2048 bits", "OV", LOG.hex(), "http://ca.example/ca.crl", details["key_sha256"]):
        assert value in shown
        assert value in page
    assert not any(line.endswith(" ") for line in shown.splitlines())
    assert "details" not in machine.json("check", file)[0]["path"][0]


def test_a_certificate_of_an_unknown_version(machine: Machine, root: Authority) -> None:
    """OpenSSL takes it. `cryptography` does not, and has an error of its own for that."""
    version = b"\xa0\x03\x02\x01"  # [0] INTEGER; 2 is version 3 (RFC 5280, 4.1.2.1)
    leaf = root.leaf().der.replace(version + b"\x02", version + b"\x7f", 1)
    file = machine.folder / "server.pem"
    file.write_text(pem(leaf))
    (found,) = machine.json("check", file, "--details", status=1)
    assert (found["result"], found["reached"][0]["details"]["key"]) == ("broken", None)
    for form in ([], ["--html", "-"]):
        assert "localhost" in machine.says("check", file, "--details", *form, status=1)


def test_what_cannot_be_read_is_left_out(machine: Machine, root: Authority) -> None:
    """`cryptography` reads no extension of a certificate whose AIA is broken."""
    leaf = root.leaf("www.example.org", aia_raw=b"\x30\x05junk", policies=["2.23.140.1.2.1"])
    file = machine.folder / "server.pem"
    file.write_text(pem(leaf))
    found = machine.json("check", file, "--details")
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    details = found[0]["path"][0]["details"]
    assert (details["names"], details["policies"], details["ca_issuers"]) == (["www.example.org"], [], [])
    assert "www.example.org" in machine.says("check", file, "--details")
