"""Programs that take a hashed folder: they connect with the trust folder, and read of it what the documents say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clients import results
from tests.clients.folder_tools import BY_NAME, FOLDER_TOOLS, NOT_AT_ALL, WHOLE, FolderTool
from tests.manager.machine import Machine
from tests.support.dead import free_port
from tests.support.pki import Authority
from tests.support.servers import TLSServer

OTHERS = 40
PATH = f"{os.environ['PATH']}:/usr/sbin"


@pytest.fixture
def root(machine: Machine) -> Authority:
    """The machine's only trust anchor."""
    authority = Authority.root()
    machine.trust(authority)
    return authority


@pytest.fixture(autouse=True)
def in_memory(machine: Machine) -> Iterator[None]:
    with machine.store_in_memory():
        yield


def available(tool: FolderTool) -> None:
    """Skip where the program is not here, or is another build."""
    if shutil.which(tool.program, path=PATH) is None:
        pytest.skip(f"{tool.program} is not here")
    if tool.only_if:
        about = subprocess.run([tool.program, "--version"], capture_output=True, text=True, check=False).stdout
        if tool.only_if not in about:
            pytest.skip(f"this {tool.program} is another build")


def run(machine: Machine, tool: FolderTool, port: int) -> tuple[int, str]:
    """Run the script in a shell that evaluated the lines of `env`."""
    work = machine.folder / "work"
    work.mkdir(exist_ok=True)
    filled = {
        "PORT": str(port),
        "LOCAL": str(free_port()),
        "FOLDER": str(machine.trust_folder),
        "FILE": str(machine.bundle_file),
        "ANCHOR": str(machine.store / "one-anchor.pem"),
        "WORK": str(work),
    }
    script, configuration = tool.script, tool.configuration
    for word, value in filled.items():
        script, configuration = script.replace(word, value), configuration.replace(word, value)
    (work / "configuration").write_text(configuration)
    lines = f'cd {work}; eval "$({sys.executable} -m aia_store env --folder)"\n'
    done = machine.execute(
        "sh",
        "-c",
        lines + script,
        SHELL="/bin/sh",
        LDAPTLS_CACERT=filled["FILE"],
        PATH=f"{os.environ['PATH']}:/usr/sbin",
    )
    return done.returncode, done.stdout + done.stderr


def open_to_all(store: Path) -> None:
    """As the machine's store is: some of the programs look into it as a user of their own."""
    for folder in (store.parent, store, store / "trust-folders", *store.glob("trust-folders/*")):
        folder.chmod(0o755)


def forget_reading(folder: Path) -> None:
    """Make the file system note the next reading of each file."""
    for path in folder.iterdir():
        os.utime(path, (0, path.stat().st_mtime))


def were_read(folder: Path) -> int:
    return sum(path.stat().st_atime > 0 for path in folder.iterdir())


def notes_reading(folder: Path) -> bool:
    forget_reading(folder)
    next(folder.iterdir()).read_bytes()
    return were_read(folder) == 1


@pytest.mark.parametrize("tool", [pytest.param(tool, id=tool.name.replace(" ", "_")) for tool in FOLDER_TOOLS])
def test_a_tool_connects_and_reads_what_it_needs(machine: Machine, root: Authority, tool: FolderTool) -> None:
    available(tool)
    upper = root.intermediate("Upper")
    lower = upper.intermediate("Lower")
    stranger = Authority.root("Stranger")
    # What reads the folder finds what was only preloaded; what takes the file, what was needed.
    (machine.plant if tool.reads == NOT_AT_ALL else machine.preload)(upper, lower)
    machine.preload(*(root.intermediate(f"Other {number}") for number in range(OTHERS)))
    machine.build_folder()
    if not notes_reading(machine.trust_folder):
        pytest.skip("this file system does not note when a file is read")
    open_to_all(machine.store)
    with tool.server(lower.leaf(tool.host)) as server, tool.server(stranger.leaf(tool.host)) as wrong:
        forget_reading(machine.trust_folder)
        status, said = run(machine, tool, server.port)
        assert status == 0, said
        assert server.handshakes > 0
        read = were_read(machine.trust_folder)
        status, said = run(machine, tool, wrong.port)
        assert status != 0, said
    if tool.reads == BY_NAME:
        assert 0 < read < 6
    else:
        assert read == (OTHERS + 3 if tool.reads == WHOLE else 0)
    about = machine.execute("sh", "-c", f"{tool.version} 2>&1", PATH=PATH).stdout
    version = re.search(r"\d+(\.\d+)+", about)
    results.add({"folder_tool": tool.name, "version": version[0] if version else "?"})


def test_the_lines_for_curlrc_spare_it_the_file_of_the_system(machine: Machine, root: Authority) -> None:
    tool = next(tool for tool in FOLDER_TOOLS if tool.name.startswith("curl"))
    available(tool)
    machine.preload(one := root.intermediate())
    machine.build_folder()
    lines = f'capath = "{machine.trust_folder}"\ncacert = "{machine.store / "one-anchor.pem"}"\n'
    (Path(machine.environment["HOME"]) / ".curlrc").write_text(lines)
    with TLSServer(one.leaf()) as server:
        done = machine.execute("curl", "-sSf", "--noproxy", "*", f"https://localhost:{server.port}/")
        assert (done.stdout, done.stderr) == ("ok", "")


def test_httpx_takes_a_small_file_for_all_that_is_trusted(machine: Machine, root: Authority) -> None:
    """Why `env --folder` sets no SSL_CERT_FILE, be it as small as OpenSSL would have it."""
    pytest.importorskip("httpx")
    tool = next(tool for tool in FOLDER_TOOLS if tool.name == "httpx")
    machine.trust(Authority.root("First"), root)
    machine.preload(one := root.intermediate())
    machine.build_folder()
    with TLSServer(one.leaf()) as server:
        assert run(machine, tool, server.port)[0] == 0
        small = f"export SSL_CERT_FILE={machine.store / 'one-anchor.pem'}\n"
        assert run(machine, replace(tool, script=small + tool.script), server.port)[0] != 0
