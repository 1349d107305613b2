"""The order in which limited time is spent: in turn for each CA below an anchor, so that no CA uses up all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from ..inside.certificate import Certificate

T = TypeVar("T")


def in_turn(items: Iterable[T], path_of: Callable[[T], Sequence[Certificate]]) -> list[T]:
    """Sort the items: the first item of each CA below an anchor, then the second one of each, and so on.

    `path_of` returns the path, up to the anchor, of an item's certificate. The items of each CA keep their order.
    """
    numbers: dict[tuple[bytes, bytes], int] = {}
    numbered = []
    for item in items:
        top = path_of(item)[-2]
        branch = top.subject_key, top.public_key
        numbers[branch] = numbers.get(branch, 0) + 1
        numbered.append((numbers[branch], item))
    return [item for _, item in sorted(numbered, key=lambda one: one[0])]
