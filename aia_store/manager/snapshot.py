"""A store as it was at one moment: its folders are listed once, and each file is read at most once, when needed."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..inside.certificate import Certificate, sha256
from ..inside.store import Folder, IntermediateStore, is_digest, read_certificate


class Snapshot(IntermediateStore):
    """A store that remembers what it has read. An export asks it thousands of times for issuers and namesakes."""

    def __init__(self, folders: list[Folder]) -> None:
        super().__init__(folders)
        self._needed = _Listing(self.folders)
        self._all = _Listing([*self.folders, *self.preloaded])

    @property
    def names(self) -> dict[str, str]:
        """The SHA-256 of each listed certificate's canonical subject name, by the certificate's fingerprint."""
        return self._all.names

    def certificate(self, fingerprint: str) -> Certificate | None:
        """The certificate with this fingerprint; None if it cannot be read, or was removed meanwhile."""
        return next((one for one in self._all.named(self.names[fingerprint]) if one.fingerprint == fingerprint), None)

    def find(self, subject_key: bytes) -> list[Certificate]:
        return self._all.named(sha256(subject_key))

    def needed(self, subject_key: bytes) -> list[Certificate]:
        return self._needed.named(sha256(subject_key))


class _Listing:
    """The files of some folders, by their certificates' subject names, and the certificates that were read so far."""

    def __init__(self, folders: Iterable[Folder]) -> None:
        self.names: dict[str, str] = {}
        self._paths: dict[str, list[str]] = {}
        self._read: dict[str, list[Certificate]] = {}
        for folder in folders:
            for path in folder.paths():
                bucket, file = os.path.split(path)
                name, fingerprint = os.path.basename(bucket), file.removesuffix(".pem")
                if is_digest(fingerprint) and fingerprint not in self.names:
                    self.names[fingerprint] = name
                    self._paths.setdefault(name, []).append(path)

    def named(self, name: str) -> list[Certificate]:
        if name not in self._read:
            found = map(read_certificate, self._paths.get(name, ()))
            self._read[name] = [one for one in found if one is not None and sha256(one.subject_key) == name]
        return self._read[name]


def fingerprints(folders: Iterable[Folder]) -> set[str]:
    """The fingerprints of the certificates in these folders, taken from the file names."""
    names = (os.path.basename(path) for folder in folders for path in folder.paths())
    return {name.removesuffix(".pem") for name in names}
