"""Where a program goes through a proxy, the session does too; issuers are never asked for through one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aia_store import AIASession
from tests.session.conftest import host_of
from tests.support.proxy import Proxy
from tests.support.servers import AIAHost, TLSServer, refusing_port


@pytest.fixture
def proxy(server: TLSServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with Proxy() as running:
        monkeypatch.setenv("https_proxy", f"http://some%40body:secret@127.0.0.1:{running.port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{refusing_port()}")
        yield running


def test_hosts_are_looked_at_through_the_proxy(server: TLSServer, proxy: Proxy, aia: AIAHost) -> None:
    assert AIASession().cadata_from_host(host_of(server))
    (request,) = proxy.requests
    assert request.path == host_of(server)
    assert request.headers["proxy-authorization"] == "Basic c29tZUBib2R5OnNlY3JldA=="
    assert (server.connections, aia.count()) == (1, 1)


def test_pages_are_opened_through_the_proxy(server: TLSServer, proxy: Proxy, aia: AIAHost) -> None:
    assert AIASession().download(server.url) == b"ok"
    assert [request.path for request in proxy.requests] == [host_of(server)]
    assert aia.count() == 1


def test_no_proxy_is_respected(server: TLSServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "localhost")
    assert AIASession().cadata_from_host(host_of(server))
    assert AIASession().download(server.url) == b"ok"
    assert proxy.connections == 0


def test_a_proxy_that_refuses_raises_what_urllib_raises(server: TLSServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with AIAHost() as no_proxy:  # which answers 404
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{no_proxy.port}")
        with pytest.raises(OSError, match="404"):
            AIASession().cadata_from_host(host_of(server))
