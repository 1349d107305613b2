"""What was found is shown with its URL, and what would be better is said."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.cli.terminal import on_terminal
from tests.conftest import Hierarchy, MakeHierarchy
from tests.manager.machine import Machine
from tests.support.pki import Authority, Leaf
from tests.support.servers import AIAHost, TLSServer

YELLOW, GREEN = "\x1b[33m", "\x1b[32m"


@pytest.fixture
def pki(machine: Machine, hierarchy: MakeHierarchy) -> Hierarchy:
    """Two intermediates under the machine's trust anchor."""
    made = hierarchy({}, {})
    machine.trust(made.root)
    return made


def test_an_issuer_that_was_fetched_is_shown_though_it_leads_nowhere(machine: Machine, pki: Hierarchy) -> None:
    machine.trust(Authority.root("Another Root"))
    with TLSServer(pki.leaf) as server:
        host = f"localhost:{server.port}"
        shown = machine.says("check", host, status=1)
        (found,) = machine.json("check", host, status=1)
    assert "Test Intermediate 0  NOT SENT; fetched from http://" in shown
    assert "Test Intermediate 1  NOT SENT; fetched from http://" in shown
    assert "✗ Test Root  fetched from http://" in shown
    assert "It ends at Test Root, a root that is not trusted here." in shown
    assert "not found" not in shown
    sources = [link["source"].split(" from ")[0] for link in found["reached"]]
    assert (found["path"], sources) == ([], ["sent", *["fetched"] * 3])


def test_the_url_is_said_the_second_time_too(machine: Machine, pki: Hierarchy, aia: AIAHost) -> None:
    page = machine.folder / "page.html"
    with TLSServer(pki.leaf) as server:
        host = f"localhost:{server.port}"
        machine.says("check", host, status=1)
        shown = machine.says("check", host, "--html", page, status=1)
        (found,) = machine.json("check", host, status=1)
    for url in pki.urls(aia):
        source = f"from the store, fetched from {url}"
        assert source in shown
        assert source in page.read_text(encoding="utf-8")
        assert source in [link["source"] for link in found["path"]]


def test_a_path_that_ends_at_an_anchor_is_not_called_none(machine: Machine, root: Authority, aia: AIAHost) -> None:
    late = root.intermediate("Late CA", not_after=timedelta(days=-3))
    leaf = late.leaf(aia=[aia.publish("/late.cer", late.der)])
    with TLSServer(leaf) as server, TLSServer(leaf, [late]) as sending:
        for host in (f"localhost:{server.port}", f"localhost:{sending.port}"):
            shown = machine.says("check", host, status=1)
            (found,) = machine.json("check", host, status=1)
            assert "◆ Manager Root" in shown
            assert "No path to a trust anchor" not in shown
            assert "should replace Late CA, which expired on " in shown
            assert found["faults"] == ["refused"]


def test_a_name_that_a_ca_may_not_certify(machine: Machine, root: Authority) -> None:
    narrow = root.intermediate("Narrow CA", permitted=["example.org"])
    with TLSServer(narrow.leaf(), [narrow]) as server:
        shown = machine.says("check", f"localhost:{server.port}", status=1)
    assert "Broken: permitted subtree violation. OpenSSL refuses the path to the trust anchor" in shown


def test_an_expired_anchor_is_named_and_its_file(machine: Machine, root: Authority) -> None:
    page, metrics = machine.folder / "page.html", machine.folder / "check.prom"
    aged = Authority.root("Aged Root", not_after=timedelta(days=-3))
    machine.trust(root, aged)
    ca = aged.intermediate("Aged CA")
    with TLSServer(ca.leaf(), [ca, root.cross_sign(aged)]) as server:
        host = f"localhost:{server.port}"
        shown = machine.says("check", host, "--html", page, "--prometheus", metrics, status=1)
        (found,) = machine.json("check", host, status=1)
    for text in (shown, found["verdict"], page.read_text(encoding="utf-8")):
        assert f"The trust anchor Aged Root, in {machine.roots}, expired on 20" in text
        assert "for another name" not in text
    assert "Works in: Chrome, Edge, Safari, Windows, Firefox, Python with the hook, GnuTLS, Java, Go." in shown
    assert found["faults"] == ["anchor-in-the-way"]
    assert "} 0\n" in metrics.read_text(encoding="utf-8")


def test_a_wrong_name_behind_an_expired_anchor_is_said_too(machine: Machine, root: Authority) -> None:
    aged = Authority.root("Aged Root", not_after=timedelta(days=-3))
    machine.trust(root, aged)
    ca = aged.intermediate("Aged CA")
    with TLSServer(ca.leaf("www.example.org"), [ca, root.cross_sign(aged)]) as server:
        (found,) = machine.json("check", f"localhost:{server.port}", status=1)
    assert found["faults"] == ["wrong-name"]


def test_a_leaf_whose_issuer_cannot_be_fetched_gets_advice(machine: Machine, root: Authority, aia: AIAHost) -> None:
    leaf = root.intermediate("Lower CA").leaf(aia=[aia.url("/404.cer")])
    with TLSServer(leaf) as server:
        shown = machine.says("check", f"localhost:{server.port}", status=1)
    assert "status 404" in shown
    assert "Its owner should install Lower CA, from the CA, on the server" in shown


