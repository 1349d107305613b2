"""A program's settings: the verdict is that of plain pyOpenSSL on the whole chain."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conftest import PARTIAL_CHAIN, Hierarchy, MakeHierarchy, hashed_directory, hooked, write_pem
from tests.support.keys import KeyKind
from tests.support.pki import Authority, crl
from tests.support.servers import AIAHost, TLSServer

from .client import CRL_CHECK, CRL_CHECK_ALL, SSL, STRICT, Changeable, Client

ACCEPTED = "accepted"


def verdict(client: Client, server: TLSServer) -> str:
    """What becomes of the connection."""
    try:
        assert client.get(server) == b"ok"
    except SSL.Error as error:
        assert "certificate verify failed" in str(error)
        return "refused"
    return ACCEPTED


def same_verdict(pki: Hierarchy, make: Callable[[], Client], expected: str) -> None:
    """The verdict of plain pyOpenSSL on the whole chain is this one, and so is ours on the leaf alone."""
    with TLSServer(pki.leaf, pki.intermediates) as whole, TLSServer(pki.leaf) as leaf_only:
        assert verdict(make(), whole) == expected
        with hooked():
            client = make()
            before = client.holds()
            assert [verdict(client, leaf_only) for _ in range(2)] == [expected] * 2
            assert before in (0, client.holds())  # what a folder has is loaded as it is met
            assert verdict(client, whole) == expected


@pytest.mark.parametrize("checks", [CRL_CHECK, CRL_CHECK | CRL_CHECK_ALL], ids=["leaf", "all"])
@pytest.mark.parametrize("partial", [0, PARTIAL_CHAIN], ids=["whole chains", "partial chains"])
@pytest.mark.parametrize("revoked", ["nothing", "the leaf", "the intermediate"])
def test_revocation_lists(store: Path, hierarchy: MakeHierarchy, checks: int, partial: int, revoked: str) -> None:
    pki = hierarchy()
    (intermediate,) = pki.intermediates
    lists = [
        crl(pki.root, [intermediate] if revoked == "the intermediate" else []),
        crl(intermediate, [pki.leaf] if revoked == "the leaf" else []),
    ]

    def client() -> Client:
        made = Client(pki.root, flags=checks | partial)
        for der in lists:
            made.load_list(der)
        return made

    refuses = revoked == "the leaf" or (revoked == "the intermediate" and checks & CRL_CHECK_ALL)
    same_verdict(pki, client, "refused" if refuses else ACCEPTED)


@pytest.mark.parametrize("missing", [0, 1])
def test_a_revocation_list_that_is_not_there(store: Path, hierarchy: MakeHierarchy, missing: int) -> None:
    pki = hierarchy()
    lists = [crl(pki.root), crl(pki.intermediates[0])]
    del lists[missing]

    def client() -> Client:
        made = Client(pki.root, flags=CRL_CHECK | CRL_CHECK_ALL)
        for der in lists:
            made.load_list(der)
        return made

    same_verdict(pki, client, "refused")


@pytest.mark.parametrize("is_revoked", [False, True])
def test_revocation_lists_in_a_hashed_folder(
    store: Path, hierarchy: MakeHierarchy, tmp_path: Path, is_revoked: bool
) -> None:
    pki = hierarchy()
    folder = hashed_directory(tmp_path / "trusted", pki.root)
    for number, der in enumerate([crl(pki.root), crl(pki.intermediates[0], [pki.leaf] if is_revoked else [])]):
        subprocess.run(["openssl", "crl", "-inform", "DER", "-out", folder / f"crl{number}.pem"], input=der, check=True)
    subprocess.run(["openssl", "rehash", folder], check=True, capture_output=True)

    def client() -> Client:
        made = Client(flags=CRL_CHECK | CRL_CHECK_ALL)
        made.context.load_verify_locations(None, str(folder))
        return made

    same_verdict(pki, client, "refused" if is_revoked else ACCEPTED)


def test_a_list_that_comes_later_counts(store: Path, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    with hooked(), TLSServer(pki.leaf) as server:
        client = Client(pki.root)
        assert verdict(client, server) == ACCEPTED
        client.set_flags(CRL_CHECK)
        assert verdict(client, server) == "refused"
        client.load_list(crl(pki.intermediates[0], [pki.leaf]))
        assert verdict(client, server) == "refused"


@pytest.mark.parametrize(
    ("days", "expected"),
    [(0, ACCEPTED), (30, ACCEPTED), (60, "refused"), (-30, "refused")],
    ids=str,
)
def test_another_time(store: Path, hierarchy: MakeHierarchy, days: int, expected: str) -> None:
    pki = hierarchy({"not_after": timedelta(days=50)})

    def client() -> Client:
        made = Client(pki.root)
        made.context.get_cert_store().set_time(datetime.now() + timedelta(days=days))
        return made

    same_verdict(pki, client, expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda client: client.context.set_verify_depth(0),
        lambda client: client.context.set_cipher_list(b"DEFAULT:@SECLEVEL=3"),
        lambda client: client.set_flags(STRICT),
        lambda client: client.set_flags(CRL_CHECK),
    ],
    ids=["depth", "level", "strictness", "CRLs"],
)
def test_what_is_set_later_counts(hook: None, hierarchy: MakeHierarchy, change: Callable[[Client], None]) -> None:
    pki = hierarchy({"key": "rsa", "authority_key_id": False})
    client = Client(pki.root, kind=Changeable)
    with TLSServer(pki.leaf) as server, TLSServer(pki.leaf, pki.intermediates) as whole:
        assert verdict(client, server) == ACCEPTED
        change(client)
        assert verdict(client, whole) == "refused"
        assert verdict(client, server) == "refused"


def test_a_time_at_which_what_has_expired_is_valid(store: Path, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy({"not_before": timedelta(days=-40), "not_after": timedelta(days=-10)})

    def client() -> Client:
        made = Client(Authority.root("Another"))
        made.trust(old_root)
        made.context.get_cert_store().set_time(datetime.now() - timedelta(days=20))
        return made

    old_root = pki.root.reissue(not_before=timedelta(days=-50))
    old_leaf = pki.leaf.reissue(not_before=timedelta(days=-40))
    same_verdict(Hierarchy(old_root, pki.intermediates, old_leaf, pki.cafile), client, ACCEPTED)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize(("key", "strongest"), [("weak", 1), ("rsa", 2), ("ec", 3)])
def test_security_levels(
    store: Path, hierarchy: MakeHierarchy, level: int, key: Literal["weak", "rsa", "ec"], strongest: int
) -> None:
    pki = hierarchy({"key": rsa.generate_private_key(65537, 1024) if key == "weak" else key})
    same_verdict(pki, lambda: Client(pki.root, level=level), ACCEPTED if level <= strongest else "refused")


@pytest.mark.parametrize(("key", "expected"), [("ec", ACCEPTED), ("rsa", "refused")])
def test_suite_b(store: Path, hierarchy: MakeHierarchy, key: KeyKind, expected: str) -> None:
    pki = hierarchy({"key": key})

    def client() -> Client:
        made = Client(pki.root)
        made.context.set_max_proto_version(SSL.TLS1_2_VERSION)  # our servers do not speak it in TLS 1.3
        made.context.set_cipher_list(b"SUITEB128ONLY")
        return made

    same_verdict(pki, client, expected)


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION], ids=["1.2", "1.3"])
def test_one_version_of_tls(store: Path, hierarchy: MakeHierarchy, version: int) -> None:
    pki = hierarchy()

    def client() -> Client:
        made = Client(pki.root)
        made.context.set_min_proto_version(version)
        made.context.set_max_proto_version(version)
        return made

    same_verdict(pki, client, ACCEPTED)


def test_ciphers_without_ecdsa(store: Path, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy(key="rsa")

    def client() -> Client:
        made = Client(pki.root)
        made.context.set_max_proto_version(SSL.TLS1_2_VERSION)
        made.context.set_cipher_list(b"AES256-GCM-SHA384")
        return made

    same_verdict(pki, client, ACCEPTED)


@pytest.mark.parametrize(
    ("settings", "expected"), [("-addtrust serverAuth", ACCEPTED), ("-addreject serverAuth", "refused")]
)
@pytest.mark.parametrize("partial", [0, PARTIAL_CHAIN], ids=["whole chains", "partial chains"])
def test_trust_settings(
    store: Path, hierarchy: MakeHierarchy, tmp_path: Path, settings: str, partial: int, expected: str
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is not here")
    pki = hierarchy()
    plain, trusted = write_pem(tmp_path / "plain.pem", pki.root), tmp_path / "trusted.pem"
    subprocess.run(["openssl", "x509", "-in", plain, "-out", trusted, *settings.split(), "-trustout"], check=True)
    assert "TRUSTED CERTIFICATE" in trusted.read_text()
    same_verdict(pki, lambda: Client(cafile=trusted, flags=partial), expected)


@pytest.mark.parametrize("flags", [0, PARTIAL_CHAIN])
def test_an_expired_root_beside_a_good_one(store: Path, hierarchy: MakeHierarchy, flags: int) -> None:
    pki = hierarchy()
    expired = pki.root.reissue(not_after=timedelta(hours=-1))
    same_verdict(pki, lambda: Client(expired, pki.root, flags=flags), ACCEPTED)
    same_verdict(pki, lambda: Client(expired, flags=flags), "refused")


# A right server after a broken one.


def test_the_successor_of_what_was_learned(hook: None, hierarchy: MakeHierarchy, aia: AIAHost) -> None:
    """A CA is renewed under the same name and key; the earlier one expires, but stays in the context's memory."""
    pki = hierarchy({"path_length": 0})
    successor = pki.intermediates[0].reissue(path_length=1)
    lower = successor.intermediate("Lower CA")
    client = Client(pki.root)
    with TLSServer(pki.leaf) as broken, TLSServer(lower.leaf(), [lower, successor]) as right:
        assert client.get(broken) == b"ok"
        assert client.get(right) == b"ok"
    assert aia.count() == 1


@pytest.mark.parametrize("identified", [True, False], ids=["with key identifiers", "without"])
def test_a_namesake_of_what_was_learned(hook: None, hierarchy: MakeHierarchy, identified: bool) -> None:
    pki = hierarchy()
    other_root = Authority.root("Other Root")
    namesake = other_root.intermediate(pki.intermediates[0].name, subject_key_id=identified)
    client = Client(pki.root, other_root)
    with TLSServer(pki.leaf) as broken, TLSServer(namesake.leaf(authority_key_id=identified), [namesake]) as right:
        for server in (broken, right, broken, right):
            assert client.get(server) == b"ok"
