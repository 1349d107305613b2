"""Where a program goes through a proxy, the session does too, also for issuers."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from aia_store import AIASession
from tests.session.conftest import host_of
from tests.support.proxy import Proxy
from tests.support.servers import AIAHost, TLSServer, refusing_port


@pytest.fixture
def proxy(server: TLSServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with Proxy(credentials="some@body:secret") as running:
        for variable in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(variable, running.url.replace("//", "//some%40body:secret@"))
        yield running


def test_hosts_are_looked_at_through_the_proxy(server: TLSServer, proxy: Proxy, aia: AIAHost) -> None:
    assert AIASession().cadata_from_host(host_of(server))
    assert [(request.method, request.path) for request in proxy.requests] == [
        ("CONNECT", host_of(server)),
        ("GET", aia.url("/0.cer")),
    ]
    assert (server.connections, aia.count()) == (1, 1)
    assert "proxy-authorization" not in aia.requests[0].headers


def test_pages_are_opened_through_the_proxy(server: TLSServer, proxy: Proxy, aia: AIAHost) -> None:
    assert AIASession().download(server.url) == b"ok"
    assert [request.path for request in proxy.requests] == [host_of(server), aia.url("/0.cer")]


def test_an_http_page_and_what_it_redirects_to(proxy: Proxy, aia: AIAHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials do not go where no proxy serves."""
    with AIAHost() as direct:
        monkeypatch.setenv("no_proxy", f"127.0.0.1:{direct.port}")
        assert AIASession().download(aia.redirect("/from", direct.publish("/page", b"page"))) == b"page"
        assert [request.path for request in proxy.requests] == [aia.url("/from")]
        assert not any(b"roxy-" in request.raw for request in (*aia.requests, *direct.requests))


def test_the_setting_decides(server: TLSServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIA_STORE_PROXY", "none")
    assert AIASession().cadata_from_host(host_of(server))
    assert AIASession().download(server.url) == b"ok"
    assert proxy.connections == 0


def test_a_socks_proxy_is_not_bypassed(server: TLSServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1080")
    for connect in (AIASession().cadata_from_host, lambda host: AIASession().download(f"https://{host}/")):
        with pytest.raises(OSError, match="all_proxy names a SOCKS proxy"):
            connect(host_of(server))
    assert server.connections == 0


def test_the_socks_proxy_of_the_program_is_not_bypassed(server: TLSServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it refuses connections."""
    socks = pytest.importorskip("socks")
    default = (socks.SOCKS5, "127.0.0.1", refusing_port(), True, None, None)
    monkeypatch.setattr(socket, "socket", socks.socksocket)
    monkeypatch.setattr(socks.socksocket, "default_proxy", default)
    with pytest.raises(socks.ProxyConnectionError):
        AIASession().get_host_cert(host_of(server))
    assert server.connections == 0


def test_no_proxy_is_respected(server: TLSServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    assert AIASession().cadata_from_host(host_of(server))
    assert AIASession().download(server.url) == b"ok"
    assert proxy.connections == 0


def test_a_proxy_that_refuses_raises_what_urllib_raises(server: TLSServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with AIAHost() as no_proxy:  # which answers 404
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{no_proxy.port}")
        with pytest.raises(OSError, match="404"):
            AIASession().cadata_from_host(host_of(server))
