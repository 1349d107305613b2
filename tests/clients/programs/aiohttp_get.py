import asyncio
import ssl
import sys

import aiohttp


async def main():
    context = ssl.create_default_context(cafile=sys.argv[2])
    address = f"https://localhost:{sys.argv[1]}/"
    async with aiohttp.ClientSession() as session, session.get(address, ssl=context) as reply:
        print(await reply.text())


asyncio.run(main())
