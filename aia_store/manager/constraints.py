"""Whether an intermediate repeats every constraint of the certificates above it, so that it may be a trust anchor.

A program that treats an intermediate as a trust anchor (see `export_rules`) does not look at the certificates above it.
So the intermediate itself must contain each of their constraints, at least as narrow.
"""

from __future__ import annotations

from ..inside.certificate import (
    EXTENDED_KEY_USAGE,
    INHIBIT_ANY_POLICY,
    NAME_CONSTRAINTS,
    OID,
    POLICY_CONSTRAINTS,
    POLICY_MAPPINGS,
    SEQUENCE,
    Certificate,
    elements,
    expect,
)

ANY_EXTENDED_KEY_USAGE = b"\x55\x1d\x25\x00"
_DIRECTORY_NAME = b"\xa4"


def carries_all(certificate: Certificate, above: list[Certificate]) -> bool:
    """Whether the certificate repeats all constraints of those above it (its issuer first, the anchor last)."""
    return all(_carries(certificate, issuer, depth) for depth, issuer in enumerate(above))


def _carries(certificate: Certificate, issuer: Certificate, between: int) -> bool:
    return (
        _path_length_is_carried(certificate, issuer, between)
        and _names_are_carried(certificate, issuer)
        and _key_usages_are_carried(certificate, issuer)
        and not any(name in issuer.extensions for name in (POLICY_CONSTRAINTS, POLICY_MAPPINGS, INHIBIT_ANY_POLICY))
    )


def _path_length_is_carried(certificate: Certificate, issuer: Certificate, between: int) -> bool:
    """Whether the path length is small enough: n in a CA allows n - 1 in the CA below it (RFC 5280, 6.1.4 (l, m))."""
    limit = issuer.basic_constraints[1]
    own = certificate.basic_constraints[1]
    return limit is None or (own is not None and own <= limit - between - 1)


def _names_are_carried(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the issuer has no name constraints, or the certificate has the same, byte for byte.

    Constraints on directory names never pass, because they also apply to the CA's own name.
    """
    names = issuer.extensions.get(NAME_CONSTRAINTS)
    if names is None:
        return True
    return certificate.extensions.get(NAME_CONSTRAINTS) == names and _DIRECTORY_NAME not in names


def _key_usages_are_carried(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the certificate's EKU allows only what the issuer's allows; anyExtendedKeyUsage allows everything."""
    allowed = extended_key_usages(issuer)
    if allowed is None or ANY_EXTENDED_KEY_USAGE in allowed:
        return True
    own = extended_key_usages(certificate)
    return own is not None and own <= allowed


def extended_key_usages(certificate: Certificate) -> set[bytes] | None:
    """The purposes in the EKU extension, as DER contents of object identifiers; None if there is no such extension."""
    value = certificate.extensions.get(EXTENDED_KEY_USAGE)
    if value is None:
        return None
    start, end = expect(value, 0, len(value), SEQUENCE)
    return {value[inner:stop] for tag, _, inner, stop in elements(value, start, end) if tag == OID}
