"""Parse the world's certificates without warnings."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Suppress the warnings of `cryptography` about what it will refuse one day; they are of no use to users."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
