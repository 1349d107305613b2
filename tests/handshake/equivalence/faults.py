"""What can be wrong, or merely unusual, with a certificate."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.issue import Name, Options, name_of

HOSTS = ("localhost", "other.example")
POLICY = "1.3.6.1.4.1.55555.1"
ORGANIZATIONS = ("Alpha", "Beta")


def organization(name: str) -> x509.Name:
    """A name of one part, which the names of all certificates begin with."""
    return x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, name)])


PERMITTED: tuple[Sequence[Name], ...] = (
    ["localhost"],
    ["example"],
    ["localhost", "example"],
    [organization("Alpha")],
    ["localhost", organization("Alpha")],
)
EXCLUDED: tuple[Sequence[Name], ...] = (["example"], ["localhost"], ["elsewhere"], [organization("Beta")])

#: Wrong with a certificate of a CA, or with the way to it. Some of it harms nothing, or only under strict flags.
OF_A_CA: dict[str, Options] = {
    "expired": {"not_after": timedelta(days=-1)},
    "not yet valid": {"not_before": timedelta(days=1)},
    "for mail": {"eku": [ExtendedKeyUsageOID.EMAIL_PROTECTION]},
    "no CA": {"ca": False},
    "no basic constraints": {"ca": None},
    "no keyCertSign": {"no_cert_sign": True},
    "no key usage": {"key_usage": None},
    "no SKID": {"subject_key_id": False},
    "wrong SKID": {"subject_key_id": b"wrong"},
    "no AKID": {"authority_key_id": False},
    "wrong AKID": {"authority_key_id": b"wrong"},
    "SHA-1": {"hash": hashes.SHA1()},
    "version 1": {"version1": True},
    "unknown critical extension": {
        "extensions": [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]
    },
}

#: The same for a leaf.
OF_A_LEAF: dict[str, Options] = {
    "expired": {"not_after": timedelta(days=-1)},
    "not yet valid": {"not_before": timedelta(days=1)},
    "for mail": {"eku": [ExtendedKeyUsageOID.EMAIL_PROTECTION]},
    "no EKU": {"eku": None},
    "a CA": {"ca": True, "key_usage": None},
    "no SKID": {"subject_key_id": False},
    "no AKID": {"authority_key_id": False},
    "wrong AKID": {"authority_key_id": b"wrong"},
    "SHA-1": {"hash": hashes.SHA1()},
    "no names": {"san": []},
}


def constraints(random: Random, rate: float) -> Options:
    """What a CA's certificate demands of those below it, each at this rate."""
    found: Options = {}
    if random.random() < rate:
        found["path_length"] = random.choice((0, 1, 2, 3))
    if random.random() < rate:
        found["permitted"] = random.choice(PERMITTED)
    if random.random() < rate:
        found["excluded"] = random.choice(EXCLUDED)
    if random.random() < rate:
        found["eku"] = random.choice(
            (
                [ExtendedKeyUsageOID.SERVER_AUTH],
                [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE],
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
            )
        )
    if random.random() < rate:
        found["policies"] = [random.choice((POLICY, POLICY + ".1", "2.5.29.32.0"))]
    if random.random() < rate / 2:
        found["extensions"] = [
            random.choice(
                (
                    (x509.PolicyConstraints(random.choice((0, 1)), None), True),
                    (x509.InhibitAnyPolicy(0), True),
                )
            )
        ]
    return found


def by_serial(issuer_name: x509.Name, serial: int) -> Options:
    """An AKID that names one certificate, not a key."""
    value = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(name_of(issuer_name))], serial)
    return {"authority_key_id": False, "extensions": [(value, False)]}
