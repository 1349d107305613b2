"""How things are said."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """How many of something: "1 root", "2 roots"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
