"""Successors of what will soon expire are fetched from where it came from, under the rules of every fetch."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from aia_store.inside import settings
from aia_store.inside.certificate import Certificate
from aia_store.inside.pauses import Failures
from aia_store.inside.search import Budget
from aia_store.inside.store import Folder
from aia_store.manager import refresh, renewal
from tests.manager.machine import COMMAND, Machine, fingerprint
from tests.support.pki import Authority, Certified, der_of, pem
from tests.support.proxy import Proxy
from tests.support.servers import AIAHost, TLSServer, refusing_port
from tests.support.wire import response_head

SOON, LATER = timedelta(days=10), timedelta(days=60)


def successor_of(old: Authority, root: Authority, **options: object) -> Authority:
    """The same name and key, for longer."""
    return root.cross_sign(old, not_after=LATER, **options)  # type: ignore[arg-type]


def plant_from(machine: Machine, certificate: Certified, url: str) -> Path:
    """Put one into the store as if it had been fetched from this URL."""
    return Path(Folder(str(machine.store)).keep(Certificate(der_of(certificate)), url))


def renewed(machine: Machine, **variables: str) -> dict[str, str]:
    """What a refresh fetches: the fingerprints of the new and the old."""
    return {one["sha256"]: one["replaces"] for one in machine.json("refresh", **variables)["renewed"]}


def test_it_is_fetched_again_from_where_it_was_learned(machine: Machine, root: Authority, aia: AIAHost) -> None:
    old = root.intermediate("Short", not_after=SOON)
    new = successor_of(old, root)
    leaf = old.leaf(aia=[aia.publish("/issuer.cer", old.der)], not_after=timedelta(days=5))
    with TLSServer(leaf) as server:
        machine.learn(server.port)
    assert machine.kept() == {old.der}
    assert renewed(machine) == {}, "the CA has not published another"
    machine.json("refresh")
    assert aia.count() == 2, "nor is it asked again at once"
    for slot in machine.store.glob("failures/*"):
        slot.unlink()
    aia.publish("/issuer.cer", new.der)
    assert renewed(machine) == {fingerprint(new): fingerprint(old)}
    assert machine.kept() == {old.der, new.der}
    assert set(machine.bundled()) == {root.der, old.der, new.der}
    assert renewed(machine) == {}
    assert aia.count() == 3


def test_what_is_below_knows_the_url_too(machine: Machine, root: Authority, aia: AIAHost) -> None:
    upper = root.intermediate("Upper", not_after=SOON)
    new = successor_of(upper, root)
    lower = upper.intermediate("Lower", aia=[aia.publish("/upper.cer", new.der)], not_after=LATER)
    machine.plant(upper, lower)
    assert "1 renewed" in machine.says("refresh")
    assert machine.kept() == {upper.der, lower.der, new.der}


def source_of(machine: Machine, authority: Authority) -> Path:
    """The note that says where it came from."""
    return machine.store / "sources" / fingerprint(authority)


def test_beside_the_pem_file_a_note_names_only_the_url(machine: Machine, root: Authority, aia: AIAHost) -> None:
    intermediate = root.intermediate()
    url = aia.publish("/issuer.cer", intermediate.der)
    with TLSServer(intermediate.leaf(aia=[url])) as server:
        machine.learn(server.port)
    text = next(machine.store.glob("certificates/*/*/*.pem")).read_text()
    assert text == pem(intermediate)
    assert source_of(machine, intermediate).read_text() == f"{url}\n"
    assert fingerprint(intermediate) in machine.says("show", fingerprint(intermediate))


@pytest.mark.parametrize("ending", ["?host=www.example.org", "#www.example.org", " x", "\nx", "é"])
def test_a_url_that_could_say_more_is_not_noted(machine: Machine, root: Authority, ending: str) -> None:
    intermediate = root.intermediate()
    plant_from(machine, intermediate, f"http://ca.example/issuer.cer{ending}")
    assert not source_of(machine, intermediate).exists()


def test_the_note_goes_with_the_certificate(machine: Machine, root: Authority) -> None:
    intermediate = root.intermediate()
    plant_from(machine, intermediate, "http://ca.example/issuer.cer")
    assert source_of(machine, intermediate).exists()
    machine.says("remove", fingerprint(intermediate))
    assert not source_of(machine, intermediate).exists()


def test_one_with_a_successor_at_hand_is_not_fetched(machine: Machine, root: Authority, aia: AIAHost) -> None:
    old = root.intermediate("Short", not_after=SOON)
    plant_from(machine, old, aia.publish("/issuer.cer", old.der))
    machine.plant(successor_of(old, root))
    assert renewed(machine) == {}
    assert aia.count() == 0


def test_one_that_lasts_is_not_fetched(machine: Machine, root: Authority, aia: AIAHost) -> None:
    lasting = root.intermediate("Lasting", not_after=timedelta(days=31))
    plant_from(machine, lasting, aia.publish("/issuer.cer", successor_of(lasting, root).der))
    assert renewed(machine) == {}
    assert aia.count() == 0


def test_offline_means_offline(machine: Machine, root: Authority, aia: AIAHost) -> None:
    old = root.intermediate("Short", not_after=SOON)
    plant_from(machine, old, aia.publish("/issuer.cer", successor_of(old, root).der))
    assert renewed(machine, AIA_STORE_OFFLINE="1") == {}
    assert aia.count() == 0
    assert len(renewed(machine)) == 1


STRANGER = Authority.root("Stranger")


@pytest.mark.parametrize(
    "reply",
    [
        lambda old, root: b"no certificate",
        lambda old, root: successor_of(old, STRANGER).der,
        lambda old, root: successor_of(old, root, signed_by=STRANGER.key).der,
        lambda old, root: root.intermediate("Another", not_after=LATER).der,
        lambda old, root: root.intermediate("Short", not_after=LATER).der,
        lambda old, root: root.cross_sign(old, not_after=timedelta(days=5)).der,
        lambda old, root: root.der,
    ],
    ids=["garbage", "of an unknown root", "forged", "another name", "another key", "shorter-lived", "the root"],
)
def test_what_is_no_successor_is_not_kept(
    machine: Machine, root: Authority, aia: AIAHost, reply: Callable[[Authority, Authority], bytes]
) -> None:
    old = root.intermediate("Short", not_after=SOON)
    plant_from(machine, old, aia.publish("/issuer.cer", reply(old, root)))
    assert renewed(machine) == {}
    assert machine.kept() == {old.der}
    assert aia.count() == 1


@pytest.mark.parametrize(
    "line",
    [
        "file:///etc/passwd",
        "http://user:secret@127.0.0.1/",
        "http://127.0.0.1:22/",
        "\x1b[31m",
        "x" * 5000,
        "\0" * 90,
    ],
    ids=lambda line: repr(line[:27]),
)
def test_a_note_is_hostile(machine: Machine, root: Authority, line: str) -> None:
    old = root.intermediate("Short", not_after=SOON)
    plant_from(machine, old, "http://ca.example/issuer.cer")
    source_of(machine, old).write_text(f"{line}\n")
    assert renewed(machine) == {}
    assert machine.kept() == {old.der}


def test_a_private_address_is_not_asked(machine: Machine, root: Authority, aia: AIAHost) -> None:
    old = root.intermediate("Short", not_after=SOON)
    plant_from(machine, old, aia.publish("/issuer.cer", successor_of(old, root).der))
    assert renewed(machine, AIA_STORE_ALLOWED_NETWORKS="") == {}
    assert aia.count() == 0


def test_a_redirect_and_pkcs7_are_still_followed(machine: Machine, root: Authority, aia: AIAHost) -> None:
    old = root.intermediate("Short", not_after=SOON)
    new = successor_of(old, root)
    plant_from(machine, old, aia.redirect("/issuer.cer", aia.publish("/new.cer", pem(new).encode())))
    assert renewed(machine) == {fingerprint(new): fingerprint(old)}


def test_so_many_fetches_and_no_more(machine: Machine, root: Authority, aia: AIAHost) -> None:
    for number in range(40):
        old = root.intermediate(f"Short {number}", not_after=SOON)
        plant_from(machine, old, aia.publish(f"/{number}.cer", successor_of(old, root).der))
    assert len(renewed(machine)) == 30
    assert len(renewed(machine)) == 10
    assert aia.count() == 40


def test_dead_hosts_hold_a_refresh_for_a_bounded_time(machine: Machine, root: Authority, aia: AIAHost) -> None:
    old = root.intermediate("Short", not_after=SOON)
    plant_from(machine, old, aia.silent("/issuer.cer"))
    started = time.monotonic()
    assert renewed(machine) == {}
    assert 4 < time.monotonic() - started < 15
    started = time.monotonic()
    assert renewed(machine) == {}
    assert time.monotonic() - started < 4, "it is paused"


def test_two_refreshes_at_once_fetch_once(machine: Machine, root: Authority, aia: AIAHost) -> None:
    old = root.intermediate("Short", not_after=SOON)
    new = successor_of(old, root)
    plant_from(machine, old, aia.publish("/issuer.cer", new.der, delay=0.5))
    both = [machine.start([*COMMAND, "refresh"]) for _ in range(2)]
    outputs = [one.communicate(timeout=60) for one in both]
    assert [errors for _, errors in outputs] == ["", ""]
    assert sum(int(re.findall(r"(\d+) renewed", output)[0]) for output, _ in outputs) == 1
    assert aia.count() == 1
    assert machine.kept() == {old.der, new.der}


def test_a_ca_can_neither_fill_the_store_nor_use_up_the_time_of_others(
    machine: Machine, root: Authority, aia: AIAHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names a URL that offers ever more successors, which soon expire too, and URLs that never answer."""
    machine.enter(monkeypatch)
    monkeypatch.setattr(renewal, "SECONDS", 2.0)
    monkeypatch.setattr(Budget, "fetch_seconds", 1.0)
    hostile, honest = root.intermediate("Hostile"), root.intermediate("Honest", not_after=SOON)
    fertile = hostile.intermediate("Fertile", not_after=timedelta(days=1))
    offered = [hostile.cross_sign(fertile, not_after=timedelta(days=2, hours=hour)) for hour in range(9)]
    plant_from(machine, fertile, aia.publish("/fertile.cer", pem(*offered).encode()))
    for number in range(4):
        silent = hostile.intermediate(f"Silent {number}", not_after=timedelta(days=1, hours=number))
        plant_from(machine, silent, aia.silent(f"/{number}.cer"))
    late = aia.publish("/honest.cer", successor_of(honest, root).der)
    plant_from(machine, honest, late)
    machine.plant(hostile)
    found = refresh.run(settings.load()).renewed
    assert {one.old.der for one in found} == {fertile.der, honest.der}
    assert [one.certificate.der for one in found if one.old.der == fertile.der] == [offered[-1].der]


