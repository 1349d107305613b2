"""For asyncio: learn the intermediates that hosts do not send, before handshakes would have to fetch them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from .aia_errors import AIAError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .building import Built

AT_ONCE = 4  # hosts; few, because each computing thread can stop the event loop for up to 5 ms at a time
SECONDS = 30.0  # for each step of a connection


class Prepared(NamedTuple):
    """What `prepare` learned of one host."""

    host: str  #: as it was given
    missing: list[bytes]  #: the intermediates (DER) that the host does not send, and that are now in the store
    error: Exception | None  #: why there is no path: an AIAError, ssl.SSLError or OSError; None if there is one


async def prepare(*hosts: str, timeout: float = SECONDS) -> list[Prepared]:
    """Learn the intermediates that these hosts do not send, so that no later handshake blocks the loop with a fetch.

    Each host is "name", "name:port", an IPv6 address, "[address]:port" or an https URL. Threads connect once to each, a
    few at a time. `timeout` (seconds) is for each step of a connection. Returns what was learned about each host, in
    the given order. If one host fails, the others are still examined.
    """
    if not hosts:
        return []
    # In a thread, because the import takes longer than an event loop should stand still.
    build_for = await asyncio.to_thread(_imported)
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(host: str) -> Prepared:
        async with turn:
            return await asyncio.to_thread(_prepared, host, timeout, build_for)

    return await asyncio.gather(*map(one, hosts))


def _imported() -> Callable[[str, float], Built]:
    from .building import build_for

    return build_for


def _prepared(host: str, timeout: float, build_for: Callable[[str, float], Built]) -> Prepared:
    try:
        return Prepared(host, [certificate.der for certificate in build_for(host, timeout).missing], None)
    except (AIAError, OSError) as error:
        return Prepared(host, [], error)
