"""Parse any certificate or CRL with `cryptography`, without warnings. All its errors become UnreadableError."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator


class UnreadableError(ValueError):
    """`cryptography` cannot read a certificate or CRL, or does not know its algorithm."""


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """In this `with` block, `cryptography` does not warn about what its later releases will refuse.

    Raises UnreadableError in place of the errors of `cryptography`, which have no class in common.
    """
    from cryptography import x509  # it takes 66 ms to import
    from cryptography.exceptions import UnsupportedAlgorithm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (
            ValueError,
            TypeError,
            OverflowError,
            UnsupportedAlgorithm,
            x509.DuplicateExtension,
            x509.InvalidVersion,
            x509.UnsupportedGeneralNameType,
        ) as error:
            raise UnreadableError(str(error)) from error
