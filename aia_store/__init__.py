"""aia-store: complete the certificate chains that servers forget to complete, without widening trust.

`enable()` completes them in this process, `complete(context)` for one context, and `aia-store hook install` in every
program of an interpreter. The other names are described in docs/api.md; all that is not named here is internal. Nothing
is imported before it is needed.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .library.aia_errors import AIADownloadError, AIAError, AIASchemeError, DownloadError, InvalidCAError
    from .library.asynchronous import AsyncAIASession
    from .library.building import build_path, fetch_issuer
    from .library.completion import complete, create_default_context, disable, enable
    from .library.preparation import Prepared, prepare
    from .library.public_store import Store
    from .library.session import DEFAULT_USER_AGENT, AIASession, openssl_get_cert_info
    from .version import __version__ as __version__

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
    "library.completion": ("complete", "create_default_context", "disable", "enable"),
    "library.preparation": ("Prepared", "prepare"),
    "library.public_store": ("Store",),
    "library.session": ("DEFAULT_USER_AGENT", "AIASession", "openssl_get_cert_info"),
    "version": ("__version__",),
}


def __getattr__(name: str) -> "Any":
    """The names that live in modules of their own, imported when first asked for."""
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
