"""What may be exported: each rule alone breaks an intermediate that is right in all else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.manager.machine import Machine
from tests.support.pki import Authority, Certified, Options, der_of

Case = Callable[[Authority], Sequence[Certified]]

SERVER, EMAIL = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION
CLIENT, ANY = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
STRANGER = Authority.root("Stranger")
NAMES: Options = {"permitted": ["example.com"]}
PERSONS: Options = {"permitted": [x509.Name.from_rfc4514_string("O=Example")]}
EXPLICIT_POLICY = (x509.PolicyConstraints(0, None), True)
TOMORROW = timedelta(days=1)


def below(upper: Options, lower: Options) -> Case:
    """Two levels; the upper one comes first."""

    def case(root: Authority) -> list[Authority]:
        authority = root.intermediate("Upper", **upper)
        return [authority, authority.intermediate("Lower", **lower)]

    return case


def three_levels(root: Authority) -> list[Authority]:
    upper = root.intermediate("Upper")
    lower = upper.intermediate("Lower")
    return [upper, lower, lower.intermediate("Lowest")]


def one(options: Options) -> Case:
    return lambda root: [root.intermediate(**options)]


@pytest.mark.parametrize(
    "case",
    [
        one({}),
        one({"key": "rsa"}),
        one({"key": "ed25519"}),
        one({"eku": [SERVER]}),
        one({"eku": [EMAIL, SERVER, CLIENT]}),
        one({"not_after": timedelta(days=5)}),
        one({"path_length": 0}),
        one(NAMES),
        one({"key_usage": None}),
        below({}, {}),
        below(NAMES, NAMES),
        below({"path_length": 1}, {"path_length": 0}),
        below({"eku": [SERVER, CLIENT]}, {"eku": [SERVER]}),
        below({"eku": [ANY, SERVER]}, {}),
        three_levels,
    ],
    ids=[
        "plain",
        "RSA",
        "Ed25519",
        "for servers",
        "for servers too",
        "five days left",
        "path length of its own",
        "name constraints of its own",
        "no key usage",
        "two levels",
        "name constraints, carried",
        "path length, carried",
        "narrower purpose below",
        "any purpose above",
        "three levels",
    ],
)
def test_what_is_right_goes_in(machine: Machine, root: Authority, case: Case) -> None:
    planted = case(root)
    machine.plant(*planted)
    assert machine.build() == [root.der, *sorted(map(der_of, planted), key=hashes_of)]


def hashes_of(der: bytes) -> bytes:
    """What the certificates of a bundle are sorted by."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    return digest.finalize()


