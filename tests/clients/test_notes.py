"""The note on the error of a refused chain: it reaches the user of a client, and changes nothing else."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import Environments, NotInstallable
from tests.clients.servers import SERVERS
from tests.clients.table import CLIENTS, Client
from tests.clients.test_table import IS_WHOLE, installed
from tests.manager.machine import Machine
from tests.support.ca_files import large_ca_file
from tests.support.refusals import KINDS, Refused
from tests.support.servers import AIAHost, TLSServer

pytestmark = [
    pytest.mark.skipif(not hasattr(BaseException, "add_note"), reason="from Python 3.11 on"),
    pytest.mark.timeout(600),
]

RUN = Path(__file__).with_name("run_refused.py")
#: Those that meet every kind of refusal.
THOROUGH = ("urllib", "asyncio streams", "urllib3", "requests", "httpx", "httpx on trio", "aiohttp", "trio")


def named(client: Client) -> str:
    """The client's name, for the name of a test."""
    return client.name.replace(" ", "_")


def python_of(environments: Environments, client: Client) -> Path:
    """The interpreter to run the client with."""
    if not client.runs_here:
        pytest.skip(f"no release of {client.name} runs on this Python")
    try:
        return installed(environments, client, "newest")
    except NotInstallable as error:
        pytest.skip(f"{client.name} cannot be installed here: {error}")


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.is_quick or IS_WHOLE], ids=named)
def test_what_the_user_of_a_client_sees(
    machine: Machine, environments: Environments, aia: AIAHost, client: Client
) -> None:
    case = KINDS["no url"](aia)
    cafile = large_ca_file(machine.folder / "roots.pem", *case.trusts)
    python = python_of(environments, client)
    with SERVERS[client.server](case.leaf) as server:
        done = machine.execute(python, client.path, server.port, cafile, PYTHONPATH=None)
    assert done.returncode != 0
    assert ("aia-store: The server sent only its own certificate" in done.stdout + done.stderr) is client.shows_note


def failures(
    machine: Machine, python: Path, client: Client, cases: Sequence[tuple[int, Path, Refused]], **variables: str
) -> list[dict[str, Any]]:
    """How the client fails at each of these servers."""
    done = subprocess.run(
        [python, RUN, client.path],
        input=json.dumps([(port, str(cafile), case.env) for port, cafile, case in cases]),
        capture_output=True,
        text=True,
        timeout=120,
        env={name: value for name, value in machine.environment.items() if name != "PYTHONPATH"} | variables,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.name in THOROUGH], ids=named)
def test_every_kind_of_refusal(machine: Machine, environments: Environments, aia: AIAHost, client: Client) -> None:
    python = python_of(environments, client)
    made = {name: make(aia) for name, make in KINDS.items()}
    with contextlib.ExitStack() as servers:
        cases = [
            (
                servers.enter_context(TLSServer(case.leaf, case.sends)).port,
                large_ca_file(machine.folder / f"{number}.pem", *case.trusts),
                case,
            )
            for number, case in enumerate(made.values())
        ]
        plain = failures(machine, python, client, cases, AIA_STORE_DISABLE="1")
        explained = failures(machine, python, client, cases)
    for (kind, case), without, found in zip(made.items(), plain, explained, strict=True):
        assert found["error"] == without["error"], kind
        assert without["notes"] == [], kind
        (note,) = found["notes"]
        assert case.is_explained_by(note), (kind, note)
        assert (note in found["traceback"]) is client.shows_note, kind
