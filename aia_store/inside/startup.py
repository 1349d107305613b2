"""From the start of an interpreter until `ssl` is patched: wait for an import of ssl or pyOpenSSL, then attach.

If a program imports neither of them, only the finder (`install/hooks/aia_store_finder.py`) is loaded. The first import
of either loads this module, and the first context loads everything else.

A process may load this module twice, for the hook and for the package, and in different versions. Only one of the two
patches `ssl`. `enable`, `disable`, `complete` and `create_default_context` of `aia_store` call the functions of the
same names in that one. So these four functions must keep their names, parameters and meaning.
"""

import sys

from . import completing_threads, environ, importing, set_enabled, unless_interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

OLDEST = (3, 9)
MODULES = ("ssl", "OpenSSL.SSL")  # the modules that we attach to; the finder names them too
_YES = ("1", "true", "yes", "on")

is_aia_store_watcher = True  # like the installed finder, this module is one


def attach() -> None:
    """Complete chains in this process from now on. If Python is too old or AIA_STORE_DISABLE is set, do nothing."""
    if _is_wanted():
        if not any(map(_is_ours, sys.meta_path)):
            sys.meta_path.insert(0, sys.modules[__name__])
        for name in MODULES:
            if name in sys.modules:
                attach_to(sys.modules[name])


def enable() -> None:
    """Complete the chains of all client connections of this process from now on, whichever code makes them."""
    import ssl

    attach()
    attach_to(ssl)
    set_enabled(True)


def disable() -> None:
    """Undo `enable` and the hook for this process. Contexts given to `complete` stay as they are."""
    set_enabled(False)


def complete(context: "ssl.SSLContext", client_certificates: bool = False) -> None:
    """Complete the chains that servers send to this context; with `client_certificates`, also those of its clients."""
    import ssl

    if not _is_fit(ssl):
        return
    with importing:
        from . import patch

    patch.install(ssl)
    patch.complete(context, client_certificates=client_certificates)


def create_default_context(*arguments: "Any", **named: "Any") -> "ssl.SSLContext":
    """Like `ssl.create_default_context`, with the same arguments, but chains are completed."""
    import ssl
    from _thread import get_ident

    if _is_fit(ssl):
        with importing:
            from . import patch

        patch.install(ssl)  # first, so that we see what is loaded into the context
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
    """Called by the import system for each import, because this module is in `sys.meta_path`."""
    return find(path, target, name) if name in MODULES else None


def find(path: "Sequence[str] | None", target: "ModuleType | None", name: str = "ssl") -> "ModuleSpec | None":
    """The spec of a module from the other finders, changed so that we attach after the module is loaded or reloaded."""
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
    """Attach to a module that was just executed. To `ssl`, attach only when the program makes its first context."""
    context: Any = getattr(module, "SSLContext", None)
    make = vars(context).get("__new__") if module.__name__ == "ssl" and context is not None else None
    if make is None:
        attach_to(module)
        return

    def attach_now() -> None:
        context.__new__ = make
        is_over = False
        try:
            is_over = attach_to(module)
        finally:
            if not is_over:  # not attached, or a signal handler raised something: attach with the next context
                context.__new__ = staticmethod(make_the_first)

    def make_the_first(cls: "Any", *arguments: "Any", **named: "Any") -> "Any":
        attach_now()
        new = context.__new__
        return (make.__func__ if new is make_the_first else new)(cls, *arguments, **named)

    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(make_the_first, name, getattr(make.__func__, name))
    make_the_first.__wrapped__ = make.__func__  # type: ignore[attr-defined]  # inspect shows this one's signature
    make_the_first.attach_now = attach_now  # type: ignore[attr-defined]
    context.__new__ = staticmethod(make_the_first)


def _attach_to_waiting(module: "ModuleType") -> None:
    """If we still wait for the first context of `ssl`, attach before `ssl` is reloaded: old classes may stay in use."""
    attach_now = getattr(getattr(getattr(module, "SSLContext", None), "__new__", None), "attach_now", None)
    if attach_now is not None:
        attach_now()


def attach_to(module: "ModuleType") -> bool:
    """Patch `ssl` or `OpenSSL.SSL`. Returns False if it must be called again, with the program's next context.

    Whatever goes wrong, the program goes on without us. If a signal handler raises an exception meanwhile, it is
    raised here, and the next call does the rest.
    """
    try:
        with importing:
            from .settings import debug
    except unless_interrupted(Exception):
        return True  # the package is gone or incomplete
    try:
        if not _is_fit(module) or _is_disabled():
            return True
        if module.__name__ == "ssl":
            with importing:
                from . import patch

            if not patch.install(module):
                debug("not attached yet: something stands in for a method of ssl")
                return False
        else:
            with importing:
                from .pyopenssl import hooked

            hooked.install(module)
        set_enabled(True, by_hook=True)
    except unless_interrupted(Exception) as error:
        debug(f"not attached: {type(error).__name__}: {error}")
    return True


def _is_ours(finder: object) -> bool:
    return getattr(finder, "is_aia_store_watcher", False) is True


def _is_wanted() -> bool:
    return sys.version_info >= OLDEST and environ.get("AIA_STORE_DISABLE", "").lower() not in _YES


def _is_disabled() -> bool:
    """Whether the settings, config.toml included, disable us. False if they cannot be read, which is reported later."""
    with importing:
        from .settings import ConfigError, load

    try:
        return load().disable
    except ConfigError:
        return False


def _is_fit(module: "ModuleType") -> bool:
    """Whether the mechanism works with this `ssl`. BoringSSL and similar libraries verify at another moment.

    There must be a GIL, because nobody has shown yet that a context can be set safely without a GIL.
    """
    if module.__name__ == "ssl" and not module.OPENSSL_VERSION.startswith("OpenSSL"):
        return False
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    return _is_main_interpreter()


def _is_main_interpreter() -> bool:
    """Whether this is the main interpreter. In subinterpreters, `ssl`'s callbacks are unsafe (PyGILState_Ensure).

    Up to Python 3.11, they run in the main interpreter, whichever interpreter set them. From 3.12 on, several callbacks
    at once end the process.
    """
    import _thread

    if hasattr(_thread, "_is_main_interpreter"):  # from 3.12 on
        return bool(_thread._is_main_interpreter())
    try:
        with importing:
            import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]
    except ImportError:
        return True
    return bool(interpreters.get_current() == interpreters.get_main())
