"""Connect to a server that is refused, with so many contexts, one after the other, each shared by so many threads.

python refusals.py PORT CONTEXTS THREADS HANDSHAKES

HANDSHAKES is how many each thread makes, one after the other. Every one must be refused.
"""

import socket
import ssl
import sys
import threading

port, contexts, threads, handshakes = map(int, sys.argv[1:])
refusals = []


def meet(context: ssl.SSLContext) -> None:
    for _ in range(handshakes):
        with socket.create_connection(("127.0.0.1", port)) as tcp:
            try:
                context.wrap_socket(tcp, server_hostname="localhost")
            except ssl.SSLCertVerificationError as error:
                refusals.append(error)


for _ in range(contexts):
    context = ssl.create_default_context()
    crowd = [threading.Thread(target=meet, args=(context,)) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
sys.exit(len(refusals) != contexts * threads * handshakes)
