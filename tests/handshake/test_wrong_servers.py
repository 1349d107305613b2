"""Servers that send wrong certificates, too many, or all in the wrong order."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from tests.conftest import FLAGS, Hierarchy, MakeHierarchy, get, hooked, refused, trusting
from tests.support.pki import Authority, Certified, Options, private_key
from tests.support.servers import AIAHost, TLSServer

if TYPE_CHECKING:
    from typing import Unpack  # Python 3.11

Sends = Callable[[Hierarchy], list[Certified]]

FOREIGN = Authority.root("Foreign Root")


def foreign(count: int) -> list[Certified]:
    """So many intermediates that have nothing to do with it."""
    return [FOREIGN.intermediate(f"Foreign CA {number}") for number in range(count)]


def namesake(pki: Hierarchy, level: int = 0, **options: Unpack[Options]) -> Authority:
    """Another CA below the same issuer, with the name of the intermediate of this level but a key of its own."""
    issuer = [*pki.intermediates, pki.root][level + 1]
    return issuer.intermediate(pki.intermediates[level].name, **options)


def rekeyed(pki: Hierarchy, **options: Unpack[Options]) -> Authority:
    """As `namesake`, and it claims the right one's key identifier too."""
    claiming: Options = {"subject_key_id": pki.intermediates[0].key_id or False, **options}
    return namesake(pki, 0, **claiming)


# What a server with two intermediates sends, and how many must be fetched.
MISSING: dict[str, tuple[int, Sends]] = {
    "an unrelated intermediate": (2, lambda pki: foreign(1)),
    "eight unrelated intermediates": (2, lambda pki: foreign(8)),
    "an unrelated root": (2, lambda pki: [FOREIGN]),
    "only the root": (2, lambda pki: [pki.root]),
    "the leaf twice": (2, lambda pki: [pki.leaf]),
    "another leaf": (2, lambda pki: [pki.intermediates[0].leaf("another")]),
    "another leaf's chain": (2, lambda pki: [FOREIGN.leaf("another"), *foreign(1), FOREIGN]),
    "the upper intermediate": (1, lambda pki: [pki.intermediates[1]]),
    "the upper intermediate and the root": (1, lambda pki: [pki.intermediates[1], pki.root]),
    "the upper one of another generation": (1, lambda pki: [pki.intermediates[0], namesake(pki, 1)]),
    "the lower intermediate and foreign ones": (1, lambda pki: [*foreign(4), pki.intermediates[0], *foreign(4)]),
    "another generation": (1, lambda pki: [namesake(pki), pki.intermediates[1]]),
    "another generation alone": (2, lambda pki: [namesake(pki)]),
    "another generation without identifier": (
        1,
        lambda pki: [namesake(pki, subject_key_id=False), pki.intermediates[1]],
    ),
    "another key under the same identifier": (1, lambda pki: [rekeyed(pki), pki.intermediates[1]]),
    "another key under the same identifier, alone": (2, lambda pki: [rekeyed(pki)]),
    "a forgery under the same identifier": (
        1,
        lambda pki: [rekeyed(pki, signed_by=private_key()), pki.intermediates[1]],
    ),
    "an expired one of the same key": (
        1,
        lambda pki: [pki.intermediates[0].reissue(not_after=timedelta(hours=-1)), pki.intermediates[1]],
    ),
    "one of the same key that is not valid yet": (
        1,
        lambda pki: [pki.intermediates[0].reissue(not_before=timedelta(hours=1)), pki.intermediates[1]],
    ),
    "an expired upper one": (
        1,
        lambda pki: [pki.intermediates[0], pki.intermediates[1].reissue(not_after=timedelta(hours=-1))],
    ),
    "one of the same key that is not a CA": (
        1,
        lambda pki: [pki.intermediates[0].reissue(ca=False), pki.intermediates[1]],
    ),
    "one of the same key that may not sign": (
        1,
        lambda pki: [pki.intermediates[0].reissue(no_cert_sign=True), pki.intermediates[1]],
    ),
    "a cross-certificate by a root that is not trusted": (
        2,
        lambda pki: [FOREIGN.cross_sign(pki.intermediates[0]), FOREIGN],
    ),
    "the upper one cross-signed by a root that is not trusted": (
        1,
        lambda pki: [pki.intermediates[0], FOREIGN.cross_sign(pki.intermediates[1]), FOREIGN],
    ),
    "a self-signed one of the same key": (
        1,
        lambda pki: [
            Authority.root(pki.intermediates[0].name, key=pki.intermediates[0].key),
            pki.intermediates[1],
        ],
    ),
}

