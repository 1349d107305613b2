"""The watcher (a module that waits until a program imports ssl), and the lines by which `site` loads it."""

from __future__ import annotations

import os
import re
from pathlib import Path

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INSIDE = os.path.join(PACKAGE, "inside")  # what the finder loads
HOOKS = os.path.join(PACKAGE, "install", "hooks")
FILE = "aia_store_finder.py"
_LEVELS = ("", ".opt-1", ".opt-2")  # of optimization (PEP 488)
_WHERE = re.compile(rb"^inside = .*$", re.MULTILINE)


def source(inside: str = INSIDE) -> bytes:
    """The watcher's source code, with the path of the folder `inside`. Raises OSError if the package is incomplete."""
    return _WHERE.sub(lambda _: f"inside = {inside!a}".encode("ascii"), packaged(FILE), count=1)


def packaged(name: str) -> bytes:
    """The content of a file of the hook in the package. Raises OSError if the package is incomplete."""
    return Path(HOOKS, name).read_bytes()


def contents(path: str) -> bytes:
    """Read a file; empty if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def compiled(source: str, tag: str | None) -> list[str]:
    """Where an interpreter with this cache tag keeps the compiled forms of a source file, the unoptimized one first.

    Programs that run with -O or -OO use the other two. If the tag is None, Python keeps no compiled files, and there
    are no files at these paths.
    """
    folder, name = os.path.split(source)
    return [os.path.join(folder, "__pycache__", f"{name.removesuffix('.py')}.{tag}{level}.pyc") for level in _LEVELS]


def pth_line(module: str) -> str:
    """The line of a .pth file that makes site import this module, and print nothing if this fails.

    site executes each line that begins with "import", and prints the exceptions that the line raises.
    """
    load = f"try:import {module}\nexcept Exception:0"  # short, because every start of the interpreter compiles it
    return f"import sys; exec({load!r})\n"


def start_line(module: str) -> str:
    """The line of a .start file by which site calls this module's `attach`. A .start file cannot suppress errors."""
    return f"{module}:attach\n"
