"""The store as other programs may use it: certificates in DER, in and out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..inside import settings as config
from ..inside.certificate import readable
from ..inside.store import StoreError, sound_store
from .aia_errors import AIAError, InvalidCAError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..inside.certificate import Certificate


class Store:
    """The intermediates on disk, which all programs of this user share; every certificate is bytes, in DER.

    What it holds is a hint, never an authority: whoever uses one verifies it again, as `build_path` does. Iterating
    gives each certificate once; `certificate in store` says whether it is there. A store may be shared by threads and
    by processes.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        """The store in this folder, which is made when something is kept; by default the one that the settings mean.

        Raises AIAError where the folder is not sound, as one that everybody may write to.
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
        """What is here under the name of a certificate's issuer. Raises AIAError where it cannot be read."""
        return [found.der for found in self.internal.find(_readable(certificate).issuer_key)]

    def add(self, certificate: bytes) -> None:
        """Keep an intermediate, if it leads to a trust anchor of this machine over what is here.

        Raises InvalidCAError with the reason where it does not, AIAError where it cannot be kept.
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
