import sys

import websocket

connection = websocket.create_connection(
    f"wss://localhost:{sys.argv[1]}/", timeout=30, sslopt={"ca_certs": sys.argv[2]}
)
print(connection.recv())
