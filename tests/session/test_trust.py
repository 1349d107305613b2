"""A context of AIASession trusts one root and nothing else, on every Python."""

from __future__ import annotations

import ssl

import pytest

from aia_store import AIASession, InvalidCAError
from tests.conftest import Hierarchy, get, refused, write_pem
from tests.session.conftest import host_of
from tests.support.pki import Authority, Leaf, pem, pem_blocks
from tests.support.servers import AIAHost, TLSServer

PARTIAL_CHAIN = ssl.VERIFY_X509_PARTIAL_CHAIN


def test_the_root_is_the_one_trust_anchor(server: TLSServer, pki: Hierarchy, aia: AIAHost) -> None:
    context = AIASession().ssl_context_from_host(host_of(server))
    assert not context.verify_flags & PARTIAL_CHAIN
    anchors = [der for der in context.get_ca_certs(True) if der != pki.intermediates[0].der]
    assert anchors == [pki.root.der]
    assert get(server, context) == b"ok"
    assert aia.count() == 1


def test_nothing_else_is_laxer_than_in_pythons_own_context(server: TLSServer) -> None:
    context, python = AIASession().ssl_context_from_host(host_of(server)), ssl.create_default_context()
    assert context.verify_flags == python.verify_flags & ~PARTIAL_CHAIN
    for setting in ("check_hostname", "verify_mode", "minimum_version", "options", "security_level"):
        assert getattr(context, setting) == getattr(python, setting)
    assert [cipher["name"] for cipher in context.get_ciphers()] == [cipher["name"] for cipher in python.get_ciphers()]


def test_a_leaf_of_the_same_intermediate_is_refused_without_the_root(server: TLSServer, pki: Hierarchy) -> None:
    context = AIASession().ssl_context_from_host(host_of(server))
    *intermediates, root = pem_blocks(AIASession().cadata_from_host(host_of(server)))
    assert (intermediates, root) == ([pki.intermediates[0].der], pki.root.der)
    rootless = ssl.create_default_context(cadata=pem(*intermediates))
    rootless.verify_flags = context.verify_flags
    sibling = pki.intermediates[0].leaf()
    with TLSServer(sibling) as other:
        assert get(other, context) == b"ok"
        assert refused(other, rootless) == "unable to get issuer certificate"
        rootless.verify_flags |= PARTIAL_CHAIN  # as the contexts of `aia` have it on Python 3.13
        assert get(other, rootless) == b"ok"


def forbidden_leaf(root: Authority, aia: AIAHost) -> tuple[Leaf, Leaf]:
    """An allowed leaf and a forbidden one, both of a CA that may not issue the second, as the CA above it says."""
    upper = root.intermediate("Upper", permitted=["localhost"])
    url = aia.publish("/upper.cer", upper.der)
    lower = upper.intermediate("Lower", aia=[url])
    named = [aia.publish("/lower.cer", lower.der)]
    return lower.leaf(san=["localhost"], aia=named), lower.leaf("evil.example", aia=named)


def test_what_the_upper_ca_forbids_stays_forbidden(pki: Hierarchy, aia: AIAHost) -> None:
    """Where an intermediate is a trust anchor, what stands above it is not looked at."""
    allowed, forbidden = forbidden_leaf(pki.root, aia)
    with TLSServer(allowed) as right, TLSServer(forbidden) as wrong:
        session = AIASession()
        context = session.ssl_context_from_host(host_of(right))
        assert get(right, context) == b"ok"
        assert refused(wrong, context, "evil.example") == "permitted subtree violation"
        naive = ssl.create_default_context(cadata=session.cadata_from_host(host_of(right)))
        naive.verify_flags |= PARTIAL_CHAIN
        assert get(wrong, naive, "evil.example") == b"ok"
        with pytest.raises(ssl.SSLError, match="permitted subtree violation"):
            session.cadata_from_host(host_of(wrong))


def test_once_the_machine_drops_the_root_nothing_leads_there(
    server: TLSServer, pki: Hierarchy, aia: AIAHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = AIASession()
    session.ssl_context_from_host(host_of(server))
    other = Authority.root("Other Root")
    ca = other.intermediate("Other CA")
    write_pem(pki.cafile, other)
    for using in (session, AIASession()):
        with pytest.raises(InvalidCAError):
            using.ssl_context_from_host(host_of(server))
        with pytest.raises(InvalidCAError):
            using.download(server.url)
    with TLSServer(ca.leaf(aia=[aia.publish("/other.cer", ca.der)])) as trusted:
        context = session.ssl_context_from_host(host_of(trusted))
        assert get(trusted, context) == b"ok"
        assert refused(server, context) == "unable to get local issuer certificate"


def test_a_context_is_for_the_root_of_its_host_only(server: TLSServer, pki: Hierarchy, aia: AIAHost) -> None:
    other = Authority.root("Other Root")
    write_pem(pki.cafile, pki.root, other)
    with TLSServer(other.leaf()) as elsewhere:
        assert AIASession().download(elsewhere.url) == b"ok"
        context = AIASession().ssl_context_from_host(host_of(server))
        assert refused(elsewhere, context) == "unable to get local issuer certificate"


def test_a_program_with_other_roots_does_not_get_the_systems(
    server: TLSServer, pki: Hierarchy, aia: AIAHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIA_STORE_ROOTS")
    monkeypatch.setenv("SSL_CERT_FILE", str(pki.cafile))
    assert AIASession().download(server.url) == b"ok"
    write_pem(pki.cafile, Authority.root("Another"))
    with pytest.raises(InvalidCAError):
        AIASession().download(server.url)


def test_intermediates_among_the_roots_are_no_trust_anchors(server: TLSServer, pki: Hierarchy) -> None:
    write_pem(pki.cafile, pki.intermediates[0], Authority.root("Another"))
    with pytest.raises(InvalidCAError):
        AIASession().ssl_context_from_host(host_of(server))


@pytest.mark.parametrize("ca", [True, False])
def test_a_server_that_is_its_own_trust_anchor(pki: Hierarchy, ca: bool) -> None:
    root = Authority.root("localhost", san=["localhost"], ca=ca, key_usage=None)
    own = Leaf.from_pem(root.pem + root.key_pem)
    write_pem(pki.cafile, own)
    with TLSServer(own) as server:
        session = AIASession()
        assert list(session.aia_chase(host_of(server))) == [own.der]
        assert get(server, session.ssl_context_from_host(host_of(server))) == b"ok"


def test_a_context_for_a_server_is_one(server: TLSServer) -> None:
    context = AIASession().ssl_context_from_host(host_of(server), purpose=ssl.Purpose.CLIENT_AUTH)
    assert context.protocol == ssl.PROTOCOL_TLS_SERVER


def test_contexts_need_neither_the_hook_nor_the_store(
    server: TLSServer, monkeypatch: pytest.MonkeyPatch, aia: AIAHost
) -> None:
    context = AIASession().ssl_context_from_url(server.url)
    monkeypatch.setenv("AIA_STORE_DISABLE", "1")
    monkeypatch.setenv("AIA_STORE_DIR", "/nowhere")
    assert get(server, context) == b"ok"
    assert aia.count() == 1
