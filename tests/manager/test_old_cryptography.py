"""Signatures and dates as `cryptography` before 40 and 42 lets us check them; newer ones can do it so, too."""

from __future__ import annotations

import warnings

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from aia_store.manager.old_cryptography import check_signature, crl_updates
from tests.support.keys import KeyKind
from tests.support.pki import Authority, crl


@pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
def test_what_an_issuer_signed_holds(kind: KeyKind) -> None:
    root = Authority.root(key=kind)
    check_signature(root.intermediate().certificate, root.certificate)


@pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
def test_what_a_namesake_of_the_issuer_signed_does_not_hold(kind: KeyKind) -> None:
    subject = Authority.root(key=kind).intermediate().certificate
    with pytest.raises(InvalidSignature):
        check_signature(subject, Authority.root(key=kind).certificate)


def test_a_key_of_another_kind_is_no_issuers() -> None:
    subject = Authority.root(key="ed25519").intermediate().certificate
    with pytest.raises(TypeError):
        check_signature(subject, Authority.root(key="ec").certificate)


def test_an_issuer_of_another_name_is_refused() -> None:
    root = Authority.root()
    with pytest.raises(ValueError, match="another issuer"):
        check_signature(root.intermediate().certificate, root.reissue(subject="Another").certificate)


def test_the_dates_of_a_crl_are_the_same_without_time_zones() -> None:
    found = x509.load_der_x509_crl(crl(Authority.root()))
    assert crl_updates(_Old(found)) == crl_updates(found)  # type: ignore[arg-type]


class _Old:
    """A CRL as `cryptography` before 42 has it."""

    def __init__(self, found: x509.CertificateRevocationList) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.last_update, self.next_update = found.last_update, found.next_update
