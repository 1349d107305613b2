"""What programs that use `aia` do with it, as its README shows, with nothing changed but the import."""

from __future__ import annotations

import asyncio
from functools import partial
from ssl import SSLContext
from tempfile import NamedTemporaryFile
from urllib.request import urlopen

import httpx
import pytest
import requests
from tornado.httpclient import AsyncHTTPClient

from aia_store import AIASession
from tests.conftest import Hierarchy
from tests.support.servers import AIAHost, TLSServer


@pytest.fixture(autouse=True)
def fetched_once(pki: Hierarchy, aia: AIAHost) -> object:
    """However the program goes about it, the issuer is fetched once."""
    yield
    assert aia.count() == 1


def test_download(server: TLSServer) -> None:
    aia_session = AIASession()
    assert aia_session.download(server.url) == b"ok"


def test_urlopen_of_the_session(server: TLSServer) -> None:
    aia_session = AIASession()
    response = aia_session.urlopen(server.url)
    assert (response.status, response.read()) == (200, b"ok")


def test_urllib_with_a_context(server: TLSServer) -> None:
    aia_session = AIASession()
    context = aia_session.ssl_context_from_url(server.url)
    assert urlopen(server.url, context=context).read() == b"ok"


def test_requests_with_a_temporary_file(server: TLSServer) -> None:
    aia_session = AIASession()
    cadata = aia_session.cadata_from_url(server.url)
    with NamedTemporaryFile("w") as pem_file:
        pem_file.write(cadata)
        pem_file.flush()
        assert requests.get(server.url, verify=pem_file.name, timeout=30).content == b"ok"


def test_httpx(server: TLSServer) -> None:
    aia_session = AIASession()
    context = aia_session.ssl_context_from_url(server.url)
    assert httpx.get(server.url, verify=context).content == b"ok"


async def context_in_an_executor(aia_session: AIASession, url: str) -> SSLContext:
    return await asyncio.get_running_loop().run_in_executor(None, partial(aia_session.ssl_context_from_url, url))


def test_tornado(server: TLSServer) -> None:
    async def download(url: str) -> bytes:
        context = await context_in_an_executor(AIASession(), url)
        client = AsyncHTTPClient()
        try:
            response = await client.fetch(url, ssl_options=context)
            return response.body
        finally:
            client.close()

    assert asyncio.run(download(server.url)) == b"ok"


def test_httpx_in_asyncio(server: TLSServer) -> None:
    async def download(url: str) -> bytes:
        context = await context_in_an_executor(AIASession(), url)
        async with httpx.AsyncClient(verify=context) as client:
            response = await client.get(url)
            return response.content

    assert asyncio.run(download(server.url)) == b"ok"
