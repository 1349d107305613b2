"""Run three scanners against twenty kinds of broken servers, and write the table in docs/check.md.

    python -m tests.scanners FOLDER

FOLDER keeps what each scanner says of each kind; what is there already is not run again. sslyze and testssl.sh must be
installed (`pip install sslyze`; Debian: `testssl.sh`). The scanners get the roots that the kinds need.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cli.check.street import Street, street
from tests.manager.machine import COMMAND, Machine

from .kinds import KINDS

DOCUMENT = Path(__file__).parents[2] / "docs" / "check.md"
BEGIN, END = "<!-- scanners: begin -->", "<!-- scanners: end -->"
AT_ONCE = 7  # they mostly wait
SECONDS = 600.0  # for one scanner and one kind; what it has said by then counts

_COMMANDS = {
    "check": [*COMMAND, "check"],
    "sslyze": ["sslyze", "--certinfo_ca_file=ROOTS"],
    "testssl.sh": ["testssl", "--add-ca=ROOTS", "--quiet", "--color=0", "--warnings=off", "-p", "-S", "-f"],
}


def scan(machine: Machine, scanner: str, port: int) -> str:
    """What a scanner says of a port of localhost."""
    command = [part.replace("ROOTS", str(machine.roots)) for part in _COMMANDS[scanner]]
    with subprocess.Popen(
        [*command, f"localhost:{port}"],
        env=machine.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a script with children of its own
    ) as process:
        end = threading.Timer(SECONDS, os.killpg, (process.pid, signal.SIGKILL))
        end.start()
        said, _ = process.communicate()
        end.cancel()
    return said.decode("utf-8", "replace")


def scan_all(servers: Street, folder: Path) -> None:
    """Let each scanner scan each kind that it has not scanned yet."""

    def one(what: tuple[str, str]) -> None:
        scanner, kind = what
        file = said_of(folder, scanner, kind)
        if not file.exists():
            file.write_text(scan(servers.machine, scanner, servers.servers[kind].port), encoding="utf-8")
            print(f"{scanner}: {kind}", flush=True)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, [(scanner, kind) for kind in KINDS for scanner in _COMMANDS]))


def said_of(folder: Path, scanner: str, kind: str) -> Path:
    """The file with what a scanner says of a kind."""
    return folder / f"{scanner}, {kind}.txt"


def rows(folder: Path) -> Iterator[str]:
    """The table: whether each scanner names the cause of each kind, and what to do about it."""
    yield f"| kind | {' | '.join(_COMMANDS)} |"
    yield f"| --- |{' --- |' * len(_COMMANDS)}"
    for kind, words in KINDS.items():
        said = (said_of(folder, scanner, kind).read_text(encoding="utf-8") for scanner in _COMMANDS)
        cells = (", ".join(words.named_in(text)) or "no" for text in said)
        yield f"| {kind} | {' | '.join(cells)} |"


def main() -> None:
    """Scan, and write the table."""
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place, street(Machine(Path(place) / "machine")) as servers:
        scan_all(servers, folder)
    table = "\n".join(rows(folder))
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(
        re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{table}\n{END}", text, flags=re.DOTALL), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
