"""`AIASession` for asyncio: what blocks is done by the threads of the event loop, which goes on meanwhile.

A thread goes on until its own time is over, even if whoever awaits it is cancelled.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from .building import SECONDS
from .session import DEFAULT_USER_AGENT, AIASession

if TYPE_CHECKING:
    import urllib.request
    from collections.abc import AsyncIterator, Iterable, Sequence
    from http.client import HTTPResponse


class AsyncAIASession:
    """`AIASession` with methods to be awaited: the same arguments, the same results, the same errors."""

    def __init__(self, user_agent: str = DEFAULT_USER_AGENT, *, timeout: float = SECONDS) -> None:
        """As `AIASession`: `user_agent` is what `download` says it is, `timeout` in seconds."""
        self._session = AIASession(user_agent, timeout=timeout)

    async def get_host_cert(self, host: str) -> bytes:
        """The certificate of a host (DER), unverified."""
        return await asyncio.to_thread(self._session.get_host_cert, host)

    async def aia_chase(self, host: str) -> AsyncIterator[bytes]:
        """The certification path of a host (DER), from its certificate to the trust anchor; for `async for`."""
        path = await asyncio.to_thread(list, self._session.aia_chase(host))
        for certificate in path:
            yield certificate

    async def validate_certificate_chain(self, der_certs: Sequence[bytes]) -> None:
        """Have OpenSSL verify a whole chain (DER), the server's certificate first, last the root to trust."""
        await asyncio.to_thread(self._session.validate_certificate_chain, der_certs)

    async def cadata_from_host(self, host: str) -> str:
        """What verifies a host, as PEM: its intermediates and, last, the root."""
        return await asyncio.to_thread(self._session.cadata_from_host, host)

    async def cadata_from_url(self, url: str) -> str:
        """As `cadata_from_host`, for the host of a URL."""
        return await asyncio.to_thread(self._session.cadata_from_url, url)

    async def ssl_context_from_host(self, host: str, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> ssl.SSLContext:
        """A context for one host, which trusts the root that its chain leads to; no handshake with it fetches."""
        return await asyncio.to_thread(self._session.ssl_context_from_host, host, purpose)

    async def ssl_context_from_url(self, url: str, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> ssl.SSLContext:
        """As `ssl_context_from_host`, for the host of a URL."""
        return await asyncio.to_thread(self._session.ssl_context_from_url, url, purpose)

    async def urlopen(
        self,
        url: str | urllib.request.Request,
        data: bytes | Iterable[bytes] | None = None,
        timeout: float | None = None,
    ) -> HTTPResponse:
        """As `urllib.request.urlopen`. Reading the response blocks: `await asyncio.to_thread(response.read)`."""
        return await asyncio.to_thread(self._session.urlopen, url, data, timeout)

    async def download(self, url: str) -> bytes:
        """What a GET of this URL gives. Raises DownloadError unless the status is 200."""
        return await asyncio.to_thread(self._session.download, url)
