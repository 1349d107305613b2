"""AIA hosts that do not answer: a handshake fails within its budget, and later ones at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aia_store.inside.search import Budget
from tests.conftest import CONNECT_ONCE, get, refused, run_python, trusting, wait_until
from tests.manager.disks import need_namespaces
from tests.support.pki import Authority, Leaf
from tests.support.servers import AIAHost, TLSServer, free_port

FETCH, BUDGET, SLACK = 5.0, 10.0, 0.5  # seconds
AT_ONCE = FETCH / 2  # no fetch was waited for
NO_ISSUER = "unable to get local issuer certificate"


class Clock:
    """The wall clock, which a test can move forward."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        now = time.time
        patch.setattr(time, "time", lambda: now() + self.ahead)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def root() -> Authority:
    return Authority.root()


@pytest.fixture
def ca(root: Authority) -> Authority:
    return root.intermediate()


def seconds(server: TLSServer, *anchors: Authority) -> float:
    """How long a handshake takes to fail."""
    started = time.monotonic()
    assert refused(server, trusting(*anchors)) == NO_ISSUER
    return time.monotonic() - started


def fails_at_once_from_now_on(server: TLSServer, root: Authority, folder: Path) -> None:
    assert seconds(server, root) < AT_ONCE
    cafile = folder / "root-of-dead.pem"
    cafile.write_text(root.pem)
    started = time.monotonic()
    assert NO_ISSUER in run_python(CONNECT_ONCE, server.port, cafile).stderr
    assert time.monotonic() - started < FETCH - SLACK  # a whole process


def test_refuses(hook: None, root: Authority, ca: Authority, tmp_path: Path) -> None:
    port = free_port()
    with TLSServer(ca.leaf(aia=[f"http://127.0.0.1:{port}/ca.cer"])) as server:
        assert seconds(server, root) < AT_ONCE
        with AIAHost(port) as late:
            late.publish("/ca.cer", ca.der)
            fails_at_once_from_now_on(server, root, tmp_path)
        assert late.connections == 0


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "drips"])
def test_never_answers(hook: None, aia: AIAHost, root: Authority, ca: Authority, tmp_path: Path, drips: bool) -> None:
    url = aia.drip("/ca.cer", ca.der, 1, head=True) if drips else aia.silent("/ca.cer")
    with TLSServer(ca.leaf(aia=[url])) as server:
        assert FETCH - SLACK < seconds(server, root) < BUDGET - SLACK
        fails_at_once_from_now_on(server, root, tmp_path)
    assert aia.connections == 1


@pytest.fixture
def dead_hosts() -> Iterator[list[AIAHost]]:
    with AIAHost() as first, AIAHost() as second, AIAHost() as third:
        yield [first, second, third]


def test_the_budget_of_a_handshake(hook: None, dead_hosts: list[AIAHost], root: Authority, ca: Authority) -> None:
    urls = [host.silent("/ca.cer") for host in dead_hosts]
    with TLSServer(ca.leaf(aia=urls)) as server:
        assert seconds(server, root) < BUDGET + FETCH - SLACK
    assert [host.connections for host in dead_hosts] == [1, 1, 0]
    with TLSServer(ca.leaf(aia=[dead_hosts[2].publish("/ca.cer", ca.der)])) as server:
        assert get(server, trusting(root)) == b"ok", "it was not asked, so it is not to blame"


def test_another_url_is_tried(hook: None, aia: AIAHost, root: Authority, ca: Authority) -> None:
    leaf = ca.leaf(
        aia=[aia.url("/nothing.cer"), aia.publish("/rubbish.cer", b"rubbish"), aia.publish("/ca.cer", ca.der)]
    )
    with TLSServer(leaf) as server:
        assert get(server, trusting(root)) == b"ok"
    assert aia.count() == 3


def test_a_dead_host_is_asked_for_no_other_url(hook: None, root: Authority, ca: Authority, tmp_path: Path) -> None:
    port = free_port()
    with TLSServer(ca.leaf(aia=[f"http://127.0.0.1:{port}/ca.cer"])) as server:
        refused(server, trusting(root))
    other = root.intermediate("Another")
    with AIAHost(port) as late, TLSServer(other.leaf(aia=[late.publish("/other.cer", other.der)])) as server:
        assert refused(server, trusting(root)) == NO_ISSUER
    assert late.connections == 0


