"""aia-store: complete the certificate chains that servers forget to complete, without widening trust.

`enable()` does it for this process, `complete(context)` for one context; `aia-store hook install` for every program
of an interpreter. The other names are described in docs/api.md. Nothing is imported before it is needed.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

    from .library.aia_errors import AIADownloadError, AIAError, AIASchemeError, DownloadError, InvalidCAError
    from .library.asynchronous import AsyncAIASession
    from .library.building import build_path, fetch_issuer
    from .library.preparation import Prepared, prepare
    from .library.public_store import Store
    from .library.session import DEFAULT_USER_AGENT, AIASession, openssl_get_cert_info

__version__ = "0.1.0"
__all__ = [
    "DEFAULT_USER_AGENT",
    "AIADownloadError",
    "AIAError",
    "AIASchemeError",
    "AIASession",
    "AsyncAIASession",
    "DownloadError",
    "InvalidCAError",
    "Prepared",
    "Store",
    "build_path",
    "complete",
    "create_default_context",
    "disable",
    "enable",
    "fetch_issuer",
    "openssl_get_cert_info",
    "prepare",
]

_MODULES = {
    "library.asynchronous": ("AsyncAIASession",),
    "library.building": ("build_path", "fetch_issuer"),
    "library.aia_errors": ("AIADownloadError", "AIAError", "AIASchemeError", "DownloadError", "InvalidCAError"),
    "library.preparation": ("Prepared", "prepare"),
    "library.public_store": ("Store",),
    "library.session": ("DEFAULT_USER_AGENT", "AIASession", "openssl_get_cert_info"),
}


def __getattr__(name: str) -> "Any":
    """The names that live in modules of their own, imported when first asked for."""
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _instance() -> "Any":
    """The `inside.startup` that is, or will be, in front of ssl: that of the hook, if it was first, else ours.

    What is called of it is described there; it may be of another version.
    """
    import ssl  # noqa: F401  # the hook, if there is one, attaches now
    import sys

    hook = sys.modules.get("_aia_store.startup")
    if hook is not None:
        return hook
    from .inside import startup

    return startup


def enable() -> None:
    """Complete the chains of all client connections of this process from now on, whoever makes them."""
    _instance().enable()


def disable() -> None:
    """Undo `enable` for this process, and the hook too. Contexts given to `complete` stay as they are."""
    _instance().disable()


def complete(context: "ssl.SSLContext", *, client_certificates: bool = False) -> "ssl.SSLContext":
    """Complete the chains of all client connections of this context, which is returned.

    `client_certificates`: those of the clients of a server's context too, which nothing else does. Clients can then
    make the server fetch, within bounds: docs/trust-model.md.
    """
    _instance().complete(context, client_certificates)
    return context


def create_default_context(*arguments: "Any", **named: "Any") -> "ssl.SSLContext":
    """As `ssl.create_default_context`, with the same arguments, and chains are completed."""
    context: ssl.SSLContext = _instance().create_default_context(*arguments, **named)
    return context
