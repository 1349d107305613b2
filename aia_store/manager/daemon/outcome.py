"""How a piece of the manager's work went."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """A message of one line, details of a line each, and whether there is more of the same to be done."""

    failed: bool
    message: str
    details: list[str]
    has_more: bool = False
