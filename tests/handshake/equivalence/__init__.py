"""Promise 1, tried: what the hook accepts, plain OpenSSL accepts too, if only the server sends the intermediates.

`generator` makes PKIs as bad as they come, and programs that meet their servers. `memory` joins a client and a server
without a socket. `judge` is plain OpenSSL. `trial` plays one world with the hook and holds every answer against the
judge's; `naive` has completions that are wrong on purpose, to show that the trial can tell.
"""
