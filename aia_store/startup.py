"""What an interpreter runs at its start: wait for the program to import ssl, and attach then.

A program that never imports ssl pays for one finder in `sys.meta_path`, and nothing else of ours is imported.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

OLDEST = (3, 11)
_YES = ("1", "true", "yes", "on")


class Watcher:
    """A finder that finds nothing, but attaches to every module `ssl` that is executed, reloads included."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "ssl":
            return None
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target) if finder is not self else None
            if spec is not None and spec.loader is not None:
                _attach_after(spec)
                return spec
        return None


def attach() -> None:
    """Complete chains in this process from now on. Does nothing, silently, on a Python too old or when disabled."""
    if sys.version_info < OLDEST or os.environ.get("AIA_STORE_DISABLE", "").lower() in _YES:
        return
    if not any(isinstance(finder, Watcher) for finder in sys.meta_path):
        sys.meta_path.insert(0, Watcher())
    if "ssl" in sys.modules:
        attach_to(sys.modules["ssl"])


def attach_to(ssl_module: ModuleType) -> None:
    """Install the doors in this module. Whatever goes wrong, the program goes on without us."""
    try:
        if _may_have_callbacks():
            from .handshake import attachment, doors

            doors.install(ssl_module)
            attachment.enabled = True
    except Exception as error:
        if os.environ.get("AIA_STORE_LOG"):
            sys.stderr.write(f"aia-store: not attached: {type(error).__name__}: {error}\n")


def _attach_after(spec: ModuleSpec) -> None:
    loader = spec.loader
    execute = loader.exec_module  # type: ignore[union-attr]

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module  # type: ignore[union-attr]
        execute(module)
        attach_to(module)

    loader.exec_module = exec_module  # type: ignore[method-assign, union-attr]


def _may_have_callbacks() -> bool:
    """Up to Python 3.11, OpenSSL's callbacks run in the main interpreter, whichever one set them."""
    if sys.version_info >= (3, 12):
        return True
    try:
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]
    except ImportError:
        return True
    return bool(interpreters.get_current() == interpreters.get_main())
