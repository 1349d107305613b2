"""Green threads around one connection: which context they see while it waits, and that they may set another.

Arguments: gevent or eventlet, the server's port, a CA file.
"""

import sys

if sys.argv[1] == "gevent":
    from gevent import monkey, sleep, spawn

    monkey.patch_all()
else:
    from eventlet import monkey_patch, sleep, spawn

    monkey_patch()

import socket
import ssl

seen = set()


def pass_on(source: socket.socket, target: socket.socket, at_once: int) -> None:
    """Let the others run and look, after each piece."""
    while piece := source.recv(at_once):
        target.sendall(piece)
        sleep(0.001)
        seen.add(getattr(tls._sslobj, "context", None))


empty, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.create_default_context(cafile=sys.argv[3])
near, far = socket.socketpair()
upstream = socket.create_connection(("127.0.0.1", int(sys.argv[2])), 30)
tls = empty.wrap_socket(near, server_hostname="localhost", do_handshake_on_connect=False)
tls.context = trusting
spawn(pass_on, far, upstream, 4096)
spawn(pass_on, upstream, far, 1)
tls.do_handshake()
assert tls.context is trusting
print("shook hands; seen:", *("the program's context" if context is trusting else "another" for context in seen))
