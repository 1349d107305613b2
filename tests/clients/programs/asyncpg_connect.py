import asyncio
import ssl
import sys

import asyncpg


async def main():
    context = ssl.create_default_context(cafile=sys.argv[2])
    connection = await asyncpg.connect(
        host="localhost", port=int(sys.argv[1]), user="me", database="me", ssl=context, timeout=30
    )
    connection.terminate()
    print("ok")


asyncio.run(main())
