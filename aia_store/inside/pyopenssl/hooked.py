"""The hooks for pyOpenSSL, which note what a program does to its contexts, and the callback that swaps contexts."""

from __future__ import annotations

import os
import sys
import time
from _thread import interrupt_main
from functools import wraps
from weakref import WeakKeyDictionary, WeakValueDictionary

from .. import importing, interrupt_in, is_enabled, raise_interrupt_in, remember
from ..certificate import sent_in, sha256
from ..settings import debug
from .bindings import CERTIFICATE, HANDSHAKE, MESSAGE_CALLBACK, OpenSSL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, ModuleType
    from typing import Any

VERIFY_NONE = 0
CERTIFICATES = (CERTIFICATE, b"\x19")  # the second one is compressed (RFC 8879)
DTLS = 0xFE  # the first byte of DTLS versions, whose messages have another header
READS_FROM_A_SERVER = b" read server "  # in the state of a client; a server's is "… read client certificate"
# RFC 8879: SSL_OP_NO_RX_CERTIFICATE_COMPRESSION, so that the callback sees the certificates uncompressed.
NO_COMPRESSED_CERTIFICATES, COMPRESSES_FROM = 1 << 33, 0x30200000
CHANGES_CERTIFICATE = (
    "use_certificate",
    "use_certificate_file",
    "use_certificate_chain_file",
    "add_extra_chain_cert",
    "use_privatekey",
    "use_privatekey_file",
)
LONGEST_WAIT, ONE_WAIT = 1.0, 0.001  # seconds that a change of a context's certificate waits for connections
MOST_SETTLED = 256
SETTLED_FOR, FAILED_FOR = 3600.0, 60.0  # seconds until a known chain is examined again

_hooked: set[type] = set()  # the `Context` classes with hooks; a reloaded module has a new class


def install(module: ModuleType) -> None:
    """Install the hooks in `OpenSSL.SSL`, once.

    This does nothing if the bindings have no message callback (cryptography before 39), if they use another library
    than OpenSSL (BoringSSL verifies at another moment), or if there is no GIL (not yet shown to be safe).
    """
    bindings: Any = module
    lib = bindings._lib
    if bindings.Context in _hooked or not hasattr(lib, "SSL_CTX_set_msg_callback"):
        return
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    if has_gil and bindings._ffi.string(lib.OpenSSL_version(0)).startswith(b"OpenSSL "):
        _hooked.add(bindings.Context)
        _Hooks(bindings)


class Noted:
    """What the hooks have seen of one SSL_CTX since it was made."""

    def __init__(self) -> None:
        self.flags = 0  # X509_V_FLAG_ bits that the program set in the store
        self.has_time = False  # the store verifies for another time than now
        self.has_folders = False  # the store looks certificates up in hashed folders
        self.cipher_list: bytes | None = None
        self.sources: list[str] = []  # texts that change whenever the trusted certificates change
        self.settled: dict[int, _Settled] = {}  # what is known of chains that were examined
        # The tokens of work during which the context's own certificate must stay, and of changes to it. Each enters its
        # token before it looks at the other set. A lock would make that work wait, and would not survive a fork.
        self.keeping: set[object] = set()
        self.changing: set[object] = set()

    def while_kept(self, work: Callable[[], Any]) -> Any:
        """Return what `work` returns. While `work` runs, `change` waits. If a change already runs, return None."""
        token = object()
        self.keeping.add(token)
        try:
            return None if self.changing else work()
        finally:
            self.keeping.discard(token)

    def change(self, change: Callable[[], Any]) -> Any:
        """Change the context's own certificate. First wait until no `while_kept` runs, at most LONGEST_WAIT seconds."""
        token = object()
        self.changing.add(token)
        try:
            deadline = time.monotonic() + LONGEST_WAIT
            while self.keeping and time.monotonic() < deadline:
                time.sleep(ONE_WAIT)
            return change()
        finally:
            self.changing.discard(token)


class _Settled:
    """What is known of one chain: whether it is complete as sent, or which intermediates (DER) complete it."""

    def __init__(self, until: float, *, stands: bool = False, missing: list[bytes] | None = None) -> None:
        self.until = until
        self.stands = stands
        self.missing = missing


