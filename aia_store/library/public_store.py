"""The store for use by other programs, which takes and returns certificates in DER."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..inside import settings as config
from ..inside.certificate import Certificate, readable
from ..inside.store import StoreError, sound_store
from .aia_errors import AIAError, InvalidCAError


class Store:
    """The intermediates on disk, which all programs of this user share. Every certificate is bytes, in DER.

    The certificates are hints, not trusted: verify them again before use, as `build_path` does. Iterating yields each
    certificate once; `certificate in store` says whether it is there. Threads and processes may share a store.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        """Open the store in this folder, by default the one in the settings. `add` makes the folder.

        Raises AIAError if the folder cannot be used, for instance because everybody may write to it.
        """
        try:
            self.settings = config.load()
            if path is not None:
                self.settings.dir = os.path.abspath(path)
            self.internal = sound_store(self.settings)
        except (config.ConfigError, StoreError) as error:
            raise AIAError(str(error)) from error

    def __iter__(self) -> Iterator[bytes]:
        return (certificate.der for certificate in self.internal.certificates())

    def __contains__(self, certificate: bytes) -> bool:
        sought = _readable(certificate)
        return sought in self.internal.find(sought.subject_key)

    def issuers_of(self, certificate: bytes) -> list[bytes]:
        """The stored certificates whose subject is `certificate`'s issuer. Raises AIAError if it cannot be read."""
        return [found.der for found in self.internal.find(_readable(certificate).issuer_key)]

    def add(self, certificate: bytes) -> None:
        """Keep an intermediate that leads to a trust anchor of this machine, directly or through stored ones.

        Raises InvalidCAError with the reason if it leads to none, AIAError if it cannot be kept.
        """
        from . import anchors, learn

        try:
            (outcome,) = learn.keep([_readable(certificate)], self.settings, anchors.of_this_machine().certificates)
        except (learn.LearnError, StoreError) as error:
            raise AIAError(str(error)) from error
        if outcome.reason is not None:
            raise InvalidCAError(f"it was not kept: {outcome.reason}")


def _readable(certificate: bytes) -> Certificate:
    found = next(readable([certificate]), None)
    if found is None:
        raise AIAError("the certificate cannot be read; it must be bytes, in DER")
    return found
