# ruff: noqa: E402  # what is patched is imported after that
"""200 greenlets at once, each with a context of its own."""

from gevent import monkey

monkey.patch_all()

import socket
import ssl
import sys

import gevent
from gevent.event import Event

CROWD = 200
connected, all_connected = [], Event()


def visit() -> bytes:
    context = ssl.create_default_context(cafile=sys.argv[2])
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60) as tcp:
        connected.append(tcp)
        if len(connected) == CROWD:
            all_connected.set()
        all_connected.wait(30)
        with context.wrap_socket(tcp, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            return b"".join(iter(lambda: tls.recv(4096), b""))


visitors = [gevent.spawn(visit) for _ in range(CROWD)]
gevent.joinall(visitors, timeout=100)
assert all(visitor.value and visitor.value.endswith(b"ok") for visitor in visitors), visitors[0].exception
print("ok")
