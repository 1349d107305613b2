"""Promise 1 as a property, for pyOpenSSL: generated worlds, and pyOpenSSL without the hook as the judge.

AIA_STORE_TEST_PYOPENSSL_PKIS sets how many worlds are tried (default 200), AIA_STORE_TEST_SEED the first of them.
"""

from __future__ import annotations

import itertools
import os
import ssl
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

import aia_store
from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder
from tests.conftest import PARTIAL_CHAIN
from tests.handshake.equivalence.conftest import laboratory  # noqa: F401  # a fixture
from tests.handshake.equivalence.generator import KEYS
from tests.handshake.equivalence.judge import TooDense, orders, paths
from tests.handshake.equivalence.laboratory import Laboratory
from tests.handshake.equivalence.memory import Outcome, Servers
from tests.handshake.equivalence.model import Made, World
from tests.support.pki import pem

from .client import CRL_CHECK, CRL_CHECK_ALL, SSL, Client, crypto

PKIS = int(os.environ.get("AIA_STORE_TEST_PYOPENSSL_PKIS", "200"))
SEED = int(os.environ.get("AIA_STORE_TEST_SEED", "0"))
PART = 50
MOST_WAYS = 500  # to send certificates; then there is assumed to be no good one


@dataclass
class Given:
    """What a program has loaded into its context so far."""

    anchors: list[Made]
    flags: int
    level: int
    lists: list[bytes] = field(default_factory=list)  #: CRLs, in DER
    time: datetime | None = None

    @classmethod
    def of(cls, world: World) -> Given:
        """What the world says, and what only pyOpenSSL's store knows: CRLs, another time, pins."""
        given = cls([*world.anchors, *world.in_directory], world.settings.flags, world.settings.security_level)
        random = Random(world.seed)
        if random.random() < 0.3:
            given.flags |= random.choice([CRL_CHECK, CRL_CHECK | CRL_CHECK_ALL])
            given.lists = list(revocation_lists(world, random))
        if random.random() < 0.2:
            given.time = datetime.now() + timedelta(days=random.choice([-400, -30, 0, 20, 80, 400]))
        if random.random() < 0.3:
            given.flags |= PARTIAL_CHAIN
            given.anchors += random.sample(world.certificates, 1)
        return given


def revocation_lists(world: World, random: Random) -> Iterator[bytes]:
    """CRLs of most of the authorities, with some of the certificates revoked that bear their name."""
    now = datetime.now(timezone.utc)
    for authority in {(made.subject, made.key): made for made in world.certificates if made.is_authority}.values():
        if random.random() < 0.15:
            continue
        name = x509.load_der_x509_certificate(authority.der).subject
        builder = x509.CertificateRevocationListBuilder().issuer_name(name)
        builder = builder.last_update(now - timedelta(days=1)).next_update(now + timedelta(days=7))
        for made in world.certificates:
            if made.issuer == authority.subject and random.random() < 0.1:
                serial = x509.load_der_x509_certificate(made.der).serial_number
                entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
                builder = builder.add_revoked_certificate(entry.build())
        yield builder.sign(KEYS[authority.key], hashes.SHA256()).public_bytes(Encoding.DER)


class Program(Client):
    """A context with what a program loads into it, step by step."""

    def __init__(self, servers: Servers, given: Given) -> None:
        super().__init__(flags=given.flags, level=given.level)
        self.context.set_verify(SSL.VERIFY_PEER)  # pyOpenSSL's callback crashes where a policy is missing
        self._servers = servers
        if given.time is not None:
            self.context.get_cert_store().set_time(given.time)
        for der in given.lists:
            self.load_list(der)
        self.add(given.anchors)

    def add(self, anchors: Sequence[Made]) -> None:
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
    """Play one world, and compare each answer with the judge's."""
    store = Folder(str(folder / "store"))
    os.environ["AIA_STORE_DIR"] = store.path
    for made in world.planted:
        store.keep(Certificate(made.der))
    given = Given.of(world)
    program = Program(servers, given)
    for step in world.steps:
        given.anchors += step.load
        program.add(step.load)
        if step.settings is not None:
            given.flags |= step.settings.flags  # pyOpenSSL only ever adds some, and keeps the level
            program.set_flags(step.settings.flags)
        held = program.holds()
        aia_store.enable()
        outcome = program.meet(step.server.message, step.tls_1_2)
        aia_store.disable()
        story = f"{world}\n{step}\n{given.flags:#x}, level {given.level}, {given.time}\n{outcome.refusal}"
        judge = Program(servers, given)
        plain = judge.meet(step.server.message)
        counts["handshakes"] += 1
        counts["right servers"] += plain.accepted
        assert outcome.accepted or not plain.accepted, f"a right server refused\n{story}"
        assert program.holds() == held, f"the program's context is another\n{story}"
        if outcome.accepted and not plain.accepted:
            counts["completed"] += 1
            counts["completed under partial chains"] += bool(given.flags & PARTIAL_CHAIN)
            counts["completed under CRLs"] += bool(given.flags & CRL_CHECK)
            counts["completed at another time"] += given.time is not None
            assert is_right(judge, world, given, outcome, step.server.leaf), story


def is_right(judge: Program, world: World, given: Given, outcome: Outcome, leaf: Made) -> bool:
    """Whether there is a way to send the certificates that pyOpenSSL accepts by itself."""
    if judge.meet(outcome.chain).accepted:
        return True
    try:
        # Under partial chains the rest of the path is not shown.
        ways = (order for path in paths(leaf, given.anchors, lambda _: world.certificates) for order in orders(path))
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
    aia_store.enable()  # the hooks must have seen every context
    for seed in range(start, min(start + PART, SEED + PKIS)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        play(laboratory.servers, laboratory.world(seed), folder, counts)
    print(f"\nseeds from {start}: {dict(counts)}")
    assert counts["completed"] or PKIS < PART
