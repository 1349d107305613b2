"""A test of promise 1: what the hook accepts, plain OpenSSL accepts too if the server sends the intermediates.

`generator` makes PKIs with many faults, and programs that connect to their servers. `memory` joins a client and a
server without a socket. `judge` is plain OpenSSL. `trial` plays one world with the hook and compares every answer with
the judge's. `naive` has completions that are wrong on purpose, to show that the trial notices them.
"""
