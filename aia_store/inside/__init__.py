"""The half of aia-store that runs inside every program. Standard library only; it imports nothing but itself.

General theory of operation
===========================

A server should send its certificate (the leaf) and the intermediates up to, but not including, a root that clients
know. Many forget the intermediates. The leaf names, in its Authority Information Access extension, a URL where its
issuer can be had (RFC 5280, 4.2.2.1). Browsers fetch that, OpenSSL does not, so a Python program fails with "unable to
get local issuer certificate". This package mends that within the very handshake that would have failed.

**The moment.** OpenSSL can report every TLS message to a callback, decrypted, before it acts on it, and CPython hands
that on as `SSLContext._msg_callback`. For the server's Certificate message this is the moment between learning what
was sent and verifying it. There is no second connection, and verification is never off. Proxies, STARTTLS and event
loops make no difference, because nothing but the handshake itself is looked at.

**A context of ours.** OpenSSL takes the trusted certificates to verify with from the context that the SSL object has
when it verifies. At the Certificate message the callback gives the SSL object a context of ours (SSL_set_SSL_CTX),
which holds the trust anchor and the intermediates of this one chain. The verdict falls within the same call of OpenSSL
and before the next callback of any kind, where the program's own context is put back. So no context of a program is
ever changed, and nothing of one server's chain is there when the next is met.

Verification flags, purpose, depth and host name are the SSL object's own, copied when it was made. The security level
and Suite B come from the context, so ours has the same. To set a context also copies that context's own certificate:
where the program loads one meanwhile, or has loaded one since it made the SSL object, the connection is left alone.

**The doors** (`patch`). Whatever library a program uses, its SSL object is made by `_wrap_socket` or `_wrap_bio` of
`_ssl._SSLContext`. We put ours in front of those two, on the Python class above, when the program makes its first
context. What we know of a context or a connection stands beside it and dies with it. Server-side connections and those
that verify nothing are left alone; only `aia_store.complete(context, client_certificates=True)` completes the chains of
clients (`clients`). Once the verdict has fallen, OpenSSL no longer calls us: a download costs nothing.

**Trust on demand** (`cafile`, `trusted`). Parsing a CA file of 144 roots takes most of the time that a program spends
on its first context, and a handshake uses one of them. So a large file is only read when the program names it, and each
chain is verified in a context of ours with every certificate that OpenSSL could look up for it: it looks by name only.
A chain that is refused is refused by a context with the whole file, parsed once for the process, so that the error is
what it would have been. A file is deferred only if every OpenSSL surely reads all of it. Whoever looks at the program's
context (`get_ca_certs()`, a server side, a connection whose certificates we cannot see) has all of it loaded first.

**Is anything missing?** (`verification`) OpenSSL is asked in memory whether it accepts what was sent, just as it was
sent. If it does, nothing is searched, fetched or written, and the answer is remembered.

**The search** (`search`, `store`, `aia`, `fetch`, `reply`). Otherwise certification paths are built, depth first and
within one budget, from small sources of issuers: what the program trusts, what the server sent (in any order, with
rubbish in between), the store on disk, and last the network, under the policy in `fetch`. Locks and pauses keep a
machine from asking twice (`locks`, `pauses`). A path with an intermediate that is known to be revoked is passed over
(`revoked`). What led to a trust anchor is kept.

**The judge** (`rehearsal`). Finding is ours, judging is OpenSSL's. Before a path is used, OpenSSL verifies exactly that
path in memory: the leaf, the intermediates untrusted, and one anchor trusted, under the flags of the SSL object, the
level and Suite B of its context. Where only the program's own context knows its revocation lists, trust settings or
pins, the same rehearsal is made in that context, too. Then the real handshake verifies once more.

**The note** (`explain`). If OpenSSL refuses the chain all the same, the error that the program gets carries a note
(PEP 678) that says why, made from what was met on the way. Nothing else about the error changes.

**Why this cannot widen trust.** A connection is accepted over a path only if OpenSSL accepted that very path before, to
an anchor that the program trusts. That matters most under X509_V_FLAG_PARTIAL_CHAIN, which Python sets from 3.13 on:
there OpenSSL ends at the first intermediate in a context of ours and looks at nothing above it. So such a context
serves the one chain that was proved whole, leaf included, and no longer than the first of its certificates is valid.
Self-signed certificates are never taken from a server, the network or the disk as anything.

**Why this cannot break a program.** Whatever goes wrong, the handshake goes on in the program's own context, as it
would have without us. Everything that a guard needs was loaded with the doors. Waiting is bounded; no lock is held
while OpenSSL or the program's code runs, and each is made anew in a forked child. What a signal handler raises
meanwhile comes out of the method that the program called, as itself.

pyOpenSSL brings an OpenSSL of its own, with doors of its own (`inside.pyopenssl`).
"""

