"""Under asyncio: what is prepared is never fetched by the thread of the loop, and what is not, within a budget."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

import aia_store
from aia_store import AIADownloadError, AIAError, AIASession, AsyncAIASession, InvalidCAError, Prepared, prepare
from tests.conftest import Hierarchy, get, hooked, run_python, trusting
from tests.session.conftest import host_of
from tests.support.dead import refusing_port
from tests.support.pki import Authority
from tests.support.servers import AIAHost, TLSServer

HOSTS = 100


async def talk(server: TLSServer, context: ssl.SSLContext) -> bytes:
    """What the server replies to a client of asyncio."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname="localhost")
    with contextlib.closing(writer):
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        return (await reader.read()).partition(b"\r\n\r\n")[2]


@pytest.fixture
def hosts(pki: Hierarchy, aia: AIAHost) -> Iterator[list[TLSServer]]:
    """Servers that send their leaf alone, each under an intermediate of its own."""
    with contextlib.ExitStack() as stack:
        servers = []
        for number in range(HOSTS):
            ca = pki.root.intermediate(f"CA {number}")
            url = aia.publish(f"/ca-{number}.cer", ca.der)
            servers.append(stack.enter_context(TLSServer(ca.leaf(aia=[url]))))
        yield servers


def test_after_prepare_no_handshake_fetches(hosts: list[TLSServer], pki: Hierarchy, aia: AIAHost, hook: None) -> None:
    async def program() -> tuple[list[Prepared], list[bytes]]:
        prepared = await prepare(*map(host_of, hosts))
        assert aia.count() == HOSTS
        context = trusting(pki.root)
        return prepared, await asyncio.gather(*(talk(server, context) for server in hosts))

    prepared, replies = asyncio.run(program())
    assert [one.host for one in prepared] == [host_of(server) for server in hosts]
    assert [(len(one.missing), one.error) for one in prepared] == [(1, None)] * HOSTS
    assert replies == [b"ok"] * HOSTS
    assert aia.count() == HOSTS


def test_prepare_says_of_each_host_what_it_learned(server: TLSServer, pki: Hierarchy, aia: AIAHost) -> None:
    issuer, unknown = pki.intermediates[0], pki.root.intermediate("Unknown CA")
    with TLSServer(pki.leaf, [issuer]) as right, TLSServer(unknown.leaf(aia=[aia.url("/gone")])) as gone:
        dead = f"127.0.0.1:{refusing_port()}"
        hosts = (host_of(right), host_of(gone), dead, "no host", f"https://{host_of(server)}/page")
        prepared = asyncio.run(prepare(*hosts))
    assert [one.host for one in prepared] == list(hosts)
    assert [one.missing for one in prepared] == [[], [], [], [], [issuer.der]]
    kinds = [type(one.error) for one in prepared]
    assert kinds == [type(None), AIADownloadError, ConnectionRefusedError, AIAError, type(None)]
    assert asyncio.run(prepare()) == []


def test_prepare_imports_heavy_modules_in_a_thread_and_does_not_block_the_loop() -> None:
    code = (
        "import aia_store, asyncio, sys\naia_store.prepare\nprint('aia_store.library.building' in sys.modules)\n"
        "asyncio.run(aia_store.prepare('no host'))\nprint('cryptography' in sys.modules)"
    )
    assert run_python(code, hook=False).stdout == "False\nFalse\n"


TWINS: dict[str, Callable[[AsyncAIASession, str, str], Awaitable[object]]] = {
    "get_host_cert": lambda session, host, url: session.get_host_cert(host),
    "cadata_from_host": lambda session, host, url: session.cadata_from_host(host),
    "cadata_from_url": lambda session, host, url: session.cadata_from_url(url),
    "download": lambda session, host, url: session.download(url),
}


