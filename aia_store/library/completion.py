"""Completion at a program's request: for the whole process, or for one context."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any


def enable() -> None:
    """Complete the chains of all client connections of this process from now on, whichever code makes them."""
    _instance().enable()


def disable() -> None:
    """Turn off `enable` and the hook for this process. Contexts given to `complete` stay as they are."""
    _instance().disable()


def complete(context: "ssl.SSLContext", *, client_certificates: bool = False) -> "ssl.SSLContext":
    """Complete the chains of all client connections of this context; returns the context.

    `client_certificates`: if this is a server's context, complete its clients' chains too. The hook and `enable` do not
    do this. Clients can then make the server fetch, within limits: see docs/trust-model.md.
    """
    _instance().complete(context, client_certificates)
    return context


def create_default_context(*arguments: "Any", **named: "Any") -> "ssl.SSLContext":
    """Like `ssl.create_default_context`, with the same arguments, but chains are completed."""
    context: ssl.SSLContext = _instance().create_default_context(*arguments, **named)
    return context


def _instance() -> "Any":
    """The module `inside.startup` that patches ssl: the hook's copy if there is a hook, otherwise ours.

    The hook's copy may be of another version. Call only the functions that the docstring of `inside.startup` names.
    """
    import ssl  # noqa: F401  # if there is a hook, it attaches now
    import sys

    hook = sys.modules.get("_aia_store.startup")
    if hook is not None:
        return hook
    from ..inside import startup

    return startup