import os
import sys
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# Whether connections are completed without being asked to, one by one; by the hook or `aia_store.enable()`. None until
# somebody says so: what is attached to after `aia_store.disable()` does not undo that.
enabled: "bool | None" = None

# The threads that are in `aia_store.create_default_context()`: what they make is completed from its birth on, so that
# the loading of its CA files can be deferred.
completing_threads: "set[int]" = set()
# Contexts of programs that are lent to a rehearsal, by the id of its SSL object. What OpenSSL reports of that object is
# of no interest to the program.
lent_contexts: "dict[int, Any]" = {}

PARTIAL_CHAIN = 0x80000  # X509_V_FLAG_PARTIAL_CHAIN


def is_enabled() -> bool:
    """Whether every client connection of this process is completed."""
    return enabled is True


def set_enabled(now: bool, *, by_hook: bool = False) -> None:
    """Say so. What the hook says holds only as long as the program says nothing."""
    global enabled
    if enabled is None or not by_hook:
        enabled = now


class Interrupted(BaseException):
    """Something of the program's own, such as a signal handler's exception, was raised inside the callback."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__(raised)
        self.raised = raised


def interrupt_in(error: "BaseException | None") -> "BaseException | None":
    """What a signal handler raised within our code, so that it is the program's; None for any error of ours.

    It may be of any class, and an error that it caused, here or in OpenSSL's wrapper, has it for its context.
    """
    while error is not None and _was_raised_in_ours(error):
        if isinstance(error, Interrupted):
            return error.raised
        if not isinstance(error, Exception) or _was_raised_by_handler(error):
            return error
        error = error.__context__
    return None


def _was_raised_in_ours(error: BaseException) -> bool:
    step = error.__traceback__
    return step is not None and str(step.tb_frame.f_globals.get("__name__")).startswith(__name__)


def _was_raised_by_handler(error: BaseException) -> bool:
    """A handler is given the frame that it interrupts: the one beneath its own."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        if any(value is step.tb_frame for value in step.tb_next.tb_frame.f_locals.values()):
            return True
        step = step.tb_next
    return False


_AT_SECURE = 23  # of the auxiliary vector, in Linux' <elf.h>
_WORD = 8 if sys.maxsize > 1 << 32 else 4  # bytes of a C long


def _has_special_rights() -> bool:
    """Whether this process has rights that whoever started it has not: set-user-ID, set-group-ID or capabilities.

    The kernel says so (AT_SECURE, getauxval(3)), and OpenSSL believes no variable then (secure_getenv(3)). Once
    privileges were dropped, a process may not read what the kernel said.
    """
    if not hasattr(os, "geteuid"):
        return False
    if os.geteuid() != os.getuid() or os.getegid() != os.getgid():
        return True
    try:
        vector = _read("/proc/self/auxv")
    except OSError:
        return _has_capabilities() and os.geteuid() != 0
    for at in range(0, len(vector), 2 * _WORD):  # pairs of a type and a value
        if int.from_bytes(vector[at : at + _WORD], sys.byteorder) == _AT_SECURE:
            return any(vector[at + _WORD : at + 2 * _WORD])
    return False


def _has_capabilities() -> bool:
    try:
        status = _read("/proc/self/status")
    except OSError:
        return False
    return any(int(line[7:], 16) for line in status.splitlines() if line.startswith(b"CapPrm:"))


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


# The variables of the environment that may be believed: none where somebody with fewer rights than ours set them.
believes_environment = not _has_special_rights()
environ: "Mapping[str, str]" = os.environ if believes_environment else {}


# Held around every late import, so that a fork waits for it, though not for ever. The lock of a module that another
# thread is importing stays locked in a forked child: whoever imports it there waits for a thread that does not exist.
# C takes and releases this lock, so no signal handler can run in between.
importing = RLock()

LONGEST_WAIT_OF_A_FORK = 5.0  # seconds


def _wait_for_imports() -> None:
    importing.acquire(timeout=LONGEST_WAIT_OF_A_FORK)


def _end_of_fork() -> None:
    if importing._is_owned():  # type: ignore[attr-defined]
        importing.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_wait_for_imports,
        after_in_parent=_end_of_fork,
        after_in_child=importing._at_fork_reinit,  # type: ignore[attr-defined]
    )