@pytest.mark.parametrize(
    "case",
    [
        one({"not_after": timedelta(seconds=-1)}),
        one({"not_after": TOMORROW}),
        one({"not_before": timedelta(hours=1)}),
        lambda root: [STRANGER.intermediate()],
        lambda root: [root.intermediate("Not Here").intermediate()],
        one({"signed_by": STRANGER.key}),
        lambda root: [Authority.root("Self-signed")],
        lambda root: [root.reissue(not_after=timedelta(days=30))],
        lambda root: [Authority.root("Manager Root")],
        lambda root: [root.leaf()],
        lambda root: [root.leaf("example.org", ca=None)],
        one({"ca": None}),
        one({"version1": True}),
        one({"eku": [EMAIL]}),
        one({"eku": [CLIENT]}),
        one({"eku": [ANY]}),
        one({"no_cert_sign": True}),
        one({"hash": hashes.SHA1()}),
        one({"key": rsa.generate_private_key(65537, 1024)}),
        one({"extensions": [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\5\0"), True)]}),
    ],
    ids=[
        "expired",
        "expires tomorrow",
        "not yet valid",
        "of a stranger",
        "issuer is not here",
        "impostor",
        "self-signed",
        "another certificate of the root",
        "namesake of the root",
        "leaf",
        "leaf without basic constraints",
        "CA without basic constraints",
        "version 1",
        "for e-mail",
        "for clients",
        "for any purpose, which OpenSSL does not take for servers",
        "no keyCertSign",
        "SHA-1",
        "RSA of 1024 bits",
        "unknown critical extension",
    ],
)
def test_what_is_wrong_stays_out(machine: Machine, root: Authority, case: Case) -> None:
    sound = root.intermediate("Sound")
    machine.plant(sound, *case(root))
    assert machine.build() == [root.der, sound.der]


@pytest.mark.parametrize(
    "case",
    [
        below(NAMES, {}),
        below(NAMES, {"permitted": ["www.example.com"]}),
        below({"excluded": ["example.com"]}, {}),
        below(PERSONS, PERSONS),
        below({"path_length": 1}, {}),
        below({"path_length": 1}, {"path_length": 1}),
        below({"eku": [SERVER]}, {}),
        below({"eku": [SERVER]}, {"eku": [SERVER, CLIENT]}),
        below({"eku": [SERVER]}, {"eku": [ANY]}),
        below({"extensions": [EXPLICIT_POLICY], "policies": ["1.2.3"]}, {"policies": ["1.2.3"]}),
    ],
    ids=[
        "name constraints, not carried",
        "name constraints, other",
        "excluded names, not carried",
        "directory names",
        "path length, not carried",
        "path length, too large",
        "purpose, not carried",
        "purpose, wider below",
        "purpose, any below",
        "policy constraints",
    ],
)
def test_constraints_from_above_must_be_carried(machine: Machine, root: Authority, case: Case) -> None:
    upper, lower = case(root)
    machine.plant(upper, lower)
    assert machine.build() == [root.der, der_of(upper)]


@pytest.mark.parametrize(
    "upper",
    [
        {"not_after": TOMORROW},
        {"not_after": timedelta(seconds=-1)},
        {"signed_by": STRANGER.key},
        {"eku": [EMAIL]},
        {"no_cert_sign": True},
        {"hash": hashes.SHA1()},
        {"path_length": 0},
    ],
    ids=["expires tomorrow", "expired", "impostor", "for e-mail", "no keyCertSign", "SHA-1", "path length"],
)
def test_nothing_hangs_on_what_stays_out(machine: Machine, root: Authority, upper: Options) -> None:
    planted = below(upper, {})(root)
    machine.plant(*planted)
    assert der_of(planted[1]) not in machine.build()


@pytest.mark.parametrize(
    ("of_root", "upper", "lower", "exported"),
    [
        (NAMES, {}, NAMES, 0),
        (NAMES, NAMES, NAMES, 2),
        (NAMES, NAMES, {}, 1),
        ({"path_length": 2}, {"path_length": 1}, {"path_length": 0}, 2),
        ({"path_length": 2}, {}, {"path_length": 0}, 0),
        ({"path_length": 2}, {"path_length": 1}, {}, 1),
        ({"eku": [SERVER]}, {"eku": [SERVER]}, {"eku": [SERVER]}, 2),
        ({"eku": [SERVER]}, {}, {"eku": [SERVER]}, 0),
        ({"not_after": TOMORROW}, {}, {}, 0),
    ],
)
def test_constraints_of_the_root_must_be_carried(
    machine: Machine, of_root: Options, upper: Options, lower: Options, exported: int
) -> None:
    root = Authority.root("Constrained Root", **of_root)
    machine.trust(root)
    planted = below(upper, lower)(root)
    machine.plant(*planted)
    found = machine.build()
    assert len(found) == 1 + exported
    assert set(found) <= {root.der, *map(der_of, planted[:exported])}


def test_an_impostor_does_not_keep_the_right_one_out(machine: Machine, root: Authority) -> None:
    upper = root.intermediate("Upper")
    lower = upper.intermediate("Lower")
    impostors = [root.intermediate("Upper", signed_by=STRANGER.key) for _ in range(3)]
    machine.plant(*impostors, upper, lower)
    assert set(machine.build()) == {root.der, upper.der, lower.der}


def test_a_cross_certificate_of_a_stranger_does_not_keep_the_right_one_out(machine: Machine, root: Authority) -> None:
    upper = root.intermediate("Upper")
    lower = upper.intermediate("Lower")
    expired = upper.reissue(not_after=timedelta(seconds=-1))
    machine.plant(STRANGER.cross_sign(upper), upper, expired, lower)
    assert set(machine.build()) == {root.der, upper.der, lower.der}


def test_a_second_way_up_serves_where_the_first_may_not_be_exported(machine: Machine, root: Authority) -> None:
    """Of two certificates of one upper CA, OpenSSL accepts both, but one ends tomorrow."""
    upper = root.intermediate("Upper", not_after=timedelta(days=40))
    short = upper.reissue(not_after=TOMORROW)
    lower = upper.intermediate("Lower")
    machine.plant(short, upper, lower)
    assert set(machine.build()) == {root.der, upper.der, lower.der}


def test_ways_up_with_other_constraints_are_all_looked_at(machine: Machine, root: Authority) -> None:
    """One certificate of the upper CA is constrained and lives longer; through the other nothing is lost."""
    upper = root.intermediate("Upper", not_after=timedelta(days=40))
    constrained = upper.reissue(not_after=timedelta(days=80), permitted=["example.com"])
    lower = upper.intermediate("Lower")
    machine.plant(constrained, upper, lower)
    assert {upper.der, constrained.der} <= set(machine.build())
