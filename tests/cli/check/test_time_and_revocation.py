"""How long a chain lasts, and what its issuers' CRLs say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509

from tests.cli.check.fleet import Fleet
from tests.manager.machine import Machine
from tests.manager.revoking import crl_with
from tests.support.pki import Authority, crl
from tests.support.servers import AIAHost, TLSServer


def test_a_chain_that_ends_soon_is_mentioned(machine: Machine, root: Authority) -> None:
    with TLSServer(root.leaf(not_after=timedelta(days=9, hours=1))) as server:
        host = f"localhost:{server.port}"
        assert "Ends soon: localhost, on " in machine.says("check", host)
        assert machine.json("check", host)[0]["expiry"]["days_left"] == 9


@pytest.mark.parametrize(("days", "status"), [(9, 0), (10, 1)])
def test_how_long_it_must_last(machine: Machine, root: Authority, days: int, status: int) -> None:
    """The intermediates count too: the owner has to install them."""
    brief = root.intermediate("Brief CA", not_after=timedelta(days=9, hours=1))
    with TLSServer(brief.leaf(), [brief]) as server:
        command = ["check", f"localhost:{server.port}", "--expiry-days", str(days)]
        shown = machine.says(*command, status=status)
        (found,) = machine.json(*command, status=status)
    assert "Complete" in shown
    assert "Ends soon: Brief CA, on " in shown
    assert found["result"] == ("ending" if status else "complete")


def test_what_ends_is_counted_apart(machine: Machine, root: Authority) -> None:
    with Fleet() as fleet:
        hosts = [*fleet.tls(1, root.leaf()), *fleet.tls(1, root.leaf(not_after=timedelta(days=2)))]
        shown = machine.says("check", *hosts, "--expiry-days", "30", status=1)
    assert "2 hosts: 1 complete, 1 ending soon." in shown


class World:
    """A root, an intermediate and a leaf; the last two each name a CRL of their issuer."""

    def __init__(self, root: Authority, aia: AIAHost) -> None:
        self.root, self.aia = root, aia
        self.ca = root.intermediate("Doubtful CA", crl=[aia.url("/root.crl")])
        self.leaf = self.ca.leaf(crl=[aia.url("/ca.crl")])
        aia.publish("/root.crl", crl(root))
        aia.publish("/ca.crl", crl(self.ca))


@pytest.fixture
def world(root: Authority, aia: AIAHost) -> World:
    return World(root, aia)


def _revoke_ca(world: World) -> object:
    return world.aia.publish("/root.crl", crl(world.root, [world.ca]))


def _revoke_leaf(world: World) -> object:
    return world.aia.publish("/ca.crl", crl(world.ca, [world.leaf]))


def _say_nothing_of_leaves(world: World) -> object:
    scope = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)
    return world.aia.publish("/ca.crl", crl_with(world.ca, (scope, True)))


def _say_of_leaves_only(world: World) -> object:
    scope = x509.IssuingDistributionPoint(None, None, True, False, None, False, False)
    return world.aia.publish("/ca.crl", crl_with(world.ca, (scope, True)))


WAYS: dict[str, tuple[Callable[[World], object], list[bool | None], str]] = {
    "none": (lambda world: None, [False, False], "not revoked"),
    "the intermediate": (_revoke_ca, [False, True], "Revoked: Doubtful CA, by its issuer."),
    "the leaf": (_revoke_leaf, [True, False], "Revoked: localhost, by its issuer."),
    "no CRL": (lambda world: world.aia.publish("/ca.crl", b"rubbish"), [None, False], "not known if revoked"),
    "a CRL of CAs": (_say_nothing_of_leaves, [None, False], "it is not about all end-entity certificates"),
    "a CRL of leaves": (_say_of_leaves_only, [False, False], "not revoked"),
}


@pytest.mark.parametrize(("revoke", "revoked", "said"), WAYS.values(), ids=WAYS.keys())
def test_the_crl_of_each_link_is_asked(
    machine: Machine, world: World, revoke: Callable[[World], object], revoked: list[bool | None], said: str
) -> None:
    revoke(world)
    status = 1 if True in revoked else 0
    with TLSServer(world.leaf, [world.ca]) as server:
        host = f"localhost:{server.port}"
        (found,) = machine.json("check", host, "--revocation", status=status)
        shown = machine.says("check", host, "--revocation", status=status)
    assert [link["revoked"] for link in found["path"]] == [*revoked, None]
    assert found["faults"] == (["revoked"] if status else [])
    assert said in shown


@pytest.mark.parametrize(("known", "status"), [(True, 0), (False, 2)])
def test_revocation_may_be_required(machine: Machine, world: World, known: bool, status: int) -> None:
    page, metrics = machine.folder / "page.html", machine.folder / "check.prom"
    if not known:
        world.aia.publish("/ca.crl", b"", status=404)
    with TLSServer(world.leaf, [world.ca]) as server:
        command = ["check", "--revocation=required", f"localhost:{server.port}"]
        shown = machine.says(*command, "--html", page, "--prometheus", metrics, status=status)
        (found,) = machine.json(*command, status=status)
        assert "Complete" in machine.says("check", "--revocation", command[-1])
    assert ("Could not tell if revoked, which --revocation=required demands: localhost." in shown) is not known
    assert (found["result"], found["complete"]) == (("complete", True) if known else ("could-not-tell", False))
    assert ("could-not-tell" in page.read_text(encoding="utf-8").split("</style>")[1]) is not known
    assert f'could_not_tell{{host="localhost",port="{server.port}"}} {int(not known)}' in metrics.read_text(
        encoding="utf-8"
    )


def test_a_revoked_certificate_stays_a_fault_if_revocation_is_required(machine: Machine, world: World) -> None:
    _revoke_ca(world)
    world.aia.publish("/ca.crl", b"", status=404)
    with TLSServer(world.leaf, [world.ca]) as server:
        (found,) = machine.json("check", f"localhost:{server.port}", "--revocation=required", status=1)
    assert found["result"] == "broken"


def test_an_expired_crl_that_lists_the_certificate_counts(machine: Machine, world: World) -> None:
    ended = {"last_update": timedelta(days=-9), "next_update": timedelta(days=-2)}
    world.aia.publish("/ca.crl", crl(world.ca, [world.leaf], **ended))
    with TLSServer(world.leaf, [world.ca]) as server:
        host = f"localhost:{server.port}"
        shown = machine.says("check", host, "--revocation", status=1)
        world.aia.publish("/ca.crl", crl(world.ca, **ended))
        (found,) = machine.json("check", host, "--revocation")
    assert f"Revoked: localhost, by its issuer ({world.aia.url('/ca.crl')}: it has expired)." in shown
    assert found["path"][0]["revoked"] is None


def test_no_crl_is_asked_unasked(machine: Machine, world: World) -> None:
    _revoke_leaf(world)
    with TLSServer(world.leaf, [world.ca]) as server:
        assert machine.json("check", f"localhost:{server.port}")[0]["result"] == "complete"
    assert world.aia.count() == 0
