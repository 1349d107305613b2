"""An intermediate may be a trust anchor only if it repeats every constraint from above."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from aia_store.inside.certificate import Certificate
from aia_store.manager.constraints import carries_all, extended_key_usages

from ..support.pki import Authority

SERVER, CLIENT, EMAIL = (
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
)
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
A_FOLDER = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Only Us")])
DOTTED = "1.2.3.4"


def carries(own: dict[str, Any], above: dict[str, Any]) -> bool:
    """Whether an intermediate with these options carries what a root with those says."""
    root = Authority.root(**above)
    return carries_all(Certificate(root.intermediate(**own).der), [Certificate(root.der)])


@pytest.mark.parametrize(
    ("own", "above", "carried"),
    [
        ({}, {}, True),
        ({"path_length": 0}, {}, True),
        ({"path_length": 0}, {"path_length": 1}, True),
        ({"path_length": 2}, {"path_length": 3}, True),
        ({"path_length": 1}, {"path_length": 1}, False),
        ({"path_length": 5}, {"path_length": 1}, False),
        ({}, {"path_length": 1}, False),
        ({"path_length": 0}, {"path_length": 0}, False),
        ({"ca": None, "key_usage": None}, {"path_length": 1}, False),
    ],
)
def test_path_length(own: dict[str, Any], above: dict[str, Any], carried: bool) -> None:
    assert carries(own, above) is carried


@pytest.mark.parametrize(("own", "carried"), [(0, True), (1, False)])
def test_path_length_two_above(own: int, carried: bool) -> None:
    root = Authority.root(path_length=2)
    middle = root.intermediate("Middle", path_length=1)
    lowest = middle.intermediate("Lowest", path_length=own)
    assert carries_all(Certificate(lowest.der), [Certificate(middle.der), Certificate(root.der)]) is carried
    free = root.intermediate("Middle").intermediate("Lowest", path_length=own)
    assert carries_all(Certificate(free.der), [Certificate(root.der)]) is True


@pytest.mark.parametrize(
    ("own", "above", "carried"),
    [
        ({"permitted": ["example.com"]}, {}, True),
        ({"permitted": ["example.com"]}, {"permitted": ["example.com"]}, True),
        ({}, {"permitted": ["example.com"]}, False),
        ({"permitted": ["a.example.com"]}, {"permitted": ["example.com"]}, False),
        ({"permitted": ["example.com"], "excluded": ["b"]}, {"permitted": ["example.com"]}, False),
        ({"excluded": ["example.com"]}, {"permitted": ["example.com"]}, False),
        ({}, {"excluded": ["example.com"]}, False),
        ({"permitted": [A_FOLDER]}, {"permitted": [A_FOLDER]}, False),
        ({"excluded": [A_FOLDER]}, {"excluded": [A_FOLDER]}, False),
    ],
)
def test_names(own: dict[str, Any], above: dict[str, Any], carried: bool) -> None:
    """Constraints on directory names bind the intermediate's own name too, which nobody checks once it is alone."""
    assert carries(own, above) is carried


@pytest.mark.parametrize(
    ("own", "above", "carried"),
    [
        ([SERVER], None, True),
        ([SERVER], [SERVER], True),
        ([SERVER], [SERVER, CLIENT], True),
        ([SERVER], [ANY], True),
        (None, [ANY], True),
        (None, [SERVER], False),
        ([SERVER, CLIENT], [SERVER], False),
        ([ANY], [SERVER], False),
        ([SERVER], [EMAIL], False),
    ],
)
def test_key_usages(own: Any, above: Any, carried: bool) -> None:
    assert carries({"eku": own}, {"eku": above}) is carried


@pytest.mark.parametrize(
    "extension",
    [
        x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None),
        x509.InhibitAnyPolicy(0),
        x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.33"), b"\x30\x00"),
    ],
    ids=["policy constraints", "inhibit any policy", "policy mappings"],
)
def test_what_rules_policies_above_is_never_carried(extension: x509.ExtensionType) -> None:
    assert not carries({"policies": [DOTTED]}, {"extensions": [(extension, True)]})
    assert not carries({"extensions": [(extension, True)]}, {"extensions": [(extension, True)]})
    assert carries({"extensions": [(extension, True)]}, {})


def test_one_that_does_not_is_enough() -> None:
    root = Authority.root(excluded=["example.com"])
    middle = root.intermediate("Middle")
    lowest = Certificate(middle.intermediate("Lowest").der)
    assert carries_all(lowest, [Certificate(middle.der)])
    assert not carries_all(lowest, [Certificate(middle.der), Certificate(root.der)])
    assert carries_all(lowest, [])


def test_extended_key_usages_are_told_from_none() -> None:
    assert extended_key_usages(Certificate(Authority.root().der)) is None
    assert extended_key_usages(Certificate(Authority.root(eku=[SERVER, CLIENT]).der)) == {
        bytes.fromhex("2b06010505070301"),
        bytes.fromhex("2b06010505070302"),
    }
