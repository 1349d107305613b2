"""The bundle in real programs: curl, openssl, Node and Python, before and after something was learned."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import MakeHierarchy
from tests.manager.machine import Machine
from tests.support.servers import AIAHost, TLSServer

NODE = """
require("https").get(`https://localhost:${process.argv[1]}/`, reply => {
  reply.on("data", data => process.stdout.write(data));
}).on("error", error => { console.error(error.code); process.exit(1); });
"""
PYTHON = (
    "import sys, urllib.request as r; print(r.urlopen(f'https://localhost:{sys.argv[1]}/').read().decode(), end='')"
)


@pytest.fixture
def broken(machine: Machine, hierarchy: MakeHierarchy) -> Iterator[TLSServer]:
    """A server that forgets its two intermediates, under the machine's trust anchor."""
    pki = hierarchy({}, {})
    machine.trust(pki.root)
    with TLSServer(pki.leaf) as server:
        yield server


def command(tool: str, machine: Machine, port: int) -> tuple[list[str], dict[str, str]]:
    """The command with which a tool connects, and its environment."""
    bundle = str(machine.bundle_file)
    found = sys.executable if tool == "python" else shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not here")
    if tool == "curl":
        return [found, "-q", "-sS", "--noproxy", "*", f"https://localhost:{port}/"], {"SSL_CERT_FILE": bundle}
    if tool == "node":
        return [found, "-e", NODE, str(port)], {"NODE_EXTRA_CA_CERTS": bundle}
    if tool == "python":
        return [found, "-c", PYTHON, str(port)], {"SSL_CERT_FILE": bundle}
    verify = ["-CAfile", bundle, "-no-CApath", "-verify_return_error", "-verify_hostname", "localhost"]
    return [found, "s_client", *verify, "-connect", f"127.0.0.1:{port}", "-servername", "localhost"], {}


@pytest.mark.parametrize("tool", ["curl", "openssl", "node", "python"])
def test_a_tool_connects_once_the_chain_was_learned(
    machine: Machine, broken: TLSServer, aia: AIAHost, tool: str
) -> None:
    line, variables = command(tool, machine, broken.port)
    assert len(machine.build()) == 1
    assert machine.execute(*line, **variables).returncode != 0
    machine.learn(broken.port)
    assert aia.count() == 2
    assert len(machine.build()) == 3
    done = machine.execute(*line, **variables)
    assert done.returncode == 0, done.stderr
    assert "Verify return code: 0 (ok)" in done.stdout if tool == "openssl" else done.stdout == "ok"
    assert aia.count() == 2


@pytest.mark.parametrize("tool", ["curl", "openssl", "node", "python"])
def test_a_tool_still_refuses_what_is_wrong(machine: Machine, hierarchy: MakeHierarchy, tool: str) -> None:
    pki = hierarchy({}, {})
    machine.trust(pki.root)
    machine.plant(*pki.intermediates)
    assert len(machine.build()) == 3
    with TLSServer(pki.intermediates[0].leaf("example.com")) as server:
        line, variables = command(tool, machine, server.port)
        assert machine.execute(*line, **variables).returncode != 0
        assert server.connections == 1


def test_curl_uses_it_by_the_lines_of_env(machine: Machine, broken: TLSServer) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not here")
    machine.learn(broken.port)
    script = (
        f'eval "$({sys.executable} -m aia_store env)" && curl -q -sS --noproxy "*" https://localhost:{broken.port}/'
    )
    done = machine.execute("sh", "-c", script, SHELL="/bin/sh")
    assert (done.stdout, done.stderr) == ("ok", "")
