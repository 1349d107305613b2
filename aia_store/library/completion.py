"""Completion as programs ask for it: for the whole process, or for one context."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any


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


def _instance() -> "Any":
    """The `inside.startup` that is, or will be, in front of ssl: that of the hook, if it was first, else ours.

    What is called of it is described there; it may be of another version.
    """
    import ssl  # noqa: F401  # the hook, if there is one, attaches now
    import sys

    hook = sys.modules.get("_aia_store.startup")
    if hook is not None:
        return hook
    from ..inside import startup

    return startup
