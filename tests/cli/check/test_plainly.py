"""The first sentence of the page: what is wrong, and who is turned away."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.manager.machine import Machine
from tests.support.openssl import WEAK, OpenSSLServer
from tests.support.pki import Authority, Certified, Leaf, pem
from tests.support.servers import TLSServer

_LATE, _EARLY = timedelta(days=-3), timedelta(days=3)
_NOBODY = ": clients are turned away."
_EVERYBODY = ": every client that trusts the root can connect."
SENTENCES = {
    "complete": r"holds all that its clients need, until \S+, for 89 more days" + _EVERYBODY,
    "ending": r"holds all that its clients need, until \S+, for 2 more days" + _EVERYBODY,
    "leaf only": "does not hold Lower CA and Upper CA, which lead from its certificate to a root" + _NOBODY,
    "one missing": "does not hold Upper CA, which leads from its certificate to a root" + _NOBODY,
    "leaf last": "does not begin with the server's certificate" + _NOBODY,
    "expired": r"certificate of FILE expired on \S+" + _NOBODY,
    "not yet valid": r"certificate of FILE is not valid before \S+" + _NOBODY,
    "self-signed": "certificate of FILE is self-signed, so no CA vouches for it" + _NOBODY,
    "unknown issuer": "certificate of FILE leads to Strange CA, which is neither in the file nor known here" + _NOBODY,
    "unknown root": "certificate of FILE leads to no root that clients trust" + _NOBODY,
    "nameless": "certificate of FILE names no host" + _NOBODY,
    "late intermediate": r"path of FILE to Manager Root is not valid \(certificate has expired\)" + _NOBODY,
}


@pytest.fixture
def said(machine: Machine, root: Authority) -> Iterator[dict[str, str]]:
    """The sentence about a file of each kind."""
    upper = root.intermediate("Upper CA")
    lower = upper.intermediate("Lower CA")
    machine.plant(lower, upper)
    late = root.intermediate("Late CA", not_after=_LATE)
    stranger = Authority.root("Strange Root")
    strange = stranger.intermediate("Strange CA")
    files: dict[str, list[Certified]] = {
        "complete": [lower.leaf(), lower, upper],
        "ending": [lower.leaf(not_after=_EARLY), lower, upper],
        "leaf only": [lower.leaf()],
        "one missing": [lower.leaf(), lower],
        "leaf last": [upper, lower, lower.leaf()],
        "expired": [lower.leaf(not_after=_LATE), lower, upper],
        "not yet valid": [lower.leaf(not_before=_EARLY), lower, upper],
        "self-signed": [Leaf._make("localhost", None, {"san": ["localhost"]})],
        "unknown issuer": [strange.leaf()],
        "unknown root": [strange.leaf(), strange, stranger],
        "nameless": [lower.leaf(san=[]), lower, upper],
        "late intermediate": [late.leaf(), late],
    }
    folder = machine.folder / "files"
    folder.mkdir()
    for name, certificates in files.items():
        (folder / name).write_text(pem(*certificates))
    page = machine.run("check", folder, "--html", "-").stdout
    found = re.findall(r"<span class=name>(.*?)</span>.*?\n<p class=lead>(.*?)</p>", page)
    yield {path.rpartition("/")[2]: html.unescape(sentence.replace(path, "FILE")) for path, sentence in found}


def test_each_kind_of_file_has_its_sentence(said: dict[str, str]) -> None:
    assert said.keys() == SENTENCES.keys()
    for name, sentence in SENTENCES.items():
        assert re.fullmatch(rf"(FILE|The) {sentence}", said[name]), said[name]


def test_who_is_turned_away(machine: Machine, root: Authority) -> None:
    """Some clients accept a weak handshake, or know what is missing."""
    ca = root.intermediate("Some CA")
    with OpenSSLServer(ca.leaf(key="rsa"), [ca], WEAK["static RSA only"]) as weak, TLSServer(ca.leaf()) as unknown:
        hosts = [f"localhost:{weak.port}", f"localhost:{unknown.port}"]
        page = machine.run("check", *hosts, "--html", "-").stdout
    sentences = [html.unescape(one) for one in re.findall(r"<p class=lead>(.*?)</p>", page)]
    assert sentences == [
        f"{hosts[0]} is out of date, because it exchanges keys by static RSA only, without forward secrecy: Python is "
        "turned away, while Chrome, Edge, Safari, programs on Windows, Firefox, curl, git, Ruby, PHP, Node, wget, Java "
        "and Go can connect.",
        f"The certificate of {hosts[1]} leads to Some CA, which is neither sent nor known here" + _NOBODY,
    ]