def test_a_host_that_others_left_no_time_is_not_blamed(
    machine: Machine, root: Authority, aia: AIAHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.enter(monkeypatch)
    monkeypatch.setattr(renewal, "SECONDS", 1.5)
    monkeypatch.setattr(Budget, "fetch_seconds", 1.4)
    urls = [aia.silent("/first.cer"), aia.silent("/second.cer")]
    for number, url in enumerate(urls):
        plant_from(machine, root.intermediate(f"CA {number}", not_after=timedelta(days=number + 1)), url)
    refresh.run(settings.load())
    failures = Failures(Folder(str(machine.store)))
    assert [failures.url_is_paused(url) for url in urls] == [True, False]
    assert aia.count() == 2


@pytest.mark.parametrize("fault", ["our policy", "a dead proxy", "a page of the proxy's", "an old one from the proxy"])
def test_what_is_not_the_cas_fault_is_not_held_against_it(
    machine: Machine, root: Authority, aia: AIAHost, fault: str
) -> None:
    """The next refresh with nothing in the way asks the CA."""
    old = root.intermediate("Short", not_after=SOON)
    new = successor_of(old, root)
    plant_from(machine, old, aia.publish("/issuer.cer", new.der))
    body = old.der if fault.startswith("an old one") else b"Log in!\n"
    with Proxy(answer=response_head(200, {"Content-Length": str(len(body))}) + body) as proxy:
        in_the_way = {
            "our policy": {"AIA_STORE_ALLOWED_NETWORKS": ""},
            "a dead proxy": {"AIA_STORE_PROXY": f"http://127.0.0.1:{refusing_port()}"},
        }.get(fault, {"AIA_STORE_PROXY": proxy.url})
        assert renewed(machine, **in_the_way) == {}
    assert aia.count() == 0
    assert renewed(machine) == {fingerprint(new): fingerprint(old)}
