"""The half of aia-store that runs inside every program. It imports only the standard library and itself.

General theory of operation
===========================

A server should send its own certificate (the leaf) and the intermediates between the leaf and a root that clients know.
Many servers forget the intermediates. But the leaf names, in its Authority Information Access (AIA) extension, a URL
from which its issuer's certificate can be fetched (RFC 5280, 4.2.2.1). Browsers fetch it. OpenSSL does not, so a Python
program fails with "unable to get local issuer certificate". This package completes the chain within the handshake that
would have failed.

**The moment.** OpenSSL can report every TLS message to a callback, decrypted, before it acts on the message. CPython
exposes this callback as `SSLContext._msg_callback`. When it reports the server's Certificate message, the certificates
are known but not yet verified. So we need no second connection, and verification is never switched off. Proxies,
STARTTLS and event loops make no difference, because we only look at the handshake itself.

**A context of ours.** OpenSSL looks for trusted certificates in the context that the SSL object has when it verifies.
At the Certificate message, the callback gives the SSL object a context of ours (SSL_set_SSL_CTX), which holds the trust
anchor and the intermediates of this one chain. OpenSSL reaches its verdict within the same call, and before it calls
any callback again. At that next callback, we put the program's own context back. So no context of a program is ever
changed, and one server's intermediates never affect the next server.

Verification flags, purpose, depth and host name belong to the SSL object, from the time that it is made. The security
level and Suite B come from the context, so our context gets those of the program's context. Setting a context also
copies that context's own certificate into the SSL object. If the program is loading its own certificate at that moment,
or has loaded one since it made the SSL object, we leave the connection alone.

**The wrappers** (`patch`). Whatever library a program uses, `_wrap_socket` or `_wrap_bio` of `_ssl._SSLContext` makes
its SSL objects. When the program makes its first context, we wrap these two methods in the standard library's subclass,
`ssl.SSLContext`. What we know of a context or a connection is kept beside it and dies with it. We leave connections
alone if they verify nothing, or if the program is the server: only `aia_store.complete(context,
client_certificates=True)` completes the chains of a server's clients (`client_certificates`). After the verdict,
OpenSSL no longer calls us, so we do not slow down the data that follows.

**Trust on demand** (`cafile`, `plain`, `trusted`). Parsing a CA file of 144 roots takes most of the time that a program
spends on its first context, but a handshake uses one of them. So when the program names a large file, we read it, but
OpenSSL does not parse it yet. OpenSSL looks certificates up by name only. So for each chain, we make a context of ours
with every certificate that OpenSSL could look up. Such a context refuses a chain with the same error as the program's
own would without us. If we could not read all of the chain, or OpenSSL could find a part of it in a directory, only a
context with the whole file refuses it. A file is deferred only if every version of OpenSSL reads all of it. The roots
of the public root programmes are known to load (`anchors.bin`). Before anything looks at the program's context
(`get_ca_certs()`, a server's side, a connection whose certificates we cannot see), we load all of the file into it.

**Is anything missing?** (`verification`) If each sent certificate surely issued the one before it, up to one anchor,
nothing is checked beforehand: OpenSSL decides in the real handshake. Otherwise OpenSSL first verifies the certificates
just as they were sent, in a simulated handshake in memory. If it accepts them, nothing is searched, fetched or written,
and the result is remembered.

**The search** (`search`, `store`, `aia`, `fetch`, `reply`). If OpenSSL refuses what was sent, we build certification
paths, depth first and within one budget. We look for issuers in one source after the other, the cheapest first: what
the program trusts, what the server sent (in any order, with unrelated certificates in between), the store on disk, and
last the network, under the policy in `fetch`. A machine does not fetch the same URL twice at once (`locks`), nor again
soon after a failure (`pauses`). Paths with an intermediate that is known to be revoked are skipped (`revoked`). The
intermediates of an accepted path are kept on disk.

**The rehearsal** (`rehearsal`). We find paths; OpenSSL judges them. Before a path is used, OpenSSL verifies exactly
this path, again in a simulated handshake: the leaf, the intermediates as untrusted certificates, and one trusted
anchor, under the flags of the SSL object and the security level and Suite B of its context. If the program's own
context has CRLs, trust settings or pinned certificates that only it knows, the path must also pass a rehearsal in that
context. Then the real handshake verifies the path once more.

**The note** (`explain`). If OpenSSL still refuses the chain, we add a note (PEP 678) to the error that the program
gets. The note says why, from what the handshake found. Nothing else about the error changes.

**Why this cannot widen trust.** A context of ours holds what the program trusts. It holds any other intermediate only
if OpenSSL has accepted the very path to which this intermediate belongs, up to an anchor that the program trusts. This
matters most under X509_V_FLAG_PARTIAL_CHAIN, which Python sets by default from 3.13 on. With this flag, OpenSSL stops
at the first intermediate that our context holds, and looks at nothing above it. So a context with such an intermediate
serves only the chain that was rehearsed, leaf included, and only until the first of its certificates expires. A
self-signed certificate from a server, the network or the disk is never used.

**Why this cannot break a program.** Whatever goes wrong, the handshake goes on in the program's own context, as it
would without us. Everything that our error handling needs is loaded together with the wrappers. Every wait has a limit.
We hold no lock while OpenSSL or the program's code runs, and each lock is made anew in a forked child. If a signal
handler raises an exception meanwhile, the method that the program called raises that same exception.

pyOpenSSL brings its own OpenSSL, for which `inside.pyopenssl` does the same.
"""

