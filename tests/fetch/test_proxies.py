"""Fetches through a proxy: who names it, what it learns, what it is not asked for, and who is to blame."""

from __future__ import annotations

import _socket
import asyncio
import gzip
import ipaddress
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aia_store.inside import fetch, proxies
from aia_store.inside import settings as config
from aia_store.inside.fetch import FetchError, RefusedError
from aia_store.inside.proxies import ProxyError, is_exempt, proxy_for, unused

from ..support.pki import Authority
from ..support.proxy import Proxy
from ..support.servers import AIAHost, deaf_port, free_port, refusing_port
from ..support.wire import response_head
from .conftest import LOOPBACK, Fetch, Meet
from .test_urls import LOOPBACK_SPELLED, NOT_PUBLIC, Resolver

ROOT = Authority.root("Proxy Root")
CA = ROOT.intermediate("Proxy CA")
ABSENT = "ca.invalid"  # resolves nowhere (RFC 6761, 6.4)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy that the environment names."""
    with Proxy() as running:
        monkeypatch.setenv("http_proxy", running.url)
        yield running


# Who names it


def named(environ: dict[str, str], setting: str = "environment", scheme: str = "http") -> str | None:
    found = proxy_for(scheme, "ca.example", 80, setting, environ)
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"http_proxy": "http://a:1"}, "a:1"),
        ({"HTTP_PROXY": "http://a:1"}, "a:1"),
        ({"http_proxy": "http://a:1", "HTTP_PROXY": "http://b:2"}, "a:1"),
        ({"http_proxy": "", "HTTP_PROXY": "http://b:2"}, None),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://a:1", "ftp_proxy": "http://a:1"}, None),
        ({"all_proxy": "http://a:1"}, "a:1"),
        ({"ALL_PROXY": "http://a:1"}, "a:1"),
        ({"http_proxy": "http://a:1", "ALL_PROXY": "socks5://b:2"}, "a:1"),
        ({"http_proxy": "", "ALL_PROXY": "http://b:2"}, None),
        ({"REQUEST_METHOD": "GET", "HTTP_PROXY": "http://evil:1"}, None),
        ({"REQUEST_METHOD": "GET", "HTTP_PROXY": "http://evil:1", "http_proxy": "http://a:1"}, "a:1"),
        ({"http_proxy": "http://a:1", "no_proxy": "example"}, None),
        ({"http_proxy": "http://a:1", "NO_PROXY": "example"}, None),
        ({"http_proxy": "http://a:1", "no_proxy": "", "NO_PROXY": "example"}, "a:1"),
    ],
)
def test_the_variables(environ: dict[str, str], expected: str | None) -> None:
    assert named(environ) == expected


class Vanishing(dict[str, str]):
    """An environment in which another thread deletes each variable just after somebody has asked whether it is set."""

    def __contains__(self, name: object) -> bool:
        return self.pop(str(name), None) is not None


def test_another_thread_may_delete_a_variable_meanwhile() -> None:
    """As programs do that set a proxy for a while."""
    assert named(Vanishing(http_proxy="http://a:1", no_proxy="other.example")) == "a:1"
    assert config.load(Vanishing(AIA_STORE_PROXY="http://b:2")).proxy == "http://b:2"