def test_a_page_that_is_not_there_is_no_dead_host(hook: None, aia: AIAHost, root: Authority, ca: Authority) -> None:
    with TLSServer(ca.leaf(aia=[aia.url("/nothing.cer")])) as server:
        refused(server, trusting(root))
    with TLSServer(ca.leaf(aia=[aia.publish("/ca.cer", ca.der)])) as server:
        assert get(server, trusting(root)) == b"ok"


def test_pauses_double_and_end_with_a_success(
    hook: None, store: Path, aia: AIAHost, root: Authority, ca: Authority, clock: Clock
) -> None:
    leaf = ca.leaf(aia=[aia.url("/ca.cer")])
    with TLSServer(leaf) as server:
        for pause in (60, 120, 240):
            before = aia.count()
            refused(server, trusting(root))
            assert aia.count() == before + 1
            clock.ahead += pause - 5
            refused(server, trusting(root))
            assert aia.count() == before + 1
            clock.ahead += 10
        aia.publish("/ca.cer", ca.der)
        assert get(server, trusting(root)) == b"ok"
        assert aia.count() == 4
    shutil.rmtree(store / "certificates")
    aia.publish("/ca.cer", b"", status=503)
    # Another chain: of the first, the process knows the path.
    with TLSServer(ca.leaf(aia=[aia.url("/ca.cer")])) as server:
        refused(server, trusting(root))
        assert aia.count() == 5
        clock.ahead += 65
        aia.publish("/ca.cer", ca.der)
        assert get(server, trusting(root)) == b"ok"
        assert aia.count() == 6


def test_a_context_that_failed_tries_again_after_the_pause(
    hook: None, aia: AIAHost, root: Authority, ca: Authority, clock: Clock
) -> None:
    context = trusting(root)
    with TLSServer(ca.leaf(aia=[aia.url("/ca.cer")])) as server:
        refused(server, context)
        aia.publish("/ca.cer", ca.der)
        clock.ahead += 65
        assert get(server, context) == b"ok"


def of_another_issuer(ca: Authority, url: str) -> Leaf:
    return Authority.root("Hostile Root").intermediate("Hostile CA").leaf(aia=[url])


def of_a_false_namesake(ca: Authority, url: str) -> Leaf:
    return Authority.root("Hostile Root").intermediate(ca.name).leaf(aia=[url])


def of_a_forger(ca: Authority, url: str) -> Leaf:
    forger = Authority.root("Hostile Root").intermediate(ca.name, subject_key_id=ca.key_id or b"")
    return forger.leaf(aia=[url])


@pytest.mark.parametrize("hostile", [of_another_issuer, of_a_false_namesake, of_a_forger])
def test_a_hostile_leaf_blocks_no_honest_url(
    hook: None, aia: AIAHost, root: Authority, ca: Authority, hostile: object
) -> None:
    url = aia.publish("/ca.cer", ca.der)
    assert callable(hostile)
    with TLSServer(hostile(ca, url)) as bad, TLSServer(ca.leaf(aia=[url])) as good:
        for _ in range(3):
            refused(bad, trusting(root))
        assert aia.count() == 1
        assert get(good, trusting(root)) == b"ok"
    assert aia.count() == 2


# What is not blamed


def hangs_up(host: AIAHost) -> str:
    return host.raw("/bad.cer", b"")


def is_silent(host: AIAHost) -> str:
    return host.silent("/bad.cer")


def answers_badly(host: AIAHost) -> str:
    return host.raw("/bad.cer", b"no HTTP")


def fails(host: AIAHost) -> str:
    return host.publish("/bad.cer", b"", 500)


