"""How long the manager takes for all real intermediates, compared with OpenSSL's own command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import certifi

from .pairs import Row, Sample, take_turns, wall
from .world import PROJECT, World

REPORT = PROJECT.parent / "shared" / "data" / "ccadb" / "MozillaIntermediateCerts.csv"


def refresh(world: World, rounds: int) -> list[Row]:
    """`aia-store refresh` over the CCADB's intermediates for TLS servers, without network, and `openssl verify`.

    OpenSSL gets what the store has: certifi's roots, all intermediates as untrusted, and each one's file to verify,
    in one process.
    """
    what, against = "`aia-store refresh`, the CCADB's 2,205 intermediates", "`openssl verify`, the same"
    openssl = shutil.which("openssl")
    if not REPORT.exists() or openssl is None:
        return [Row(what, against, note=f"not measured: {REPORT.name} or the openssl command is not here")]
    store, everything = world.folder / "ccadb", world.folder / "ccadb.pem"
    environment = world.environment(
        AIA_STORE_DIR=str(store), AIA_STORE_ROOTS=certifi.where(), AIA_STORE_OFFLINE="1", PYTHONPATH=str(PROJECT)
    )
    command: list[str | Path] = [sys.executable, "-m", "aia_store"]
    subprocess.run([*command, "add", REPORT], env=environment, cwd=world.folder, stdout=subprocess.DEVNULL, check=False)
    files = sorted(store.glob("certificates/*/*/*.pem"))
    everything.write_text("".join(file.read_text(encoding="ascii") for file in files), encoding="ascii")

    def ours() -> Sample:
        return wall([*command, "refresh"], environment)

    def theirs() -> Sample:
        return wall([openssl, "verify", "-CAfile", certifi.where(), "-untrusted", everything, *files], environment)

    return [Row(f"{what}, {len(files):,} of which lead to a root", against, take_turns(ours, theirs, rounds), 5)]
