"""Programs under another clock, by libfaketime."""

from __future__ import annotations

from pathlib import Path

import pytest


def at(offset: str) -> list[str]:
    """A command's prefix under which the clock is off by this much, such as "+10y"; skips the test without the library.

    Not the command `faketime`: it fails if another one with the same process number once left its semaphore behind.
    """
    name = "faketime/libfaketime.so.1"
    found = [*Path("/usr").glob(f"lib*/{name}"), *Path("/usr").glob(f"lib/*/{name}")]
    if not found:
        pytest.skip("libfaketime is not here")
    return ["env", f"LD_PRELOAD={found[0]}", f"FAKETIME={offset}"]
