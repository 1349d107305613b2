"""Contexts that only allow one version of TLS, or few ciphers, which a rehearsal of ours may not use."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FLAGS, Hierarchy, MakeHierarchy
from tests.support.keys import KeyKind
from tests.support.pki import crl
from tests.support.servers import Version
from tests.support.trusted import crl_pem

from .client import ACCEPTED, Setup
from .conftest import Comparison
from .files import file_of, trusted_pem

VERSIONS: dict[Version, str] = {"1.2": "TLSv1_2", "1.3": "TLSv1_3"}
LEAF = ssl.VERIFY_CRL_CHECK_LEAF

flags_of = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())


def only(version: Version) -> tuple[str, str]:
    return VERSIONS[version], VERSIONS[version]


@flags_of
@pytest.mark.parametrize("version", VERSIONS)
def test_one_version(comparison: Comparison, hierarchy: MakeHierarchy, flags: int, version: Version) -> None:
    pki = hierarchy({}, {})
    setup = Setup(versions=only(version), flags=flags, cadata=pki.root.pem)
    assert comparison.completed(setup, pki.leaf, pki.intermediates, version=version) == ACCEPTED


@flags_of
@pytest.mark.parametrize(
    ("ciphers", "key"),
    [
        ("ECDHE-RSA-AES128-GCM-SHA256", "rsa"),
        ("AES128-GCM-SHA256", "rsa"),
        ("AES256-SHA", "rsa"),
        ("kRSA", "rsa"),
        ("aRSA", "rsa"),
        ("ALL:!aECDSA", "rsa"),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", "ec"),
        ("ECDHE-ECDSA-AES256-SHA", "ec"),
        ("ALL:!aRSA", "ec"),
    ],
)
def test_few_ciphers(comparison: Comparison, hierarchy: MakeHierarchy, flags: int, ciphers: str, key: KeyKind) -> None:
    """Under TLS 1.2, where the cipher says what kind of key the certificate has."""
    pki = hierarchy({}, {}, key=key)
    setup = Setup(versions=only("1.2"), flags=flags, ciphers=(ciphers,), cadata=pki.root.pem)
    assert comparison.completed(setup, pki.leaf, pki.intermediates, version="1.2") == ACCEPTED


@flags_of
@pytest.mark.parametrize("key", ["rsa", "ec"])
def test_no_cipher_for_the_key(comparison: Comparison, hierarchy: MakeHierarchy, flags: int, key: KeyKind) -> None:
    """No certificate is ever sent."""
    pki = hierarchy(key=key)
    ciphers = "ALL:!aRSA:!kRSA" if key == "rsa" else "ALL:!aECDSA"
    setup = Setup(versions=only("1.2"), flags=flags, ciphers=(ciphers,), cadata=pki.root.pem)
    verdict = comparison.completed(setup, pki.leaf, pki.intermediates, version="1.2")
    assert verdict.startswith("SSLError ")


@flags_of
@pytest.mark.parametrize("version", VERSIONS)
def test_an_unknown_root(comparison: Comparison, hierarchy: MakeHierarchy, flags: int, version: Version) -> None:
    pki, other = hierarchy({}, {}), hierarchy({}, {})
    setup = Setup(versions=only(version), flags=flags, cadata=other.root.pem)
    assert comparison.completed(setup, pki.leaf, pki.intermediates, version=version) != ACCEPTED


@pytest.fixture(params=["CRL", "trust settings"])
def special(request: pytest.FixtureRequest, hierarchy: MakeHierarchy, tmp_path: Path) -> Iterator[Special]:
    """A program whose context alone knows what was loaded into it, so that only the context can be asked."""
    yield Special(hierarchy({}, {}), tmp_path, request.param)


class Special:
    """A chain, and a file that accepts it or, by a CRL or a trust setting, does not."""

    def __init__(self, pki: Hierarchy, folder: Path, kind: str) -> None:
        self.pki, self._folder, self._kind = pki, folder, kind

    def setup(self, flags: int, versions: tuple[str, str], ciphers: tuple[str, ...], *, accepts: bool) -> Setup:
        """Its context."""
        pki = self.pki
        if self._kind == "CRL":
            flags |= LEAF
            lists = crl(pki.intermediates[0], [] if accepts else [pki.leaf])
            text = pki.root.pem + crl_pem(lists)
        else:
            text = trusted_pem(pki.root, "-addtrust" if accepts else "-addreject", "serverAuth")
        file = file_of(self._folder / "trust.pem", text)
        return Setup(versions=versions, flags=flags, ciphers=ciphers, cafiles=(file,))


@flags_of
@pytest.mark.parametrize("accepts", [True, False], ids=["accepted", "refused"])
@pytest.mark.parametrize("version", VERSIONS)
def test_one_version_where_only_the_programs_context_can_be_asked(
    comparison: Comparison, special: Special, flags: int, version: Version, accepts: bool
) -> None:
    """A context that speaks TLS 1.3 only cannot rehearse TLS 1.2: there, to leave it alone is allowed."""
    setup = special.setup(flags, only(version), (), accepts=accepts)
    compare = comparison.completed if version == "1.2" else comparison.completed_or_left_alone
    verdict = compare(setup, special.pki.leaf, special.pki.intermediates, version=version)
    assert (verdict == ACCEPTED) == accepts


@flags_of
@pytest.mark.parametrize("accepts", [True, False], ids=["accepted", "refused"])
@pytest.mark.parametrize("ciphers", ["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE+AESGCM", "ALL"])
def test_few_ciphers_where_only_the_programs_context_can_be_asked(
    comparison: Comparison, special: Special, flags: int, ciphers: str, accepts: bool
) -> None:
    setup = special.setup(flags, only("1.2"), (ciphers,), accepts=accepts)
    verdict = comparison.completed(setup, special.pki.leaf, special.pki.intermediates, version="1.2")
    assert (verdict == ACCEPTED) == accepts
