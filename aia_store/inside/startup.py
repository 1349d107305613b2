"""What an interpreter runs at its start: wait for the program to import ssl or pyOpenSSL, and attach then.

A program that imports neither pays for one finder in `sys.meta_path` (`watcher`) and imports nothing else of ours;
this module comes with the first of them.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

OLDEST = (3, 11)
MODULES = ("ssl", "OpenSSL.SSL")  # what is attached to; `watcher` names them too
_YES = ("1", "true", "yes", "on")


def attach() -> None:
    """Complete chains in this process from now on. Does nothing, silently, on a Python too old or when disabled."""
    if _is_wanted():
        if not any(map(_is_ours, sys.meta_path)):
            sys.meta_path.insert(0, sys.modules[__name__])
        for name in MODULES:
            if name in sys.modules:
                attach_to(sys.modules[name])


is_aia_store_watcher = True  # this module is a finder too, as `watcher` is


def find_spec(
    name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
) -> "ModuleSpec | None":
    """What the import system asks of a finder."""
    return find(path, target, name) if name in MODULES else None


def find(path: "Sequence[str] | None", target: "ModuleType | None", name: str = "ssl") -> "ModuleSpec | None":
    """The spec of a module as the other finders give it, so that we attach once it was executed; reloads too."""
    for finder in sys.meta_path:
        spec = None if _is_ours(finder) else finder.find_spec(name, path, target)
        if spec is not None:
            if spec.loader is not None and _is_wanted():
                _attach_after(spec)
            return spec
    return None


def _attach_to_new(module: "ModuleType") -> None:
    """Attach to a module that was just executed: to ssl with its first context, as most programs never make one."""
    context: Any = getattr(module, "SSLContext", None)
    make = vars(context).get("__new__") if module.__name__ == "ssl" and context is not None else None
    if make is None:
        attach_to(module)
        return

    def make_the_first(cls: "Any", *arguments: "Any", **named: "Any") -> "Any":
        context.__new__ = make
        attach_to(module)
        return context.__new__(cls, *arguments, **named)

    context.__new__ = staticmethod(make_the_first)


def attach_to(module: "ModuleType") -> None:
    """Install the doors in `ssl` or `OpenSSL.SSL`. Whatever goes wrong, the program goes on without us."""
    try:
        from .. import inside as handshake

        if module.__name__ == "ssl":
            from . import doors

            doors.install(module)
        else:
            from .pyopenssl import hooked

            hooked.install(module)
        if handshake.enabled is None:
            handshake.enabled = True
    except Exception as error:
        if os.environ.get("AIA_STORE_LOG"):
            sys.stderr.write(f"aia-store: not attached: {type(error).__name__}: {error}\n")


def _attach_after(spec: "ModuleSpec") -> None:
    loader = spec.loader
    execute = loader.exec_module  # type: ignore[union-attr]

    def exec_module(module: "ModuleType") -> None:
        del loader.exec_module  # type: ignore[union-attr]
        execute(module)
        _attach_to_new(module)

    loader.exec_module = exec_module  # type: ignore[method-assign, union-attr]


def _is_ours(finder: object) -> bool:
    return getattr(finder, "is_aia_store_watcher", False) is True


def _is_wanted() -> bool:
    return sys.version_info >= OLDEST and os.environ.get("AIA_STORE_DISABLE", "").lower() not in _YES
