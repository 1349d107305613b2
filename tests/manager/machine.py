"""A machine for one test: its trust anchors, its store, and the command, which runs there as a real child process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from aia_store.inside.certificate import Certificate
from aia_store.inside.store import BUNDLE, BUNDLE_STATE, CHANGED, LAST_REFRESH, MARK, Folder
from tests.support.pki import Certified, der_of, pem, pem_blocks

COMMAND = [sys.executable, "-m", "aia_store"]
SECONDS = 60

#: What a child process may know of the machine that the tests run on.
_PASSED_ON = ("PATH", "PYTHONPATH", "SYSTEMROOT", "TMPDIR")

#: A program with the hook: `-c HOOKED port` connects to localhost and prints the protocol.
HOOKED = """
from aia_store.inside.startup import attach
attach()
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
with socket.create_connection(("localhost", int(sys.argv[1])), 30) as tcp:
    with context.wrap_socket(tcp, server_hostname="localhost") as tls:
        print(tls.version())
"""


class Machine:
    """Everything below one folder: HOME, the configuration, the store and a file of trust anchors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.roots = folder / "roots.pem"
        self.config = folder / "config" / "aia-store" / "config.toml"
        self.environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {
            "HOME": str(folder / "home"),
            "LC_ALL": "C.UTF-8",
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_CONFIG_DIRS": str(folder / "site-config"),
            "AIA_STORE_DIR": str(self.store),
            "AIA_STORE_ROOTS": str(self.roots),
            "AIA_STORE_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        (folder / "home").mkdir(parents=True)

    @contextlib.contextmanager
    def store_in_memory(self) -> Iterator[None]:
        """Put the store into memory, if possible, because this test would be hard work for a shared disk."""
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else self.folder
        with tempfile.TemporaryDirectory(dir=memory) as place:
            self.store = Path(place) / "store"
            self.environment["AIA_STORE_DIR"] = str(self.store)
            yield

    @property
    def bundle_file(self) -> Path:
        return self.store / BUNDLE

    @property
    def state_file(self) -> Path:
        return self.store / BUNDLE_STATE

    def trust(self, *anchors: Certified) -> None:
        """Make these the machine's trust anchors."""
        self.roots.write_text(pem(*anchors), encoding="ascii")

    def plant(self, *certificates: Certified) -> list[Path]:
        """Put these into the store, verified by nobody; returns their files."""
        folder = Folder(str(self.store))
        return [Path(folder.keep(Certificate(der_of(certificate)))) for certificate in certificates]

    def kept(self) -> set[bytes]:
        """The DER of what is in the store."""
        files = [path for path in self.store.glob("certificates/*/*/*.pem") if path.is_file()]
        return {pem_blocks(path.read_text(encoding="ascii"))[0] for path in files}

    def with_variables(self, variables: Mapping[str, str | None]) -> dict[str, str]:
        """The environment with these variables; those that are None are not set."""
        merged: dict[str, str | None] = {**self.environment, **variables}
        return {name: value for name, value in merged.items() if value is not None}

    def enter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make this machine the one that the test's own process is on."""
        for name in list(os.environ):
            if name.startswith(("AIA_STORE_", "XDG_", "SSL_CERT_")):
                monkeypatch.delenv(name)
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    def start(self, command: Iterable[object], **variables: str | None) -> subprocess.Popen[str]:
        """Start any program in this environment; it reads nothing."""
        return subprocess.Popen(
            [str(part) for part in command],
            env=self.with_variables(variables),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def execute(self, *command: object, **variables: str | None) -> subprocess.CompletedProcess[str]:
        """Run any program in this environment to its end."""
        with self.start(command, **variables) as process:
            try:
                output, errors = process.communicate(timeout=SECONDS)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def run(self, *arguments: object, **variables: str | None) -> subprocess.CompletedProcess[str]:
        """Run `aia-store` with these arguments."""
        return self.execute(*COMMAND, *arguments, **variables)

    def says(self, *arguments: object, status: int = 0, **variables: str | None) -> str:
        """What the command prints; it must end with this status, and print no error."""
        done = self.run(*arguments, **variables)
        assert (done.returncode, done.stderr) == (status, ""), done
        return done.stdout

    def json(self, *arguments: object, status: int = 0, **variables: str | None) -> Any:
        """What the command prints, which must be JSON."""
        return json.loads(self.says(*arguments, "--json", status=status, **variables))

    def complains(self, *arguments: object, status: int = 1, **variables: str | None) -> str:
        """The one line on standard error with which the command fails; it prints nothing else, and changes nothing."""
        before = snapshot(self.store)
        done = self.run(*arguments, **variables)
        assert (done.returncode, done.stdout) == (status, ""), done
        assert done.stderr.startswith("aia-store: "), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.endswith("\n"), done.stderr
        assert snapshot(self.store) == before
        return done.stderr.removeprefix("aia-store: ").strip()

    def keeps_the_last_bundle(self, *arguments: object, status: int = 1, **variables: str) -> str:
        """The one line that says why the bundle cannot be rebuilt; the last one is printed, unchanged."""
        before = self.bundle_file.read_bytes()
        done = self.run("bundle", *arguments, **variables)
        assert (done.returncode, done.stdout) == (status, f"{self.bundle_file}\n"), done
        assert done.stderr.startswith("aia-store: "), done.stderr
        assert done.stderr.endswith("; this is the last good bundle\n"), done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert self.bundle_file.read_bytes() == before
        return done.stderr.removeprefix("aia-store: ").strip()

    def build(self, **variables: str) -> list[bytes]:
        """Have the bundle built; returns the DER of what is in it, in its order."""
        done = self.run("bundle", **variables)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{self.bundle_file}\n", ""), done
        return self.bundled()

    def bundled(self) -> list[bytes]:
        """The DER of what is in the bundle now; OpenSSL must load all of it."""
        found = pem_blocks(self.bundle_file.read_text(encoding="ascii"))
        assert loaded(self.bundle_file) == len(found)
        return found

    def learn(self, port: int) -> None:
        """Let a program with the hook connect to this port, so that it learns what is missing."""
        done = self.execute(sys.executable, "-c", HOOKED, port, self.roots)
        assert (done.returncode, done.stderr) == (0, "")


def loaded(file: Path) -> int:
    """How many certificates OpenSSL loads from a file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(file)
    return context.cert_store_stats()["x509"]


def snapshot(folder: Path) -> dict[str, str]:
    """What is below a folder: each path, and the hash of each file; the mark and notes of times aside."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (CHANGED, LAST_REFRESH, MARK)
    }


def fingerprint(certificate: Certified) -> str:
    """The SHA-256 of a certificate, as the command shows it."""
    return hashlib.sha256(der_of(certificate)).hexdigest()
