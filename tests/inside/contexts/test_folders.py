"""Which files OpenSSL opens in a hashed folder for a chain, so that nothing is rehearsed that can only be refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from aia_store.inside.certificate import Certificate, subject_hash
from aia_store.inside.contexts import Terms, made
from aia_store.inside.rehearsal import refusal_in
from aia_store.inside.trusted import Trusted
from tests.conftest import FLAGS
from tests.support.pki import Authority

NOTHING_FOUND = "unable to get local issuer certificate"


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize(
    ("suffix", "is_opened", "verdict"),
    [
        (".0", True, None),
        (".1", False, NOTHING_FOUND),  # OpenSSL stops at the first number that is missing
        (".r0", False, NOTHING_FOUND),  # for CRLs
        (".pem", False, NOTHING_FOUND),
    ],
)
def test_what_openssl_finds(tmp_path: Path, flags: int, suffix: str, is_opened: bool, verdict: str | None) -> None:
    root = Authority.root("Root")
    leaf = root.leaf("localhost")
    (tmp_path / f"{subject_hash(Certificate(root.der).subject_key)}{suffix}").write_text(root.pem, encoding="ascii")
    folders = [str(tmp_path / "absent"), str(tmp_path)]
    assert Trusted((), folders, flags).opens_files([Certificate(leaf.der).issuer_key]) is is_opened
    terms = Terms(flags, None)
    assert refusal_in(made(terms, (), directories=folders), terms, [leaf.der]) == verdict


def test_without_a_folder() -> None:
    assert not Trusted(()).opens_files([Certificate(Authority.root("Root").der).subject_key])