def test_https_has_a_variable_of_its_own_which_cgi_does_not_set() -> None:
    assert named({"http_proxy": "http://a:1"}, scheme="https") is None
    assert named({"HTTPS_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, scheme="https") == "a:1"


def test_the_setting_is_stronger_than_the_environment_but_not_than_no_proxy() -> None:
    environ = {"http_proxy": "http://a:1"}
    assert named(environ, "none") is None
    assert named(environ, "http://b:2") == "b:2"
    assert named({**environ, "no_proxy": "ca.example"}, "http://b:2") is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("proxy.example:3128", "proxy.example:3128"),
        ("proxy.example", "proxy.example:80"),
        ("http://proxy.example", "proxy.example:80"),
        ("HTTP://proxy.example:/", "proxy.example:80"),
        (" http://proxy.example:3128/path?x#y ", "proxy.example:3128"),
        ("http://10.0.0.1:3128", "10.0.0.1:3128"),
        ("http://[fd00::1]:3128", "[fd00::1]:3128"),
        ("http://[fe80::1%25eth0]:3128", "[fe80::1%eth0]:3128"),
        ("http://me:secret@proxy.example:3128", "proxy.example:3128"),
    ],
)
def test_how_a_proxy_is_written(url: str, expected: str) -> None:
    assert named({"http_proxy": url}) == expected


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        ("me:secret", "bWU6c2VjcmV0"),
        ("me", "bWU6"),
        ("some%40body:se%3Acret", "c29tZUBib2R5OnNlOmNyZXQ="),
        ("me:p#/?@ss", "bWU6cCMvP0Bzcw=="),
        ("m\u00e9:x", "bcOpOng="),
    ],
)
def test_credentials(credentials: str, expected: str) -> None:
    found = proxy_for("http", "ca.example", 80, f"http://{credentials}@proxy.example:3128")
    assert found is not None
    assert (found.authorization, str(found)) == (f"Basic {expected}", "proxy.example:3128")


BAD_PROXIES = [
    "socks5://me:secret@proxy.example:1080",
    "socks5h://me:secret@proxy.example",
    "SOCKS4://me:secret@proxy.example",
    "https://me:secret@proxy.example:3128",
    "http://me:secret@",
    "http://me:secret@proxy.example:secret",
    "http://me:secret@proxy.example:0",
    "http://me:secret@proxy.example:65536",
    "http://me:secret@proxy example:1",
    "http://me:secret@proxy\r\n.example:1",
    "http://me:secret@pr\xf6xy.example:1",
    "://me:secret@proxy.example",
]