@pytest.mark.parametrize(
    ("kind", "about", "said"),
    [
        ("root", "root-sent", "do not send Test Root, a root"),
        ("twice", "sent-twice", "send Test Intermediate 0 only once"),
        ("order", "wrong-order", "send each certificate before its issuer"),
        ("stranger", "not-needed", "Strange CA is sent, but clients of this machine do not need it"),
        ("strangers", "not-needed", "One, Two are sent, but clients of this machine do not need them"),
        ("roots", "root-sent", "do not send One, Two, Three, …, roots, which"),
    ],
)
def test_what_would_be_better_is_said_with_what_it_costs(
    machine: Machine, pki: Hierarchy, kind: str, about: str, said: str
) -> None:
    lower, upper = pki.intermediates
    strange = Authority.root("Strange Root").intermediate("Strange CA")
    strangers = [strange.intermediate("One"), strange.intermediate("Two")]
    roots = list(map(Authority.root, ("One", "Two", "Three", "Four")))
    sends, needless = {
        "root": ([lower, upper, pki.root], [pki.root]),
        "twice": ([lower, lower, upper], [lower]),
        "order": ([upper, lower], []),
        "stranger": ([lower, upper, strange], [strange]),
        "strangers": ([lower, upper, *strangers], strangers),
        "roots": ([lower, upper, *roots], roots),
    }[kind]
    cost = sum(len(each.der) + 3 for each in needless)
    page, metrics = machine.folder / "page.html", machine.folder / "check.prom"
    with TLSServer(pki.leaf, sends) as server:
        host = f"localhost:{server.port}"
        shown = machine.says("check", host, "--html", page, "--prometheus", metrics)
        (found,) = machine.json("check", host)
    assert [(advice["about"], advice["bytes"]) for advice in found["advice"]] == [(about, cost)]
    assert "Complete" in shown
    for text in (shown, found["verdict"], page.read_text(encoding="utf-8")):
        assert f"Advice: {said}" in text
        assert not cost or f"{cost:,} bytes in each handshake" in text
    assert f'needless_bytes{{host="localhost",port="{server.port}"}} {cost}\n' in metrics.read_text(encoding="utf-8")


def test_a_right_server_gets_no_advice(machine: Machine, pki: Hierarchy) -> None:
    with TLSServer(pki.leaf, pki.intermediates) as server:
        (found,) = machine.json("check", f"localhost:{server.port}")
    assert found["advice"] == []


@pytest.mark.parametrize(("days", "colour", "mark"), [(4, YELLOW, "! "), (40, GREEN, "✓ ")])
def test_what_ends_soon_is_amber(machine: Machine, root: Authority, days: int, colour: str, mark: str) -> None:
    page = machine.folder / "page.html"
    with TLSServer(root.leaf(not_after=timedelta(days=days, hours=1))) as server:
        host = f"localhost:{server.port}"
        status, tree = on_terminal(machine, "check", host, "--html", page, columns=120)
        _, lines = on_terminal(machine, "check", *(f"127.0.0.{number}:{server.port}" for number in range(1, 10)), host)
    assert status == 0
    assert f"{colour}{mark}" in tree
    assert f"{colour}{mark}\x1b[0m\x1b[1mlocalhost:{server.port}" in lines
    text = page.read_text(encoding="utf-8")
    assert f'class="{"ending" if days == 4 else "complete"}"' in text
    assert f"<li class={'ending' if days == 4 else 'sent'}>" in text


@pytest.mark.parametrize("is_leaf", [False, True], ids=["an intermediate", "the leaf"])
def test_what_is_trusted_is_no_root(machine: Machine, root: Authority, is_leaf: bool) -> None:
    """Python's default context from 3.13 on and curl end a path there; Node and older Pythons do not."""
    foreign = Authority.root("Foreign Root")
    ca = foreign.intermediate("Trusted CA")
    leaf = ca.leaf()
    machine.trust(root, leaf if is_leaf else ca)
    with TLSServer(leaf) as server:
        host = f"localhost:{server.port}"
        shown = machine.says("check", host, status=1)
        (found,) = machine.json("check", host, status=1)
        page = machine.run("check", host, "--html", "-").stdout
    last = "localhost" if is_leaf else "Trusted CA"
    assert f"The path ends at {last}, which {machine.roots} trusts, but which is no root" in shown
    assert "Clients should trust its root instead" in shown
    assert "not found" not in shown
    assert f"leads to {last}, which is trusted here, but is no root" in page
    assert found["faults"] == ["anchor-not-root"]
    works = {view["client"] for view in found["views"] if view["works"]}
    assert works >= {"Python from 3.13", "curl, git with OpenSSL", "Go", "Java"}
    assert works.isdisjoint({"Python to 3.12", "Node", "Ruby, PHP with OpenSSL", "programs on Windows"})


def test_an_issuer_of_the_right_name_with_another_key(machine: Machine, root: Authority) -> None:
    """As after a CA's change of keys, when the server still sends the old one."""
    old, new = root.intermediate("Rolling CA"), root.intermediate("Rolling CA")
    with TLSServer(new.leaf(), [old]) as server:
        host = f"localhost:{server.port}"
        shown = machine.says("check", host, status=1)
    assert "○ Rolling CA  sent, but no part of the path: its key is not that of the issuer" in shown
    assert (
        "Rolling CA, which is sent, did not issue localhost, which names another key as its issuer's "
        "(authority key identifier).\n"
    ) in shown
    assert "Its owner should install the Rolling CA that has this key, from the CA, on the server" in shown
    assert "do not need it" not in shown, "without a path, nobody knows"


def test_a_self_signed_certificate_that_nobody_can_trust(machine: Machine, root: Authority) -> None:
    with TLSServer(Leaf._make("other", None, {"san": ["other.example"]})) as server:
        shown = machine.says("check", f"localhost:{server.port}", status=1)
    assert "until then, clients must be given this one to trust" not in shown
    assert "even clients that trust this one refuse it (Hostname mismatch" in shown
