"""Completion for pyOpenSSL, and so for Twisted and urllib3.contrib.pyopenssl. Standard library only.

These programs have an OpenSSL of their own, in the bindings of `cryptography`, and Python's `ssl` never sees their
connections. The moment is the same: OpenSSL's message callback (bound from cryptography 39 on; before, nothing is
done), at the server's Certificate message. What differs is how one learns what a context trusts, and what keeps an
added intermediate from being an anchor.

- The bindings cannot list an X509_STORE, but they can have it verify: X509_verify_cert with the program's own store,
  and nothing else, tells whether what the server sent stands as it is, and who issued a certificate (`store`). So
  files, hashed directories and single certificates are all known exactly, however the program loaded them.
- X509_V_FLAG_PARTIAL_CHAIN lies in the store here, where it cannot be cleared. The doors note the flags that the
  program sets (`doors`); under that flag only an intermediate that is safe as an anchor is added. And flags can
  change later: so before each verification it is looked at whether it would end at a certificate of ours; if it
  would, under other settings than those for which that was proved safe, the connection is refused (`attachment`).

Searching, fetching and rehearsing are those of all programs (`completion`), in Python's own OpenSSL.
"""
