"""Which certificates are known to be revoked, and why. A store folder has digests for programs and reasons for people.

A certificate that a list revokes is revoked as long as the list says so. If a CRL revoked a certificate in the store,
that is remembered, because the CRL is no longer read once the certificate is gone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from ...inside import revoked
from ...inside.certificate import Certificate, DERError
from ...inside.store import CHANGED, REVOKED, REVOKED_REASONS, Folder, is_digest, read_regular_file

#: Tells, for a certificate and its issuer, why and by whom it is revoked; None if it is not known to be.
Reason = Callable[[Certificate, Certificate], str | None]

MOST_REMEMBERED = 10_000
MOST_DIGESTS = 200_000
UNKNOWN = "by its issuer or a list"
_LARGEST_FILE = 64 << 20


class Record:
    """The certificates that are known to be revoked, by digest, as a store folder records them."""

    def __init__(self, folder: Folder, listed: dict[bytes, str]) -> None:
        """Read the record. `listed` has what the lists say now: the reason, by the certificate's digest."""
        self._folder = folder
        self._listed = listed
        self._remembered = _read(folder)["by_crl"]
        self._others: set[bytes] = set()  # revoked by CRLs, but never in the store

    def reason(self, certificate: Certificate, issuer: Certificate) -> str | None:
        """Why this certificate of this issuer is revoked, in words; None if it is not known to be revoked."""
        if not (self._listed or self._remembered or self._others):
            return None
        try:
            digests = revoked.digests(certificate, issuer)
        except DERError:
            return None
        for digest in digests:
            if digest in self._listed:
                return self._listed[digest]
            if digest.hex() in self._remembered:
                return self._remembered[digest.hex()]
        return UNKNOWN if not self._others.isdisjoint(digests) else None

    def add(self, certificate: Certificate, issuer: Certificate, reason: str) -> None:
        """Note that a CRL of the issuer revokes this certificate."""
        self._remembered[revoked.issued_digest(issuer, certificate.serial).hex()] = reason

    def add_others(self, digests: set[bytes]) -> None:
        """Note these digests of certificates that a CRL revokes and that were never in the store, up to a limit."""
        if len(self._others) + len(digests) <= MOST_DIGESTS:
            self._others |= digests

    def write(self) -> None:
        """Write the digests for programs and the reasons for people, if they have changed. Raises OSError."""
        known = _read(self._folder)["by_crl"] | self._remembered  # another refresh may have added to it
        remembered = dict(list(known.items())[-MOST_REMEMBERED:])
        digests = {*self._listed, *map(bytes.fromhex, remembered), *self._others}
        content = b"".join(sorted(digests))
        path = os.path.join(self._folder.path, REVOKED)
        if content != _content(path):
            if content:
                self._folder.write(content, REVOKED)
            else:
                os.unlink(path)
            self._folder.write(b"", CHANGED)  # the bundle may have to drop something
        listed = {digest.hex(): reason for digest, reason in self._listed.items()}
        reasons = json.dumps({"listed": listed, "by_crl": remembered}, indent=0).encode()
        if reasons != _content(os.path.join(self._folder.path, REVOKED_REASONS)):
            self._folder.write(reasons, REVOKED_REASONS)


def reader(folders: Iterable[Folder]) -> Reason:
    """A function that says why a certificate of an issuer is revoked according to these folders; None if it is not."""
    searched = [folder for folder in folders if os.path.exists(os.path.join(folder.path, REVOKED))]
    known: list[dict[str, str]] = []  # read on first use, which is rare

    def reason(certificate: Certificate, issuer: Certificate) -> str | None:
        try:
            if not revoked.is_revoked(certificate, issuer, searched):
                return None
            digests = [digest.hex() for digest in revoked.digests(certificate, issuer)]
        except DERError:
            return None
        if not known:
            known.extend(reasons for folder in searched for reasons in _read(folder).values())
        return next((reasons[digest] for reasons in known for digest in digests if digest in reasons), UNKNOWN)

    return reason


def _content(path: str) -> bytes:
    try:
        return read_regular_file(path, _LARGEST_FILE)
    except OSError:
        return b""


def _read(folder: Folder) -> dict[str, dict[str, str]]:
    """The recorded reasons for revocation, by digest in hexadecimal: those from lists, and those from CRLs."""
    try:
        found: Any = json.loads(_content(os.path.join(folder.path, REVOKED_REASONS)))
    except (ValueError, RecursionError):
        found = None
    return {part: _sound(found.get(part) if isinstance(found, dict) else None) for part in ("listed", "by_crl")}


def _sound(found: Any) -> dict[str, str]:
    """The valid entries among the recorded reasons. The file may contain anything."""
    if not isinstance(found, dict):
        return {}
    return {digest: reason for digest, reason in found.items() if isinstance(reason, str) and is_digest(digest)}
