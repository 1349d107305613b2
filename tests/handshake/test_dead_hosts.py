"""AIA hosts that do not answer: a handshake fails within its budget, and those after it at once."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CONNECT_ONCE, get, refused, run_python, trusting
from tests.support.pki import Authority, Leaf
from tests.support.servers import AIAHost, TLSServer, free_port

FETCH, BUDGET, SLACK = 5.0, 10.0, 0.5  # seconds
AT_ONCE = 0.5
NO_ISSUER = "unable to get local issuer certificate"


class Clock:
    """The wall clock, which a test can put forward."""

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
    assert time.monotonic() - started < AT_ONCE + 1  # a whole process


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
        assert FETCH - SLACK < seconds(server, root) < FETCH + 2 * SLACK
        fails_at_once_from_now_on(server, root, tmp_path)
    assert aia.connections == 1


@pytest.fixture
def dead_hosts() -> Iterator[list[AIAHost]]:
    with AIAHost() as first, AIAHost() as second, AIAHost() as third:
        yield [first, second, third]


def test_the_budget_of_a_handshake(hook: None, dead_hosts: list[AIAHost], root: Authority, ca: Authority) -> None:
    urls = [host.silent("/ca.cer") for host in dead_hosts]
    with TLSServer(ca.leaf(aia=urls)) as server:
        assert seconds(server, root) < BUDGET + SLACK
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
def test_a_hostile_leaf_silences_no_honest_url(
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
