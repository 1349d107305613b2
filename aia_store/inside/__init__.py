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

pyOpenSSL brings an OpenSSL of its own, with hooks of its own (`inside.pyopenssl`).

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

# Whether connections are completed without being asked to, one by one; by the hook or `aia_store.enable()`. None until
# somebody says so: what is attached to after `aia_store.disable()` does not undo that.
enabled: "bool | None" = None

PARTIAL_CHAIN = 0x80000  # X509_V_FLAG_PARTIAL_CHAIN


class Interrupted(BaseException):
    """Something of the program's own, such as a signal handler's exception, was raised inside the callback."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__(raised)
        self.raised = raised
