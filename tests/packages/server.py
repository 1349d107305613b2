"""Run by the machine's own Python: a server that forgets its intermediate, a right one, and their AIA host."""

import http.server
import ssl
import sys
import threading
from functools import partial

FORGETFUL, RIGHT, AIA = 8443, 9443, 8080  # ports


def serve(folder: str, port: int, chain: str = "") -> None:
    """Serve this folder at the port, by TLS where there is a chain."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", port), partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    )
    if chain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/{chain}")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()


serve(sys.argv[1], FORGETFUL, "leaf.pem")
serve(sys.argv[1], RIGHT, "whole.pem")
serve(sys.argv[1], AIA)
