import ssl
import sys

import anyio


async def main():
    context = ssl.create_default_context(cafile=sys.argv[2])
    stream = await anyio.connect_tcp("localhost", int(sys.argv[1]), tls=True, ssl_context=context)
    async with stream:
        await stream.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reply = b""
        while not reply.endswith(b"ok"):
            reply += await stream.receive()
    print("ok")


anyio.run(main)
