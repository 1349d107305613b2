"""A Debian for one test: the real update-ca-certificates in a mount namespace, with overlays over its folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.daemon.running import SECONDS
from tests.support.holder import started
from tests.support.pki import Certified, der_of, pem, pem_blocks

if TYPE_CHECKING:
    from typing import Self

REPOSITORY = Path(__file__).parents[2]
HOOK = REPOSITORY / "hooks" / "update-ca-certificates" / "aia-store"

#: Mounts the folders in $1 over the machine's, visible only to this shell and its children; then waits for its end.
_HOLD = """
set -e
mount --bind "$1/ssl" /etc/ssl
mount --bind "$1/ca-certificates.conf" /etc/ca-certificates.conf
mount --bind "$1/local" /usr/local/share/ca-certificates
mount --bind "$1/update.d" /etc/ca-certificates/update.d
mkdir -p /var/cache/aia-store 2>/dev/null || mount -t tmpfs none /var/cache
mkdir -p /var/cache/aia-store
mount --bind "$1/store" /var/cache/aia-store
echo ready
exec sleep 600
"""


class Debian:
    """Use it in a `with`; `run` runs a command there. Its store is root's, in the usual place."""

    def __init__(self, folder: Path, most_roots: int | None = None) -> None:
        """It trusts the roots of this machine's package, or only the first so many."""
        for program in ("update-ca-certificates", "unshare", "nsenter"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not here")
        if os.geteuid() != 0:
            pytest.skip("only root can lay folders over the system's")
        self.folder = folder
        self.store = folder / "store"
        self.bundle_file = self.store / "bundle.pem"
        for name in ("store", "local", "update.d", "bin", "home"):
            (folder / name).mkdir(parents=True)
        self.store.chmod(0o755)
        (folder / "ssl" / "certs").mkdir(parents=True)
        names = [line for line in Path("/etc/ca-certificates.conf").read_text().splitlines() if line.endswith(".crt")]
        names = [line for line in names if not line.startswith(("#", "!"))][:most_roots]
        (folder / "ca-certificates.conf").write_text("\n".join(names) + "\n")
        command = folder / "bin" / "aia-store"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m aia_store "$@"\n')
        command.chmod(0o755)
        self.environment = {
            "PATH": f"{folder / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(REPOSITORY),
            "HOME": str(folder / "home"),
            "LC_ALL": "C.UTF-8",
        }

    def install_hook(self) -> None:
        """Install it as a package would."""
        shutil.copy(HOOK, self.folder / "update.d" / HOOK.name)

    def run(self, *command: object) -> str:
        """Run a command, which must succeed; returns its output, errors included."""
        done = subprocess.run(
            [*self.inside, *map(str, command)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def trust(self, name: str, certificate: Certified | None) -> None:
        """Add a root under this name as the administrator, or remove it."""
        file = self.folder / "local" / f"{name}.crt"
        if certificate is None:
            file.unlink()
            said = self.run("update-ca-certificates", "--fresh")
        else:
            file.write_text(pem(certificate))
            said = self.run("update-ca-certificates")
            assert "1 added" in said
        assert "E:" not in said

    def bundled(self) -> set[bytes]:
        """The DER of what is in the bundle."""
        return set(pem_blocks(self.bundle_file.read_text()))

    def holds(self, *certificates: Certified) -> bool:
        """Whether all of these are in the bundle, beside the system's own."""
        return self.bundled() >= {*map(der_of, certificates)} | self.system()

    def lacks(self, *certificates: Certified) -> bool:
        """Whether none of these is in the bundle, and the system's own are."""
        found = self.bundled()
        return not found & {*map(der_of, certificates)} and found >= self.system()

    def system(self) -> set[bytes]:
        """The DER of what the system trusts."""
        return set(pem_blocks((self.folder / "ssl" / "certs" / "ca-certificates.crt").read_text()))

    def __enter__(self) -> Self:
        try:
            self._holder = started(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", _HOLD, "sh", self.folder]
            )
        except OSError as error:
            pytest.skip(f"no mount namespace can be made here: {error}")
        self.inside = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--"]
        self.run("update-ca-certificates", "--fresh")
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.terminate()
        self._holder.communicate(timeout=SECONDS)