# What a server with two intermediates sends that lacks nothing.
WHOLE: dict[str, Sends] = {
    "in order": lambda pki: [*pki.intermediates],
    "reversed": lambda pki: [*reversed(pki.intermediates)],
    "each twice": lambda pki: [pki.intermediates[0], *pki.intermediates, pki.intermediates[1]],
    "the leaf again": lambda pki: [pki.leaf, *pki.intermediates],
    "the leaf last": lambda pki: [*pki.intermediates, pki.leaf],
    "the root too": lambda pki: [*pki.intermediates, pki.root],
    "the root first": lambda pki: [pki.root, *pki.intermediates],
    "amid eight foreign ones": lambda pki: [
        *foreign(3),
        pki.intermediates[1],
        *foreign(2),
        pki.intermediates[0],
        *foreign(3),
    ],
    "the root cross-signed by one that is not trusted": lambda pki: [
        *pki.intermediates,
        FOREIGN.cross_sign(pki.root),
    ],
    "that, and the one that is not trusted": lambda pki: [
        *pki.intermediates,
        FOREIGN.cross_sign(pki.root),
        FOREIGN,
    ],
    "cross-certificates beside the right ones": lambda pki: [
        *pki.intermediates,
        *map(FOREIGN.cross_sign, pki.intermediates),
    ],
    "another generation after the right ones": lambda pki: [*pki.intermediates, namesake(pki)],
    "an expired one after the right ones": lambda pki: [
        *pki.intermediates,
        pki.intermediates[0].reissue(not_after=timedelta(hours=-1)),
    ],
}

flags_of = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())


@flags_of
@pytest.mark.parametrize(("fetches", "sends"), MISSING.values(), ids=MISSING.keys())
def test_something_is_missing(
    store: Path, aia: AIAHost, hierarchy: MakeHierarchy, fetches: int, sends: Sends, flags: int
) -> None:
    pki = hierarchy({}, {})
    with TLSServer(pki.leaf, sends(pki)) as server:
        refused(server, trusting(pki.root, flags=flags))
        assert aia.count() == 0
        with hooked():
            context = trusting(pki.root, flags=flags)
            assert get(server, context) == b"ok"
            assert get(server, context) == b"ok"
            assert get(server, trusting(pki.root, flags=flags)) == b"ok"
    assert aia.count() == fetches


@flags_of
def test_a_forged_signature_is_known_once_openssl_refused_it(
    hook: None, aia: AIAHost, hierarchy: MakeHierarchy, flags: int
) -> None:
    """All else is right, so the chain is certain, and OpenSSL is not asked before the first handshake."""
    pki = hierarchy({}, {})
    forged = pki.intermediates[0].reissue(signed_by=private_key())
    with TLSServer(pki.leaf, [forged, pki.intermediates[1]]) as server:
        context = trusting(pki.root, flags=flags)
        refused(server, context)
        assert get(server, context) == b"ok"
        assert get(server, trusting(pki.root, flags=flags)) == b"ok"
    assert aia.count() == 1


@flags_of
@pytest.mark.parametrize("sends", WHOLE.values(), ids=WHOLE.keys())
def test_nothing_is_missing(store: Path, aia: AIAHost, hierarchy: MakeHierarchy, sends: Sends, flags: int) -> None:
    pki = hierarchy({}, {})
    with TLSServer(pki.leaf, sends(pki)) as server:
        assert get(server, trusting(pki.root, flags=flags)) == b"ok"
        with hooked():
            context = trusting(pki.root, flags=flags)
            assert get(server, context) == b"ok"
            assert get(server, context) == b"ok"
        assert server.connections == 3
    assert aia.count() == 0
    assert context.get_ca_certs(True) == [pki.root.der]


@flags_of
@pytest.mark.parametrize("first_is_expired", [True, False])
def test_impostor_before_the_right_one_is_no_reason_to_fetch(
    hook: None, aia: AIAHost, hierarchy: MakeHierarchy, first_is_expired: bool, flags: int
) -> None:
    pki = hierarchy()
    right = pki.intermediates[0]
    impostor = right.reissue(not_after=timedelta(hours=-1)) if first_is_expired else rekeyed(pki)
    with TLSServer(pki.leaf, [impostor, right]) as server:
        assert get(server, trusting(pki.root, flags=flags)) == b"ok"
    assert aia.count() == 0


@pytest.mark.parametrize("sent", [0, 1, 2])
@pytest.mark.parametrize("lacks", ["subject_key_id", "authority_key_id", "both"])
def test_without_key_identifiers(hook: None, aia: AIAHost, hierarchy: MakeHierarchy, lacks: str, sent: int) -> None:
    lacking: Options = {"subject_key_id": lacks == "authority_key_id", "authority_key_id": lacks == "subject_key_id"}
    pki = hierarchy(lacking, lacking, **lacking)
    with TLSServer(pki.leaf, pki.intermediates[:sent]) as server:
        # Strict verification insists on them.
        assert get(server, trusting(pki.root, flags=FLAGS["flags of 3.11"])) == b"ok"
    assert aia.count() == 2 - sent


