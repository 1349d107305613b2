"""With the trust folder nothing is accepted that the roots alone refuse when the full chain is sent.

The worlds are those of the handshake's property (`tests/handshake/equivalence`): PKIs as bad as they come. All of their
authorities are preloaded, and OpenSSL is asked under the flags of each client that takes a hashed folder, once for a
server that sends its leaf only and once for what the server of the world sends. AIA_STORE_TEST_PKIS and
AIA_STORE_TEST_SEED set how many worlds, and the first of them, as they do there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import certifi
import pytest

from aia_store.inside import settings as config
from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder
from aia_store.manager import bundle
from aia_store.manager.published import FOLDER
from tests.conftest import PARTIAL_CHAIN
from tests.handshake.equivalence import generator
from tests.handshake.equivalence.judge import Judge, TooDense, is_self_signed, orders, paths
from tests.handshake.equivalence.memory import Servers
from tests.handshake.equivalence.model import TRUSTED_FIRST, Made, Settings, World
from tests.manager.machine import Machine
from tests.manager.revoking import report
from tests.support.pki import pem, pem_blocks

SEED = int(os.environ.get("AIA_STORE_TEST_SEED", "0"))
WORLDS = range(SEED, SEED + int(os.environ.get("AIA_STORE_TEST_PKIS", "80")))
REAL = Path(__file__).parents[3] / "shared" / "data" / "ccadb"

CLIENTS = {
    "openssl, Ruby, PHP, Node": Settings(TRUSTED_FIRST),
    "curl": Settings(TRUSTED_FIRST | PARTIAL_CHAIN),
    "Python to 3.12": Settings(generator.FLAGS_OF_3_11),
    "Python from 3.13": Settings(generator.FLAGS_OF_3_13),
}


@pytest.fixture(autouse=True)
def in_memory(machine: Machine) -> Iterator[None]:
    with machine.store_in_memory():
        yield


def roots_of(world: World) -> list[Made]:
    """Its anchors that are a machine's: self-signed."""
    return [made for made in (*world.anchors, *world.in_directory) if is_self_signed(made.der)]


def published(machine: Machine, roots: Iterable[Made], preloaded: Iterable[Made]) -> Path:
    """The trust folder of this machine, built in this process."""
    settings = config.Settings()
    settings.dir, settings.roots = str(machine.store), str(machine.roots)
    machine.roots.write_text(pem(*(made.der for made in roots)), encoding="ascii")
    folder = Folder(str(machine.store)).preloaded
    for path in list(folder.paths()):
        folder.remove(path)
    for made in preloaded:
        folder.keep(Certificate(made.der))
    return Path(bundle.build(settings, form=FOLDER))


@pytest.mark.timeout(600)
def test_nothing_is_accepted_that_the_roots_alone_refuse_and_nothing_else_refused(machine: Machine) -> None:
    servers = Servers(generator.KEYS[generator.SERVER_KEY], machine.folder)
    completed = refused = 0
    for seed in WORLDS:
        world = generator.world(seed, "http://ca.example")
        roots = roots_of(world)
        if not roots:
            continue
        authorities = [made for made in world.certificates if made.is_authority]
        folder = published(machine, roots, authorities)
        text = pem(*(made.der for made in roots))
        for server in (step.server for step in world.steps):
            for client, settings in CLIENTS.items():
                alone = Judge(servers, settings, text, None, server.host)
                with_folder = Judge(servers, settings, "", folder, server.host)
                for message in ([server.leaf.der], server.message):
                    if alone.accepts(message):
                        assert with_folder.accepts(message), (client, message == server.message, str(world))
                    elif with_folder.accepts(message):
                        assert has_an_accepted_path(alone, server.leaf, roots, authorities), (client, str(world))
                        completed += 1
                    else:
                        refused += 1
    print(f"{completed} completed, {refused} refused")
    assert completed > len(WORLDS) / 4
    assert refused > len(WORLDS) / 4


def has_an_accepted_path(alone: Judge, leaf: Made, roots: list[Made], authorities: list[Made]) -> bool:
    """Whether the roots alone accept the leaf with some path sent whole."""
    with suppress(TooDense):
        for path in paths(leaf, roots, lambda below: [made for made in authorities if made.subject == below.issuer]):
            if any(map(alone.accepts, orders(path))):
                return True
    return False


@pytest.mark.skipif(not REAL.exists(), reason="the CCADB's certificates are not here")
@pytest.mark.timeout(300)
def test_nothing_that_is_revoked_or_trusted_by_nobody_is_in_the_folder(machine: Machine) -> None:
    """Every 8th of the CCADB's intermediates, with those that it calls revoked, and some that lead to no root."""
    revoked = pem_blocks((REAL / "revoked.pem").read_text(encoding="utf-8"))[::4]
    untrusted = pem_blocks((REAL / "not_trusted.pem").read_text(encoding="utf-8"))[::4]
    others = pem_blocks((REAL / "AllCertificatePEMs.csv").read_text(encoding="utf-8"))[::8]
    machine.environment["AIA_STORE_ROOTS"] = certifi.where()
    listed = machine.folder / "revoked.csv"
    listed.write_bytes(report(revoked))
    machine.environment["AIA_STORE_REVOCATION_LISTS"] = str(listed)
    machine.preload(*others, *revoked, *untrusted)
    with_them = set(machine.build_folder().values())
    assert with_them & set(revoked), "well-signed, so only the list tells"
    machine.says("refresh")
    found = set(machine.in_folder().values())
    assert not found & {*revoked, *untrusted}
    assert len(found & set(others)) > 50
