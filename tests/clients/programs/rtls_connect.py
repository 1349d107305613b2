import socket
import sys

import rtls

context = rtls.create_default_context()
tcp = socket.create_connection(("localhost", int(sys.argv[1])))
with context.wrap_socket(tcp, server_hostname="localhost") as tls:
    tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert tls.recv(1000)
