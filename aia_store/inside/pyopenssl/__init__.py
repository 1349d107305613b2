"""Completion for pyOpenSSL, and so for Twisted and urllib3.contrib.pyopenssl. It uses only the standard library.

These programs have an OpenSSL of their own, in the bindings of `cryptography`, and Python's `ssl` never sees their
connections. As with `ssl`, we act in OpenSSL's message callback, at the server's Certificate message. (cryptography
before 39 does not bind this callback, so we do nothing there.) If the chain is incomplete, we search for a path, and
have the connection verified in an SSL_CTX of ours. The program's own SSL_CTX is never changed. We put it back at the
next callback, when OpenSSL has its verdict, or at the latest when the program's call returns (`hooked`).

**What a program trusts** (`completed`). The bindings cannot list the certificates in an X509_STORE, but OpenSSL can
verify with it. X509_verify_cert with the program's store tells whether the sent chain is complete, and which trusted
certificate issued a given one. So we need not know how the program loaded what it trusts.

**The rehearsal** (`bindings`) is a first verification in memory. It uses the program's own SSL_CTX, because flags, time
and CRLs are in its store and cannot be read back. A connection is made from a bare SSL_CTX of ours, and gets what a TLS
1.2 server would send, with the leaf and the path's intermediates. The program's SSL_CTX is set only for the
verification. So plain OpenSSL would reach the same verdict for a server that sends the whole path. No callback of the
program is called, and its TLS versions and ciphers do not matter.

**Why an SSL_CTX of ours accepts nothing else.** It holds only the path that OpenSSL has just built in the rehearsal:
the leaf, its intermediates, and the anchor as it is in the program's store, with its trust settings. OpenSSL looks for
issuers in a store first, so it finds that path whatever the server sent. The cipher list is the program's, and so are
the security level and Suite B. The flags are the program's too, without those for what was already judged (CRLs,
policies, the time). X509_V_FLAG_PARTIAL_CHAIN is set only if the program pinned the anchor.

**What is left alone.** Servers, DTLS and VERIFY_NONE. Contexts without an anchor. Contexts that were made before the
hooks, because their security level is unknown. Connections whose certificate differs from their context's, because
SSL_set_SSL_CTX would replace the connection's certificate. Programs that accept every certificate: if the verify
callback ignores OpenSSL's verdict (`callbacks`), or has accepted a chain that OpenSSL refused, a fetch would change
nothing. (Only a fetch shows whether a chain lacks an intermediate or has an unknown root.)
"""

import sys

from .. import Package

sys.modules[__name__].__class__ = Package
