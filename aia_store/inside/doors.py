"""The doors through which every client connection of every library gets its SSL object.

`_wrap_socket` and `_wrap_bio`, on the Python class directly above `_ssl._SSLContext`: beneath contexts made before
the hook, names imported from ssl, urllib3, asyncio, gevent, truststore and pip. What stands here runs in every
program, so it does little: it attaches a callback to the context, and sets two flags while OpenSSL copies them.
"""

import _ssl
import sys
from _thread import RLock

from . import PARTIAL_CHAIN, Interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Any

    from .attachment import Attachment

VERIFY_NONE = 0
# RFC 8879: SSL_OP_NO_RX_CERTIFICATE_COMPRESSION, so that the callback sees certificates and not their compression.
NO_COMPRESSED_CERTIFICATES = 1 << 33 if _ssl.OPENSSL_VERSION_INFO >= (3, 2) else 0
# A record's content type, and types of handshake messages. A resumed session has no Certificate, but a Finished.
HANDSHAKE, FINISHED, CERTIFICATES_OR_FINISHED = 22, 20, (11, 25, 20)

_context: "Any" = _ssl._SSLContext
_SSL_OBJECT: "Any" = vars(_ssl)["_SSLSocket"]
_flags, _options, _msg_callback = _context.verify_flags, _context.options, _context._msg_callback
_HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
_changing = RLock()  # a context's flags, for the moment in which OpenSSL copies them


def install(ssl_module: "Any") -> None:
    """Put the doors in place in this `ssl` module; once is enough."""
    owner = next(parent for parent in ssl_module.SSLContext.__mro__ if _context in parent.__bases__)
    if "_wrap_bio" in vars(owner):
        return
    for name, door in vars(_Doors).items():
        if not name.startswith("__"):
            setattr(owner, name, door)
    owner.__new__ = staticmethod(_noting(owner.__new__))
    owner._aia_store_callback = _msg_callback  # the attribute of C itself, which ssl hides behind its own
    owner._msg_callback = _loading_all(owner._msg_callback, lambda context, _: context)
    for connection in (ssl_module.SSLSocket, ssl_module.SSLObject):
        connection.do_handshake = _interruptible(connection.do_handshake)
        connection.context = _loading_all(connection.context, lambda _, context: context)


class _Doors:
    """What takes the place of the methods of the same names."""

    def _wrap_socket(self: "Any", sock: "Any", server_side: bool, *rest: "Any", **named: "Any") -> "Any":
        return _through(self, server_side, lambda: _context._wrap_socket(self, sock, server_side, *rest, **named))

    def _wrap_bio(
        self: "Any", incoming: "Any", outgoing: "Any", server_side: bool, *rest: "Any", **named: "Any"
    ) -> "Any":
        return _through(
            self, server_side, lambda: _context._wrap_bio(self, incoming, outgoing, server_side, *rest, **named)
        )

    # These two put a large CA file off, until a chain names a certificate of it.
    def load_verify_locations(self: "Any", cafile: "Any" = None, capath: "Any" = None, cadata: "Any" = None) -> None:
        file = None if cafile is None else _guarded(lambda: _attachment_of(self).put_off(cafile))
        if file is None:
            _context.load_verify_locations(self, cafile, capath, cadata)
        elif capath is not None or cadata is not None:
            _context.load_verify_locations(self, None, capath, cadata)
        _guarded(lambda: _attachment_of(self).sources.note(cafile, capath, cadata, file))

    def set_default_verify_paths(self: "Any") -> None:
        file = _guarded(lambda: _attachment_of(self).put_off_defaults())
        if file is None:
            _context.set_default_verify_paths(self)
        _guarded(lambda: _attachment_of(self).sources.note_defaults(file))

    # And these two show what is trusted: all of it.
    def get_ca_certs(self: "Any", binary_form: bool = False) -> "Any":
        _load_all(self)
        return _context.get_ca_certs(self, binary_form)

    def cert_store_stats(self: "Any") -> "Any":
        _load_all(self)
        return _context.cert_store_stats(self)


def _through(context: "ssl.SSLContext", server_side: bool, make: "Callable[[], Any]") -> "Any":
    """Make an SSL object, attached and with the flags it must have; left alone where anything is unexpected."""
    attachment = _guarded(lambda: _attached(context, server_side))
    if attachment is None:
        return make()
    # Under the lock, or another thread would make its SSL object between our two changes of the flags.
    with _changing:
        flags, options = _flags.__get__(context), _options.__get__(context)
        if flags & PARTIAL_CHAIN and _guarded(attachment.needs_whole_chains) is not False:
            _flags.__set__(context, flags & ~PARTIAL_CHAIN)
        if NO_COMPRESSED_CERTIFICATES & ~options:
            _options.__set__(context, options | NO_COMPRESSED_CERTIFICATES)
        try:
            return make()
        finally:
            _flags.__set__(context, flags)
            _options.__set__(context, options)


