"""What `check` expects of each client is what the client itself does, for each kind of fault."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.cli.check.browser import browser
from tests.cli.check.clients import CLIENTS
from tests.cli.check.street import Street, street
from tests.conftest import write_pem
from tests.manager.machine import Machine
from tests.support.pki import pem_blocks


@pytest.fixture(scope="module", name="street")
def _street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with street(Machine(tmp_path_factory.mktemp("street") / "machine")) as servers:
        yield servers


Expected = dict[str, dict[str, set[bool]]]


@pytest.fixture(scope="module")
def expected(street: Street) -> Expected:
    """Whether `check` expects a client to connect, by client and then by kind of fault.

    A server with several chains has an expectation for each: clients differ in which one they get.
    """
    hosts = [f"localhost:{port}" for port in street.ports]
    for _ in range(2):  # the second time, the store knows everything that can be learned, as it does for the clients
        answers = street.machine.json("check", *hosts, status=1)
    kinds = {server.port: kind for kind, server in street.servers.items()}
    found: Expected = {}
    for answer in answers:
        for view in answer["views"]:
            of_client = found.setdefault(view["client"], {})
            of_client.setdefault(kinds[answer["port"]], set()).add(view["works"])
    return found


#: Where a program is no example of its kind: s_client takes the common name whatever addresses there are.
APART = {"openssl": {"a common name beside addresses"}}


def surprises(
    street: Street, reached: list[bool], expected: dict[str, set[bool]], program: str = ""
) -> dict[str, bool]:
    """Whether a client connected, for each kind of fault where that was not expected of it."""
    found = dict(zip(street.servers, reached, strict=True))
    return {
        kind: connected
        for kind, connected in found.items()
        if connected not in expected[kind] and kind not in APART.get(program, ())
    }


@pytest.mark.parametrize(
    ("view", "number"), [(view, number) for view, asked in CLIENTS.items() for number in range(len(asked))]
)
def test_a_client_does_what_is_expected_of_it(street: Street, expected: Expected, view: str, number: int) -> None:
    program, ask = CLIENTS[view][number]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not here")
    connected = ask(street.machine, street.machine.roots, street.ports)
    reached = [server.port in connected for server in street.servers.values()]
    assert surprises(street, reached, expected[view], program) == {}


def test_a_browser_does_what_is_expected_of_it(street: Street, expected: Expected) -> None:
    roots = [
        write_pem(street.machine.folder / f"{number}.pem", der)
        for number, der in enumerate(pem_blocks(street.machine.roots.read_text(encoding="ascii")))
    ]
    with browser(*roots) as chromium:
        reached = chromium.reached([server.url for server in street.servers.values()])
    assert surprises(street, reached, expected["Chrome, Edge"]) == {}
