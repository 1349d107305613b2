"""The phrases that tree, page and verdict share."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ...check import Fault
from ...inside.certificate_names import host_names
from ...manager.words import counted
from .. import output

if TYPE_CHECKING:
    from ...check import Finding, Target
    from ...inside.certificate import Certificate

MOST_NAMES = 4  # of a certificate, shown


def source_of(certificate: Certificate, finding: Finding) -> str:
    """Where a certificate of the path came from."""
    if certificate == finding.chain.leaf or certificate in finding.chain.sent:
        return "sent"
    if finding.path is not None and certificate in finding.path.sources:
        return f"fetched from {output.harmless(finding.path.sources[certificate])}"
    return "from the store" if certificate in finding.stored else "trusted here"


def fault_of(certificate: Certificate, finding: Finding) -> str | None:
    """What is wrong with a certificate; None: nothing."""
    revoked = {**finding.revoked, **finding.revoked_links}
    if certificate in revoked:
        return f"revoked {output.harmless(revoked[certificate])}"
    if finding.is_anchor(certificate):
        return None
    if not certificate.is_valid_at(finding.chain.now):
        return "out of its time"
    if certificate == finding.chain.leaf:
        if certificate.is_self_signed:
            return "self-signed"
        return "for another name" if Fault.WRONG_NAME in finding.faults else None
    return "not trusted here" if certificate.is_self_signed else None


def uselessness(certificate: Certificate, finding: Finding) -> str:
    """Why a certificate that was sent or found is no part of the path."""
    how = "sent, but no part of the path" if certificate in finding.chain.sent else "found, but of no use"
    is_root = certificate.is_self_signed and certificate not in finding.revoked
    why = "a root, which clients do not need" if is_root else fault_of(certificate, finding) or "not needed"
    return f"{how}: {why}"


def lasting(certificate: Certificate, finding: Finding) -> str:
    """Until when it is valid, and how long that is."""
    days = finding.days_left(certificate)
    until = output.day(certificate.validity[1])
    return f"until {until} ({counted(days, 'day')})" if days >= 0 else f"until {until} (ended)"


def revocation_of(certificate: Certificate, finding: Finding) -> str:
    """What its issuer's CRL says, where it was asked."""
    status = finding.asked.get(certificate)
    if status is None:
        return ""
    words = {True: f"REVOKED {status.reason}", False: "not revoked", None: f"not known if revoked: {status.reason}"}
    return output.harmless(words[status.is_revoked])


def names_of(leaf: Certificate) -> str:
    """The names that a leaf is good for."""
    found = host_names(leaf)
    return ", ".join(map(output.harmless, found[:MOST_NAMES])) + (", …" if len(found) > MOST_NAMES else "") or "no host"


def command_for(target: Target) -> str:
    """The command that asks this host again, as one types it."""
    words = ["aia-store", "check", target.address]
    for option, value in (
        ("--starttls", target.starttls),
        ("--servername", target.servername),
        ("--connect", ":".join(map(str, target.connect)) if target.connect is not None else None),
    ):
        words += [option, value] if value is not None else []
    return output.harmless(shlex.join(words))


def how_reached(target: Target) -> str:
    """What is not plain from host and port: how it was asked, in words."""
    parts = []
    if target.starttls is not None:
        parts.append(f"STARTTLS ({target.starttls})")
    if target.servername is not None:
        parts.append(f"as {target.servername}")
    if target.connect is not None:
        parts.append(f"at {':'.join(map(str, target.connect))}")
    return output.harmless(", ".join(parts))
