"""Certificates of the real world, parsed without a word."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the warnings in which `cryptography` says what it will refuse one day, to whoever runs a command."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
