"""`AIASession` for asyncio: blocking work runs in threads of the event loop's executor, and the loop goes on meanwhile.

If the awaiting task is cancelled, the thread still works until its own time limit.
"""

from __future__ import annotations

import asyncio
import ssl
import urllib.request
from collections.abc import AsyncIterator, Iterable, Sequence
from http.client import HTTPResponse

from .building import SECONDS
from .session import DEFAULT_USER_AGENT, AIASession


class AsyncAIASession:
    """`AIASession` with methods to await. They take, return and raise what those of `AIASession` do."""

    def __init__(self, user_agent: str = DEFAULT_USER_AGENT, *, timeout: float = SECONDS) -> None:
        """`user_agent` is the header that `download` sends; `timeout` (seconds) is for each step of a connection."""
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
        """Let OpenSSL verify a whole chain (DER), from the server's certificate to the root to trust."""
        await asyncio.to_thread(self._session.validate_certificate_chain, der_certs)

    async def cadata_from_host(self, host: str) -> str:
        """The intermediates and, last, the root that verify a host's certificate, as PEM."""
        return await asyncio.to_thread(self._session.cadata_from_host, host)

    async def cadata_from_url(self, url: str) -> str:
        """Like `cadata_from_host`, for the host of a URL."""
        return await asyncio.to_thread(self._session.cadata_from_url, url)

    async def ssl_context_from_host(self, host: str, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> ssl.SSLContext:
        """A context for one host, which trusts the root of its chain. Handshakes with this context need no fetch."""
        return await asyncio.to_thread(self._session.ssl_context_from_host, host, purpose)

    async def ssl_context_from_url(self, url: str, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> ssl.SSLContext:
        """Like `ssl_context_from_host`, for the host of a URL."""
        return await asyncio.to_thread(self._session.ssl_context_from_url, url, purpose)

    async def urlopen(
        self,
        url: str | urllib.request.Request,
        data: bytes | Iterable[bytes] | None = None,
        timeout: float | None = None,
    ) -> HTTPResponse:
        """Like `urllib.request.urlopen`. Reading the response blocks, so `await asyncio.to_thread(response.read)`."""
        return await asyncio.to_thread(self._session.urlopen, url, data, timeout)

    async def download(self, url: str) -> bytes:
        """The body of a GET of this URL. Raises DownloadError unless the status is 200."""
        return await asyncio.to_thread(self._session.download, url)
