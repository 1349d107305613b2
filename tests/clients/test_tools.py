"""Clients outside Python's ssl work by `eval "$(aia-store env)"`, once some program has learned what is missing."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from aia_store.install.shells import VARIABLES
from tests.clients import results
from tests.clients.environments import Environments, NotInstallable
from tests.clients.tools import TOOLS, Tool
from tests.conftest import MakeHierarchy
from tests.manager.machine import Machine
from tests.support.servers import AIAHost, TLSServer


def python_for(tool: Tool, environments: Environments) -> Path:
    """The interpreter to run the tool with, if it needs one."""
    if tool.package is None:
        if shutil.which(tool.program) is None:
            pytest.skip(f"{tool.program} is not here")
        return Path(sys.executable)
    try:
        return environments.python(sorted(other.package for other in TOOLS if other.package))
    except NotInstallable as error:
        pytest.skip(f"{tool.package} cannot be installed here: {error}")


@pytest.mark.parametrize("tool", [pytest.param(tool, id=tool.name.replace(" ", "_")) for tool in TOOLS])
def test_a_tool_takes_the_bundle_from_the_lines_of_env(
    machine: Machine, environments: Environments, hierarchy: MakeHierarchy, aia: AIAHost, tool: Tool
) -> None:
    python = python_for(tool, environments)
    pki = hierarchy({}, {})
    machine.trust(pki.root)

    def run(command: str, port: int, **variables: str) -> tuple[int, str]:
        """The command's exit status and output: with these variables, or with those of `env`."""
        lines = "" if variables else f'eval "$({sys.executable} -m aia_store env)"\n'
        script = lines + command.replace("PYTHON", str(python))
        done = machine.execute("sh", "-c", script.replace("PORT", str(port)), SHELL="/bin/sh", **variables)
        return done.returncode, done.stdout + done.stderr

    with tool.server(pki.leaf) as server:
        assert len(machine.build()) == 1
        status, said = run(tool.command, server.port)
        assert (status != 0, server.connections > 0) == (True, True), said
        with TLSServer(pki.leaf) as other:
            machine.learn(other.port)
        assert len(machine.build()) == 3
        status, said = run(tool.command, server.port)
        assert status == 0, said
        assert server.handshakes > 0
        if tool.variable in VARIABLES:
            status, said = run(tool.command, server.port, **{tool.variable: str(machine.bundle_file)})
            assert status == 0, f"{tool.variable} alone is not enough: {said}"
    assert aia.count() == 2
    version = re.search(r"\d+(\.\d+)+", run(tool.version, 0)[1])
    results.add({"tool": tool.name, "version": version[0] if version else "?"})
