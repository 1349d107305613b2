"""Several users and the daemon: what one user learned soon serves all, and hostile hand-ins do not prevent that."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ATTACH, CONNECT_ONCE, MakeHierarchy, wait_until
from tests.support.pki import Authority, pem, pem_blocks
from tests.support.servers import AIAHost, TLSServer
from tests.support.users import Users, require_users

SERVICE, FIRST, SECOND = 12_000, 12_001, 12_002
ROOTS = "/var/cache/roots.pem"
COMMAND = "import sys; sys.argv[:] = ['aia-store', *sys.argv[1:]]; from aia_store.cli import main; main()"
COLLECT = """
from aia_store.inside import settings
from aia_store.manager import handins
handins.collect(settings.load())
"""

#: Puts things into the folder that are no hand-ins.
LITTER = """
import os
os.chdir("/var/cache/aia-store/hand-in")
os.mkfifo("fifo")
os.symlink("/etc/shadow", "link")
os.mkdir("folder")
for number in range(300):
    with open(f"file-{number}", "w") as file:
        file.write("rubbish" * number)
with open("large", "w") as file:
    file.write("x" * 100_000)
"""


@pytest.fixture
def users() -> Iterator[Users]:
    require_users()
    with Users({"AIA_STORE_ALLOWED_NETWORKS": "127.0.0.0/8", "AIA_STORE_ROOTS": ROOTS}) as made:
        yield made


@pytest.fixture(params=[0, SERVICE], ids=["root's", "a service user's"])
def daemon(users: Users, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """A daemon that keeps the site's store, with its hand-in folder in place."""
    owner: int = request.param
    (users.root / ROOTS.lstrip("/")).write_text(pem(Authority.root()), encoding="ascii")
    users.site.mkdir()
    os.chown(users.site, owner, owner)
    users.run(owner, COLLECT)
    process = users.start(owner, COMMAND, "daemon")
    try:
        wait_until((users.site / "bundle.pem").exists)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
        print(said)


def kept(site: Path) -> set[bytes]:
    """The DER of what is in the site's store."""
    files = (site / "certificates").rglob("*.pem")
    return {der for file in files for der in pem_blocks(file.read_text(encoding="ascii"))}


def test_what_the_first_learned_the_second_uses_with_no_fetch(
    users: Users, daemon: subprocess.Popen[str], aia: AIAHost, hierarchy: MakeHierarchy
) -> None:
    pki = hierarchy()
    (users.root / ROOTS.lstrip("/")).write_text(pem(pki.root), encoding="ascii")
    connect = ATTACH + CONNECT_ONCE
    with TLSServer(pki.leaf) as server:
        assert users.run(FIRST, connect, server.port, ROOTS) == "ok\n"
        wait_until(lambda: kept(users.site) == {pki.intermediates[0].der})
        assert users.run(SECOND, connect, server.port, ROOTS) == "ok\n"
    assert aia.count() == 1
    wait_until(lambda: pki.intermediates[0].der in pem_blocks((users.site / "bundle.pem").read_text("ascii")))


def test_hostile_hand_ins_do_not_stop_it(
    users: Users, daemon: subprocess.Popen[str], aia: AIAHost, hierarchy: MakeHierarchy
) -> None:
    pki = hierarchy()
    (users.root / ROOTS.lstrip("/")).write_text(pem(pki.root), encoding="ascii")
    users.run(SECOND, LITTER)
    with TLSServer(pki.leaf) as server:
        assert users.run(FIRST, ATTACH + CONNECT_ONCE, server.port, ROOTS) == "ok\n"
    wait_until(lambda: kept(users.site) == {pki.intermediates[0].der})
    wait_until(lambda: list((users.site / "hand-in").iterdir()) == [], 40)
    assert daemon.poll() is None
