"""The reason for two of the rules of export: real clients with a CA file that violates them, and with the bundle."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.check.clients import CLIENTS
from tests.conftest import MakeHierarchy
from tests.manager.machine import Machine
from tests.support.pki import Authority, Leaf, crl, pem
from tests.support.servers import AIAHost, TLSServer
from tests.support.trusted import crl_pem

ALL = [(view, number) for view, asked in CLIENTS.items() for number in range(len(asked)) if "hook" not in view]


def accepted(machine: Machine, view: str, number: int, roots: Path, ports: list[int]) -> set[int]:
    """The ports that a client connects to with this CA file."""
    program, ask = CLIENTS[view][number]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not here")
    return ask(machine, roots, ports)


@contextlib.contextmanager
def serving(*chains: tuple[Leaf, Authority]) -> Iterator[list[int]]:
    """Right servers of these leafs, each with its intermediate; their ports."""
    with contextlib.ExitStack() as servers:
        yield [servers.enter_context(TLSServer(leaf, [above])).port for leaf, above in chains]


@pytest.fixture
def twins(root: Authority) -> tuple[Authority, Authority]:
    """Two CAs of one name and two keys, which no key identifier tells apart."""
    one, other = (root.intermediate("Twin", subject_key_id=False) for _ in range(2))
    return one, other


# Python from 3.13 on is strict: it wants key identifiers.
@pytest.mark.parametrize(("view", "number"), [one for one in ALL if one[0] != "Python from 3.13"])
def test_right_servers_of_namesakes_are_accepted_with_the_bundle(
    machine: Machine, root: Authority, twins: tuple[Authority, Authority], view: str, number: int
) -> None:
    machine.plant(*twins)
    assert machine.build() == [root.der]
    with serving(*((twin.leaf(), twin) for twin in twins)) as ports:
        assert accepted(machine, view, number, machine.bundle_file, ports) == set(ports)


@pytest.mark.parametrize(("view", "number"), [one for one in ALL if "curl" in one[0] or one[0] == "Node"])
def test_openssl_takes_one_of_two_namesakes_in_a_ca_file_and_does_not_go_back(
    machine: Machine, root: Authority, twins: tuple[Authority, Authority], view: str, number: int
) -> None:
    file = machine.folder / "both.pem"
    file.write_text(pem(root, *twins))
    with serving(*((twin.leaf(), twin) for twin in twins)) as ports:
        assert len(accepted(machine, view, number, file, ports)) == 1


@pytest.fixture
def constrained(root: Authority) -> Authority:
    """A CA that may issue for example.com alone."""
    return root.intermediate(permitted=["example.com"])


@pytest.mark.parametrize(("view", "number"), ALL)
def test_name_constraints_hold_with_the_bundle(
    machine: Machine, root: Authority, constrained: Authority, view: str, number: int
) -> None:
    machine.plant(constrained)
    assert machine.build() == [root.der]
    with serving((constrained.leaf(), constrained)) as ports:
        assert accepted(machine, view, number, machine.bundle_file, ports) == set()


@pytest.mark.parametrize("switched_on", [False, True])
def test_java_fetches_what_is_missing_itself_where_it_is_switched_on(
    machine: Machine, hierarchy: MakeHierarchy, aia: AIAHost, switched_on: bool
) -> None:
    pki = hierarchy({})
    machine.trust(pki.root)
    if switched_on:
        machine.environment["JAVA_TOOL_OPTIONS"] = "-Dcom.sun.security.enableAIAcaIssuers=true"
    with TLSServer(pki.leaf) as server:
        assert accepted(machine, "Java", 0, machine.roots, [server.port]) == ({server.port} if switched_on else set())
    assert (aia.count() > 0) == switched_on


def test_java_ignores_the_name_constraints_of_an_anchor(
    machine: Machine, root: Authority, constrained: Authority
) -> None:
    file = machine.folder / "constrained.pem"
    file.write_text(pem(root, constrained))
    with serving((constrained.leaf(), constrained)) as ports:
        assert accepted(machine, "Java", 0, file, ports) == set(ports)


@pytest.mark.parametrize("is_partial", [False, True])
def test_a_program_that_checks_the_crls_of_whole_chains_must_not_take_partial_chains(
    machine: Machine, root: Authority, is_partial: bool
) -> None:
    """As the documents say."""
    above = root.intermediate()
    machine.plant(above)
    assert set(machine.build()) == {root.der, above.der}
    context = ssl.create_default_context(cafile=machine.bundle_file)
    crls = machine.folder / "crls.pem"
    crls.write_text("".join(crl_pem(crl(issuer)) for issuer in (root, above)))
    context.load_verify_locations(crls)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN | ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if not is_partial:
        context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    with serving((above.leaf(), above)) as (port,), socket.create_connection(("localhost", port)) as tcp:
        accepts = contextlib.nullcontext() if not is_partial else pytest.raises(ssl.SSLError, match="certificate CRL")
        with accepts, context.wrap_socket(tcp, server_hostname="localhost"):
            pass
