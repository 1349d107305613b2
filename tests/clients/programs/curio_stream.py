import sys

import curio
import curio.ssl


async def main():
    context = curio.ssl.create_default_context(cafile=sys.argv[2])
    connected = await curio.open_connection("localhost", int(sys.argv[1]), ssl=context, server_hostname="localhost")
    async with connected:
        await connected.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reply = b""
        while not reply.endswith(b"ok"):
            reply += await connected.recv(4096)
    print("ok")


curio.run(main)
