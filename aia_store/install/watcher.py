"""The watcher, which every way of installing puts in place, and the lines by which `site` loads it at every start."""

from __future__ import annotations

import os
import re

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INSIDE = os.path.join(PACKAGE, "inside")  # what the watcher loads
HOOKS = os.path.join(PACKAGE, "install", "hooks")
FILE = "aia_store_finder.py"
_WHERE = re.compile(rb"^inside = .*$", re.MULTILINE)


def source(inside: str = INSIDE) -> bytes:
    """The watcher, told where the folder `inside` is. Raises OSError where the package is not whole."""
    with open(os.path.join(HOOKS, FILE), "rb") as file:
        text = file.read()
    return _WHERE.sub(lambda _: f"inside = {inside!a}".encode("ascii"), text, count=1)


def pth_line(module: str) -> str:
    """What a .pth file holds, so that site imports this module, and prints nothing where that fails.

    site executes a line that begins with "import", and prints what it raises.
    """
    load = f"try:import {module}\nexcept Exception:0"  # short, as every start of the interpreter compiles it
    return f"import sys; exec({load!r})\n"


def start_line(module: str) -> str:
    """What a .start file holds, so that site calls `attach` of this module. There is no way to guard it."""
    return f"{module}:attach\n"
