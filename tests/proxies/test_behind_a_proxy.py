"""A machine whose only way out is a real proxy: everything that fetches works, and reaches nothing that it must not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ATTACH
from tests.manager.machine import Machine
from tests.proxies.world import CREDENTIALS, PORT, PROXY, SILENT, World, naming

ABSENT = "10.9.0.77:3128"  # nobody has this address
SECRET = CREDENTIALS.partition(":")[2]

#: A program with the hook, which asks a server for a page through the proxy; prints the reply, or the error's note.
PROGRAM = (
    ATTACH
    + """
import ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context(cafile=sys.argv[1])
try:
    print(urllib.request.urlopen("https://www.example/", timeout=30, context=context).read().decode())
except urllib.error.URLError as error:
    print(error.reason, *getattr(error.reason, "__notes__", ()))
"""
)

#: The same within an event loop, which must not stand still for long; the notes of its error are printed.
ASYNCHRONOUS = (
    ATTACH
    + """
import asyncio, ssl, sys, time
async def main():
    context = ssl.create_default_context(cafile=sys.argv[1])
    started = time.monotonic()
    reader, writer = await asyncio.open_connection(*sys.argv[2].split(":"))
    writer.write(b"CONNECT www.example:443 HTTP/1.1\\r\\nHost: www.example\\r\\n\\r\\n")
    await reader.readuntil(b"\\r\\n\\r\\n")
    try:
        await writer.start_tls(context, server_hostname="www.example")
        print("completed")
    except ssl.SSLError as error:
        print(*getattr(error, "__notes__", ("refused",)))
    print(time.monotonic() - started < 4)
asyncio.run(main())
"""
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def machine(world: World, tmp_path: Path) -> Machine:
    return world.machine(tmp_path / "machine")


@pytest.fixture
def tinyproxy(world: World) -> Iterator[None]:
    with world.proxy("tinyproxy"):
        yield


def met(machine: Machine, **variables: str) -> str:
    """What a program prints that meets the server."""
    done = machine.execute(sys.executable, "-c", PROGRAM, machine.roots, **variables)
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done.stdout.strip()


def is_nowhere(secret: str, folder: Path) -> bool:
    """Whether no file below a folder contains it."""
    return not any(secret in file.read_text(errors="replace") for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("program", ["tinyproxy", "squid"])
def test_a_first_meeting_and_the_second(world: World, machine: Machine, program: str) -> None:
    with world.proxy(program):
        before = len(world.requests())
        assert met(machine, **naming()) == "ok"
        assert [asked[:2] for asked in world.requests()[before:]] == [("ca.example", "/ca.cer")]
        assert met(machine, **naming(), AIA_STORE_OFFLINE="1") == "ok"


@pytest.mark.parametrize("program", ["tinyproxy", "squid"])
def test_a_proxy_with_a_password(world: World, machine: Machine, program: str) -> None:
    with world.proxy(program, password=True):
        before = len(world.requests())
        connects = naming(credentials=CREDENTIALS)["https_proxy"]
        unnamed = met(machine, https_proxy=connects, http_proxy=naming()["http_proxy"])
        assert f"a password is asked for (status 407), through the proxy {PROXY}:{PORT}" in unnamed or not notes()
        assert len(world.requests()) == before
        machine.says("clear", "--yes")
        assert met(machine, **naming(credentials=CREDENTIALS), AIA_STORE_LOG="debug") == "ok"
        ((_, _, names),) = world.requests()[before:]
        assert "proxy-authorization" not in names
    assert is_nowhere(SECRET, machine.folder)


def notes() -> bool:
    """Whether errors have notes on this Python."""
    return sys.version_info >= (3, 11)


@pytest.mark.usefixtures("tinyproxy")
def test_the_commands(world: World, machine: Machine) -> None:
    """The server is on the machine's own network; its CA, the CRLs and the reports are beyond the proxy."""
    machine.environment.update({**naming(), "no_proxy": "inner.example"})
    (found,) = machine.json("check", "inner.example", status=1)
    assert found["result"] == "incomplete", found
    assert "Outer CA" in machine.says("list")
    machine.says("clear", "--yes")
    assert "Outer CA" in machine.says("add", "http://ca.example/ca.cer")
    machine.says("clear", "--yes")
    assert "Outer CA" in machine.says("add", "inner.example")
    machine.says("preload", "https://reports.example:8443/report.csv")
    before = len(world.requests())
    machine.says("refresh")
    assert ("ca.example", "/root.crl") in [asked[:2] for asked in world.requests()[before:]]
    assert not any("proxy-authorization" in names for _, _, names in world.requests())


