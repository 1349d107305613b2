"""Hints: a CA host that the hub found dead is left alone for an hour by the others, and no longer."""

from __future__ import annotations

import sys
import time

import pytest

from aia_store.inside import pauses
from aia_store.inside.store import Folder
from aia_store.manager.share import hints
from aia_store.manager.share import manifest as manifests
from aia_store.manager.share.memory import HINTED_AGAIN_AFTER, Remembered
from tests.manager.machine import HOOKED, Machine
from tests.manager.share.conftest import Join
from tests.manager.share.engines import Engine
from tests.support.pki import Authority, Leaf
from tests.support.servers import AIAHost, TLSServer, free_port


def connects(machine: Machine, leaf: Leaf) -> bool:
    """Whether a program with the hook can connect to a server that sends only this leaf."""
    with TLSServer(leaf) as server:
        done = machine.execute(sys.executable, "-c", HOOKED, server.port, machine.roots)
    return done.returncode == 0


def test_a_host_that_was_dead_for_the_hub_is_left_alone_but_not_by_add(
    shelf: Engine, join: Join, public: Authority
) -> None:
    hub, machine = join("hub", shelf), join("machine", shelf)
    port = free_port()
    host = f"http://127.0.0.1:{port}"
    issuer = public.intermediate(aia=[f"{host}/root.cer"])
    leaf = issuer.leaf(aia=[f"{host}/issuer.cer"])
    hub.plant(public.intermediate("Another of this CA", aia=[f"{host}/root.cer"]))
    assert not connects(hub, leaf), "the host is dead"
    hub.json("share", "publish")
    assert manifests.parse(shelf.get("out/manifest")).dead == {pauses.digest_of(host)}
    machine.json("share", "pull")
    with AIAHost(port) as aia:
        url = aia.publish("/issuer.cer", issuer.der)
        assert not connects(machine, leaf)
        assert aia.count() == 0, "it has not tried"
        machine.says("add", url)
        assert aia.count() == 1
        assert connects(machine, leaf)


def test_a_hub_does_not_tell_which_private_hosts_are_dead(shelf: Engine, join: Join, public: Authority) -> None:
    """A host's name can be guessed from its digest."""
    company, host = Authority.root("Company Root"), f"http://127.0.0.1:{free_port()}"
    hub = join("hub", shelf, company)
    issuer = company.intermediate(aia=[f"{host}/root.cer"])
    hub.plant(issuer, public.intermediate())
    assert not connects(hub, company.intermediate("Other").leaf(aia=[f"{host}/other.cer"]))
    hub.json("share", "publish")
    assert manifests.parse(shelf.get("out/manifest")).dead == frozenset()


def saying_that(digest: str) -> manifests.Manifest:
    """A manifest of now that calls this URL or host dead."""
    return manifests.Manifest(dead=frozenset([digest]), made=int(time.time()))


@pytest.fixture
def home(join: Join, shelf: Engine, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """The store folder of a machine in this process."""
    machine = join("machine", shelf)
    machine.enter(monkeypatch)
    return Folder(str(machine.store))


def test_a_hint_counts_for_an_hour_and_once_a_day(home: Folder) -> None:
    memory, now, url = Remembered(), time.time(), "http://ca.test/issuer.cer"
    dead = saying_that(pauses.digest_of(url))
    failures = pauses.Failures(home)
    assert hints.follow(dead, home, memory, now) == 1
    assert 3_500 < failures.pause_ends(url) - now <= 3_601
    failures.forgive(url)
    assert hints.follow(dead, home, memory, now + 3_600) == 0
    assert not failures.url_is_paused(url), "an own success counts more"
    later = now + HINTED_AGAIN_AFTER + 1
    memory.begin(memory.shelf, memory.terms, later)
    assert hints.follow(dead._replace(made=int(later)), home, memory, later) == 1


def test_an_own_failure_counts_more_than_a_hint(home: Folder) -> None:
    url, failures = "http://ca.test/issuer.cer", pauses.Failures(home)
    failures.failed(url)
    ends = failures.pause_ends(url)
    assert ends < time.time() + 61
    assert hints.follow(saying_that(pauses.digest_of(url)), home, Remembered(), time.time()) == 0
    assert failures.pause_ends(url) == ends


def test_no_more_hints_are_followed_than_a_manifest_may_hold(home: Folder) -> None:
    memory = Remembered(hinted=dict.fromkeys((f"{number:064x}" for number in range(hints.MOST_OF_A_DAY)), time.time()))
    assert hints.follow(saying_that("f" * 64), home, memory, time.time()) == 0


def test_a_hub_that_is_gone_does_not_keep_machines_from_a_host_for_ever(home: Folder) -> None:
    now, url = time.time(), "http://ca.test/issuer.cer"
    old = saying_that(pauses.digest_of(url))._replace(made=int(now) - hints.COUNT_FOR - 60)
    assert hints.follow(old, home, Remembered(), now) == 0
    assert not pauses.Failures(home).url_is_paused(url)


def test_a_hub_whose_clock_is_ahead_does_not_either(home: Folder) -> None:
    now, url = time.time(), "http://ca.test/issuer.cer"
    ahead = saying_that(pauses.digest_of(url))._replace(made=int(now) + 365 * 86_400)
    assert hints.follow(ahead, home, Remembered(), now) == 0
    assert not pauses.Failures(home).url_is_paused(url)


def test_a_hub_that_is_there_says_again_which_hosts_are_dead(shelf: Engine, join: Join, public: Authority) -> None:
    hub, host = join("hub", shelf), f"http://127.0.0.1:{free_port()}"
    hub.plant(public.intermediate(aia=[f"{host}/root.cer"]))
    assert not connects(hub, public.intermediate("Other").leaf(aia=[f"{host}/other.cer"]))
    hub.json("share", "publish")
    said = manifests.parse(shelf.get("out/manifest"))
    assert said.dead
    shelf.put("out/manifest", manifests.text(said._replace(made=said.made - hints.COUNT_FOR)))
    hub.json("share", "publish")
    assert manifests.parse(shelf.get("out/manifest")).made >= said.made
