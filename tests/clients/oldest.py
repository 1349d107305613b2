"""Find the oldest release of each client that still installs and runs on this Python, for the table.

    python -m tests.clients.oldest [NAME…]

tries releases with a right server, without the hook, by a binary search from newest to oldest, as if all were
broken before some release and none after it. Prints a line for each client.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from packaging.version import Version

from tests.clients.environments import Environments, NotInstallable
from tests.clients.servers import SERVERS
from tests.clients.table import CLIENTS, PYTHON, Client
from tests.support.pki import Authority, Leaf, pem

_SECONDS = 60


def main(names: list[str]) -> None:
    """Try these clients, or all."""
    root = Authority.root()
    leaf = root.leaf()
    with tempfile.TemporaryDirectory() as folder:
        cafile = Path(folder, "root.pem")
        cafile.write_text(pem(root), encoding="ascii")
        environments = Environments(Path(folder))
        for client in CLIENTS:
            if client.package and (client.name in names or not names):
                print(PYTHON, client.name, _oldest(client, leaf, cafile, environments), flush=True)


def _oldest(client: Client, leaf: Leaf, cafile: Path, environments: Environments) -> str | None:
    releases = _releases(client)
    works: str | None = None
    low, high = 0, len(releases)  # in releases, newest first: all before `low` work, none from `high` on
    while low < high:
        middle = (low + high) // 2 if works else low
        if _runs(replace(client, oldest={PYTHON: releases[middle]}), leaf, cafile, environments):
            works, low = releases[middle], middle + 1
        elif works is None:
            low += 1  # not even the newest: perhaps the one before
            if low > 3:
                return None
        else:
            high = middle
    return works


def _releases(client: Client) -> list[str]:
    """The releases that the index offers to this Python, newest first."""
    command = [sys.executable, "-m", "pip", "index", "versions", str(client.package)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Available versions: (.*)", said)
    assert found
    limit = Version(client.newest.removeprefix("<")) if client.newest else None
    releases = (release.strip() for release in found[1].split(","))
    return [release for release in releases if limit is None or Version(release) < limit]


def _runs(client: Client, leaf: Leaf, cafile: Path, environments: Environments) -> bool:
    try:
        python = environments.python(client.requirements("oldest"))
    except NotInstallable:
        return False
    environment = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ}
    with SERVERS[client.server](leaf) as server:
        try:
            done = subprocess.run(
                [python, client.path, str(server.port), cafile],
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                env={**environment, "AIA_STORE_DISABLE": "1"},
                cwd=cafile.parent,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0 and done.stdout.strip() == "ok"


if __name__ == "__main__":
    main(sys.argv[1:])