def test_every_method_has_a_twin_with_the_same_arguments(server: TLSServer, pki: Hierarchy) -> None:
    def methods(of: type) -> dict[str, list[str]]:
        public = {name: method for name, method in vars(of).items() if not name.startswith("_")}
        return {name: list(inspect.signature(method).parameters) for name, method in public.items()}

    assert methods(AsyncAIASession) == methods(AIASession)
    host, url = host_of(server), server.url
    for name, call in TWINS.items():
        argument = url if name in ("cadata_from_url", "download") else host
        assert asyncio.run(call(AsyncAIASession(), host, url)) == getattr(AIASession(), name)(argument)  # type: ignore[arg-type]


def test_the_other_twins(server: TLSServer, pki: Hierarchy, aia: AIAHost) -> None:
    async def program() -> None:
        session = AsyncAIASession("Some Program/1.0")
        chain = [certificate async for certificate in session.aia_chase(host_of(server))]
        assert chain == list(AIASession().aia_chase(host_of(server)))
        await session.validate_certificate_chain(chain)
        with pytest.raises(ssl.SSLError):
            await session.validate_certificate_chain(chain[:2])
        for context in (
            await session.ssl_context_from_host(host_of(server)),
            await session.ssl_context_from_url(server.url),
        ):
            assert await talk(server, context) == b"ok"
        response = await session.urlopen(server.url, timeout=20)
        assert await asyncio.to_thread(response.read) == b"ok"
        with TLSServer(Authority.root("Stranger").leaf()) as stranger, pytest.raises(InvalidCAError):
            await session.ssl_context_from_host(host_of(stranger))

    asyncio.run(program())
    assert aia.count() == 1


@pytest.fixture
def slow(server: TLSServer, pki: Hierarchy, aia: AIAHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[TLSServer]:
    """A server whose issuer takes a second to be had, which is more than a loop may wait."""
    monkeypatch.setenv("AIA_STORE_ASYNC_BUDGET", "0.2")
    aia.publish("/0.cer", pki.intermediates[0].der, delay=1)
    with hooked():
        yield server


def refused_by_the_loop(server: TLSServer, pki: Hierarchy) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        asyncio.run(talk(server, trusting(pki.root)))


def test_a_handshake_under_a_loop_fetches_what_comes_within_the_budget(
    server: TLSServer, pki: Hierarchy, aia: AIAHost, hook: None
) -> None:
    assert asyncio.run(talk(server, trusting(pki.root))) == b"ok"
    assert aia.count() == 1


def test_what_takes_longer_is_given_up_and_not_tried_again_at_once(
    slow: TLSServer, pki: Hierarchy, aia: AIAHost
) -> None:
    for _ in range(2):
        refused_by_the_loop(slow, pki)
    assert aia.count() == 1


def test_a_process_with_more_time_may_still_try(slow: TLSServer, pki: Hierarchy, aia: AIAHost) -> None:
    refused_by_the_loop(slow, pki)
    assert get(slow, trusting(pki.root)) == b"ok"
    assert asyncio.run(talk(slow, trusting(pki.root))) == b"ok"
    assert aia.count() == 2


def test_a_thread_beside_the_loop_has_its_usual_time(slow: TLSServer, pki: Hierarchy) -> None:
    async def program() -> bytes:
        return await asyncio.to_thread(get, slow, trusting(pki.root))

    assert asyncio.run(program()) == b"ok"


def test_with_no_budget_a_loop_fetches_nothing(
    server: TLSServer, pki: Hierarchy, aia: AIAHost, hook: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIA_STORE_ASYNC_BUDGET", "0")
    refused_by_the_loop(server, pki)
    assert aia.count() == 0
    asyncio.run(prepare(host_of(server)))
    assert asyncio.run(talk(server, trusting(pki.root))) == b"ok"
    assert aia.count() == 1


def test_where_nothing_can_be_written_prepare_helps_this_process(
    server: TLSServer, pki: Hierarchy, aia: AIAHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: None
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AIA_STORE_DIR", str(tmp_path / "file" / "store"))

    async def program() -> bytes:
        await aia_store.prepare(host_of(server))
        return await talk(server, trusting(pki.root))

    assert asyncio.run(program()) == b"ok"
    assert aia.count() == 1
