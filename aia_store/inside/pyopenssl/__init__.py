"""Completion for pyOpenSSL, and so for Twisted and urllib3.contrib.pyopenssl. Standard library only.

These programs have an OpenSSL of their own, in the bindings of `cryptography`, and Python's `ssl` never sees their
connections. The moment is the same: OpenSSL's message callback (bound from cryptography 39 on; before, nothing is
done), at the server's Certificate message. So is what happens then: where the chain does not stand, a path is found,
and the connection is verified in an SSL_CTX of ours. The program's is never changed, and is put back at the next
callback of any kind, when OpenSSL has its verdict; at the latest when the program's call returns (`hooked`).

**What a program trusts.** The bindings cannot list an X509_STORE, but they can have it verify: X509_verify_cert with
the program's store, and nothing else, tells whether what the server sent stands, and who issued a certificate. So
files, hashed folders and single certificates are all known exactly, however the program loaded them (`completed`).

**The judge** is the program's own SSL_CTX, since flags, time and CRLs lie in its store and cannot be read back. The
rehearsal is the swap, mirrored (`bindings`): a connection in memory is made of a bare SSL_CTX of ours, meets what a TLS
1.2 server would send with the leaf and the path's intermediates, and has the program's SSL_CTX set for the
verification alone. So the verdict is that of plain OpenSSL for a server that sends the whole path, no callback of the
program's is called, and it does not matter which TLS versions and ciphers the program allows.

**Why ours accepts nothing else.** Ours holds the one path that OpenSSL built in that rehearsal, moments before, in the
program's context: the same leaf, its intermediates, and the anchor as it lies in the program's store, with its trust
settings. OpenSSL looks for issuers in a store first, so it comes to that path whatever the server sent. The cipher
list is repeated, and with it the security level and Suite B; so are flags, but for what was
judged already (CRLs, policies, the time) and X509_V_FLAG_PARTIAL_CHAIN, unless the program pinned the anchor.

**Who is left alone.** Servers, DTLS, VERIFY_NONE; contexts made before the hooks, and those without any anchor; a
connection with a certificate of its own, or older than its context's, since SSL_set_SSL_CTX would replace that; and
programs that accept everybody. A chain whose root is unknown here looks like one whose intermediate is missing, and
only a fetch would tell; but where the verify callback does not ask for OpenSSL's verdict (`callbacks`), or was seen to
let a chain pass that does not stand, nothing is fetched for it, as nothing would come of it.
"""
