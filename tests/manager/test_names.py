"""Names as text: RFC 4514 as `cryptography` writes it. What `openssl x509` prints is compared in tests/session."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from aia_store.inside.certificate import DERError
from aia_store.manager import names
from tests.support import asn1

OTHER = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1.300")


def name(*parts: list[tuple[x509.ObjectIdentifier, str]]) -> x509.Name:
    return x509.Name(
        [x509.RelativeDistinguishedName([x509.NameAttribute(kind, value) for kind, value in part]) for part in parts]
    )


@pytest.mark.parametrize(
    "given",
    [
        name([(NameOID.COUNTRY_NAME, "US")], [(NameOID.ORGANIZATION_NAME, "Some CA")], [(NameOID.COMMON_NAME, "One")]),
        name([(NameOID.COMMON_NAME, "One"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "Two")], [(OTHER, "Three")]),
        name([(NameOID.DOMAIN_COMPONENT, "example")], [(NameOID.USER_ID, "u")], [(NameOID.SERIAL_NUMBER, "7")]),
        name([(NameOID.COMMON_NAME, '# a, b; "c" + <d> \\ e ')]),
        name([(NameOID.COMMON_NAME, " #")], [(NameOID.COMMON_NAME, "a b")], [(NameOID.LOCALITY_NAME, "Zürich 東京")]),
        name(),
    ],
)
def test_rfc_4514(given: x509.Name) -> None:
    assert names.as_rfc4514(given.public_bytes()) == given.rfc4514_string()


@pytest.mark.parametrize(
    ("given", "short"),
    [
        (name([(NameOID.COMMON_NAME, "One")], [(NameOID.ORGANIZATION_NAME, "Two")]), "One"),
        (name([(NameOID.COMMON_NAME, "One")], [(NameOID.COMMON_NAME, "Two")]), "Two"),
        (name([(NameOID.COUNTRY_NAME, "US")], [(NameOID.ORGANIZATION_NAME, "Two")]), "Two"),
        (name(), "(no name)"),
    ],
)
def test_in_short(given: x509.Name, short: str) -> None:
    assert names.in_short(given.public_bytes()) == short


@pytest.mark.parametrize("form", [names.as_openssl_prints, names.as_rfc4514, names.in_short])
def test_an_endless_object_identifier_is_a_fault_of_the_name(form: Callable[[bytes], str]) -> None:
    kind = asn1.tlv(asn1.OID, b"\x81" * 9_000 + b"\x01")
    attribute = asn1.tlv(asn1.SEQUENCE, kind, asn1.tlv(0x0C, b"x"))
    with pytest.raises(DERError):
        form(asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.SET, attribute)))
