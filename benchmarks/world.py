"""What the measured programs run in: two virtual environments, a PKI, two servers and a file of trust anchors.

All of it is in one temporary folder. Each part is made when a measure first needs it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import venv
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.pki import Authority, Credential, Leaf, pem, pem_blocks
from tests.support.serve import Spec
from tests.support.served import Served
from tests.support.servers import free_port

from .pairs import BenchmarkError

if TYPE_CHECKING:
    from typing import Self  # Python 3.11

PROJECT = Path(__file__).parents[1]
CLIENTS = Path(__file__).parent / "clients"
CLIENT_PACKAGES = ("requests", "httpx")
LOOPBACK = {"AIA_STORE_ALLOWED_NETWORKS": "127.0.0.0/8"}  # a fetch from our AIA host needs it, nothing else does


class Hierarchy:
    """A root, an intermediate and a leaf for localhost; the last two name the URL of their issuer, as real ones do."""

    def __init__(self, aia_port: int, name: str = "Benchmark") -> None:
        at = f"http://localhost:{aia_port}"
        self.root = Authority.root(f"{name} Root")
        self.intermediate = self.root.intermediate(f"{name} Intermediate", aia=[f"{at}/root.cer"])
        self.leaf: Leaf = self.intermediate.leaf("localhost", aia=[f"{at}/intermediate.cer"])


class World:
    """Everything that the measures share. Leaving its `with` ends the servers and removes the folder."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self._stack = contextlib.ExitStack()
        self._stores = 0
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def bare(self) -> Path:
        """A Python with aia-store installed and no hook."""
        return self._environment("bare")

    @cached_property
    def hooked(self) -> Path:
        """The same, with the hook."""
        python = self._environment("hook")  # a name as long as the other, or callgrind counts the difference
        _run(python, "-c", "from aia_store.install import hook; hook.install()")
        return python

    @cached_property
    def hierarchy(self) -> Hierarchy:
        return Hierarchy(self._aia_port)

    @cached_property
    def bare_clients(self) -> Path:
        """As `bare`, with the clients of `CLIENT_PACKAGES`."""
        return self._environment("bare-clients", CLIENT_PACKAGES)

    @cached_property
    def hooked_clients(self) -> Path:
        """The same, with the hook."""
        python = self._environment("hook-clients", CLIENT_PACKAGES)
        _run(python, "-c", "from aia_store.install import hook; hook.install()")
        return python

    @cached_property
    def ca_file(self) -> Path:
        """The system's trust anchors and our root: as many to parse as in real life."""
        system = ssl.get_default_verify_paths().cafile
        if system is None:
            import certifi

            system = certifi.where()
        text = Path(system).read_text(encoding="utf-8")
        file = self.folder / "system.pem"
        file.write_text(f"{text}\n{pem(self.hierarchy.root)}", encoding="utf-8")
        return file

    @cached_property
    def roots(self) -> int:
        """How many trust anchors there are in `ca_file`."""
        return len(pem_blocks(self.ca_file.read_text(encoding="utf-8")))

    @cached_property
    def small_ca_file(self) -> Path:
        """Our root alone."""
        file = self.folder / "root.pem"
        file.write_text(pem(self.hierarchy.root), encoding="ascii")
        return file

    @cached_property
    def right(self) -> Served:
        """A server that sends its whole chain."""
        folder = self._server_folder("right", self.hierarchy.leaf)
        (folder / "chain.pem").write_text(self.hierarchy.intermediate.pem, encoding="ascii")
        return self._stack.enter_context(Served({"tls": {"leaf": "leaf.pem", "chain": "chain.pem"}}, folder))

    @cached_property
    def broken(self) -> Served:
        """A server that sends its leaf alone, and the AIA host beside it; on port 443 where we may, for `aia`."""
        folder = self._server_folder("broken", self.hierarchy.leaf)
        (folder / "root.cer").write_bytes(self.hierarchy.root.der)
        (folder / "intermediate.cer").write_bytes(self.hierarchy.intermediate.der)
        files = {"/root.cer": "root.cer", "/intermediate.cer": "intermediate.cer"}
        return self._stack.enter_context(
            Served(
                {
                    "tls": {"leaf": "leaf.pem", "port": 443 if _can_listen_on(443) else 0},
                    "aia": {"files": files, "port": self._aia_port},
                },
                folder,
            )
        )

    @cached_property
    def self_signed(self) -> Served:
        """A server with a self-signed certificate."""
        leaf = Authority.root("localhost", ca=False, san=["localhost"])
        return self._stack.enter_context(
            Served({"tls": {"leaf": "leaf.pem"}}, self._server_folder("self-signed", leaf))
        )

    @cached_property
    def unknown_root(self) -> Served:
        """A server that sends its whole chain, below a root that no program here trusts, and the root's AIA host."""
        port = free_port()
        hierarchy = Hierarchy(port, "Unknown")
        folder = self._server_folder("unknown-root", hierarchy.leaf)
        (folder / "chain.pem").write_text(hierarchy.intermediate.pem, encoding="ascii")
        (folder / "root.cer").write_bytes(hierarchy.root.der)
        spec: Spec = {
            "tls": {"leaf": "leaf.pem", "chain": "chain.pem"},
            "aia": {"files": {"/root.cer": "root.cer"}, "port": port},
        }
        return self._stack.enter_context(Served(spec, folder))

    @cached_property
    def store(self) -> Path:
        """A store that knows the intermediate, learned by a first meeting."""
        folder = self.empty_store()
        get: list[str | Path] = [self.hooked, CLIENTS / "get.py", url(self.broken)]
        if (
            subprocess.run(
                [self.bare, *get[1:]], env=self.environment(), stderr=subprocess.DEVNULL, check=False
            ).returncode
            == 0
        ):
            raise BenchmarkError("the server that forgets its intermediate is not broken")
        subprocess.run(get, env=self.environment(AIA_STORE_DIR=str(folder), **LOOPBACK), check=True)
        return folder

    def empty_store(self) -> Path:
        """The path of a store folder that is not there yet."""
        self._stores += 1
        return self.folder / f"store-{self._stores}"

    def environment(self, **more: str) -> dict[str, str]:
        """The variables that a measured program sees: nothing of this machine's but the search path."""
        return {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(self._made("home")),
            "SSL_CERT_FILE": str(self.ca_file),
            "SSL_CERT_DIR": str(self._made("no-roots")),
            **more,
        }

    @cached_property
    def _aia_port(self) -> int:
        return free_port()

    @cached_property
    def _wheel(self) -> Path:
        """A wheel of the package in the working tree, built from a clean copy."""
        source, wheels = self._made("source"), self._made("wheels")
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(PROJECT / name, source)
        shutil.copytree(PROJECT / "aia_store", source / "aia_store", ignore=shutil.ignore_patterns("__pycache__"))
        _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, source)
        return next(wheels.glob("*.whl"))

    def _environment(self, name: str, packages: tuple[str, ...] = ()) -> Path:
        venv.create(self.folder / name, symlinks=os.name != "nt")
        python = self.folder / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        pip = (sys.executable, "-m", "pip", "--python", python)
        _run(*pip, "install", "--quiet", "--no-deps", "--no-index", self._wheel)  # compiles it, too
        if packages:
            _run(*pip, "install", "--quiet", *packages)
        return python

    def _server_folder(self, name: str, leaf: Credential) -> Path:
        folder = self._made(name)
        (folder / "leaf.pem").write_text(leaf.pem + leaf.key_pem, encoding="ascii")
        return folder

    def _made(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder


def url(server: Served, path: str = "/") -> str:
    """The address of a server."""
    return f"https://localhost:{server.tls_port}{path}"


def _can_listen_on(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _run(*command: str | Path) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise BenchmarkError(f"{' '.join(map(str, command))}: {answer.stderr.strip()}")