class _Swap:
    """A connection that is verified in an SSL_CTX of ours, which must live until OpenSSL returns."""

    def __init__(self, context: Any, noted: Noted, ours: Any) -> None:
        self.context = context  # the program's, to be put back
        self.noted = noted
        self.ours = ours
        self.is_back = False


class _Hooks:
    """The hooks in one module `OpenSSL.SSL`, and the message callback that OpenSSL calls."""

    def __init__(self, module: Any) -> None:
        self._lib, self._ffi = module._lib, module._ffi
        self._openssl = OpenSSL(self._lib, self._ffi)
        self._connections = module.Connection._reverse_mapping  # by SSL
        self._noted: WeakKeyDictionary[Any, Noted] = WeakKeyDictionary()  # by SSL_CTX
        self._of_store: WeakValueDictionary[int, Noted] = WeakValueDictionary()
        self._code_of: WeakKeyDictionary[Any, CodeType] = WeakKeyDictionary()  # a verify callback's code, by its helper
        self._is_plain: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()  # whether it is no method and no closure
        # Whether a verify callback accepts every certificate, if known: by its code if it is plain, else by its helper.
        self._accepting: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
        # Each by SSL, and only during one call of the program: connections in an SSL_CTX of ours; callbacks whose
        # verdict we wait for; exceptions that signal handlers raised.
        self._swaps: dict[Any, _Swap] = {}
        self._judging: dict[Any, Any] = {}
        self._interrupts: dict[Any, BaseException] = {}
        # Never freed, because any SSL may call it at any time.
        self._callback = self._ffi.callback(MESSAGE_CALLBACK, self._see_message, onerror=_interrupt_later)
        self._compresses = self._lib.OpenSSL_version_num() >= COMPRESSES_FROM
        os.register_at_fork(after_in_child=self._forget_other_threads)
        self._install(module.Context, module.X509Store, module.Connection, module._VerifyHelper)

    def _install(self, context: Any, store: Any, connection: Any, verify_helper: Any) -> None:
        _look_on(context, "__init__", self._note_context)
        _look_on(context, "load_verify_locations", self._note_locations)
        _look_on(context, "set_default_verify_paths", self._note_defaults)
        _look_on(context, "set_cipher_list", self._note_ciphers)
        _look_on(store, "add_cert", self._note_certificate)
        _look_on(store, "load_locations", self._note_store_locations)
        _look_on(store, "set_flags", self._note_flags, first=True)
        _look_on(store, "set_time", self._note_time, first=True)
        _look_on(verify_helper, "__init__", self._note_callback)
        _look_on(connection, "__init__", self._note_connection)
        for name in ("set_context", "use_certificate", "use_privatekey"):
            _look_on(connection, name, lambda connection, *_, **__: self._put_back(connection._ssl), first=True)
        for name in CHANGES_CERTIFICATE:
            setattr(context, name, self._apart(getattr(context, name)))
        # pyOpenSSL calls this method after each call of OpenSSL, except for a shutdown that is half done.
        connection._raise_ssl_error = self._step(connection._raise_ssl_error)
        connection.shutdown = self._step(connection.shutdown)

    # What OpenSSL calls.

    def _see_message(
        self, writes: int, version: int, content_type: int, data: Any, size: int, ssl: Any, _: Any
    ) -> None:
        # OpenSSL calls this twice for every record, so do as little as possible for messages that do not matter.
        if self._swaps:
            self._put_back(ssl)
        if self._judging and (callback := self._judging.pop(ssl, None)) is not None and not writes:
            self._accepting[callback] = True  # the callback accepted a chain that OpenSSL refused
        if content_type != HANDSHAKE or writes or not size or version >> 8 == DTLS:
            return
        contents = self._ffi.buffer(data, size)
        if contents[0] not in CERTIFICATES:
            return
        try:
            self._see_certificates(self._connections.get(ssl), ssl, bytes(contents), version)
        except BaseException as error:
            interrupt = interrupt_in(error)
            try:
                if interrupt is None:
                    debug(f"left the handshake as it was: {type(error).__name__}: {error}")
                else:
                    self._interrupts[ssl] = interrupt
            finally:
                del interrupt
        finally:
            self._lib.ERR_clear_error()  # otherwise our errors would be taken for the connection's

    def _see_certificates(self, connection: Any, ssl: Any, data: bytes, version: int) -> None:
        """Handle a server's Certificate message before OpenSSL acts on it. May raise any BaseException."""
        lib = self._lib
        noted = None if connection is None else self._noted.get(connection._context._context)
        if noted is None or not is_enabled() or lib.SSL_get_verify_mode(ssl) == VERIFY_NONE:
            return
        if READS_FROM_A_SERVER not in self._ffi.string(lib.SSL_state_string_long(ssl)):
            return
        callback = self._callback_of(connection)
        if callback is not None and self._accepting.get(callback):
            return
        if not (self._openssl.count(connection._context._context) or noted.has_folders):
            return  # there is no anchor that a path could lead to
        seen = self._settled(connection, noted, data, version)
        if seen.missing is not None:
            chain = [sent_in(data, version)[0], *seen.missing]
            self._swap(connection, ssl, noted, chain)
        elif callback is not None and not seen.stands:
            self._judging[ssl] = callback

    def _settled(self, connection: Any, noted: Noted, data: bytes, version: int) -> _Settled:
        """What is known of a Certificate message's chain, which is examined if new. May raise any BaseException."""
        now, ssl_ctx = time.time(), connection._context._context
        key = hash((data, self._openssl.count(ssl_ctx), noted.flags, noted.has_time))
        seen = noted.settled.get(key)
        if seen is None or seen.until <= now:
            sent = sent_in(data, version)
            if not self._openssl.verify(ssl_ctx, sent)[0]:
                seen = _Settled(now + SETTLED_FOR, stands=True)
            elif self._accepts_everybody(connection):
                return _Settled(now)
            else:
                with importing:
                    from . import completed

                missing = completed.missing(sent, self._openssl, ssl_ctx, noted)
                seen = _Settled(now + (FAILED_FOR if missing is None else SETTLED_FOR), missing=missing)
            remember(noted.settled, key, seen, MOST_SETTLED)
        return seen

    def _callback_of(self, connection: Any) -> Any:
        """The key for a connection's verify callback in `_accepting`; None if the connection has no callback."""
        helper = connection._verify_helper
        return self._code_of[helper] if helper is not None and self._is_plain.get(helper) else helper

    def _accepts_everybody(self, connection: Any) -> bool:
        """Whether the verify callback ignores OpenSSL's verdict, so that a fetch is pointless."""
        callback = self._callback_of(connection)
        code = None if callback is None else self._code_of.get(connection._verify_helper)
        if code is None:
            return False
        known = self._accepting.get(callback)
        if known is None:
            with importing:
                from . import callbacks

            known = self._accepting[callback] = callbacks.ignores_the_verdict(code)
        return known

    def _swap(self, connection: Any, ssl: Any, noted: Noted, chain: list[bytes]) -> None:
        """If the program accepts this chain (DER, without the anchor), have it verified in an SSL_CTX of ours."""
        with importing:
            from . import completed

        context = connection._context
        ours = completed.context_for(chain, self._openssl, context._context, noted)
        if ours is None:
            noted.settled.clear()  # the program's context now judges differently
            return
        if context._info_callback is not None:
            self._lib.SSL_CTX_set_info_callback(ours, context._info_callback)
        swap = self._swaps[ssl] = _Swap(context, noted, ours)
        noted.keeping.add(swap)
        # If the program gave a certificate to this connection alone, or later to the context, leave the connection.
        if not noted.changing and self._openssl.has_certificate_of(ssl, context._context):
            self._lib.SSL_set_SSL_CTX(ssl, ours)
        else:
            self._put_back(ssl)

    def _put_back(self, ssl: Any) -> None:
        swap = self._swaps.get(ssl)
        if swap is not None and not swap.is_back:
            swap.is_back = True
            self._lib.SSL_set_SSL_CTX(ssl, swap.context._context)
            swap.noted.keeping.discard(swap)

    # What pyOpenSSL calls.

    def _step(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method that calls OpenSSL: then put the program's SSL_CTX back, and raise a signal handler's error."""

        @wraps(method)
        def step(connection: Any, *arguments: Any, **named: Any) -> Any:
            try:
                return method(connection, *arguments, **named)  # this empties OpenSSL's queue of errors
            finally:
                self._end_step(connection._ssl)

        return step

    def _end_step(self, ssl: Any) -> None:
        if self._swaps:
            self._put_back(ssl)
            self._swaps.pop(ssl, None)
        if self._interrupts and ssl in self._interrupts:
            raise self._interrupts.pop(ssl) from None

    def _apart(self, change: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method that changes a context's certificate: it waits until no connection needs the old one."""

        @wraps(change)
        def apart(context: Any, *arguments: Any, **named: Any) -> Any:
            noted = self._noted.get(context._context)
            if noted is None:
                return change(context, *arguments, **named)
            return noted.change(lambda: change(context, *arguments, **named))

        return apart

    def _note_context(self, context: Any, *_: Any, **__: Any) -> None:
        noted = self._noted[context._context] = Noted()
        self._of_store[self._address(self._lib.SSL_CTX_get_cert_store(context._context))] = noted
        self._lib.SSL_CTX_set_msg_callback(context._context, self._callback)

    def _note_connection(self, connection: Any, *_: Any, **__: Any) -> None:
        ssl = connection._ssl
        for left_by_another in (self._swaps, self._judging, self._interrupts):
            left_by_another.pop(ssl, None)  # left by an earlier SSL at the same address
        if self._compresses:
            self._lib.SSL_set_options(ssl, NO_COMPRESSED_CERTIFICATES)

    def _note_callback(self, helper: Any, callback: Any) -> None:
        code = getattr(callback, "__code__", None)
        if code is not None:
            self._code_of[helper] = code
            self._is_plain[helper] = not code.co_freevars and not hasattr(callback, "__self__")

    def _note_ciphers(self, context: Any, cipher_list: Any) -> None:
        self._noted[context._context].cipher_list = os.fsencode(cipher_list)

    def _note_locations(self, context: Any, cafile: Any, capath: Any = None) -> None:
        _note_paths(self._noted[context._context], cafile, capath)

    def _note_defaults(self, context: Any) -> None:
        noted = self._noted[context._context]
        _note_paths(noted, os.environ.get("SSL_CERT_FILE", "default"), os.environ.get("SSL_CERT_DIR", "default"))

    def _note_store_locations(self, store: Any, cafile: Any, capath: Any = None) -> None:
        if noted := self._of(store):
            _note_paths(noted, cafile, capath)

    def _note_certificate(self, store: Any, cert: Any) -> None:
        if noted := self._of(store):
            noted.sources.append(sha256(self._openssl.der_of(cert._x509)))

    def _note_flags(self, store: Any, flags: int) -> None:
        if noted := self._of(store):
            noted.flags |= flags

    def _note_time(self, store: Any, *_: Any, **__: Any) -> None:
        if noted := self._of(store):
            noted.has_time = True

    def _of(self, store: Any) -> Noted | None:
        """What was noted of the SSL_CTX with this store; None for a store that the program made."""
        return self._of_store.get(self._address(store._store))

    def _address(self, pointer: Any) -> int:
        return int(self._ffi.cast("uintptr_t", pointer))

    def _forget_other_threads(self) -> None:
        """In a forked child, forget the threads that kept or changed a certificate: they do not exist there."""
        for noted in list(self._noted.values()):
            noted.keeping.clear()
            noted.changing.clear()


def _note_paths(noted: Noted, cafile: Any, capath: Any) -> None:
    noted.has_folders = noted.has_folders or capath is not None
    for path in (cafile, capath):
        if path is not None:
            name = os.fsdecode(path)
            changed = os.stat(name).st_mtime_ns if os.path.exists(name) else 0
            noted.sources.append(f"{name} {changed}")


def _look_on(owner: Any, name: str, note: Callable[..., None], *, first: bool = False) -> None:
    """Wrap a method to call `note` after each call, or before it if `first`. Errors that `note` raises are ignored."""
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
        raise_interrupt_in(error)
        debug(f"left a context as it was: {type(error).__name__}: {error}")


def _interrupt_later(kind: type[BaseException], *_: Any) -> None:
    """Called by cffi for an error outside the callback's own guard: a KeyboardInterrupt goes to the main thread."""
    if issubclass(kind, KeyboardInterrupt):
        interrupt_main()