@pytest.mark.parametrize("program", ["tinyproxy", "squid"])
def test_the_commands_with_a_password(world: World, machine: Machine, program: str) -> None:
    """Here the server is beyond the proxy, too."""
    machine.environment.update(naming(credentials=CREDENTIALS))
    with world.proxy(program, password=True):
        (found,) = machine.json("check", "www.example", status=1)
        assert (found["result"], found["connected_to"]["proxy"]) == ("incomplete", f"{PROXY}:{PORT}")
        machine.says("clear", "--yes")
        assert "Outer CA" in machine.says("add", "www.example")
        machine.says("preload", "https://reports.example:8443/report.csv")
        machine.says("refresh")
        refusal = machine.complains("check", "www.example", status=2, https_proxy=naming()["https_proxy"])
        assert f"through the proxy {PROXY}:{PORT} (it answers 407 Proxy Authentication Required" in refusal
    assert not any("proxy-authorization" in names for _, _, names in world.requests())
    assert is_nowhere(SECRET, machine.folder)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.StreamWriter.start_tls came with Python 3.11")
@pytest.mark.usefixtures("tinyproxy")
def test_the_budget_of_an_event_loop_covers_the_proxy(world: World, machine: Machine) -> None:
    """The proxy that is named never answers; the connection itself is made through the right one."""
    with world.silence():
        variables = naming(f"{PROXY}:{SILENT}")
        command = [sys.executable, "-c", ASYNCHRONOUS, machine.roots, f"{PROXY}:{PORT}"]
        done = machine.execute(*command, **variables)
        assert done.stdout.endswith("True\n"), done
        assert "completed" not in done.stdout
        assert f"the proxy {PROXY}:{SILENT}" in done.stdout or not notes()
    assert machine.execute(*command, **naming()).stdout.startswith("completed\n")


@pytest.mark.usefixtures("tinyproxy")
def test_the_setting_of_the_site(world: World, machine: Machine) -> None:
    """As for a daemon, whose environment names no proxy."""
    site = Path(machine.environment["XDG_CONFIG_DIRS"], "aia-store", "config.toml")
    site.parent.mkdir(parents=True)
    site.write_text(f'proxy = "http://{PROXY}:{PORT}"\n')
    machine.says("add", "http://ca.example/ca.cer")
    machine.says("preload", "https://reports.example:8443/report.csv")
    before = len(world.requests())
    machine.says("refresh")
    assert ("ca.example", "/root.crl") in [asked[:2] for asked in world.requests()[before:]]


def test_without_the_proxy_nothing_is_reached(world: World, machine: Machine) -> None:
    """Otherwise the other tests show nothing."""
    with world.proxy("tinyproxy"):
        before = len(world.requests())
        assert "cannot be fetched" in machine.complains("add", "http://ca.example/ca.cer")
        assert "cannot be fetched" in machine.complains(
            "add", "http://8.8.4.4/ca.cer", **naming(), AIA_STORE_PROXY="none"
        )
        assert len(world.requests()) == before


# A proxy that is dead, slow or hostile


@pytest.mark.usefixtures("tinyproxy")
def test_a_proxy_that_never_answers(world: World, machine: Machine) -> None:
    with world.silence():
        variables = {**naming(f"{PROXY}:{SILENT}"), "https_proxy": naming()["https_proxy"]}
        assert f"through the proxy {PROXY}:{SILENT}; asked again" in met(machine, **variables) or not notes()
    assert met(machine, **naming()) == "ok", "neither the URL nor its host pauses on another way"


