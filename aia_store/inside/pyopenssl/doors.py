"""The doors of pyOpenSSL: every context is attached when it is made, and what fills its store is noted.

A context made before these doors is left alone: nobody could know its flags.
"""

from __future__ import annotations

import os
from functools import wraps
from weakref import WeakValueDictionary

from .. import Interrupted
from .attachment import Attachment, attachment_of
from .store import Store, der_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

VERIFY_NONE = 0
HANDSHAKE, CERTIFICATES = 22, (11, 25)  # a record's content type, and types of handshake messages
DTLS = 0xFE  # the first byte of its versions; its messages have another header
READS_FROM_A_SERVER = b" read server "  # in the state of a client; a server's is "… read client certificate"
# RFC 8879: SSL_OP_NO_RX_CERTIFICATE_COMPRESSION, so that the callback sees certificates and not their compression.
NO_COMPRESSED_CERTIFICATES, COMPRESSES_FROM = 1 << 33, 0x30200000
_SECURITY_LEVEL = "@SECLEVEL="
_INTERRUPT = "_aia_store_interrupt"


def install(module: ModuleType) -> None:
    """Put the doors in place in `OpenSSL.SSL`; once is enough. Without the callback in the bindings, do nothing."""
    doors: Any = module
    if hasattr(doors._lib, "SSL_CTX_set_msg_callback") and "_aia_store_doors" not in vars(doors.Context):
        doors.Context._aia_store_doors = _Doors(doors)


class _Doors:
    """The doors of one module, and what OpenSSL calls."""

    def __init__(self, module: Any) -> None:
        self._lib = lib = module._lib
        self._ffi = ffi = module._ffi
        self._connections = module.Connection._reverse_mapping
        self._of_store: WeakValueDictionary[int, Attachment] = WeakValueDictionary()
        # These two are never freed, as any SSL object may call them at any time.
        signature = "void(int, int, int, const void *, size_t, SSL *, void *)"
        self._callback = ffi.callback(signature, self._see_message, onerror=_interrupt_later)
        self._refuse = ffi.callback("int(int, X509_STORE_CTX *)", lambda ok, store: 0)
        self._compresses = lib.OpenSSL_version_num() >= COMPRESSES_FROM and hasattr(lib, "SSL_set_options")
        context, connection, store = module.Context, module.Connection, module.X509Store
        _look_on(context, "__init__", self._attach)
        _look_on(context, "load_verify_locations", _note_locations)
        _look_on(context, "set_default_verify_paths", _note_defaults)
        _look_on(context, "set_cipher_list", _note_ciphers)
        _look_on(store, "add_cert", self._note_certificate)
        _look_on(store, "load_locations", self._note_store_locations)
        _look_on(store, "set_flags", self._note_flags, first=True)
        _look_on(store, "set_time", self._note_time, first=True)
        if self._compresses:
            _look_on(connection, "__init__", self._refuse_compression)
        connection._raise_ssl_error = _interruptible(connection._raise_ssl_error)

    # What OpenSSL calls.

    def _see_message(
        self, writes: int, version: int, content_type: int, data: Any, size: int, ssl: Any, _: Any
    ) -> None:
        # This comes twice for every record: do as little as possible for the others.
        if content_type != HANDSHAKE or writes or not size or version >> 8 == DTLS:
            return
        contents = self._ffi.buffer(data, size)
        if contents[0][0] not in CERTIFICATES:
            return
        connection = self._connections.get(ssl)
        try:
            self._see_certificates(connection, ssl, bytes(contents), version)
        except Exception as error:
            from ..settings import debug

            debug(f"left the handshake as it was: {type(error).__name__}: {error}")
        except Interrupted as error:
            vars(connection)[_INTERRUPT] = error.raised
        except BaseException as error:
            vars(connection)[_INTERRUPT] = error
        finally:
            self._lib.ERR_clear_error()  # or the next to look would take our errors for the connection's

    def _see_certificates(self, connection: Any, ssl: Any, data: bytes, version: int) -> None:
        lib = self._lib
        context = connection.get_context()
        attachment = attachment_of(context)
        mode = lib.SSL_get_verify_mode(ssl)
        if attachment is None or mode == VERIFY_NONE:
            return
        if READS_FROM_A_SERVER in self._ffi.string(lib.SSL_state_string_long(ssl)):
            attachment.see_certificates(
                data,
                version,
                Store(lib, self._ffi, context._context),
                lib.SSL_CTX_get_verify_depth(context._context),
                lambda: lib.SSL_set_verify(ssl, mode, self._refuse),
            )

    # What pyOpenSSL calls.

    def _attach(self, context: Any, *_: Any, **__: Any) -> None:
        attachment = Attachment()
        self._of_store[self._address(self._lib.SSL_CTX_get_cert_store(context._context))] = attachment
        context._aia_store = attachment
        self._lib.SSL_CTX_set_msg_callback(context._context, self._callback)

    def _refuse_compression(self, connection: Any, *_: Any, **__: Any) -> None:
        self._lib.SSL_set_options(connection._ssl, NO_COMPRESSED_CERTIFICATES)

    def _note_certificate(self, store: Any, cert: Any) -> None:
        attachment = self._of(store)
        if attachment is not None:
            import hashlib

            der = der_of(self._lib, self._ffi, cert._x509)
            attachment.sources.append(hashlib.sha256(der).hexdigest())

    def _note_store_locations(self, store: Any, cafile: Any, capath: Any = None) -> None:
        _note(self._of(store), cafile, capath)

    def _note_flags(self, store: Any, flags: int) -> None:
        attachment = self._of(store)
        if attachment is not None:
            attachment.flags |= flags

    def _note_time(self, store: Any, *_: Any, **__: Any) -> None:
        attachment = self._of(store)
        if attachment is not None:
            attachment.judges_otherwise = True

    def _of(self, store: Any) -> Attachment | None:
        return self._of_store.get(self._address(store._store))

    def _address(self, pointer: Any) -> int:
        return int(self._ffi.cast("uintptr_t", pointer))


