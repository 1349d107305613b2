import ssl
import sys

import trio


async def main():
    context = ssl.create_default_context(cafile=sys.argv[2])
    stream = await trio.open_ssl_over_tcp_stream("localhost", int(sys.argv[1]), ssl_context=context)
    await stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    reply = b""
    while not reply.endswith(b"ok"):
        reply += await stream.receive_some(4096)
    print("ok")


trio.run(main)