import os
import sys
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType, ModuleType
    from typing import Any, TypeVar

    _Error = TypeVar("_Error", bound=BaseException)
else:
    ModuleType = type(sys)


class Package(ModuleType):
    """A package that holds no references to its modules, but looks them up in `sys.modules`.

    When the interpreter ends, it sets the globals of a module to None if more than `sys.modules` refers to the module.
    It begins with the module imported last. So our wrappers of `ssl` would fail while finalizers still use `ssl`. If
    only `sys.modules` refers to a module, its globals stay as long as its functions are in use.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> "Any":
        try:
            return sys.modules[f"{self.__name__}.{name}"]
        except KeyError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None


sys.modules[__name__].__class__ = Package

# Whether the chains of all client connections are completed. None until the hook or the program decides: the hook may
# attach to a module after `aia_store.disable()`, and must not undo that call.
enabled: "bool | None" = None

# The threads that run `aia_store.create_default_context()`. A context that they make is completed from the start, so
# that loading its CA files can be deferred.
completing_threads: "set[int]" = set()
# The programs' contexts in which chains are being rehearsed, by the id of the rehearsal's SSL object. No callback of a
# program is called for this object.
lent_contexts: "dict[int, Any]" = {}

# X509_V_FLAG_X509_STRICT and _PARTIAL_CHAIN, both of which Python's default context sets from 3.13 on.
STRICT, PARTIAL_CHAIN = 0x20, 0x80000


def is_enabled() -> bool:
    """Whether aia-store completes the chains of all client connections that this process makes."""
    return enabled is True


def set_enabled(now: bool, *, by_hook: bool = False) -> None:
    """Set what `is_enabled` returns. With `by_hook`, do nothing if it was set before."""
    global enabled
    if enabled is None or not by_hook:
        enabled = now


def remember(memory: "dict[Any, Any]", key: "Any", value: "Any", most: int) -> None:
    """Put a value into a memory that holds at most `most` values. If the memory is full, it is emptied first."""
    if len(memory) >= most:
        memory.clear()
    memory[key] = value


if TYPE_CHECKING:
    from functools import cached_property as cached_property
else:

    class cached_property:
        """`functools.cached_property` without Python's lock (up to 3.11), which may stay locked in a forked child."""

        def __init__(self, compute):
            self._compute = compute
            self.__doc__ = compute.__doc__

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            value = instance.__dict__[self._compute.__name__] = self._compute(instance)
            return value


_of_parent: "list[dict[Any, Any]]" = []


def forget_unfreed(memory: "dict[Any, Any]") -> None:
    """Empty a memory in a forked child, but keep its values alive: freeing them may need a lock that stays taken."""
    if memory:
        _of_parent.append(memory.copy())
        memory.clear()


def memory_of_contexts() -> "dict[Any, Any]":
    """Return a new, empty memory for SSL contexts. Each forked child of this process starts with an empty one."""
    memory: dict[Any, Any] = {}
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: forget_unfreed(memory))
    return memory


