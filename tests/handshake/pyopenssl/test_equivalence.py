"""Promise 1 as a property, for pyOpenSSL: generated worlds, and pyOpenSSL without the hook as the judge.

AIA_STORE_TEST_PYOPENSSL_PKIS sets how many worlds are tried (default 200), AIA_STORE_TEST_SEED the first of them.
"""

from __future__ import annotations

import itertools
import os
import ssl
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import aia_store
from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder
from tests.conftest import PARTIAL_CHAIN
from tests.handshake.equivalence.conftest import laboratory  # noqa: F401  # a fixture
from tests.handshake.equivalence.judge import TooDense, is_self_signed, orders, paths
from tests.handshake.equivalence.laboratory import Laboratory
from tests.handshake.equivalence.memory import Outcome, Servers
from tests.handshake.equivalence.model import Made, World
from tests.support.pki import pem

from .client import SSL, crypto

PKIS = int(os.environ.get("AIA_STORE_TEST_PYOPENSSL_PKIS", "200"))
SEED = int(os.environ.get("AIA_STORE_TEST_SEED", "0"))
PART = 50
MOST_WAYS = 500  # to send certificates, before one is thought not to exist


class Program:
    """A context with the certificates and the settings that a program gives it, one after the other."""

    def __init__(self, servers: Servers, anchors: Sequence[Made], flags: int, level: int) -> None:
        self._servers = servers
        self.context: Any = SSL.Context(SSL.TLS_METHOD)
        self.context.set_verify(SSL.VERIFY_PEER)
        self.context.set_cipher_list(f"DEFAULT:@SECLEVEL={level}".encode())
        self.set(flags)
        self.trust(anchors)

    def set(self, flags: int) -> None:
        self.context.get_cert_store().set_flags(flags)

    def trust(self, anchors: Sequence[Made]) -> None:
        for anchor in anchors:
            certificate = crypto.load_certificate(crypto.FILETYPE_PEM, pem(anchor.der).encode("ascii"))
            self.context.get_cert_store().add_cert(certificate)

    def meet(self, message: Sequence[bytes], tls_1_2: bool = True) -> Outcome:
        return self._servers.meet(lambda reads, writes: _Client(self.context, reads, writes), message, tls_1_2=tls_1_2)


class _Client:
    """A connection of pyOpenSSL that behaves as one of `ssl`."""

    def __init__(self, context: Any, reads: ssl.MemoryBIO, writes: ssl.MemoryBIO) -> None:
        self._connection = SSL.Connection(context, None)
        self._connection.set_connect_state()
        self._reads = reads
        self._writes = writes

    def do_handshake(self) -> None:
        if self._reads.pending:
            self._connection.bio_write(self._reads.read())
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            self._writes.write(self._connection.bio_read(1 << 16))
            raise ssl.SSLWantReadError from None
        except SSL.Error as error:
            refused = ssl.SSLCertVerificationError(1, str(error))
            refused.verify_message = str(error)
            raise refused from None

    def get_verified_chain(self) -> list[Any]:
        return [_Shown(crypto.dump_certificate(crypto.FILETYPE_ASN1, c)) for c in self._connection.get_verified_chain()]


class _Shown:
    def __init__(self, der: bytes) -> None:
        self._der = der

    def public_bytes(self, form: object) -> bytes:
        return self._der


def play(servers: Servers, world: World, folder: Path, counts: Counter[str]) -> None:
    """Play one world, and hold each answer against the judge's."""
    store = Folder(str(folder / "store"))
    os.environ["AIA_STORE_DIR"] = store.path
    for made in world.planted:
        store.keep(Certificate(made.der))
    trusted = [*world.anchors, *world.in_directory]
    flags, level = world.settings.flags, world.settings.security_level
    program = Program(servers, trusted, flags, level)
    for step in world.steps:
        trusted += step.load
        program.trust(step.load)
        if step.settings is not None:
            flags |= step.settings.flags  # pyOpenSSL only ever adds some, and keeps the level
            program.set(step.settings.flags)
        added_before = len(program.context._aia_store.added)
        aia_store.enable()
        outcome = program.meet(step.server.message, step.tls_1_2)
        aia_store.disable()
        story = f"{world}\n{step}\nflags {flags:#x}, level {level}\n{outcome.refusal}"
        judge = Program(servers, trusted, flags, level)
        plain = judge.meet(step.server.message)
        counts["handshakes"] += 1
        counts["right servers"] += plain.accepted
        if plain.accepted and not outcome.accepted:
            counts["right servers refused after an addition"] += 1
            assert added_before, f"a right server refused\n{story}"
        if outcome.accepted and not plain.accepted:
            counts["completed"] += 1
            counts["completed under partial chains"] += bool(flags & PARTIAL_CHAIN)
            assert is_right(judge, servers, world, trusted, flags, level, outcome, step.server.leaf), story
        for der in program.context._aia_store.added:
            assert not is_self_signed(der), story


def is_right(
    judge: Program,
    servers: Servers,
    world: World,
    trusted: Sequence[Made],
    flags: int,
    level: int,
    outcome: Outcome,
    leaf: Made,
) -> bool:
    """Whether there is a way to send the certificates that pyOpenSSL accepts by itself."""
    if judge.meet(outcome.chain).accepted:
        return True
    made = {made.der: made for made in world.certificates}
    anchor = made[outcome.chain[-1]]
    if anchor in trusted and Program(servers, [anchor], flags, level).meet(outcome.chain).accepted:
        return True  # OpenSSL does not backtrack: another trusted certificate of a name is in the way
    try:
        ways = (order for path in paths(leaf, trusted, lambda _: world.certificates) for order in orders(path))
        return any(judge.meet(order).accepted for order in itertools.islice(ways, MOST_WAYS))
    except TooDense:
        return True


@pytest.mark.timeout(600)
@pytest.mark.parametrize("start", range(SEED, SEED + PKIS, PART))
def test_no_chain_is_accepted_that_openssl_refuses_when_the_server_sends_everything(
    laboratory: Laboratory,  # noqa: F811
    tmp_path: Path,
    start: int,
) -> None:
    counts: Counter[str] = Counter()
    aia_store.enable()  # the doors must have seen every context
    for seed in range(start, min(start + PART, SEED + PKIS)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        play(laboratory.servers, laboratory.world(seed), folder, counts)
    print(f"\nseeds from {start}: {dict(counts)}")
    assert counts["right servers refused after an addition"] <= 0.04 * counts["handshakes"]
    assert counts["completed"] or PKIS < PART
