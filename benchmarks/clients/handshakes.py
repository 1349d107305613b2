"""Make so many handshakes on one context, one after the other, and print the milliseconds they took together.

python handshakes.py PORT COUNT
"""

import socket
import ssl
import sys
import time

port, count = map(int, sys.argv[1:])
context = ssl.create_default_context()
start = time.perf_counter()
for _ in range(count):
    with (
        socket.create_connection(("127.0.0.1", port)) as tcp,
        context.wrap_socket(tcp, server_hostname="localhost"),
    ):
        pass
print((time.perf_counter() - start) * 1000)
