"""Connect to many hosts at once under asyncio; prints the longest time (ms) that the loop stood still.

    crowd.py prepare|turn|callback|plain-turn PORT…

It measures while `prepare` runs, or after it, in one turn of the loop or in one callback; "plain" omits `prepare`.
The time of a callback is processor time, which other load does not increase, because no callback waits.
"""

import asyncio
import ssl
import sys
import time

PAUSE = 0.001
longest = 0.0


async def watch_turns() -> None:
    global longest
    while True:
        start = time.perf_counter()
        await asyncio.sleep(PAUSE)
        longest = max(longest, time.perf_counter() - start - PAUSE)


def watch_callbacks() -> None:
    run = asyncio.Handle._run

    def timed(self: asyncio.Handle) -> None:
        global longest
        start = time.thread_time()
        run(self)
        longest = max(longest, time.thread_time() - start)

    asyncio.Handle._run = timed


async def connect(port: str, context: ssl.SSLContext) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert (await reader.read()).endswith(b"ok")
    writer.close()


async def main(what: str, ports: list[str]) -> None:
    global longest
    context = ssl.create_default_context()
    if what.endswith("callback"):
        watch_callbacks()
        watching = None
    else:
        watching = asyncio.create_task(watch_turns())
    await asyncio.sleep(0.05)
    longest = 0.0
    if not what.startswith("plain"):
        import aia_store

        prepared = await aia_store.prepare(*(f"localhost:{port}" for port in ports))
        assert all(len(one.missing) == 1 for one in prepared), prepared
    if what != "prepare":
        longest = 0.0
        await asyncio.gather(*(connect(port, context) for port in ports))
        await asyncio.sleep(2 * PAUSE)
    if watching is not None:
        watching.cancel()


asyncio.run(main(sys.argv[1], sys.argv[2:]))
print(longest * 1000)
