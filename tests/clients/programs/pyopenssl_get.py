import socket
import sys

from OpenSSL import SSL

context = SSL.Context(SSL.TLS_METHOD)
context.load_verify_locations(sys.argv[2])
context.set_verify(SSL.VERIFY_PEER)
connection = SSL.Connection(context, socket.create_connection(("localhost", int(sys.argv[1]))))
connection.set_tlsext_host_name(b"localhost")
connection.set_connect_state()
connection.do_handshake()
connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
reply = b""
try:
    while True:
        reply += connection.recv(4096)
except SSL.ZeroReturnError:
    print(reply.partition(b"\r\n\r\n")[2].decode())