def _attached(context: "ssl.SSLContext", server_side: bool) -> "Attachment | None":
    """The attachment of a context whose SSL objects need care: because we complete them, or have done so before."""
    attachment = _attachment_of(context)
    if _context.verify_mode.__get__(context) != VERIFY_NONE:
        if attachment.is_active and (attachment.completes_clients or not server_side):
            attach(context, attachment)
            return attachment
        attachment.note_bare_connection()
    _load_all(context)  # nobody will see which certificates this connection asks for
    return attachment if attachment.added else None


def _attachment_of(context: "ssl.SSLContext") -> "Attachment":
    from .attachment import attachment_of

    return attachment_of(context)


def _noting(make: "Callable[..., Any]") -> "Callable[..., Any]":
    """A context's `__new__` after which it is known that no connection was made of the context unseen."""

    def make_noted(cls: "Any", *arguments: "Any", **named: "Any") -> "Any":
        context = make(cls, *arguments, **named)
        _guarded(lambda: _attachment_of(context).note_birth())
        return context

    make_noted.__wrapped__ = make  # type: ignore[attr-defined]  # whose signature is shown to whoever asks
    return make_noted


def _load_all(context: "ssl.SSLContext") -> None:
    _guarded(lambda: _attachment_of(context).load_all())


def _loading_all(attribute: "Any", context_of: "Callable[[Any, Any], Any]") -> property:
    """A property after whose setting a context is met without our callback: then it loads all at once."""

    def set_and_load(owner: "Any", value: "Any") -> None:
        attribute.fset(owner, value)
        _load_all(context_of(owner, value))

    return property(attribute.fget, set_and_load, attribute.fdel, attribute.__doc__)


def _guarded(action: "Callable[[], Any]") -> "Any":
    """What the action returns; None where it fails, as the program must not."""
    try:
        return action()
    except Exception as error:
        from .settings import debug

        debug(f"left the connection as it was: {type(error).__name__}: {error}")
        return None


def attach(context: "ssl.SSLContext", attachment: "Attachment") -> None:
    """Set the message callback, in front of the program's own if it has one."""
    previous = _msg_callback.__get__(context)
    if getattr(previous, "attachment", None) is attachment:
        return
    see_certificates = attachment.see_certificates
    is_ours_alone = previous is None and _HAS_GIL

    def callback(
        connection: "Any", direction: str, version: int, content_type: int, message_type: int, data: bytes
    ) -> None:
        if content_type == HANDSHAKE and direction == "read" and message_type in CERTIFICATES_OR_FINISHED:
            # gevent gives the socket beneath its SSLSocket, with a weak reference to that.
            owner = connection._sslsock() if hasattr(connection, "_sslsock") else connection
            # A context of both sides brings us to its servers too, where the certificates are a client's.
            server_side = getattr(owner, "server_side", None)
            if message_type != FINISHED and (
                server_side is False or (server_side is True and attachment.completes_clients)
            ):
                see_certificates(data, version, server_side)
            if is_ours_alone:
                _guarded(lambda: _let_go(owner, callback))
        if previous is not None:
            previous(connection, direction, version, content_type, message_type, data)

    callback.attachment = attachment  # type: ignore[attr-defined]
    # What SSLContext._msg_callback shows to whoever asks: the program's own.
    callback.user_function = getattr(previous, "user_function", None)  # type: ignore[attr-defined]
    _msg_callback.__set__(context, callback)


def _let_go(connection: "Any", callback: "Callable[..., None]") -> None:
    """Have OpenSSL call us no more for this connection, which it would do twice for every record of a download.

    Setting the context of an SSL object takes over the callback of that context, or its absence. Meanwhile no other
    thread's handshake may find the context without a callback: within this one assignment, which calls no function,
    CPython lets no other thread run.
    """
    ssl_object = getattr(connection, "_sslobj", connection)
    context = ssl_object.context
    if getattr(connection, "server_side", False) and context.post_handshake_auth:
        return  # it may yet ask for a certificate
    if isinstance(ssl_object, _SSL_OBJECT) and context._aia_store_callback is callback:
        context._aia_store_callback, ssl_object.context, context._aia_store_callback = None, context, callback


def _interruptible(do_handshake: "Callable[..., None]") -> "Callable[..., None]":
    """A do_handshake that raises what a signal handler raised within the callback.

    CPython keeps an exception of the callback until the handshake ends, and then shows it only as the context of the
    handshake's own error, so that Ctrl-C would look like a failed verification.
    """

    def with_interrupts(self: "Any", *arguments: "Any", **named: "Any") -> None:
        try:
            do_handshake(self, *arguments, **named)
        except BaseException as error:
            for interrupt in (error, error.__context__):
                if isinstance(interrupt, Interrupted):
                    raise interrupt.raised from None
            raise

    with_interrupts.__name__ = do_handshake.__name__
    with_interrupts.__doc__ = do_handshake.__doc__
    return with_interrupts
