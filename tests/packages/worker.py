"""A long-running program: one request after the other, to a right server and a forgetful one, until told to end.

    worker.py ROOT FILE     ends when the FILE is gone, and says how often it asked

Status 1, with the error, if the right server was ever refused, or the forgetful one by another error than the one that
a program without the hook sees: while the package is away, no chain is completed.
"""

import os
import ssl
import sys
import time
import urllib.error
import urllib.request

EXPECTED = "unable to get local issuer certificate"


def ask(port: int) -> None:
    """One request with a context of its own."""
    context = ssl.create_default_context(cafile=sys.argv[1])
    urllib.request.urlopen(f"https://127.0.0.1:{port}/root.pem", context=context, timeout=30).read()


rounds = 0
while os.path.exists(sys.argv[2]):
    ask(9443)
    try:
        ask(8443)
    except urllib.error.URLError as error:
        if EXPECTED not in str(error.reason):
            raise
    rounds += 1
    time.sleep(0.02)
print(rounds, "rounds")
