import ssl
import sys

import httpx
import trio


async def main():
    async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=sys.argv[2])) as client:
        print((await client.get(f"https://localhost:{sys.argv[1]}/", timeout=30)).text)


trio.run(main)