class Interrupted(BaseException):
    """The program's own code, such as a signal handler, raised an exception (`raised`) while our code was running."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__(raised)
        self.raised = raised


def interrupt_in(error: "BaseException | None") -> "BaseException | None":
    """Return the exception that a signal handler or another thread raised within our code; None for an error of ours.

    A signal handler may raise an exception of any class. If our code or `ssl` then raises another error, we find the
    exception in that error's `__context__`. Callers must delete their variable that holds the exception: its traceback
    refers to their frame, and this reference cycle would keep the program's connection open until it is collected.
    """
    while error is not None and was_raised_in_ours(error):
        if isinstance(error, Interrupted):
            return error.raised
        is_of_python = isinstance(error, (Exception, GeneratorExit))  # the latter ends a generator of ours
        if not is_of_python or _was_raised_from_outside(error):
            return error
        error = error.__context__
    return None


def raise_interrupt_in(error: "BaseException") -> None:
    """Raise the exception that `interrupt_in` finds; do nothing if there is none."""
    interrupt = interrupt_in(error)
    try:
        if interrupt is not None:
            raise interrupt from None
    finally:
        del error, interrupt


def was_raised_in_ours(error: BaseException) -> bool:
    """Whether our code, or code that it called, raised this error."""
    step = error.__traceback__
    return step is not None and _module(step.tb_frame).startswith(__name__)


def _module(frame: "FrameType") -> str:
    return str(frame.f_globals.get("__name__"))


def unless_interrupted(*kinds: "type[_Error]") -> "tuple[type[_Error], ...]":
    """Return `kinds` for an `except`; no class if a signal handler or another thread raised the current error.

    A signal handler may raise an error of any class: many raise TimeoutError, which is an OSError.
    """
    error = sys.exc_info()[1]
    return () if error is not None and _was_raised_from_outside(error) else kinds


def _was_raised_from_outside(error: BaseException) -> bool:
    return _was_raised_by_handler(error) or _was_raised_by_thread(error)


def _was_raised_by_handler(error: BaseException) -> bool:
    """Whether the error's traceback has a signal handler: a function that got its caller's frame as an argument."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        if _has_argument(step.tb_next.tb_frame, step.tb_frame):
            return True
        step = step.tb_next
    return False


def _has_argument(called: "FrameType", sought: "FrameType") -> bool:
    values = called.f_locals.values()
    # A function that takes *arguments has them in a tuple.
    return any(value is sought or (type(value) is tuple and any(one is sought for one in value)) for value in values)


def _was_raised_by_thread(error: BaseException) -> bool:
    """Whether another thread raised the error in this thread (PyThreadState_SetAsyncExc), as some job time limits do.

    We recognize such an error by its class: only our code and the standard library ran, and neither defines it.
    """
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step is not None and _is_known(_module(step.tb_frame)) and not _is_known(type(error).__module__)


def _is_known(module: str) -> bool:
    """Whether a module is ours or the standard library's. Always True in Python 3.9, which cannot list the latter."""
    top = module.partition(".")[0]
    return top == __name__.partition(".")[0] or top in getattr(sys, "stdlib_module_names", (top,))


_AT_SECURE = 23  # in the auxiliary vector; from Linux' <elf.h>
_WORD = 8 if sys.maxsize > 1 << 32 else 4  # bytes of a C long


def _has_special_rights() -> bool:
    """Whether this process has more rights than the user who started it: by set-user-ID, set-group-ID or capabilities.

    The kernel says so in AT_SECURE (getauxval(3)). If it is set, OpenSSL ignores the environment (secure_getenv(3)). If
    the process has dropped its privileges and cannot read AT_SECURE, its capabilities decide.
    """
    if not hasattr(os, "geteuid"):
        return False
    if os.geteuid() != os.getuid() or os.getegid() != os.getgid():
        return True
    try:
        vector = _read("/proc/self/auxv")
    except unless_interrupted(OSError):
        return _has_capabilities() and os.geteuid() != 0
    for at in range(0, len(vector), 2 * _WORD):  # pairs of a type and a value
        if int.from_bytes(vector[at : at + _WORD], sys.byteorder) == _AT_SECURE:
            return any(vector[at + _WORD : at + 2 * _WORD])
    return False


def _has_capabilities() -> bool:
    try:
        status = _read("/proc/self/status")
    except unless_interrupted(OSError):
        return False
    return any(int(line[7:], 16) for line in status.splitlines() if line.startswith(b"CapPrm:"))


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


# The environment variables that may be believed: none if a user with fewer rights than this process may have set them.
believes_environment = not _has_special_rights()
environ: "Mapping[str, str]" = os.environ if believes_environment else {}


# Held around every late import, so that a fork waits for the import, but not for ever. If another thread is importing a
# module, the module's lock stays locked in a forked child: there, an import would wait for a thread that is gone.
# C code takes and releases this lock, so no signal handler can run in between.
importing = RLock()

LONGEST_WAIT_OF_A_FORK = 5.0  # seconds


def _wait_for_imports() -> None:
    importing.acquire(timeout=LONGEST_WAIT_OF_A_FORK)


def _end_of_fork() -> None:
    if importing._is_owned():  # type: ignore[attr-defined]
        importing.release()


def _renew_in_child() -> None:
    # Not registered as the lock's own method: eventlet replaces each RLock in a module by one of its own, and prints an
    # error if another reference to it is left.
    importing._at_fork_reinit()  # type: ignore[attr-defined]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait_for_imports, after_in_parent=_end_of_fork, after_in_child=_renew_in_child)