@pytest.mark.parametrize("url", BAD_PROXIES)
def test_a_proxy_that_cannot_be_used_is_not_bypassed(url: str, aia: AIAHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who names a SOCKS proxy may want to hide where connections come from."""
    with pytest.raises(ProxyError) as raised:
        named({"http_proxy": url})
    assert "http_proxy" in str(raised.value)
    assert not {"secret", "me:"} & set(str(raised.value).split())
    if url.isprintable():
        monkeypatch.setenv("http_proxy", url)
        with pytest.raises(FetchError, match="http_proxy names") as failed:
            fetch.get(aia.publish("/ca", CA.der), LOOPBACK, time.monotonic() + 1)
        assert failed.value.is_ours
        assert "secret" not in str(failed.value)
        assert failed.value.__cause__ is None
        assert aia.connections == 0


@pytest.mark.parametrize(
    ("no_proxy", "exempt", "others"),
    [
        ("ca.example", ["ca.example", "CA.EXAMPLE", "ca.example.", "a.ca.example"], ["example", "aca.example"]),
        (".ca.example", ["ca.example", "a.ca.example"], ["aca.example"]),
        ("*.ca.example", ["ca.example", "a.ca.example"], ["aca.example"]),
        ("ca.example.", ["ca.example"], ["example"]),
        ("CA.Example", ["ca.example"], []),
        ("*", ["ca.example", "127.0.0.1", "::1"], []),
        ("a.example, *", ["ca.example"], []),
        ("a.example,b.example c.example,,", ["a.example", "b.example", "c.example"], ["d.example"]),
        ("ca.example:8080", ["ca.example:8080", "a.ca.example:8080"], ["ca.example", "ca.example:80"]),
        ("ca.example:80", ["ca.example"], ["ca.example:8080"]),
        ("127.0.0.1", ["127.0.0.1"], ["127.0.0.2"]),
        (".0.0.1", [], ["127.0.0.1"]),
        ("127.0.0.1:8080", ["127.0.0.1:8080"], ["127.0.0.1"]),
        ("10.0.0.0/8", ["10.1.2.3"], ["11.0.0.1", "ca.example", "::1"]),
        ("10.1.2.3/8", ["10.255.255.255"], ["11.0.0.1"]),
        ("fd00::/8", ["fd00::1"], ["fe00::1", "10.0.0.1"]),
        ("::1", ["::1", "0:0:0:0:0:0:0:1"], ["::2"]),
        ("[::1]", ["::1"], ["::2"]),
        ("[::1]:8080", ["[::1]:8080"], ["::1"]),
        ("/,/8,10.0.0.0/x,.,:,[,*:*", [], ["ca.example", "10.0.0.1"]),
        ("", [], ["ca.example"]),
    ],
)
def test_no_proxy(no_proxy: str, exempt: list[str], others: list[str]) -> None:
    def is_so(place: str) -> bool:
        host, port = proxies._split(place)
        return is_exempt(host, int(port or 80), no_proxy)

    assert [place for place in [*exempt, *others] if is_so(place)] == exempt


@pytest.mark.parametrize(
    ("setting", "environ", "expected"),
    [
        ("environment", {}, None),
        ("environment", {"http_proxy": "http://a:1"}, None),
        ("http://b:2", {"http_proxy": "http://a:1"}, None),
        ("environment", {"http_proxy": "http://a:1", "no_proxy": "other.example"}, None),
        (
            "environment",
            {"http_proxy": "http://a:1", "NO_PROXY": "example"},
            "http_proxy is not used, as NO_PROXY exempts ca.example",
        ),
        ("http://b:2", {"no_proxy": "*"}, "AIA_STORE_PROXY is not used, as no_proxy exempts ca.example"),
        ("environment", {"http_proxy": "", "HTTP_PROXY": "x"}, "HTTP_PROXY is not used, as http_proxy is empty"),
        ("none", {"http_proxy": "x"}, "http_proxy is not used, as AIA_STORE_PROXY is none"),
        ("environment", {"https_proxy": "x"}, "https_proxy is not used, as it is not for http"),
        (
            "environment",
            {"HTTP_PROXY": "x", "REQUEST_METHOD": "GET"},
            "HTTP_PROXY is not used, as in CGI it comes from a request",
        ),
    ],
)
def test_what_is_not_used_is_said(setting: str, environ: dict[str, str], expected: str | None) -> None:
    assert unused("http", "ca.example", 80, setting, environ) == expected


def test_a_direct_fetch_that_fails_says_which_proxy_is_not_used(get: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.example:3128")
    with pytest.raises(FetchError, match=r"refused\); https_proxy is not used, as it is not for http$"):
        get(f"http://127.0.0.1:{refusing_port()}/ca")


def test_so_it_does_where_there_is_no_other_way(get: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "has_network", lambda *_: False)
    monkeypatch.setenv("http_proxy", "http://me:secret@proxy.example:3128")
    monkeypatch.setenv("no_proxy", "invalid")
    with pytest.raises(FetchError) as raised:
        get(f"http://{ABSENT}/ca")
    why = "this machine has no network; http_proxy is not used, as no_proxy exempts ca.invalid"
    assert str(raised.value) == f"{ABSENT} has no address; {why}"


def test_nothing_is_fetched_past_the_socks_proxy_of_a_program(
    aia: AIAHost, get: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as Tor: who connects through it does not want to be seen without. A setting says otherwise."""
    socks = pytest.importorskip("socks")
    url = aia.publish("/ca", CA.der)
    monkeypatch.setattr(socket, "socket", socks.socksocket)
    assert get(url) == CA.der, "it has no proxy yet"
    monkeypatch.setattr(socks.socksocket, "default_proxy", None)
    socks.set_default_proxy(socks.SOCKS5, "127.0.0.1", refusing_port())
    with pytest.raises(FetchError, match="PySocks") as raised:
        get(url)
    assert raised.value.is_ours
    assert fetch.get(url, LOOPBACK, time.monotonic() + 1, proxy="none") == CA.der
    with Proxy(answer=response_head(200, {"Content-Length": "1"}) + b"x") as proxy:
        assert fetch.get(url, LOOPBACK, time.monotonic() + 1, proxy=proxy.url) == b"x"
    socks.set_default_proxy()
    assert get(url) == CA.der


# What it is asked


def test_the_proxy_is_asked_and_learns_no_more_than_the_host_would(aia: AIAHost, proxy: Proxy, get: Fetch) -> None:
    url = aia.publish("/ca?x=1", CA.der)
    assert get(url) == CA.der
    (request,), (arrived,) = proxy.requests, aia.requests
    assert (request.method, request.path) == ("GET", url)
    names = {"host", "accept", "accept-encoding", "connection", "user-agent"}
    assert set(request.headers) == set(arrived.headers) == names
    assert request.headers["host"] == f"127.0.0.1:{aia.port}"


def test_a_name_that_only_the_proxy_can_find(aia: AIAHost, proxy: Proxy) -> None:
    url = aia.publish("/ca", CA.der).replace("127.0.0.1", ABSENT)
    assert fetch.get(url, [], time.monotonic() + 5) == CA.der
    assert proxy.requests[0].path == url


def test_no_proxy_exempts_a_host(aia: AIAHost, proxy: Proxy, get: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.0/8")
    assert get(aia.publish("/ca", CA.der)) == CA.der
    assert proxy.connections == 0


def test_the_credentials_go_to_the_proxy_alone(aia: AIAHost, get: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to the host, nor to another one that it redirects to and that no proxy serves."""
    with Proxy(credentials="me:secret") as proxy, AIAHost() as direct:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:secret@"))
        monkeypatch.setenv("no_proxy", f"127.0.0.1:{direct.port}")
        assert get(aia.redirect("/from", direct.publish("/ca", CA.der))) == CA.der
        assert [request.headers.get("proxy-authorization") for request in proxy.requests] == ["Basic bWU6c2VjcmV0"]
        for request in (*aia.requests, *direct.requests):
            assert "proxy-authorization" not in request.headers
            assert b"secret" not in request.raw


def test_each_redirect_is_asked_of_the_proxy(aia: AIAHost, proxy: Proxy, get: Fetch) -> None:
    aia.publish("/ca", CA.der)
    assert get(aia.redirect("/from", "/ca")) == CA.der
    assert [request.path for request in proxy.requests] == [aia.url("/from"), aia.url("/ca")]


# What it is not asked


NAMES = ("loopback.invalid", "localhost.localdomain", "ip6-localhost")  # like any other, where they do not resolve
#: Besides those that this machine reads as an address: what a proxy could read as one.
FOR_PROXIES = [
    "127.0.0.1..",
    "127.0.0.256",
    "4294967297",
    "6425673729",
    "0x17f000001",
    "010.8.8.8",
    "8.8.8.010",
    "8.8.8",
    "1.2.3.4.5",
    "localhost..",
    "a.localhost",
    "a.LOCALHOST.",
    ".",
    "127.0.0.1\\.ca.example",
    "127.0.0.1;.ca.example",
    "127.0.0.1,ca.example",
    "$(id).example",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "169.254.169.254",
    "10.0.0.1",
    "0xa9.0xfe.0xa9.0xfe",
    "2852039166",
]


@pytest.mark.parametrize("host", [*(host for host in LOOPBACK_SPELLED if host not in NAMES), *FOR_PROXIES])
def test_the_proxy_is_asked_for_no_address_that_is_not_public(proxy: Proxy, host: str) -> None:
    with pytest.raises(RefusedError):
        fetch.get(f"http://{host}:8080/", [], time.monotonic() + 3)
    assert proxy.connections == 0


@pytest.mark.parametrize("host", ["0177.0.0.1", "012.0.0.1", "8.8.8.010", "[::ffff:0177.0.0.1]"])
def test_nor_for_one_that_old_pythons_read_otherwise(proxy: Proxy, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 3.9.4, as in Debian 11, `ipaddress` reads 0177.0.0.1 as 177.0.0.1; for inet_aton(3), it is 127.0.0.1."""
    monkeypatch.setattr(ipaddress.IPv4Address, "_parse_octet", int)
    proxy.answer = response_head(200, {"Content-Length": "1"}) + b"x"
    with pytest.raises(RefusedError, match="unusual form"):
        fetch.get(f"http://{host}/", [], time.monotonic() + 3)
    assert proxy.connections == 0


@pytest.mark.parametrize(
    "address", [address for group in NOT_PUBLIC.values() for address in group if "%" not in address]
)
def test_nor_for_a_name_that_resolves_here_to_one(proxy: Proxy, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Resolver(monkeypatch, ["8.8.8.8", address])
    with pytest.raises(RefusedError, match="no public address"):
        fetch.get("http://ca.example/", [], time.monotonic() + 3)
    assert proxy.connections == 0


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700::1111]"])
def test_it_is_asked_for_public_addresses(proxy: Proxy, host: str) -> None:
    proxy.answer = response_head(200, {"Content-Length": "1"}) + b"x"
    assert fetch.get(f"http://{host}/", [], time.monotonic() + 3) == b"x"
    assert proxy.requests[0].path == f"http://{host}/"


def test_allowed_networks_hold_through_the_proxy_too(aia: AIAHost, proxy: Proxy) -> None:
    url = aia.publish("/ca", CA.der)
    assert fetch.get(url, ["127.0.0.1/32"], time.monotonic() + 3) == CA.der
    with pytest.raises(RefusedError):
        fetch.get(url, ["10.0.0.0/8"], time.monotonic() + 3)
    assert proxy.connections == 1


@pytest.mark.parametrize(
    "location", ["http://10.0.0.1:3128/", "http://127.1/", "http://localhost/", "https://8.8.8.8/"]
)
def test_a_redirect_by_the_proxy_leads_nowhere_else(proxy: Proxy, location: str) -> None:
    proxy.answer = response_head(302, {"Location": location, "Content-Length": "0"})
    with pytest.raises(FetchError, match="redirect to where nothing is fetched") as raised:
        fetch.get("http://8.8.8.8/", [], time.monotonic() + 3)
    assert not raised.value.is_ours
    assert proxy.connections == 1


def test_the_proxy_itself_is_out_of_a_certificates_reach(proxy: Proxy) -> None:
    with pytest.raises(RefusedError):
        fetch.get(f"{proxy.url}/", [], time.monotonic() + 3)
    assert proxy.connections == 0


def test_a_resolver_that_is_slow_leaves_time_for_the_proxy(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in networks in which only the proxy looks names up."""
    resolve = _socket.getaddrinfo

    def slowly(host: bytes, *rest: object) -> object:
        if host == b"ca.example":
            time.sleep(2.5)
            raise OSError("no answer")
        return resolve(host, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(_socket, "getaddrinfo", slowly)
    proxy.answer = response_head(200, {"Content-Length": "1"}) + b"x"
    assert fetch.get("http://ca.example/", [], time.monotonic() + 2) == b"x"


# Who is to blame


def failing(url: str, seconds: float = 3) -> FetchError:
    with pytest.raises(FetchError) as raised:
        fetch.get(url, LOOPBACK, time.monotonic() + seconds)
    return raised.value


def blame(error: FetchError) -> tuple[object, ...]:
    return error.is_ours, error.dead_url, error.proxy, error.is_proxy_dead


def test_a_proxy_that_refuses_connections(aia: AIAHost, monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"127.0.0.1:{refusing_port()}"
    monkeypatch.setenv("http_proxy", f"http://me:secret@{place}")
    error = failing(aia.publish("/ca", CA.der))
    assert str(error) == f"the proxy {place} cannot be reached (Connection refused)"
    assert blame(error) == (False, None, place, True)
    assert aia.connections == 0


def test_a_proxy_that_never_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    with deaf_port() as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        error = failing("http://8.8.8.8/", 0.5)
    assert str(error).startswith(f"the proxy 127.0.0.1:{port} ")
    assert blame(error) == (False, None, f"127.0.0.1:{port}", True)


def test_a_proxy_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    monkeypatch.setattr(fetch, "has_network", lambda *_: True)
    error = failing("http://8.8.8.8/")
    assert str(error) == "the proxy proxy.invalid:3128 has no address"
    assert blame(error) == (False, None, "proxy.invalid:3128", True)
    monkeypatch.setattr(fetch, "has_network", lambda *_: False)
    assert failing("http://8.8.8.8/").is_ours


@pytest.mark.parametrize("by_proxy", [False, True], ids=["directly", "through a proxy"])
def test_who_redirects_late_cannot_have_another_blamed(
    aia: AIAHost, monkeypatch: pytest.MonkeyPatch, by_proxy: bool
) -> None:
    """Otherwise a hostile host could use up the time, and an honest one, or the proxy, would pause for it."""
    late = aia.publish("/late", b"", 302, {"Location": "http://127.0.0.3:8080/ca"}, delay=0.4)
    error = failing(late, 3)
    assert error.dead_url is not None, "with time enough, it is dead"
    with deaf_port("127.0.0.3") as port:
        late = aia.publish("/late", b"", 302, {"Location": f"http://127.0.0.3:{port}/ca"}, delay=0.4)
        if by_proxy:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.3:{port}")
            monkeypatch.setenv("no_proxy", f"127.0.0.1:{aia.port}")
        error = failing(late, 0.5)
    assert blame(error) == (False, None, f"127.0.0.3:{port}" if by_proxy else None, False), error


BOMB = gzip.compress(bytes(10_000_000))
ANSWERS = {
    "407": response_head(407, {"Content-Length": "0"}),
    **{str(status): response_head(status, {"Via": "1.1 x", "Content-Length": "0"}) for status in (403, 502, 503, 504)},
    "silence": b"",
    "rubbish": b"rubbish\r\n\r\n",
    "nothing": response_head(200, {"Content-Length": "0"}),
    "cut short": response_head(200, {"Content-Length": "9"}) + b"x",
    "too large": response_head(200, {"Content-Length": "99999"}) + bytes(99_999),
    "a status cut short": b"HTTP/1.",
    "header after header": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000,
    "it will go on": b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000,
    "a gzip bomb": response_head(200, {"Content-Length": f"{len(BOMB)}", "Content-Encoding": "gzip"}) + BOMB,
    "a redirect to itself": response_head(302, {"Location": "http://8.8.8.8/", "Content-Length": "0"}),
    "another protocol": b"SSH-2.0-x\r\n",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_what_a_proxy_answers_may_be_its_own_fault(proxy: Proxy, answer: bytes) -> None:
    proxy.answer = answer
    error = failing("http://8.8.8.8/", 0.5)
    place = f"127.0.0.1:{proxy.port}"
    assert str(error).endswith(f", through the proxy {place}")
    assert blame(error) == (False, None, place, False)


# Whole handshakes


def test_a_handshake_completes_through_the_proxy(aia: AIAHost, proxy: Proxy, meet: Meet) -> None:
    met = meet(CA.leaf(aia=[aia.publish("/ca", CA.der)]), ROOT)
    assert met.completed
    assert f"through the proxy 127.0.0.1:{proxy.port}" in met.said
    assert (proxy.connections, aia.connections) == (1, 1)


def test_the_setting_names_a_proxy_or_none(aia: AIAHost, meet: Meet, monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = CA.leaf(aia=[aia.publish("/ca", CA.der)])
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{refusing_port()}")
    assert not meet(leaf, ROOT).completed
    monkeypatch.setenv("AIA_STORE_PROXY", "none")
    assert meet(leaf, ROOT).completed


def test_a_proxy_of_the_setting(aia: AIAHost, meet: Meet, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy(credentials="me:secret") as proxy:
        monkeypatch.setenv("AIA_STORE_PROXY", proxy.url.replace("//", "//me:secret@"))
        met = meet(CA.leaf(aia=[aia.publish("/ca", CA.der)]), ROOT)
        assert met.completed
        assert "secret" not in met.said
        assert len(proxy.requests) == 1


def test_a_dead_proxy_pauses_and_no_url_does_beyond_its_pause(
    aia: AIAHost, meet: Meet, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = CA.leaf(aia=[aia.publish("/ca", CA.der)])
    port = free_port()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    assert "cannot be reached" in meet(leaf, ROOT).said
    with Proxy(port) as back:
        assert not meet(CA.leaf(aia=[aia.publish("/other", CA.der)]), ROOT).completed
        assert back.connections == 0, "the proxy pauses, whatever the URL"
        now = time.time()
        for later in (50, 70):
            monkeypatch.setattr(time, "time", lambda later=later: now + later)
            assert meet(leaf, ROOT).completed is (later > 60)


@pytest.mark.parametrize("answer", ["407", "503", "rubbish"])
def test_behind_another_proxy_or_without_one_nothing_is_paused(
    aia: AIAHost, meet: Meet, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    leaf = CA.leaf(aia=[aia.publish("/ca", CA.der)])
    proxy.answer = ANSWERS[answer]
    assert "through the proxy" in meet(leaf, ROOT).said
    proxy.answer = None
    assert not meet(leaf, ROOT).completed, "it pauses"
    monkeypatch.delenv("http_proxy")
    assert meet(leaf, ROOT).completed


def test_no_failure_through_a_proxy_pauses_for_long(
    aia: AIAHost, meet: Meet, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = CA.leaf(aia=[aia.publish("/ca", CA.der)])
    now = time.time()
    for hour in range(6):
        proxy.answer = ANSWERS["503"] if hour < 5 else None
        monkeypatch.setattr(time, "time", lambda hour=hour: now + hour * 610)
        assert meet(leaf, ROOT).completed is (hour == 5)


def test_nor_does_one_under_an_event_loop(
    aia: AIAHost, meet: Meet, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There a handshake waits less, so that a silent proxy cannot be told from a slow host."""
    monkeypatch.setenv("AIA_STORE_ASYNC_BUDGET", "0.3")
    leaf = CA.leaf(aia=[aia.publish("/ca", CA.der)])
    now = time.time()

    async def completes() -> bool:
        return meet(leaf, ROOT).completed

    for hour in range(6):
        proxy.answer = ANSWERS["silence"] if hour < 5 else None
        monkeypatch.setattr(time, "time", lambda hour=hour: now + hour * 610)
        before = proxy.connections
        assert asyncio.run(completes()) is (hour == 5)
        assert proxy.connections == before + 1, "it does not pause any more"


def test_what_a_hostile_proxy_gives_in_place_of_an_issuer_is_not_held_against_the_url(
    aia: AIAHost, meet: Meet, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind another proxy, or without one, the URL is tried at once."""
    leaf = CA.leaf(aia=[aia.publish("/ca", CA.der)])
    impostor = Authority.root("Proxy Root").intermediate("Proxy CA").der
    proxy.answer = response_head(200, {"Content-Length": str(len(impostor))}) + impostor
    assert not meet(leaf, ROOT).completed
    proxy.answer = None
    assert not meet(leaf, ROOT).completed, "it pauses"
    assert proxy.connections == 1
    monkeypatch.delenv("http_proxy")
    assert meet(leaf, ROOT).completed


#: A right environment, in a program that may not believe it.
IN_A_PROGRAM = """
import sys, time
from aia_store.inside import fetch
import aia_store.inside as inside
try:
    print(len(fetch.get(sys.argv[1], ["127.0.0.0/8"], time.monotonic() + 5)))
except fetch.FetchError as error:
    print(error)
"""


def test_a_program_with_special_rights_believes_no_variable(aia: AIAHost, proxy: Proxy, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can have the rights of others")
    started = f"import os, sys; os.setresuid(65534, 0, 0); exec({IN_A_PROGRAM!r})"
    path = f"{Path(fetch.__file__).parents[2]}"

    def says(url: str) -> str:
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {path!r}); {started}", url]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout

    assert says(aia.publish("/ca", CA.der)) == f"{len(CA.der)}\n"
    assert (proxy.connections, aia.connections) == (0, 1)
    assert "http_proxy is not used, as this program has more rights" in says(f"http://127.0.0.1:{refusing_port()}/")
