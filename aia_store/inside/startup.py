"""From an interpreter's start to the doors: wait for the program to import ssl or pyOpenSSL, and attach then.

A program that imports neither loads the watcher alone (`install/hooks/aia_store_finder.py`), a finder in
`sys.meta_path`; this module comes with the first of them, and all else with the first context.

`enable`, `disable`, `complete` and `create_default_context` are what the functions of these names in `aia_store` call,
in whichever instance of this module is in front of `ssl`. The hook's may be another version: so these four keep their
names, parameters and meaning.
"""

import sys

from . import completing_threads, environ, importing, set_enabled

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

OLDEST = (3, 9)
MODULES = ("ssl", "OpenSSL.SSL")  # what is attached to; the watcher names them too
_YES = ("1", "true", "yes", "on")

is_aia_store_watcher = True  # this module is a finder too, as the watcher is


def attach() -> None:
    """Complete chains in this process from now on. Does nothing, silently, on a Python too old or when disabled."""
    if _is_wanted():
        if not any(map(_is_ours, sys.meta_path)):
            sys.meta_path.insert(0, sys.modules[__name__])
        for name in MODULES:
            if name in sys.modules:
                attach_to(sys.modules[name])


def enable() -> None:
    """Complete the chains of all client connections of this process from now on, whoever makes them."""
    import ssl

    attach()
    attach_to(ssl)
    set_enabled(True)


def disable() -> None:
    """Undo `enable` and the hook for this process. Contexts given to `complete` stay as they are."""
    set_enabled(False)


def complete(context: "ssl.SSLContext", client_certificates: bool = False) -> None:
    """Complete the chains of all client connections of this context; and those of a server's clients, if asked to."""
    import ssl

    if not _is_fit(ssl):
        return
    with importing:
        from . import patch

    patch.install(ssl)
    patch.complete(context, client_certificates=client_certificates)


def create_default_context(*arguments: "Any", **named: "Any") -> "ssl.SSLContext":
    """As `ssl.create_default_context`, with the same arguments, and chains are completed."""
    import ssl
    from _thread import get_ident

    if _is_fit(ssl):
        with importing:
            from . import patch

        patch.install(ssl)  # first: what a context is given is seen only then
    thread = get_ident()
    completing_threads.add(thread)
    try:
        context = ssl.create_default_context(*arguments, **named)
    finally:
        completing_threads.discard(thread)
    complete(context)
    return context


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


def _attach_after(spec: "ModuleSpec") -> None:
    loader = spec.loader
    execute = loader.exec_module  # type: ignore[union-attr]

    def exec_module(module: "ModuleType") -> None:
        del loader.exec_module  # type: ignore[union-attr]
        _attach_to_waiting(module)
        execute(module)
        _attach_to_new(module)

    loader.exec_module = exec_module  # type: ignore[method-assign, union-attr]


def _attach_to_new(module: "ModuleType") -> None:
    """Attach to a module that was just executed: to ssl with its first context, as most programs never make one."""
    context: Any = getattr(module, "SSLContext", None)
    make = vars(context).get("__new__") if module.__name__ == "ssl" and context is not None else None
    if make is None:
        attach_to(module)
        return

    def attach_now() -> None:
        context.__new__ = make
        attach_to(module)

    def make_the_first(cls: "Any", *arguments: "Any", **named: "Any") -> "Any":
        attach_now()
        return context.__new__(cls, *arguments, **named)

    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(make_the_first, name, getattr(make.__func__, name))
    make_the_first.__wrapped__ = make.__func__  # type: ignore[attr-defined]  # whose signature inspect shows
    make_the_first.attach_now = attach_now  # type: ignore[attr-defined]
    context.__new__ = staticmethod(make_the_first)


def _attach_to_waiting(module: "ModuleType") -> None:
    """Before `ssl` is loaded anew: what was imported from it stays in use, and would find the new classes."""
    attach_now = getattr(getattr(getattr(module, "SSLContext", None), "__new__", None), "attach_now", None)
    if attach_now is not None:
        attach_now()


def attach_to(module: "ModuleType") -> None:
    """Install the doors in `ssl` or `OpenSSL.SSL`. Whatever goes wrong, the program goes on without us."""
    try:
        with importing:
            from .settings import debug
    except Exception:
        return  # the package is gone, or not whole
    try:
        if not _is_fit(module) or _is_disabled():
            return
        if module.__name__ == "ssl":
            with importing:
                from . import patch

            patch.install(module)
        else:
            with importing:
                from .pyopenssl import hooked

            hooked.install(module)
        set_enabled(True, by_hook=True)
    except Exception as error:
        debug(f"not attached: {type(error).__name__}: {error}")


def _is_ours(finder: object) -> bool:
    return getattr(finder, "is_aia_store_watcher", False) is True


def _is_wanted() -> bool:
    return sys.version_info >= OLDEST and environ.get("AIA_STORE_DISABLE", "").lower() not in _YES


def _is_disabled() -> bool:
    """Whether the settings say so, config.toml included. Where they cannot be read, each search says so itself."""
    with importing:
        from .settings import ConfigError, load

    try:
        return load().disable
    except ConfigError:
        return False


def _is_fit(module: "ModuleType") -> bool:
    """Whether the doors work here: BoringSSL and its kin verify at another moment than OpenSSL.

    And there must be a GIL: nobody has shown yet that a context may be set without one.
    """
    if module.__name__ == "ssl" and not module.OPENSSL_VERSION.startswith("OpenSSL"):
        return False
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    return _is_main_interpreter()


def _is_main_interpreter() -> bool:
    """In any other, OpenSSL's callbacks are not safe: `_ssl` calls them by PyGILState_Ensure, for the main one.

    Up to Python 3.11 they run there, whichever interpreter set them; from 3.12 on, several at once end the process.
    """
    import _thread

    if hasattr(_thread, "_is_main_interpreter"):  # from 3.12 on
        return bool(_thread._is_main_interpreter())
    try:
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]
    except ImportError:
        return True
    return bool(interpreters.get_current() == interpreters.get_main())
