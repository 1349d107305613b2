"""The half of aia-store that runs inside every program. Standard library only.

General theory of operation
===========================

A server should send its certificate (the leaf) and the intermediates up to, but not including, a root that clients
know. Many forget the intermediates. The leaf names, in its Authority Information Access extension, a URL where its
issuer can be had (RFC 5280, 4.2.2.1); browsers fetch that, OpenSSL does not. So a Python program fails with "unable to
get local issuer certificate". What follows mends that, within the very handshake that would have failed.

**The moment.** OpenSSL can report every TLS message to a callback, decrypted, before it acts on it, and CPython hands
that on as `SSLContext._msg_callback`. For the server's Certificate message this is the moment between learning what
was sent and verifying it. A certificate that the callback adds to the context's X509_STORE is there when OpenSSL goes
on to verify. There is no second connection, and verification is never off; proxies, STARTTLS and event loops make no
difference, because nothing but the handshake itself is looked at.

**The doors** (`doors`). Whatever library a program uses, its SSL object is made by `_wrap_socket` or `_wrap_bio` of
`_ssl._SSLContext`. We put ours in front of those two, on the Python class above, when the program makes its first
context, and set the callback of the context (`attachment`). Server-side objects and contexts that verify nothing are
left alone. Once the server's certificates were seen, OpenSSL no longer calls us for that connection: a download costs
nothing.

A server's context is attached to only where the program asked for it, for this context: then the chains of clients
are completed in the same way (`clientside`, `allowance`).

**Trust on demand** (`cafile`, `plain`, `on_demand`). Parsing a CA file of 144 roots takes most of the time that a
program spends on its first context, and a handshake uses one of them. So the doors take a large file's bytes and put
the parsing off, and at the Certificate message every certificate is loaded that OpenSSL could look for: it looks by
name only, for the issuers that it still needs and for what was sent. The errors of a file come at the call that they
always came at, as a file is put off only if every OpenSSL surely reads all of it; whoever looks at the context, and
every connection of which we will not see the certificates, has all of it loaded first; and so has a chain that is
refused.

pyOpenSSL brings an OpenSSL of its own, with doors of its own (`handshake.pyopenssl`).

**Is anything missing?** (`message`, `trusted`, `chain`) The names of what was sent are followed to the anchors of the
context, and OpenSSL is asked, in memory (see "The judge"), whether it accepts what was sent, just as it was sent. If it
does, nothing is done, and the answer is remembered for that message and, for the process, for that chain: a server that
is right costs that once, and no disk.

**The search** (`path`, `completion`, `aia`, `fetch`, `reply`). Otherwise paths are built, depth first with a budget,
from small sources of issuers: what the context trusts, what the server sent (in any order, rubbish in between), the
store on disk, and last the network, under the policy in `fetch`. A path with an intermediate that is known to be
revoked (`aia_store.revoked`) is passed over.

**The judge** (`rehearsal`). Finding is ours, judging is OpenSSL's. Before a path is used, OpenSSL verifies it in
memory, with the program's own flags, the intermediates untrusted and the path's anchor alone trusted. Only a path
that it accepts is added to the context and kept on disk. The real handshake then verifies once more, with everything
that the rehearsal left out: the host name, and revocation lists.

**Why this cannot widen trust.** What is added is a non-anchor, and OpenSSL treats a non-anchor in its store as it
treats a certificate that the server sent: useless, unless it leads to an anchor. Two things could turn it into one.

- Self-signed certificates in the store are anchors, always. We never add one.
- Under X509_V_FLAG_PARTIAL_CHAIN, which Python sets from 3.13 on, every certificate in the store is one. OpenSSL
  copies a context's flags when it makes an SSL object; so the flag is cleared for that moment, and put back. That
  changes nothing where all of the program's own anchors are self-signed. Where one is not, the program needs the
  flag; it stays, and an intermediate is added only if it repeats every constraint of the certificates above it
  (`aia_store.constraints`), so that nothing would be accepted that its whole path would have refused.

**Why this cannot break a program.** One guard (`Attachment.see_certificates`) stands around all of it: whatever goes
wrong, the handshake goes on as it would have without us. Waiting is bounded (`waiting`), fetches that failed are
remembered, and what a signal handler raises meanwhile comes out of `do_handshake` as itself.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# Whether connections are completed without being asked to, one by one; by the hook or `aia_store.enable()`. None until
# somebody says so: what is attached to after `aia_store.disable()` does not undo that.
enabled: "bool | None" = None

# The threads that are in `aia_store.create_default_context()`: what they make is completed from its birth on, so that
# trust on demand can put its CA files off.
completing_threads: "set[int]" = set()

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
