"""FIFOs and devices in place of files: nobody waits for their writers; what the shell hands over is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aia_store.check import certificate_files
from aia_store.check.asked import FileTarget
from aia_store.check.connection import ProbeError
from aia_store.manager.safe_reading import opened
from tests.manager.machine import COMMAND, Machine
from tests.support.pki import Authority, pem

IN_PLACE = [["check"], ["add"], ["check", "--file"]]


@pytest.mark.parametrize("command", IN_PLACE, ids=" ".join)
@pytest.mark.parametrize("kind", ["FIFO", "device"])
def test_a_special_file_is_refused(machine: Machine, root: Authority, command: list[str], kind: str) -> None:
    path = Path("/dev/zero")
    if kind == "FIFO":
        path = machine.folder / "server.pem"
        os.mkfifo(path)
    line = machine.complains(*command, path, status=1 if command == ["add"] else 2)
    assert line == f"{path} cannot be read (it is no regular file)"


@pytest.mark.parametrize("way", ["cat {} | {} /dev/stdin", "bash -c '{1} <(cat {0})'"])
def test_what_the_shell_hands_over_is_read(machine: Machine, root: Authority, way: str) -> None:
    intermediate = root.intermediate()
    file = machine.folder / "chain.pem"
    file.write_text(pem(intermediate.leaf(), intermediate))
    for command, said in (("check", "Complete"), ("add", "1 new")):
        done = machine.execute("sh", "-c", way.format(file, " ".join([*COMMAND, command])))
        assert said in done.stdout, done


def test_a_file_that_becomes_a_fifo_after_a_look(machine: Machine, root: Authority) -> None:
    file = machine.folder / "folder" / "server.pem"
    file.parent.mkdir()
    file.write_text(pem(root.leaf()))
    assert list(certificate_files.found_in(str(file.parent))) == [(str(file), None)]
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ProbeError, match="no regular file"):
        certificate_files.read(FileTarget(str(file)))
    with pytest.raises(OSError, match="no regular file"):
        opened(str(file))
    assert not certificate_files.holds_key(str(file))
