"""build_path, fetch_issuer and Store, for programs that do something of their own with chains."""

from __future__ import annotations

import signal
import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from aia_store import (
    AIADownloadError,
    AIAError,
    AIASchemeError,
    AIASession,
    InvalidCAError,
    Store,
    build_path,
    fetch_issuer,
)
from tests.conftest import Hierarchy, start_python, wait_until
from tests.support.pki import Authority, pkcs7
from tests.support.servers import AIAHost, TLSServer


def test_build_path_completes_a_leaf(pki: Hierarchy, aia: AIAHost) -> None:
    path = [pki.leaf.der, pki.intermediates[0].der, pki.root.der]
    assert build_path([pki.leaf.der]) == path
    assert build_path([pki.leaf.der]) == path
    assert aia.count() == 1


def test_build_path_takes_what_is_sent_in_any_order(pki: Hierarchy, aia: AIAHost) -> None:
    upper = pki.intermediates[0]
    lower = upper.intermediate("Lower")
    leaf, stranger = lower.leaf(), Authority.root("Stranger")
    sent = [leaf.der, upper.der, b"rubbish", stranger.der, pki.root.der, lower.der]
    assert build_path(sent) == [leaf.der, lower.der, upper.der, pki.root.der]
    assert aia.count() == 0


def test_build_path_trusts_the_anchors_it_is_given_and_no_other(pki: Hierarchy) -> None:
    other = Authority.root("Other")
    leaf = other.leaf()
    assert build_path([leaf.der], anchors=[other.der]) == [leaf.der, other.der]
    with pytest.raises(InvalidCAError):
        build_path([leaf.der])
    with pytest.raises(InvalidCAError):
        build_path([pki.leaf.der], anchors=[other.der])
    for none in ([], [b"rubbish"], [pki.intermediates[0].der]):
        with pytest.raises(AIAError, match="there is no trust anchor"):
            build_path([pki.leaf.der], anchors=none)


def test_build_path_fetches_nothing_in_no_time(pki: Hierarchy, aia: AIAHost) -> None:
    with pytest.raises(InvalidCAError):
        build_path([pki.leaf.der], timeout=0)
    assert aia.count() == 0


def test_build_path_says_what_is_wrong(pki: Hierarchy) -> None:
    with pytest.raises(ssl.SSLError, match="has expired"):
        build_path([pki.intermediates[0].leaf(not_after=timedelta(hours=-1)).der])
    with pytest.raises(AIAError, match="the chain is empty"):
        build_path([])
    with pytest.raises(AIAError, match="cannot be read"):
        build_path([b"rubbish"])


def test_build_path_uses_the_store_that_it_is_given(pki: Hierarchy, aia: AIAHost, tmp_path: Path, store: Path) -> None:
    own = Store(tmp_path / "own")
    build_path([pki.leaf.der], store=own)
    assert list(own) == [pki.intermediates[0].der]
    assert list(Store()) == []
    build_path([pki.leaf.der], store=own)
    assert aia.count() == 1


def test_fetch_issuer_gives_what_bears_the_issuers_name(pki: Hierarchy, aia: AIAHost) -> None:
    issuer = pki.intermediates[0]
    namesake = Authority.root("Stranger").intermediate(issuer.name)
    other = Authority.root("Stranger").intermediate("Somebody else")
    aia.publish("/0.cer", pkcs7(other.der, namesake.der, issuer.der))
    assert set(fetch_issuer(pki.leaf.der)) == {namesake.der, issuer.der}
    assert list(Store()) == []


def test_fetch_issuer_asks_the_next_url_where_one_fails(pki: Hierarchy, aia: AIAHost) -> None:
    issuer = pki.intermediates[0]
    wrong = aia.publish("/wrong.cer", Authority.root("Stranger").der)
    urls = [aia.url("/gone"), "ldap://directory/", wrong, aia.publish("/right.cer", issuer.der)]
    assert fetch_issuer(issuer.leaf(aia=urls).der) == [issuer.der]
    assert fetch_issuer(issuer.leaf(aia=[wrong]).der) == []


def test_fetch_issuer_says_why_there_is_none(pki: Hierarchy, aia: AIAHost, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = pki.intermediates[0]
    with pytest.raises(AIADownloadError, match="/gone cannot be fetched: status 404"):
        fetch_issuer(issuer.leaf(aia=[aia.url("/gone")]).der)
    with pytest.raises(AIADownloadError):
        fetch_issuer(issuer.leaf(aia=[aia.silent("/silent")]).der, timeout=0.2)
    with pytest.raises(AIASchemeError):
        fetch_issuer(issuer.leaf(aia=["https://ca.example/1.cer"]).der)
    with pytest.raises(AIAError, match="names no URL"):
        fetch_issuer(issuer.leaf().der)
    with pytest.raises(AIAError, match="cannot be read"):
        fetch_issuer(b"rubbish")
    monkeypatch.setenv("AIA_STORE_ALLOWED_NETWORKS", "")
    with pytest.raises(AIADownloadError, match="no public address"):
        fetch_issuer(pki.leaf.der)
    monkeypatch.setenv("AIA_STORE_OFFLINE", "1")
    with pytest.raises(AIADownloadError, match="AIA_STORE_OFFLINE is set"):
        fetch_issuer(pki.leaf.der)


@pytest.mark.parametrize("block", ["build_path([leaf])", "fetch_issuer(leaf)"])
def test_ctrl_c_interrupts_a_fetch(pki: Hierarchy, aia: AIAHost, block: str) -> None:
    aia.silent("/0.cer")
    code = f"import sys\nfrom aia_store import build_path, fetch_issuer\nleaf = bytes.fromhex(sys.argv[1])\n{block}"
    with start_python(code, pki.leaf.der.hex(), hook=False) as program:
        wait_until(lambda: aia.count() == 1)
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=30)
    assert errors.splitlines()[-1] == "KeyboardInterrupt"


def test_the_store_keeps_what_leads_to_a_trust_anchor_and_nothing_else(pki: Hierarchy, store: Path) -> None:
    issuer, stranger = pki.intermediates[0], Authority.root("Stranger").intermediate("Strange CA")
    own = Store()
    assert list(own) == []
    own.add(issuer.der)
    own.add(issuer.der)
    for refused in (stranger, pki.root, pki.leaf, pki.root.intermediate("Old", not_after=timedelta(hours=-1))):
        with pytest.raises(InvalidCAError, match="it was not kept: it "):
            own.add(refused.der)
        assert refused.der not in own
    for again in (own, Store(), Store(store)):
        assert list(again) == [issuer.der]
        assert issuer.der in again
        assert again.issuers_of(pki.leaf.der) == [issuer.der]
        assert again.issuers_of(stranger.der) == []


def test_what_is_in_the_store_completes_handshakes(pki: Hierarchy, aia: AIAHost) -> None:
    Store().add(pki.intermediates[0].der)
    with TLSServer(pki.leaf) as server:
        assert AIASession().download(server.url) == b"ok"
    assert aia.count() == 0


def test_a_store_that_cannot_be_used_is_reported(pki: Hierarchy, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AIAError, match="is not a folder"):
        Store(tmp_path / "file")
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(AIAError, match="can be written by everyone"):
        Store(open_to_all)
    with pytest.raises(AIAError, match="cannot be written"):
        Store(Path("/proc/no-store")).add(pki.intermediates[0].der)
    with pytest.raises(AIAError, match="must be bytes, in DER"):
        Store().add(pki.intermediates[0].pem.encode())
