"""Python programs that are pointed at the trust folder, without the hook and with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.conftest import ATTACH, MakeHierarchy
from tests.manager.machine import Machine
from tests.support.pki import Authority
from tests.support.servers import AIAHost, TLSServer

URLLIB = """
import sys, urllib.request
print(urllib.request.urlopen(f"https://localhost:{sys.argv[1]}/").read().decode())
"""
REQUESTS = """
import sys, requests
print(requests.get(f"https://localhost:{sys.argv[1]}/").text)
"""
#: Connects, and prints how many certificates its context holds then.
COUNT = """
import socket, ssl, sys
context = ssl.create_default_context()
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30) as tcp:
    context.wrap_socket(tcp, server_hostname="localhost").close()
print(context.cert_store_stats()["x509"])
"""
#: The program, and the variable that names the folder.
PROGRAMS = {"urllib": (URLLIB, "SSL_CERT_DIR"), "requests": (REQUESTS, "REQUESTS_CA_BUNDLE")}

with_and_without_the_hook = pytest.mark.parametrize("hook", [False, True], ids=["without the hook", "with the hook"])
with_every_program = pytest.mark.parametrize("program", PROGRAMS)


@pytest.fixture(autouse=True)
def in_memory(machine: Machine) -> Iterator[None]:
    with machine.store_in_memory():
        yield


def connects(machine: Machine, program: str, port: int, *, hook: bool) -> tuple[bool, str]:
    """Whether it gets its answer, and what it says. With the hook, it has a store of its own, which is empty."""
    code, variable = PROGRAMS[program]
    variables = {variable: str(machine.trust_folder), "AIA_STORE_DIR": str(machine.folder / "empty")}
    done = machine.execute(sys.executable, "-c", (ATTACH if hook else "") + code, port, **variables)
    return done.stdout == "ok\n", done.stderr


@with_and_without_the_hook
@with_every_program
def test_what_was_preloaded_completes_a_chain_without_a_fetch(
    machine: Machine, hierarchy: MakeHierarchy, aia: AIAHost, program: str, hook: bool
) -> None:
    pki = hierarchy({}, {})
    machine.trust(pki.root)
    machine.preload(*pki.intermediates)
    machine.build_folder()
    with TLSServer(pki.leaf) as server:
        assert connects(machine, program, server.port, hook=hook) == (True, "")
    assert aia.count() == 0


@with_and_without_the_hook
@with_every_program
def test_a_right_server_is_accepted(machine: Machine, hierarchy: MakeHierarchy, program: str, hook: bool) -> None:
    pki = hierarchy({}, {})
    machine.trust(*(Authority.root(f"Root {number}") for number in range(5)), pki.root)
    machine.build_folder()
    with TLSServer(pki.leaf, pki.intermediates) as server:
        assert connects(machine, program, server.port, hook=hook) == (True, "")


@with_every_program
def test_with_the_hook_what_is_not_in_the_folder_is_fetched(
    machine: Machine, hierarchy: MakeHierarchy, aia: AIAHost, program: str
) -> None:
    pki = hierarchy({}, {})
    machine.trust(pki.root)
    machine.preload(pki.intermediates[1])
    machine.build_folder()
    with TLSServer(pki.leaf) as server:
        assert not connects(machine, program, server.port, hook=False)[0]
        assert connects(machine, program, server.port, hook=True) == (True, "")
    assert aia.count() == 1


@with_every_program
def test_a_refusal_is_the_same_with_the_hook(machine: Machine, root: Authority, program: str) -> None:
    machine.preload(one := root.intermediate())
    machine.build_folder()
    stranger = Authority.root("Stranger").intermediate()
    with TLSServer(stranger.leaf(), [stranger]) as server, TLSServer(one.leaf("example.com")) as other:
        for port, words in ((server.port, "unable to get local issuer certificate"), (other.port, "mismatch")):
            for hook in (False, True):
                accepted, said = connects(machine, program, port, hook=hook)
                assert not accepted
                assert words in said


def test_a_program_with_the_hook_reads_what_the_chain_names(machine: Machine, root: Authority) -> None:
    """Nothing of the folder is loaded that no chain named."""
    chain = [root.intermediate("Upper")]
    chain.insert(0, chain[0].intermediate("Lower"))
    machine.preload(*chain, *(root.intermediate(f"Other {number}") for number in range(30)))
    machine.build_folder()
    with TLSServer(chain[0].leaf()) as server:
        done = machine.execute(
            sys.executable,
            "-c",
            ATTACH + COUNT,
            server.port,
            SSL_CERT_DIR=str(machine.trust_folder),
            SSL_CERT_FILE="/none",
        )
    assert done.stderr == ""
    assert int(done.stdout) <= 3
