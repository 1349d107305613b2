"""What may be exported: each rule alone refuses an intermediate that satisfies all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder, IntermediateStore
from aia_store.manager import export_rules
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
        below({}, {}),
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
        "two levels",
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
        one({"subject_key_id": False}),
        one({"key_usage": None}),
        one(NAMES),
        below(NAMES, NAMES),
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
        "no SKID, which OpenSSL refuses where it is strict",
        "no key usage, the same",
        "name constraints of its own, which Java does not apply",
        "name constraints, carried",
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
        below({"path_length": 1}, {}),
        below({"path_length": 1}, {"path_length": 1}),
        below({"eku": [SERVER]}, {}),
        below({"eku": [SERVER]}, {"eku": [SERVER, CLIENT]}),
        below({"eku": [SERVER]}, {"eku": [ANY]}),
        below({"extensions": [EXPLICIT_POLICY], "policies": ["1.2.3"]}, {"policies": ["1.2.3"]}),
    ],
    ids=[
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
        {"subject_key_id": False},
    ],
    ids=["expires tomorrow", "expired", "impostor", "for e-mail", "no keyCertSign", "SHA-1", "path length", "no SKID"],
)
def test_nothing_hangs_on_what_stays_out(machine: Machine, root: Authority, upper: Options) -> None:
    planted = below(upper, {})(root)
    machine.plant(*planted)
    assert der_of(planted[1]) not in machine.build()


@pytest.mark.parametrize(
    ("of_root", "upper", "lower", "exported"),
    [
        (NAMES, {}, NAMES, 0),
        (NAMES, NAMES, NAMES, 0),
        (PERSONS, {}, {}, 0),
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
    """One certificate of the upper CA is constrained and lives longer; the other loses nothing."""
    upper = root.intermediate("Upper", not_after=timedelta(days=40))
    constrained = upper.reissue(not_after=timedelta(days=80), permitted=["example.com"])
    lower = upper.intermediate("Lower")
    machine.plant(constrained, upper, lower)
    found = machine.build()
    assert upper.der in found
    assert constrained.der not in found


# Namesakes of other keys


def test_namesakes_of_different_keys_stay_out_both(machine: Machine, root: Authority) -> None:
    one, other = root.intermediate("Twin"), root.intermediate("TWIN")
    below = one.intermediate("Below")
    machine.plant(one, other, below)
    assert machine.build() == [root.der]


def test_certificates_of_one_key_are_no_namesakes(machine: Machine, root: Authority) -> None:
    one = root.intermediate("Same")
    machine.plant(one, one.reissue(not_after=timedelta(days=60)))
    assert len(machine.build()) == 3


@pytest.mark.parametrize("same_key", [False, True])
def test_a_namesake_of_a_trust_anchor_stays_out_unless_it_has_its_key(machine: Machine, same_key: bool) -> None:
    root, other = Authority.root("One"), Authority.root("Other")
    machine.trust(root, other)
    namesake = root.cross_sign(other) if same_key else root.intermediate("Other")
    machine.plant(namesake)
    assert machine.build() == [root.der, other.der, *([namesake.der] if same_key else [])]


def test_a_namesake_that_was_only_preloaded_counts(machine: Machine, root: Authority) -> None:
    needed, known = root.intermediate("Twin"), root.intermediate("Twin")
    machine.plant(needed)
    Folder(str(machine.store)).preloaded.keep(Certificate(known.der))
    assert machine.build() == [root.der]


@pytest.mark.parametrize(
    "namesake",
    [
        lambda root: root.intermediate("Upper", signed_by=STRANGER.key),
        lambda root: root.intermediate("Upper", not_after=timedelta(seconds=-1)),
        lambda root: STRANGER.intermediate("Upper"),
    ],
    ids=["an impostor", "expired", "of a stranger"],
)
def test_a_namesake_that_leads_nowhere_does_not_count(
    machine: Machine, root: Authority, namesake: Callable[[Authority], Authority]
) -> None:
    upper = root.intermediate("Upper")
    machine.plant(upper, namesake(root))
    assert machine.build() == [root.der, upper.der]


# In words


@pytest.mark.parametrize(
    ("rule", "options", "words"),
    [
        (export_rules.leads_to_an_exported_anchor, {"signed_by": STRANGER.key}, "a signature is not valid"),
        (export_rules.outlasts_the_export, {"not_after": TOMORROW}, "it expires before"),
        (export_rules.is_a_ca_for_servers, {"no_cert_sign": True}, "its key may not sign certificates"),
        (export_rules.carries_all_constraints, NAMES, "it has name constraints"),
    ],
)
def test_each_rule_says_what_it_objects_to(
    rule: Callable[[Certificate, export_rules.Export], str | None], options: Options, words: str, machine: Machine
) -> None:
    root = Authority.root()
    authority = Certificate(root.intermediate(**options).der)
    machine.plant(authority.der)
    export = export_rules.Export([Certificate(root.der)], IntermediateStore([Folder(str(machine.store))]))
    assert rule in export_rules.RULES
    assert words in (rule(authority, export) or "")
    assert export.objection(authority) is not None


def test_only_what_was_needed_is_exported(machine: Machine, root: Authority) -> None:
    preloaded = Certificate(root.intermediate().der)
    Folder(str(machine.store)).preloaded.keep(preloaded)
    export = export_rules.Export([Certificate(root.der)], IntermediateStore([Folder(str(machine.store))]))
    assert export.objection(preloaded) == "it was never needed on this machine"


def test_no_ring_of_cas_that_certified_each_other_is_exported(machine: Machine, root: Authority) -> None:
    """OpenSSL may go round in it until "certificate chain too long"."""
    one, other = root.intermediate("One"), root.intermediate("Other")
    machine.plant(one, other, one.cross_sign(other), other.cross_sign(one))
    assert set(machine.build()) == {root.der, one.der, other.der}


def test_a_ring_of_three_is_found_and_what_is_beside_it_stays(machine: Machine, root: Authority) -> None:
    one, other = root.intermediate("One"), root.intermediate("Other")
    third = other.intermediate("Third")
    below = one.intermediate("Below")
    machine.plant(one, other, third, below, other.cross_sign(one), third.cross_sign(other))
    assert {root.der, one.der, other.der, below.der} <= set(machine.build())
    assert len(machine.bundled()) < 7


def test_a_ring_that_leads_nowhere_keeps_nothing_out(machine: Machine, root: Authority) -> None:
    one, other = root.intermediate("One"), root.intermediate("Other")
    lower = one.intermediate("Lower")
    impostor = root.intermediate("One", signed_by=STRANGER.key)
    machine.plant(one, other, lower, impostor, STRANGER.cross_sign(one))
    assert set(machine.build()) == {root.der, one.der, other.der, lower.der}
