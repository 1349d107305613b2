"""Wrappers around the methods of `ssl` that make SSL objects or load certificates, whichever library calls them.

We set them on the Python class directly above `_ssl._SSLContext`. So they also take effect for contexts made before the
hook, for names imported from ssl, and in urllib3, asyncio, gevent, truststore and pip. They do little: they note what
is loaded into a context and how an SSL object was made, and set one callback.

We keep nothing in the program's objects. What we know of a context or connection is found by the object's id, and
dropped when the object dies. So copies and pickles contain nothing of ours, and a subclass may have any `__eq__`,
`__hash__` or `__slots__`.
"""

from __future__ import annotations

import _ssl
import os
import stat
import sys
import time
from _thread import get_ident
from _weakref import ref
from collections import deque
from functools import partial

from . import (
    completing_threads,
    forget_unfreed,
    importing,
    interrupt_in,
    is_enabled,
    lent_contexts,
    raise_interrupt_in,
    was_raised_in_ours,
)
from .certificate import TLS_1_3
from .settings import debug, load
from .trusted import (
    SMALLEST_DEFERRED,
    Given,
    default_paths,
    default_paths_are_certain,
    identity_of,
    is_plain,
    is_plain_file,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from .cafile import CAFile
    from .search import Findings
    from .trusted import PathLike
    from .verification import Decision

VERIFY_NONE = 0
# RFC 8879: SSL_OP_NO_RX_CERTIFICATE_COMPRESSION, so that the callback sees the certificates uncompressed.
NO_COMPRESSED_CERTIFICATES = 1 << 33 if _ssl.OPENSSL_VERSION_INFO >= (3, 2) else 0
# A record's content type, and types of handshake messages. A resumed session has no Certificate, but a Finished.
HANDSHAKE, CERTIFICATES, FINISHED = 22, (11, 25), 20
LOOKED_AT = (*CERTIFICATES, FINISHED)
SUITE_B = ("SUITEB128ONLY", "SUITEB128C2", "SUITEB128", "SUITEB192")  # at the start of a cipher list
DRIVERS = ("do_handshake", "read", "write", "send")  # methods that may drive a handshake
WAIT, MOST_WAITS = 0.001, 2_000  # seconds per wait, and their number, while `load_cert_chain` waits for other threads

_context: Any = _ssl._SSLContext
_ssl_object_type: Any = vars(sys.modules[_context.__module__])["_SSLSocket"]  # which is not in PyPy's `_ssl`
_flags, _options, _msg_callback = _context.verify_flags, _context.options, _context._msg_callback
_present_context = _ssl_object_type.context
_security_level: Any = getattr(_context, "security_level", None)  # from Python 3.10 on
_is_cpython = sys.implementation.name == "cpython"
_has_notes = hasattr(BaseException, "add_note")  # PEP 678: from Python 3.11 on


class State:
    """What is known of one context of the program. `is_new` says that the context was made after the hook."""

    def __init__(self, context: Any, *, is_new: bool) -> None:
        self.identifier = identifier = id(context)
        self.context = ref(context, _forgetting(_states, identifier))
        self.given = Given(is_complete=is_new)
        if not is_new:
            # The context may look into the default directories, so we look for issuers there. The program's own context
            # decides whether a chain that ends there is good.
            _guarded(lambda: self.given.add(None, default_paths()[1] or None))
        self.is_explicit = is_new and get_ident() in completing_threads  # completed even if the hook is not enabled
        self.completes_clients = False  # whether the chains of a server's clients are completed
        self.may_defer = is_new  # whether every connection of the context calls us
        self.program_callback: Any = None  # the program's message callback, as OpenSSL's wrapper calls it
        self.level: int | None = None  # the security level that a cipher list named last
        # The Suite B keyword at the start of a cipher list, which stays in force; None if not known.
        self.suite_b = "" if is_new or not _may_be_suite_b(context) else None
        self.certificates = object()  # replaced whenever the context's own certificate is loaded

    @property
    def is_active(self) -> bool:
        return is_enabled() or self.is_explicit

    def security_level(self, context: Any) -> int | None:
        """The context's security level. Python 3.9 does not tell it: there, None means that no cipher list set it."""
        return self.level if _security_level is None else int(_security_level.__get__(context))


class Connection:
    """What is known of one SSL object: how it was made, and the program's context, while it has a context of ours.

    When OpenSSL makes an SSL object, it copies the context's flags and certificate into the object.
    """

    def __init__(self, owner: Any, context: Any, state: State) -> None:
        self.identifier = identifier = id(owner)
        self.owner = ref(owner, _forgetting(_connections, identifier))
        self.state = state
        self.flags: int = _flags.__get__(context)
        self.level = state.security_level(context)
        self.suite_b = state.suite_b
        self.certificates = state.certificates
        self.is_certain = False  # whether no other thread changed the context while the SSL object was made
        self.before: Any = None  # the program's context, while the SSL object has ours
        self.ours: Any = None
        self.thread = 0  # the thread that set ours
        self.was_in_ours = False
        self.unrehearsed: Decision | None = None  # the decision without a rehearsal, until OpenSSL gives its verdict
        self.was_whole = False
        self.raised: BaseException | None = None  # what a signal handler raised within the callback

    def ssl_object(self) -> Any:
        """The `_ssl._SSLSocket` in the program's SSLSocket or SSLObject; None if the program has dropped either."""
        owner: Any = self.owner()
        # gevent's owner is a socket below the SSLSocket, to which it has a weak reference.
        return getattr(owner._sslsock() if hasattr(owner, "_sslsock") else owner, "_sslobj", None)


class Presented:
    """The certificates that a peer presented. If OpenSSL refuses them, they serve to explain the error."""

    def __init__(self, connection: Connection, message: bytes, version: int, *, is_from_client: bool) -> None:
        self.connection = connection
        self.given = connection.state.given
        self.flags = connection.flags
        self.level = connection.level
        self.message = message
        self.version = version
        self.is_from_client = is_from_client
        self.findings: Findings | None = None
        self.left_alone: str | None = None  # why the connection was left alone


_states: dict[int, State] = {}
_deferring: deque[State] = deque(maxlen=256)  # of the latest contexts with certificates that OpenSSL has not loaded
_connections: dict[int, Connection] = {}
_pending: dict[int, Connection] = {}  # to finish when OpenSSL returns: put a context back, raise an interrupt
_presented: dict[int, Presented] = {}  # by the thread that is in this handshake
_with_callbacks: dict[int, Any] = {}  # contexts with a message callback of the program
_looked_after: set[type] = set()
_clients_are_completed = False  # whether any context completes its clients' chains


def install(ssl_module: Any) -> bool:
    """Wrap the methods in this `ssl` module. Returns False if they cannot be wrapped yet; a second call does nothing.

    A signal handler may raise an exception here at any moment. So the methods that make SSL objects are wrapped last.
    Until they are, the next call wraps the others again.
    """
    kinds = ssl_module.SSLContext, ssl_module.SSLSocket, ssl_module.SSLObject
    if not all(isinstance(kind, type) for kind in kinds):
        return False
    owner = next(parent for parent in kinds[0].__mro__ if _context in parent.__bases__)
    if _has_stand_ins(owner, kinds[1:]):
        return False
    if "_wrap_bio" in vars(owner):
        return True
    for kind in kinds[1:]:
        _look_after(kind)
    owner._msg_callback = _callback_property(owner._msg_callback)
    _wrap(owner, _Loaders)
    owner.__new__ = staticmethod(_noting_birth(owner.__new__))  # only now: all that is loaded from here on is noted
    _wrap(owner, _Makers)
    return True


def _has_stand_ins(owner: Any, drivers: Iterable[Any]) -> bool:
    """Whether a method that we wrap is replaced at present, as `unittest.mock` does during a test.

    If we wrapped it, the test would not find its replacement called, and the end of the test would remove our wrapper.
    """
    wrappers = {name: found for kind in (_Loaders, _Makers) for name, found in vars(kind).items() if name[:2] != "__"}
    present = vars(owner)
    return any(present.get(name, wrapper) is not wrapper for name, wrapper in wrappers.items()) or not all(
        hasattr(getattr(kind, name, install), "__get__") for kind in drivers for name in DRIVERS
    )


def _wrap(owner: Any, wrappers: type) -> None:
    for name, wrapper in vars(wrappers).items():
        original = getattr(owner, name)
        if not name.startswith("__") and original is not wrapper:
            setattr(owner, name, _resembling(wrapper, original))


def complete(context: Any, *, client_certificates: bool = False) -> None:
    """Complete the chains of this context's connections, whether or not the hook is enabled."""
    global _clients_are_completed
    state = state_of(context)
    state.is_explicit = True
    if client_certificates:
        _clients_are_completed = True
        state.completes_clients = True
        _attach(context, state)  # an SNI callback may set this context for connections that another one made


def state_of(context: Any) -> State:
    """The state of a context of the program."""
    state = _states.get(id(context))
    if state is None:
        return _state_of_dying(context) or _states.setdefault(id(context), State(context, is_new=False))
    if state.context() is not context:
        state = _states[id(context)] = State(context, is_new=False)
    return state


def _state_of_dying(context: Any) -> State | None:
    """The state of a context that is garbage, but with which a finalizer may still connect.

    Python clears the weak references to garbage before it runs finalizers. Such a context still has our callback, but
    is no longer in `_states`. So the state is found by the context's id. No other context can have this id, because all
    others with our callback are in `_states`.
    """
    if _msg_callback.__get__(context) is not _see_message:
        return None
    states = (state for state in reversed(list(_deferring)) if state.identifier == id(context))
    return next((state for state in states if state.context() is None), None)


class _Makers:
    """The wrappers around the methods that make SSL objects. Each has the name of the method that it replaces."""

    def _wrap_socket(self: Any, sock: Any, server_side: Any, *rest: Any, **named: Any) -> Any:
        owner = named.get("owner")
        make = partial(_context._wrap_socket, self, sock, server_side, *rest, **named)
        return _made(self, server_side, sock if owner is None else owner, make)

    def _wrap_bio(self: Any, incoming: Any, outgoing: Any, server_side: Any, *rest: Any, **named: Any) -> Any:
        make = partial(_context._wrap_bio, self, incoming, outgoing, server_side, *rest, **named)
        return _made(self, server_side, named.get("owner"), make)


class _Loaders:
    """The wrappers around the methods that load something into a context, or show what it holds."""

    # A large CA file is not loaded until somebody looks at the context: a context of ours has what a chain names.
    def load_verify_locations(self: Any, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        file = None if cafile is None else _guarded(_to_defer, self, cafile)
        if cadata is not None or (cafile is not None and file is None):
            _guarded(_load_deferred, self)  # first, because OpenSSL shows and takes certificates in the order loaded
        if file is not None:
            if capath is not None or cadata is not None:
                _context.load_verify_locations(self, None, capath, cadata)
            _guarded(_note_deferred, self, file, capath, cadata)
            return
        was = None if cafile is None else _guarded(identity_of, cafile)
        try:
            _context.load_verify_locations(self, cafile, capath, cadata)
        finally:  # a part may have been loaded even if this fails or is interrupted
            _guarded(_note_loaded, self, cafile, capath, cadata, was)

    def set_default_verify_paths(self: Any) -> None:
        file = _guarded(_default_to_defer, self)
        if file is None:
            _guarded(_load_deferred, self)
            try:
                _context.set_default_verify_paths(self)
            finally:
                _guarded(_note_defaults, self)

    # OpenSSL completes the chain of a context's own certificate from its trusted certificates, so we load them all.
    def load_cert_chain(self: Any, *arguments: Any, **named: Any) -> None:
        state = _guarded(_before_own_certificate, self)
        if state is None:
            _context.load_cert_chain(self, *arguments, **named)
            return
        state.given.loading.append(get_ident())
        try:
            _wait_for_copies(self)
            _context.load_cert_chain(self, *arguments, **named)
        finally:
            state.certificates = object()
            state.given.loading.remove(get_ident())

    def set_ciphers(self: Any, *arguments: Any) -> None:
        try:
            _context.set_ciphers(self, *arguments)
        finally:  # OpenSSL sets the level even if it finds no cipher
            _guarded(_note_ciphers, self, *arguments)

    # The next two methods show what is trusted, so we load everything first.
    def get_ca_certs(self: Any, *arguments: Any, **named: Any) -> Any:
        _guarded(_load_deferred, self)
        return _context.get_ca_certs(self, *arguments, **named)

    def cert_store_stats(self: Any) -> Any:
        _guarded(_load_deferred, self)
        return _context.cert_store_stats(self)


def _made(context: Any, server_side: Any, owner: Any, make: Callable[[], Any]) -> Any:
    state = _guarded(_attached, context, bool(server_side), owner)
    if state is None:
        return make()
    connection = _guarded(Connection, owner, context, state)
    made = make()
    if connection is not None:
        if _is_cpython:
            # `make` works without the GIL: `_let_go_if_done` of another thread may have taken our callback meanwhile.
            _present_context.__set__(made, context)
        connection.is_certain = _flags.__get__(context) == connection.flags and not state.given.loading
        _connections[id(owner)] = connection
    return made


def _attached(context: Any, server_side: bool, owner: Any) -> State | None:
    """Before an SSL object is made, set our callback if its chain is to be completed.

    Returns the context's state if the SSL object must be noted, else None.
    """
    state = state_of(context)
    is_verified = _has_drivers(owner) and _context.verify_mode.__get__(context) != VERIFY_NONE
    if is_verified and state.is_active and (state.completes_clients or not server_side):
        _attach(context, state)
        state.given.look(context)
        if hasattr(owner, "_sslsock"):
            _look_after(type(owner._sslsock()))
        return state
    state.may_defer = False
    state.given.load_deferred(context)  # no callback will see which certificates this connection needs
    state.given.is_used = True
    # An SNI callback may move the connection to a context whose clients' chains are completed.
    return state if is_verified and server_side and _clients_are_completed else None


def _has_drivers(owner: Any) -> bool:
    """Whether the owner of an SSL object is of a class whose handshake methods we wrap.

    This is not so if a library calls `_wrap_socket` itself, for a plain socket or another object.
    """
    return not _looked_after.isdisjoint(type(owner).__mro__) or hasattr(owner, "_sslsock")


def _attach(context: Any, state: State) -> None:
    """Set our message callback, unless it is set. It calls the program's own callback, if there is one."""
    found = _msg_callback.__get__(context)
    if found is not _see_message:
        _note_callback(context, state, found)
        _msg_callback.__set__(context, _see_message)


# What the wrappers note.


def _noting_birth(make: Any) -> Any:
    def __new__(cls: Any, *arguments: Any, **named: Any) -> Any:
        context = make(cls, *arguments, **named)
        _guarded(_note_birth, context)
        return context

    return _resembling(__new__, make)


def _note_birth(context: Any) -> None:
    _states[id(context)] = State(context, is_new=True)
    if NO_COMPRESSED_CERTIFICATES:
        _options.__set__(context, _options.__get__(context) | NO_COMPRESSED_CERTIFICATES)


def _to_defer(context: Any, path: PathLike) -> CAFile | None:
    """Read a CA file that OpenSSL need not load now; return None if it must load it. May raise any exception."""
    state = state_of(context)
    if not (state.may_defer and state.is_active and state.given.is_plain):
        return None
    if _context.protocol.__get__(context) == _ssl.PROTOCOL_TLS_SERVER:
        return None
    status = os.stat(os.fspath(path))
    is_small = status.st_size < SMALLEST_DEFERRED and not state.given.deferred
    if is_small or not stat.S_ISREG(status.st_mode):  # a FIFO can be read only once
        return None
    settings = load()
    if settings.disable or not settings.trust_on_demand:
        return None
    with importing:
        from . import cafile

    return cafile.of(os.fsdecode(path))


def _default_to_defer(context: Any) -> CAFile | None:
    """Like `_to_defer`, for OpenSSL's default CA file. If its load is deferred, load the default directories now."""
    path, directories = default_paths()
    file = _to_defer(context, path) if default_paths_are_certain() else None
    if file is not None:
        if directories:
            _context.load_verify_locations(context, None, directories)
        _note_deferred(context, file, directories or None, None)
        state_of(context).given.defaults = path, directories
    return file


def _note_deferred(context: Any, file: CAFile, directory: PathLike | None, text: Any) -> None:
    state = state_of(context)
    if file not in state.given.deferred:
        _attach(context, state)
        _deferring.append(state)
        state.given.deferred += (file,)
    state.given.add(None, directory, is_plain=_is_plain_text(text))
    _load_where_needed(context, state)


def _note_loaded(context: Any, file: Any, directory: Any, text: Any, was: tuple[int, ...] | None) -> None:
    """Note what OpenSSL loaded. `was` is what `identity_of(file)` returned before OpenSSL read the file."""
    state = state_of(context)
    is_known = file is None or (was is not None and is_plain_file(file) and identity_of(file) == was)
    state.given.add(file, directory, is_plain=is_known and _is_plain_text(text))
    _load_where_needed(context, state)


def _note_defaults(context: Any) -> None:
    state = state_of(context)
    path, directories = default_paths()
    is_known = default_paths_are_certain() and (not os.path.exists(path) or is_plain_file(path))
    state.given.add(path if os.path.exists(path) else None, directories or None, is_plain=is_known)
    state.given.is_complete = state.given.is_complete and default_paths_are_certain()
    _load_where_needed(context, state)


def _load_where_needed(context: Any, state: State) -> None:
    """If trust settings or CRLs were loaded too, load the deferred CA files: chains may be verified in this context."""
    if not state.given.is_plain:
        state.may_defer = False
        state.given.load_deferred(context)


def _is_plain_text(text: Any) -> bool:
    """Whether a `cadata` holds no trust settings and no CRLs. Only PEM, which is a str, can hold them."""
    return not isinstance(text, str) or is_plain(text.encode("ascii", "replace"))


def _load_deferred(context: Any) -> None:
    state_of(context).given.load_deferred(context)


def _before_own_certificate(context: Any) -> State:
    state = state_of(context)
    state.may_defer = False
    state.given.load_deferred(context)
    return state


def _wait_for_copies(context: Any) -> None:
    """Wait while another handshake may copy this context's own certificate (`_put_back`), for two seconds at most.

    Only then may the program load another certificate. Handshakes that begin during this load are left alone.
    """
    for _ in range(MOST_WAITS):
        if not _is_being_copied(context, get_ident()):
            break
        time.sleep(WAIT)


def _is_being_copied(context: Any, thread: int) -> bool:
    """Whether another thread may at any moment set this context on an SSL object, in a handshake or a rehearsal."""
    return any(lent is context for lent in list(lent_contexts.values())) or any(
        other.before is context and other.thread != thread for other in list(_pending.values())
    )


def _note_ciphers(context: Any, rules: str) -> None:
    state = state_of(context)
    for name in SUITE_B:
        if rules.startswith(name):
            state.suite_b = name
            return  # OpenSSL ignores the rest of the list
    _, found, level = rules.rpartition("@SECLEVEL=")
    if found:
        state.level = int(level[:1])


def _may_be_suite_b(context: Any) -> bool:
    """Whether a context that was made before the hook may ask for Suite B. OpenSSL does not tell: its ciphers hint."""
    older = {cipher["name"] for cipher in _context.get_ciphers(context) if cipher["protocol"] != "TLSv1.3"}
    return bool(older) and older <= {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"}


def _note_callback(context: Any, state: State, callback: Any) -> None:
    state.program_callback = callback
    if callback is None:
        _with_callbacks.pop(id(context), None)
    else:
        _with_callbacks[id(context)] = ref(context, _forgetting(_with_callbacks, id(context)))


def _forgetting(known: dict[int, Any], identifier: int) -> Callable[[Any], Any]:
    """A callback for a weak reference: when the object dies, drop what is known of it.

    The callback runs only C code. In Python code, a signal handler could raise; Python would print and lose that error.
    """
    return partial(known.pop, identifier)  # the weak reference becomes the default of `pop`


def _forget_other_threads() -> None:
    """In a forked child, forget the handshakes of other threads: they do not exist there."""
    for memory in (_pending, _presented, lent_contexts):
        forget_unfreed(memory)
    for state in list(_states.values()):
        state.given.loading[:] = [thread for thread in state.given.loading if thread == get_ident()]
        forget_unfreed(state.given.decisions)  # they hold contexts of ours


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


# What OpenSSL calls. Whatever happens here, the handshake goes on.


def _see_message(owner: Any, direction: str, version: int, content_type: int, message_type: int, data: bytes) -> None:
    """OpenSSL calls this for messages and record headers. After the call for a Certificate, it verifies the chain."""
    if lent_contexts and id(owner) in lent_contexts:
        return
    connection = _connections.get(id(owner))
    if connection is not None and connection.unrehearsed is not None:
        connection.unrehearsed.was_refused = direction == "write"  # an alert
        connection.unrehearsed = None
    if connection is not None and connection.ours is not None:
        _look_after_message(owner, connection, version, None, data)
    try:
        if _with_callbacks:
            _call_the_programs(owner, direction, version, content_type, message_type, data)
    finally:  # the program's callback must not see a context of ours
        if content_type == HANDSHAKE and direction == "read" and message_type in LOOKED_AT:
            _look_after_message(owner, connection, version, message_type, data)


def _see_message_in_ours(owner: Any, *message: Any) -> None:
    """The message callback of contexts of ours. It ignores SSL objects that are not the program's connections."""
    if id(owner) in _connections:
        _see_message(owner, *message)


def _look_after_message(
    owner: Any, connection: Connection | None, version: int, message_type: int | None, data: bytes
) -> None:
    """Put the program's context back if the previous message replaced it. Then act on the new message if need be."""
    try:
        if connection is not None and connection.ours is not None:
            _put_back(connection)
            _let_go_if_done(connection, version)
        if message_type in CERTIFICATES:
            _see_certificates(owner, connection, data, version)
        elif message_type == FINISHED and connection is not None:
            _let_go_if_done(connection, version)
    except BaseException as error:
        interrupt = interrupt_in(error)
        if interrupt is None and message_type in CERTIFICATES and _lacks_anchors(connection):
            interrupt = error  # no stack or memory is left
        try:
            if interrupt is None:
                debug(f"left the connection as it was: {type(error).__name__}: {error}")
                if get_ident() in _presented:
                    _presented[get_ident()].left_alone = str(error)
            elif connection is None:
                raise interrupt from None
            else:
                # Raised here, it would only become the context of the handshake's own error.
                connection.raised = interrupt
                _pending[connection.identifier] = connection
        finally:
            del interrupt


def _lacks_anchors(connection: Connection | None) -> bool:
    """Whether OpenSSL verifies in a context whose CA file we have not loaded yet, so that its refusal means nothing."""
    if connection is None or connection.ours is not None or connection.was_in_ours:
        return False
    return bool(connection.state.given.deferred)


def _call_the_programs(owner: Any, *arguments: Any) -> None:
    connection = _connections.get(id(owner))
    ssl_object = connection.ssl_object() if connection is not None else getattr(owner, "_sslobj", owner)
    context = getattr(ssl_object, "context", None)
    state = _states.get(id(context))
    if state is not None and state.program_callback is not None:
        state.program_callback(owner, *arguments)


def _see_certificates(owner: Any, connection: Connection | None, data: bytes, version: int) -> None:
    ssl_object = connection.ssl_object() if connection is not None else getattr(owner, "_sslobj", owner)
    if connection is not None and ssl_object is None:  # the program took it from its owner
        _load_deferred(connection.state.context())
        return
    context = _present_context.__get__(ssl_object)
    state = state_of(context)
    decision = None
    try:
        if connection is not None and state.is_active and (state.completes_clients or not ssl_object.server_side):
            presented = Presented(connection, data, version, is_from_client=ssl_object.server_side)
            if _has_notes:
                _presented[get_ident()] = presented
            presented.left_alone = _uncertainty(connection, context, state)
            if presented.left_alone is None:
                decision = _decision(presented, context)
                if decision.context is not None:
                    _put_ours(connection, context, state, ssl_object, decision.context)
                if not decision.was_rehearsed:
                    connection.unrehearsed = decision
    finally:
        if connection is None or connection.ours is None:
            state.given.load_deferred(context)  # the connection is verified in it
    if connection is not None and (decision is None or decision.context is None):
        connection.was_whole = True
        if connection.unrehearsed is None:
            _let_go_if_done(connection, version)


def _uncertainty(connection: Connection, context: Any, state: State) -> str | None:
    """Why the flags, the security level or the client certificate of the connection are unknown; None if known."""
    if not connection.is_certain or connection.state is not state:
        return "its context was changed while it was made"
    if connection.certificates is not state.certificates or state.given.loading:
        return "a certificate was loaded into its context after it was made"
    if connection.level != state.security_level(context) or connection.suite_b != state.suite_b:
        return "the ciphers of its context were changed after it was made"
    return "its context may ask for Suite B" if connection.suite_b is None else None


def _decision(presented: Presented, context: Any) -> Decision:
    with importing:
        from . import verification
        from .contexts import Terms

    connection, given = presented.connection, presented.given
    terms = Terms(connection.flags, connection.level, connection.suite_b or "", from_client=presented.is_from_client)
    given.look(context)
    decision = verification.decision_for(presented.message, presented.version, context, given, terms)
    presented.findings = decision.findings
    return decision


def _put_ours(connection: Connection, context: Any, state: State, ssl_object: Any, ours: Any) -> None:
    """Have the connection verified in a context of ours, which is never changed from here on."""
    if _msg_callback.__get__(ours) is None:
        _msg_callback.__set__(ours, _see_message_in_ours)
    connection.thread = get_ident()
    connection.before = context
    _pending[connection.identifier] = connection
    # Check only now: a thread that loads a certificate from here on waits for us.
    if state.given.loading or connection.certificates is not state.certificates:
        connection.before = None
        del _pending[connection.identifier]
        return
    connection.ours = ours
    _present_context.__set__(ssl_object, ours)


def _put_back(connection: Connection) -> None:
    ssl_object = connection.ssl_object()
    if ssl_object is not None and _present_context.__get__(ssl_object) is connection.ours:
        _present_context.__set__(ssl_object, connection.before)
    connection.ours = connection.before = None
    connection.was_in_ours = True
    if connection.raised is None:
        _pending.pop(connection.identifier, None)


def _let_go_if_done(connection: Connection, version: int) -> None:
    """If we need no further messages of this connection, stop OpenSSL's calls of our callback, two for each record.

    Before TLS 1.3, a renegotiation may bring certificates that need us again. There are three steps: take our callback
    from the context, set the context on the SSL object, put the callback back. C code takes all three, so no Python
    code of another thread runs in between. (An SSL object that OpenSSL is making at that moment is mended by `_made`.)
    """
    ssl_object, state = connection.ssl_object(), connection.state
    if not _is_cpython or ssl_object is None or state.program_callback is not None or connection.raised is not None:
        return
    is_settled = connection.was_whole and not state.given.deferred and not connection.was_in_ours
    if version < TLS_1_3 and not is_settled:
        return
    context = _present_context.__get__(ssl_object)
    if _msg_callback.__get__(context) is not _see_message or (ssl_object.server_side and context.post_handshake_auth):
        return  # a server may still ask for a certificate
    steps = (
        partial(_msg_callback.__set__, context, None),
        partial(_present_context.__set__, ssl_object, context),
        partial(_msg_callback.__set__, context, _see_message),
    )
    deque(map(partial.__call__, steps), 0)


# What programs call.


def _look_after(kind: Any) -> None:
    """Wrap every method of a class that may drive a handshake: after each call, the program's context is put back.

    The class is ssl's, eventlet's or gevent's. eventlet waits between calls of ssl's methods. gevent does not use these
    methods, and waits within its own.
    """
    for owner in kind.__mro__:
        members = vars(owner)
        if "do_handshake" not in members or owner in _looked_after:
            continue
        for name in DRIVERS:
            if name in members:
                setattr(owner, name, _followed(members[name]))
        if "context" in members:
            owner.context = _context_property(members["context"])
        if hasattr(owner, "_wait"):
            owner._wait = _preceded(owner._wait)
        _looked_after.add(owner)


def _followed(method: Any) -> Any:
    def drive(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return method(self, *arguments, **named)
        except OSError as error:
            interrupt = None if error.__context__ is None else interrupt_in(error) or _end_of_callback(self, error)
            if interrupt is None:
                if _presented and isinstance(error, _ssl.SSLCertVerificationError):
                    _guarded(_explain, self, error)
                raise
        finally:
            if _presented:
                _presented.pop(get_ident(), None)
            if _pending:
                _finish(self)
        try:
            raise interrupt from None  # it was raised in the callback, before or after our guard
        finally:
            del interrupt

    return _resembling(drive, method)


def _end_of_callback(driver: Any, error: OSError) -> BaseException | None:
    """If the chain was refused because our callback failed, return the error of the callback; else None.

    This happens if too little stack or memory is left to run or to guard the callback. `error.__context__` may also be
    an error that the program was handling before: that has a traceback from elsewhere.
    """
    cause = error.__context__
    if not (isinstance(error, _ssl.SSLCertVerificationError) and _lacks_anchors(_connection_of(driver))):
        return None
    return cause if cause is not None and (cause.__traceback__ is None or was_raised_in_ours(cause)) else None


def _explain(driver: Any, error: Any) -> None:
    """Add a note that explains why the chain was refused. Nothing else about the error changes."""
    presented = _presented.get(get_ident())
    if presented is None or presented.connection is not _connection_of(driver):
        return
    with importing:
        from . import explain

    checks_name = bool(getattr(driver.context, "check_hostname", False))
    host, at_443 = getattr(driver, "server_hostname", None), explain.is_at_443(driver)
    note = explain.note(error, presented, host, checks_name=checks_name, at_443=at_443)
    if note is not None:
        error.add_note(note)


def _preceded(wait: Any) -> Any:
    def finish_and_wait(self: Any, *arguments: Any, **named: Any) -> Any:
        if _pending:
            _finish(self)
        return wait(self, *arguments, **named)

    return _resembling(finish_and_wait, wait)


def _finish(driver: Any) -> None:
    """Put the program's context back if a context of ours is still set. Then raise what a signal handler raised."""
    connection = _pending_of(driver)
    if connection is None:
        return
    if connection.before is not None and connection.thread == get_ident():
        _put_back(connection)
    raised, connection.raised = connection.raised, None
    if raised is not None:
        _pending.pop(connection.identifier, None)
        try:
            raise raised from None
        finally:
            del raised


def _pending_of(driver: Any) -> Connection | None:
    connection = _connection_of(driver)
    return None if connection is None else _pending.get(connection.identifier)


def _connection_of(driver: Any) -> Connection | None:
    found = _connections.get(id(driver))
    # gevent's owner is the `_sock` of its SSLSocket.
    return _connections.get(id(getattr(driver, "_sock", None))) if found is None else found


def _context_property(attribute: Any) -> property:
    """The property `context` of a connection. It never shows a context of ours, and notes each context that is set."""

    def get(self: Any) -> Any:
        connection = _pending_of(self) if _pending else None
        before = None if connection is None else connection.before
        return attribute.fget(self) if before is None else before

    def set_and_note(self: Any, context: Any) -> None:
        _guarded(_before_change, self, context)
        attribute.fset(self, context)

    return property(_resembling(get, attribute.fget), set_and_note, attribute.fdel, attribute.__doc__)


def _before_change(driver: Any, context: Any) -> None:
    state = state_of(context)
    connection = _connection_of(driver)
    if connection is None or not state.is_active:
        state.given.load_deferred(context)
        return
    _attach(context, state)
    state.given.look(context)
    # The connection takes the certificate, level and Suite B from the new context, and keeps its flags.
    connection.state, connection.certificates = state, state.certificates
    connection.level, connection.suite_b = state.security_level(context), state.suite_b


class _Scratch(_ssl._SSLContext):
    """A throwaway context: `ssl` wraps the program's message callback for it, and we take the wrapped one."""


def _callback_property(attribute: Any) -> property:
    """`SSLContext._msg_callback`, which shows the program's own callback while ours is set."""

    def get(self: Any) -> Any:
        if _msg_callback.__get__(self) is not _see_message:
            return attribute.fget(self)
        return getattr(state_of(self).program_callback, "user_function", None)

    def set_beside_ours(self: Any, callback: Any) -> None:
        if _msg_callback.__get__(self) is not _see_message:
            attribute.fset(self, callback)
            return
        scratch = _Scratch(_ssl.PROTOCOL_TLS_CLIENT)
        attribute.fset(scratch, callback)
        _note_callback(self, state_of(self), _msg_callback.__get__(scratch))

    return property(_resembling(get, attribute.fget), set_beside_ours, attribute.fdel, attribute.__doc__)


def _resembling(wrapper: Any, original: Any) -> Any:
    """Give the wrapper the name, docstring and signature of the original."""
    wrapper.__wrapped__ = original
    for name in ("__name__", "__qualname__", "__doc__", "__module__"):
        if hasattr(original, name):
            setattr(wrapper, name, getattr(original, name))
    return wrapper


def _guarded(action: Callable[..., Any], *arguments: Any) -> Any:
    """Return what the action returns, or None if it raises an Exception: the program must not fail because of us."""
    try:
        return action(*arguments)
    except Exception as error:
        raise_interrupt_in(error)
        debug(f"left alone: {type(error).__name__}: {error}")
        return None
