import asyncio
import ssl
import sys


async def main():
    context = ssl.create_default_context(cafile=sys.argv[2])
    reader, writer = await asyncio.open_connection("localhost", int(sys.argv[1]), ssl=context)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    print((await reader.read())[-2:].decode())
    writer.close()


asyncio.run(main())