@pytest.mark.parametrize("misbehaves", [hangs_up, is_silent, answers_badly, fails])
def test_a_host_that_could_be_connected_to_is_asked_for_its_other_urls(
    hook: None,
    aia: AIAHost,
    root: Authority,
    ca: Authority,
    misbehaves: Callable[[AIAHost], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise a hostile leaf could name a page of an honest CA's host, and so block the whole host."""
    monkeypatch.setattr(Budget, "fetch_seconds", 1.0)
    monkeypatch.setattr(Budget, "fair_seconds", 0.5)
    with TLSServer(ca.leaf(aia=[misbehaves(aia)])) as server:
        for _ in range(2):
            refused(server, trusting(root))
    assert aia.count() == 1, "its URL pauses"
    with TLSServer(ca.leaf(aia=[aia.publish("/ca.cer", ca.der)])) as server:
        assert get(server, trusting(root)) == b"ok"


def test_what_our_policy_refuses_does_not_pause(
    hook: None, store: Path, aia: AIAHost, root: Authority, ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIA_STORE_ALLOWED_NETWORKS")
    with TLSServer(ca.leaf(aia=[aia.publish("/ca.cer", ca.der)])) as server:
        refused(server, trusting(root))
        assert not (store / "failures").exists()
        monkeypatch.setenv("AIA_STORE_ALLOWED_NETWORKS", "127.0.0.0/8")
        assert get(server, trusting(root)) == b"ok"


def test_what_our_policy_refuses_uses_no_fetch_up(hook: None, aia: AIAHost, root: Authority, ca: Authority) -> None:
    inner = [f"http://10.0.0.{number}/ca.cer" for number in range(4)]
    with TLSServer(ca.leaf(aia=[*inner, aia.publish("/ca.cer", ca.der)])) as server:
        assert get(server, trusting(root)) == b"ok"


#: Meets a server whose AIA can be reached only through a network; prints how it ended and what was noted.
FAR_AWAY = """
import os, sys
from tests.conftest import refused, trusting
from tests.support.pki import Authority
from tests.support.servers import TLSServer
import aia_store

aia_store.enable()
root = Authority.root()
with TLSServer(root.intermediate().leaf(aia=sys.argv[1:])) as server:
    print(refused(server, trusting(root)))
folder = os.path.join(os.environ["AIA_STORE_DIR"], "failures")
print(len(os.listdir(folder)) if os.path.isdir(folder) else 0)
"""
OFFLINE = "ip link set lo up"
WITH_A_ROUTE = f"{OFFLINE}; ip route add default dev lo"  # which leads nowhere


def in_a_network(network: str, *urls: str) -> list[str]:
    """What `FAR_AWAY` prints in a network namespace of its own."""
    need_namespaces("unshare", "--net")
    if shutil.which("ip") is None:
        pytest.skip("the ip command is not here")
    command = ["unshare", "--net", "sh", "-ec", f'{network}\nexec "$@"', "sh", sys.executable, "-c", FAR_AWAY, *urls]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


URL_FAR_AWAY = "http://8.8.8.8/ca.cer"


@pytest.mark.parametrize("url", [URL_FAR_AWAY, "http://[2606:4700::1111]/ca.cer", "http://ca.example/ca.cer"])
def test_without_a_network_nothing_pauses(store: Path, url: str) -> None:
    assert in_a_network(OFFLINE, url) == [NO_ISSUER, "0"]


def test_where_there_is_a_route_a_host_that_cannot_be_reached_pauses_with_its_url(store: Path) -> None:
    assert in_a_network(WITH_A_ROUTE, URL_FAR_AWAY) == [NO_ISSUER, "2"]


@pytest.mark.parametrize("has_disk", [True, False], ids=["with a disk", "without a disk"])
def test_a_hostile_leaf_delays_no_honest_url(
    hook: None,
    aia: AIAHost,
    root: Authority,
    ca: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    has_disk: bool,
) -> None:
    """It names an honest URL first and then slow ones: while it waits for those, others need the honest one."""
    if not has_disk:
        tmp_path.joinpath("file").write_text("in the way")
        monkeypatch.setenv("AIA_STORE_DIR", str(tmp_path / "file" / "store"))
    honest = aia.publish("/ca.cer", ca.der)
    slow = [aia.silent("/1.cer"), aia.silent("/2.cer")]
    hostile = of_another_issuer(ca, honest).issuer.leaf(aia=[honest, *slow])
    with TLSServer(hostile) as bad, TLSServer(ca.leaf(aia=[honest])) as good:
        waiting = threading.Thread(target=refused, args=(bad, trusting(root)))
        waiting.start()
        wait_until(lambda: aia.count("/1.cer") == 1)
        assert get(good, trusting(root)) == b"ok"
        assert waiting.is_alive(), "the slow ones are still waited for"
        waiting.join()
    assert aia.count("/ca.cer") == 2