@pytest.mark.usefixtures("tinyproxy")
def test_a_proxy_whose_machine_is_off(world: World, machine: Machine) -> None:
    """It is on the machine's own network, which has no other way out. Only the first handshake waits for it."""
    variables = {**naming(ABSENT), "https_proxy": naming()["https_proxy"]}
    assert f"the proxy {ABSENT} cannot be reached (No route to host)" in met(machine, **variables) or not notes()
    log = machine.execute(sys.executable, "-c", PROGRAM, machine.roots, **variables, AIA_STORE_LOG="debug").stderr
    assert "fetching" not in log
    assert met(machine, **naming()) == "ok", "nothing pauses on another way"


def test_a_dead_proxy(world: World, machine: Machine) -> None:
    said = machine.complains("add", "http://ca.example/ca.cer", **naming(credentials=CREDENTIALS))
    assert said.endswith(f"the proxy {PROXY}:{PORT} cannot be reached (Connection refused)")
    done = machine.run("preload", "https://reports.example:8443/report.csv", **naming(credentials=CREDENTIALS))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the proxy {PROXY}:{PORT} cannot be reached" in done.stderr
    told = machine.run("status", **naming(credentials=CREDENTIALS)).stdout
    assert f"through the proxy {PROXY}:{PORT} (http_proxy), which could not be reached" in told
    assert SECRET not in said + done.stderr + told
    assert is_nowhere(SECRET, machine.folder)


@pytest.mark.parametrize(
    "url", ["http://ca.example/inwards", "http://ca.example/nothing"], ids=["redirects inwards", "404"]
)
@pytest.mark.usefixtures("tinyproxy")
def test_what_comes_from_beyond_is_not_believed(world: World, machine: Machine, url: str) -> None:
    before = [asked for asked in world.requests() if asked[0] == PROXY]
    assert "cannot be fetched" in machine.complains("add", url, **naming())
    assert [asked for asked in world.requests() if asked[0] == PROXY] == before


# What the proxy could reach and is not asked for

INNER = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0177.0.0.1",
    "017700000001",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "6425673729",
    "127.0.0.1.",
    "127.000.000.001",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST.",
    "www.localhost",
    "loopback.example",
    "LoopBack.Example",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[::]",
    "[fe80::1%25lo]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    PROXY,
    "10.9.1",
    "0x0a.9.0.1",
    "168361985",
    "012.011.0.1",
    "inner.example",
    "INNER.example",
    "both.example",
    "proxy.example",
    "169.254.169.254",
    "127.0.0.1%2eexample",
    "ca.example@127.0.0.1",
    "127.0.0.1\\.ca.example",
    "127.0.0.1%23.ca.example",
]

#: Fetches each URL that is an argument through the proxy; prints the errors.
FETCH_ALL = """
import sys, time
from aia_store.inside import fetch
for url in sys.argv[1:]:
    try:
        fetch.get(url, [], time.monotonic() + 10)
        print("fetched", url)
    except fetch.RefusedError as error:
        print("refused")
    except fetch.FetchError as error:
        print(url, error)
"""


@pytest.mark.usefixtures("tinyproxy")
def test_no_address_that_is_not_public_is_reached_through_the_proxy(world: World, machine: Machine) -> None:
    for host in ("127.0.0.1", "inner.example", "loopback.example", PROXY):
        assert " 200 " in world.asked_of_proxy(f"http://{host}/ca.cer"), "the proxy itself would go there"
    before = len(world.requests())
    urls = [f"http://{host}/ca.cer" for host in INNER]
    done = machine.execute(sys.executable, "-c", FETCH_ALL, *urls, **naming())
    assert done.stdout.splitlines() == ["refused"] * len(urls), done
    assert len(world.requests()) == before
