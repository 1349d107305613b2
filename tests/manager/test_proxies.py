"""Lists and reports over https, through a proxy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aia_store.inside.certificate import Certificate
from aia_store.inside.pauses import Failures
from aia_store.inside.settings import Settings
from aia_store.inside.store import Folder
from aia_store.manager import https
from aia_store.manager.documents import DocumentError, contents
from aia_store.manager.download import Downloader
from aia_store.manager.revocation.crls import CRLs
from tests.support.pki import Authority, crl
from tests.support.proxy import Proxy
from tests.support.servers import AIAHost, TLSServer, free_port, refusing_port
from tests.support.wire import response_head

ROOT = Authority.root("Documents Root")
CREDENTIALS = "me:s3cret"


@pytest.fixture
def settings(store: Path, tmp_path: Path) -> Settings:
    made = Settings()
    made.roots = str(tmp_path / "roots.pem")
    made.allowed_networks = ["127.0.0.0/8"]
    Path(made.roots).write_text(ROOT.pem)
    return made


@pytest.fixture
def server() -> Iterator[TLSServer]:
    with TLSServer(ROOT.leaf(), reply=b"a list") as running:
        yield running


def read(url: str, settings: Settings, failures: Failures | None = None, seconds: float = 10) -> bytes:
    deadline = time.monotonic() + seconds
    return contents(url, settings, Downloader(settings, failures or Failures(None), deadline), 1_000)


def refusal(url: str, settings: Settings, failures: Failures | None = None, seconds: float = 10) -> str:
    """Why it cannot be read."""
    with pytest.raises(DocumentError) as raised:
        read(url, settings, failures, seconds)
    assert "s3cret" not in str(raised.value)
    return str(raised.value)


def test_https_goes_by_connect_and_the_proxy_alone_sees_the_credentials(settings: Settings, server: TLSServer) -> None:
    with Proxy(credentials=CREDENTIALS) as proxy:
        settings.proxy = proxy.url.replace("//", f"//{CREDENTIALS}@")
        assert read(server.url, settings) == b"a list"
        (request,) = proxy.requests
        assert (request.method, request.path) == ("CONNECT", f"localhost:{server.port}")


def test_http_goes_through_the_proxy_too(settings: Settings, aia: AIAHost) -> None:
    with Proxy() as proxy:
        settings.proxy = proxy.url
        assert read(aia.publish("/list", b"a list"), settings) == b"a list"
        assert proxy.requests[0].path == aia.url("/list")


def test_the_environment_names_one_for_each_scheme(
    settings: Settings, server: TLSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{refusing_port()}")
        monkeypatch.setenv("https_proxy", proxy.url)
        assert read(server.url, settings) == b"a list"
        monkeypatch.setenv("no_proxy", "localhost")
        assert read(server.url, settings) == b"a list"
        assert proxy.connections == 1


@pytest.mark.parametrize("status", [407, 403, 503])
def test_what_the_proxy_refuses_pauses_on_this_way_only(settings: Settings, server: TLSServer, status: int) -> None:
    failures = Failures(None)
    with Proxy(answer=response_head(status, {"Content-Length": "0"})) as proxy:
        settings.proxy = proxy.url.replace("//", f"//{CREDENTIALS}@")
        said = refusal(server.url, settings, failures)
        assert str(status) in said
        assert said.endswith(f", through the proxy 127.0.0.1:{proxy.port})")
        assert "failed recently" in refusal(server.url, settings, failures)
        assert proxy.connections == 1
    settings.proxy = "none"
    assert read(server.url, settings, failures) == b"a list"


def test_a_page_in_place_of_a_crl_pauses_on_this_way_only(settings: Settings, aia: AIAHost, store: Path) -> None:
    """As behind a proxy that wants people to log in first."""
    url, failures = aia.publish("/root.crl", crl(ROOT)), Failures(None)
    crls = CRLs(Folder(str(store)), failures, Downloader(settings, failures, time.monotonic() + 20))
    with Proxy(answer=response_head(200, {"Content-Length": "8"}) + b"Log in!\n") as proxy:
        settings.proxy = proxy.url
        for _ in range(2):
            assert crls.obtain([url], Certificate(ROOT.der)).crl is None
        assert proxy.connections == 1
    settings.proxy = "none"
    assert crls.obtain([url], Certificate(ROOT.der)).fault is None


@pytest.mark.parametrize("has_default_route", [True, False])
def test_a_dead_proxy_pauses_itself(
    settings: Settings, server: TLSServer, monkeypatch: pytest.MonkeyPatch, has_default_route: bool
) -> None:
    """It may be on the machine's own network, as here."""
    monkeypatch.setattr(https, "has_network", lambda: has_default_route)
    failures, port = Failures(None), free_port()
    settings.proxy = f"http://{CREDENTIALS}@127.0.0.1:{port}"
    assert f"the proxy 127.0.0.1:{port} cannot be reached" in refusal(server.url, settings, failures)
    with Proxy(port) as back:
        assert "failed recently" in refusal(server.url + "another", settings, failures)
        assert back.connections == 0


def test_a_proxy_that_never_answers_has_until_the_deadline(settings: Settings, server: TLSServer) -> None:
    with Proxy(answer=b"") as proxy:
        settings.proxy = proxy.url
        started = time.monotonic()
        refusal(server.url, settings, seconds=0.5)
        assert time.monotonic() - started < 5


def test_a_proxy_that_cannot_be_used_is_not_bypassed(settings: Settings, server: TLSServer) -> None:
    settings.proxy = f"socks5://{CREDENTIALS}@127.0.0.1:1080"
    failures = Failures(None)
    for _ in range(2):
        assert "AIA_STORE_PROXY names a SOCKS proxy" in refusal(server.url, settings, failures)
    assert server.connections == 0
