import asyncio
import ssl
import sys

import websockets


async def main():
    context = ssl.create_default_context(cafile=sys.argv[2])
    async with websockets.connect(f"wss://localhost:{sys.argv[1]}/", ssl=context) as connection:
        print(await connection.recv())


asyncio.run(main())
