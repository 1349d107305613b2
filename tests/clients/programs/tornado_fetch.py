import asyncio
import sys

from tornado.httpclient import AsyncHTTPClient


async def main():
    reply = await AsyncHTTPClient().fetch(f"https://localhost:{sys.argv[1]}/", ca_certs=sys.argv[2])
    print(reply.body.decode())


asyncio.run(main())
