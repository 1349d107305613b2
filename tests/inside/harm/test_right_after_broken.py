"""A right server is accepted after any broken one, with the same context: nothing that was learned misleads OpenSSL."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import FLAGS
from tests.inside.harm.conftest import answer, cafile_of, size
from tests.support.pki import Authority
from tests.support.servers import AIAHost, TLSServer

#: A program meets these ports in this order: `[[port, seconds to wait before], …]`, with these flags and anchors.
CONTEXT = """
import time

visits, cafile, flags = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
context = ssl.create_default_context(cafile=cafile)
context.verify_flags = ssl.VerifyFlags(flags)
"""

BY_SSL = (
    CONTEXT
    + """
visit = lambda port: meet(context, port)
"""
)

BY_HTTPX = (
    CONTEXT
    + """
import httpx

client = httpx.Client(verify=context, trust_env=False)

def visit(port):
    try:
        return client.get(f"https://localhost:{port}/").text
    except httpx.ConnectError as error:
        return str(error)
"""
)

BY_REQUESTS = (
    CONTEXT
    + """
import requests
from requests.adapters import HTTPAdapter

class Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments, **named):
        super().init_poolmanager(*arguments, **named, ssl_context=context)

session = requests.Session()
session.trust_env = False
session.mount("https://", Adapter())

def visit(port):
    try:
        return session.get(f"https://localhost:{port}/", verify=cafile).text
    except requests.exceptions.SSLError as error:
        return str(error)
"""
)

IN_ORDER = """
seen = []
for port, wait in visits:
    time.sleep(wait)
    seen.append(visit(port))
print(json.dumps(seen))
"""

WAYS = {"ssl": BY_SSL, "httpx": BY_HTTPX, "requests": BY_REQUESTS}

#: With a chain whose leaf names no key of its issuer's: VERIFY_X509_STRICT would refuse that.
PLAIN_FLAGS = FLAGS["flags of 3.11"]
LIVES = 4  # seconds, of a CA that ends while the program runs


class Rivals:
    """Two chains whose CAs have one name. The server of the first sends its leaf only, that of the second all."""

    def __init__(self, anchors: list[Authority], broken: TLSServer, right: TLSServer, wait: float = 0) -> None:
        self.anchors = anchors
        self.broken = broken
        self.right = right
        self.wait = wait  # seconds until the first is useless


def successor(aia: AIAHost) -> Rivals:
    """The first CA ends, and the second has its name and key."""
    root = Authority.root("Root of the Successor")
    old = root.intermediate("Renewed CA", not_after=timedelta(seconds=LIVES))
    new = old.reissue(not_after=timedelta(days=80))
    leaf = old.leaf(aia=[aia.publish("/renewed.cer", old.der)])
    return Rivals([root], TLSServer(leaf), TLSServer(new.leaf(), [new]), LIVES)


def namesake_under_another_root(aia: AIAHost) -> Rivals:
    """The first root lets the CA sign leaves only; under the second there is one more CA below it."""
    one, two = Authority.root("Root One"), Authority.root("Root Two")
    short = one.intermediate("Cross-signed CA", path_length=0)
    long = two.cross_sign(short)
    below = long.intermediate("CA below")
    leaf = short.leaf(aia=[aia.publish("/short.cer", short.der)])
    return Rivals([one, two], TLSServer(leaf), TLSServer(below.leaf(), [below, long]))


def namesake_with_another_key(aia: AIAHost) -> Rivals:
    """The second leaf does not say which key signed it."""
    root = Authority.root("Root of Namesakes")
    first, second = root.intermediate("Namesake CA"), root.intermediate("Namesake CA")
    leaf = first.leaf(aia=[aia.publish("/namesake.cer", first.der)])
    return Rivals([root], TLSServer(leaf), TLSServer(second.leaf(authority_key_id=False), [second]))


Make = Callable[[AIAHost], Rivals]
KINDS: list[Make] = [successor, namesake_under_another_root, namesake_with_another_key]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("make", KINDS)
def test_after_a_broken_one(store: Path, aia: AIAHost, tmp_path: Path, make: Make, way: str) -> None:
    rivals = make(aia)
    with rivals.broken, rivals.right:
        visits = [[rivals.broken.port, 0], [rivals.right.port, rivals.wait], [rivals.right.port, 0]]
        cafile = cafile_of(tmp_path, *rivals.anchors)
        assert answer(way + IN_ORDER, json.dumps(visits), cafile, int(PLAIN_FLAGS)) == ["ok", "ok", "ok"]


@pytest.mark.parametrize("make", KINDS[1:])
def test_the_broken_one_is_completed_after_the_right_one_too(
    store: Path, aia: AIAHost, tmp_path: Path, make: Make
) -> None:
    rivals = make(aia)
    with rivals.broken, rivals.right:
        visits = [[rivals.right.port, 0], [rivals.broken.port, 0], [rivals.right.port, 0]]
        cafile = cafile_of(tmp_path, *rivals.anchors)
        assert answer(BY_SSL + IN_ORDER, json.dumps(visits), cafile, int(PLAIN_FLAGS)) == ["ok", "ok", "ok"]


AT_RANDOM = """
import random

kinds, seed = json.loads(sys.argv[4]), int(sys.argv[5])
random = random.Random(seed)
history, refused = [], []
for _ in range(30):
    kind = random.choice(sorted(kinds))
    history.append(kind)
    if kind.startswith("right") and meet(context, kinds[kind]) != "ok":
        refused.append(history[:])
    elif not kind.startswith("right"):
        meet(context, kinds[kind])
print(json.dumps(refused))
"""


def test_after_any_history(store: Path, aia: AIAHost, tmp_path: Path) -> None:
    rivals = [make(aia) for make in KINDS[1:]]
    anchors = [anchor for pair in rivals for anchor in pair.anchors]
    stranger = Authority.root("Stranger").intermediate("Stranger's CA")
    unreachable = anchors[0].intermediate("Unreachable CA")
    with contextlib.ExitStack() as stack:
        enter: Callable[[TLSServer], TLSServer] = functools.partial(stack.enter_context)
        kinds = {
            "unknown": enter(TLSServer(stranger.leaf(), [stranger])).port,
            "unreachable": enter(TLSServer(unreachable.leaf(aia=[aia.url("/missing.cer")]))).port,
            "expired": enter(TLSServer(anchors[0].leaf(not_after=timedelta(days=-1)))).port,
        }
        for number, pair in enumerate(rivals):
            kinds[f"broken {number}"] = enter(pair.broken).port
            kinds[f"right {number}"] = enter(pair.right).port
        cafile = cafile_of(tmp_path, *anchors)
        for seed in range(size(4, 100)):
            arguments = (json.dumps([]), cafile, int(PLAIN_FLAGS), json.dumps(kinds), seed)
            assert answer(CONTEXT + AT_RANDOM, *arguments) == [], f"seed {seed}"