def test_without_key_identifiers_amid_namesakes(hook: None, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    lacking: Options = {"subject_key_id": False, "authority_key_id": False}
    pki = hierarchy(lacking, **lacking)
    with TLSServer(pki.leaf, [namesake(pki, **lacking), namesake(pki, **lacking)]) as server:
        assert get(server, trusting(pki.root, flags=FLAGS["flags of 3.11"])) == b"ok"
    assert aia.count() == 1


def name(text: str, kind: _ASN1Type = _ASN1Type.UTF8String) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Müller CA", _ASN1Type.UTF8String)
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, text, kind)])


@flags_of
@pytest.mark.parametrize("sent", [False, True], ids=["missing", "sent"])
@pytest.mark.parametrize(
    "written",
    [
        name("Test CA", _ASN1Type.PrintableString),
        name("Test CA", _ASN1Type.BMPString),
        name("Test CA", _ASN1Type.T61String),
        name("TEST ca"),
        name("Test  CA"),
        name(" Test \t CA "),
        name("tEST   CA", _ASN1Type.PrintableString),
    ],
    ids=lambda written: written.rfc4514_string() + " " + next(iter(written.rdns[1]))._type.name,
)
def test_names_that_are_written_in_another_way(
    hook: None, aia: AIAHost, hierarchy: MakeHierarchy, written: x509.Name, sent: bool, flags: int
) -> None:
    pki = hierarchy({"subject": name("Test CA")}, issuer=written)
    assert pki.leaf.certificate.issuer.public_bytes() != pki.intermediates[0].certificate.subject.public_bytes()
    with TLSServer(pki.leaf, pki.intermediates if sent else []) as server:
        context = trusting(pki.root, flags=flags)
        assert get(server, context) == b"ok"
        assert get(server, trusting(pki.root, flags=flags)) == b"ok"
    assert aia.count() == (0 if sent else 1)
    assert context.get_ca_certs(True) == [pki.root.der]


def test_a_root_whose_name_is_written_in_another_way(hook: None, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy({"issuer": "TEST  root"})
    with TLSServer(pki.leaf) as server:
        assert get(server, trusting(Authority.root("Another Root"), pki.root)) == b"ok"
    assert aia.count() == 1


def test_a_hundred_certificates(hook: None, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    # OpenSSL accepts at most 100 KB of certificates.
    with TLSServer(pki.leaf, [*foreign(98)]) as server:
        assert get(server, trusting(pki.root)) == b"ok"
    assert aia.count() == 1


def test_the_sent_chain_ends_at_a_root_that_expired(hook: None, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    """As when a cross-signing root expired (2020, 2021): the server sends the path that led there."""
    pki = hierarchy()
    old = Authority.root("Old Root", not_after=timedelta(hours=-1))
    sends = [old.cross_sign(pki.intermediates[0]), old]
    with TLSServer(pki.leaf, sends) as server:
        assert get(server, trusting(old, pki.root)) == b"ok"
    assert aia.count() == 1


def test_a_cross_signed_root_that_only_some_trust(hook: None, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    """A young root, cross-signed by an old one: the program knows the old one only."""
    young = Authority.root("Young Root")
    old = Authority.root("Old Root")
    cross = old.cross_sign(young, aia=[aia.publish("/old.cer", old.der)])
    intermediate = young.intermediate("Test CA", aia=[aia.publish("/cross.cer", cross.der)])
    leaf = intermediate.leaf(aia=[aia.publish("/ca.cer", intermediate.der)])
    for sends, fetched in ([], ["/ca.cer", "/cross.cer"]), ([intermediate], []), ([intermediate, young], []):
        before = aia.count()
        with TLSServer(leaf, sends) as server:
            context = trusting(old)
            assert get(server, context) == b"ok"
            assert context.get_ca_certs(True) == [old.der]
            context = trusting(young)
            assert get(server, context) == b"ok"
            assert context.get_ca_certs(True) == [young.der]
        assert [request.path for request in aia.requests[before:]] == fetched


def test_a_leaf_that_is_self_signed_is_left_alone(hook: None, aia: AIAHost) -> None:
    url = aia.url("/never.cer")
    leaf = Authority.root("localhost", aia=[url], ca=None, san=[x509.DNSName("localhost")], key_usage=None)  # type: ignore[arg-type]
    with TLSServer(leaf) as server:  # type: ignore[arg-type]
        assert "self" in refused(server, trusting(FOREIGN))
    assert aia.count() == 0


def test_an_unverified_context_sees_every_server(hook: None, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    context = trusting(pki.root)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with TLSServer(pki.leaf, foreign(1)) as server:
        assert get(server, context) == b"ok"
    assert aia.count() == 0
