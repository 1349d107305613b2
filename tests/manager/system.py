"""A machine whose system's trust anchors are set by the test: real files in the real places, in a namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import certifi
import pytest

from aia_store.manager.roots import SYSTEM_FILES, hashed, p11kit
from tests.support.pki import Certified, pem, pem_blocks
from tests.support.users import Users

COMMAND = "import sys; sys.argv[0] = 'aia-store'; from aia_store.cli import main; main()"
STORE = "/var/cache/store"


class System:
    """Nothing is in /etc but what the test puts there, and certifi's file is the test's; paths as seen from outside."""

    def __init__(self, users: Users) -> None:
        elsewhere = [path for path in (*SYSTEM_FILES, *hashed.FOLDERS, *p11kit.FOLDERS) if not path.startswith("/etc/")]
        for path in elsewhere:
            if os.path.lexists(path):
                pytest.skip(f"this system has {path}, which cannot be hidden")
        self.users = users
        self.etc = users.cover("/etc")
        self.certs = self.etc / "ssl/certs"
        self.certs.mkdir(parents=True)
        self.file = self.certs / "ca-certificates.crt"
        package = Path(certifi.__file__).parent
        self.certifi = users.cover(str(package)) / "cacert.pem"
        for module in package.glob("*.py"):
            shutil.copy(module, self.certifi.parent)

    @property
    def bundle_file(self) -> Path:
        return self.users.root / STORE.lstrip("/") / "bundle.pem"

    def trust(self, *anchors: Certified) -> None:
        """Have the system's file hold these, as trust managers do: written beside, renamed over."""
        beside = self.file.with_name("beside.new")
        beside.write_text(pem(*anchors))
        beside.replace(self.file)

    def hash(self, *anchors: Certified) -> None:
        """Have the hashed folder hold these, one by one, as `openssl rehash` names them."""
        if shutil.which("openssl") is None:
            pytest.skip("the openssl command is not here")
        for number, anchor in enumerate(anchors):
            (self.certs / f"anchor-{number}.pem").write_text(pem(anchor))
        subprocess.run(["openssl", "rehash", self.certs], check=True)

    def run(self, *arguments: object, user: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `aia-store` with these arguments."""
        with self.users.start(user, COMMAND, *arguments, **variables) as process:
            output, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def build(self, **variables: str) -> list[bytes]:
        """Have the bundle built; returns the DER of what is in it."""
        done = self.run("bundle", **variables)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{STORE}/bundle.pem\n", ""), done
        return pem_blocks(self.bundle_file.read_text())

    def keeps_the_last_bundle(self, **variables: str) -> str:
        """The one line that says why the bundle cannot be rebuilt; the last one is printed, unchanged."""
        before = self.bundle_file.read_bytes()
        done = self.run("bundle", **variables)
        assert (done.returncode, done.stdout) == (1, f"{STORE}/bundle.pem\n"), done
        assert done.stderr.startswith("aia-store: "), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert self.bundle_file.read_bytes() == before
        assert self.run("refresh").returncode == 1
        assert self.bundle_file.read_bytes() == before
        return done.stderr
