"""Parse any certificate or CRL with `cryptography`, without warnings, and with one error for all faults."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator


class UnreadableError(ValueError):
    """`cryptography` cannot read this, or knows no such algorithm."""


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Suppress the warnings of `cryptography` about what later releases will refuse: they are of no use to users.

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