def _note_locations(context: Any, cafile: Any, capath: Any = None) -> None:
    _note(attachment_of(context), cafile, capath)


def _note_defaults(context: Any) -> None:
    _note(attachment_of(context), os.environ.get("SSL_CERT_FILE", "default"), os.environ.get("SSL_CERT_DIR"))


def _note(attachment: Attachment | None, *paths: Any) -> None:
    if attachment is not None:
        for path in paths:
            if path is not None:
                name = os.fsdecode(path)
                changed = os.stat(name).st_mtime_ns if os.path.exists(name) else 0
                attachment.sources.append(f"{name} {changed}")


def _note_ciphers(context: Any, cipher_list: Any) -> None:
    attachment = attachment_of(context)
    _, found, level = os.fsdecode(cipher_list).rpartition(_SECURITY_LEVEL)
    if attachment is not None and found:
        attachment.security_level = int(level[:1])


def _look_on(owner: Any, name: str, note: Callable[..., None], *, first: bool = False) -> None:
    """Have this method of a class noted, after it was called or before; whatever goes wrong with that."""
    method = getattr(owner, name)

    @wraps(method)
    def looked_on(self: Any, *arguments: Any, **named: Any) -> Any:
        if first:
            _guarded(note, self, *arguments, **named)
        result = method(self, *arguments, **named)
        if not first:
            _guarded(note, self, *arguments, **named)
        return result

    setattr(owner, name, looked_on)


def _guarded(note: Callable[..., None], *arguments: Any, **named: Any) -> None:
    try:
        note(*arguments, **named)
    except Exception as error:
        from ..settings import debug

        debug(f"left a context as it was: {type(error).__name__}: {error}")


def _interruptible(raise_ssl_error: Callable[..., None]) -> Callable[..., None]:
    """What pyOpenSSL calls after each step of OpenSSL's: it raises what a signal handler raised in the callback."""

    @wraps(raise_ssl_error)
    def with_interrupts(self: Any, *arguments: Any, **named: Any) -> None:
        if _INTERRUPT not in vars(self):
            raise_ssl_error(self, *arguments, **named)
            return
        interrupt = vars(self).pop(_INTERRUPT)
        try:
            raise_ssl_error(self, *arguments, **named)  # which empties OpenSSL's queue of errors
        except Exception:
            pass
        raise interrupt from None

    return with_interrupts


def _interrupt_later(kind: type[BaseException], *_: Any) -> None:
    """What was raised before our guard stood, or after it: cffi would print it."""
    if issubclass(kind, KeyboardInterrupt):
        import _thread

        _thread.interrupt_main()
