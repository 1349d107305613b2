"""Every client of the table, as released, fails without the hook and works with it.

By default the newest releases of what is quick to install, in one environment; with AIA_STORE_TEST_CLIENTS=all each
client in an environment of its own, with its newest and its oldest release.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.clients import results
from tests.clients.environments import Environments, NotInstallable, version
from tests.clients.servers import SERVERS
from tests.clients.table import CLIENTS, PYTHON, Client
from tests.conftest import MakeHierarchy, wait_until
from tests.manager.machine import Machine
from tests.support.ca_files import large_ca_file
from tests.support.servers import AIAHost

IS_WHOLE = os.environ.get("AIA_STORE_TEST_CLIENTS") == "all"


def installed(environments: Environments, client: Client, release: str) -> Path:
    """The interpreter to run the client with."""
    if IS_WHOLE:
        return environments.python(client.requirements(release))
    quick = {requirement for other in CLIENTS if other.is_quick for requirement in other.requirements("newest")}
    return environments.python(sorted(quick))


def cases() -> list[tuple[Client, str]]:
    """What to test in this run."""
    if not IS_WHOLE:
        return [(client, "newest") for client in CLIENTS if client.is_quick]
    newest = [(client, "newest") for client in CLIENTS]
    return newest + [(client, "oldest") for client in CLIENTS if PYTHON in client.oldest]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("client", "release"), [pytest.param(*case, id=f"{case[0].name}-{case[1]}".replace(" ", "_")) for case in cases()]
)
def test_client(
    machine: Machine,
    environments: Environments,
    hierarchy: MakeHierarchy,
    aia: AIAHost,
    client: Client,
    release: str,
) -> None:
    if not client.runs_here:
        results.note(client, release, None)
        pytest.skip(f"no release of {client.name} runs on Python {PYTHON}")
    try:
        python = installed(environments, client, release)
    except NotInstallable as error:
        results.note(client, release, None)
        pytest.skip(f"{client.name} cannot be installed here: {error}")
    pki = hierarchy()
    cafile = large_ca_file(machine.folder / "roots.pem", pki.root)  # as large as the system's: loaded on demand
    with SERVERS[client.server](pki.leaf) as server:

        def run(**variables: str) -> tuple[int, str, str]:
            done = machine.execute(python, client.path, server.port, cafile, PYTHONPATH=None, **variables)
            return done.returncode, done.stdout.strip(), done.stderr

        # Not every client says why it fails, but it is the certificate: nothing else differs the second time.
        status, said, errors = run(AIA_STORE_DISABLE="1")
        assert (status != 0, said) == (True, ""), errors
        assert server.connections > 0
        assert (server.handshakes, aia.count()) == (0, 0)

        before = server.connections
        status, said, errors = run()
        assert (status, said) == (0, "ok"), errors
        wait_until(lambda: server.handshakes > 0)
        assert server.handshakes == server.connections - before
        assert client.connects_often or server.handshakes == 1
        assert [request.path for request in aia.requests] == ["/0.cer"]
    results.note(client, release, version(python, client.package) if client.package else "")
