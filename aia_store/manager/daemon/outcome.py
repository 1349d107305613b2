"""How a task of the manager ended."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """A message of one line, details of one line each, and whether more of the same is to be done."""

    failed: bool
    message: str
    details: list[str]
    has_more: bool = False
