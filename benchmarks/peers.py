"""The other ways to reach a server that forgets its intermediate, each made to do what `clients/get.py` does.

The Python ones are installed, once, into a virtual environment beside this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .world import CLIENTS, World, url

#: The limit: faster than each of them.
LIMIT = 0.999
PACKAGES = ("aia==0.2.0", "aia-chaser==3.6.0", "cert-chain-resolver==1.4.1")
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True)
class Peer:
    """One of them."""

    name: str
    command: Callable[[World], list[str | Path]]
    missing: Callable[[World], str | None]  #: why it cannot be measured here; None if it can
    says: bytes | None = None  #: its input
    is_slow: bool = False
    is_python: bool = True


@cache
def environment() -> Path | None:
    """The Python that has the peers; None if they cannot be installed."""
    folder = Path(__file__).parent / f".venv-peers-{sys.version_info[0]}.{sys.version_info[1]}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    mark = folder / "installed"
    if not mark.exists() or mark.read_text(encoding="utf-8") != " ".join(PACKAGES):
        venv.create(folder, clear=True, symlinks=os.name != "nt")
        install: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *PACKAGES]
        if subprocess.run(install, stderr=subprocess.DEVNULL, check=False).returncode:
            return None
        mark.write_text(" ".join(PACKAGES), encoding="utf-8")
    return python


def _by_python(client: str) -> Callable[[World], list[str | Path]]:
    return lambda world: [environment() or sys.executable, CLIENTS / client, url(world.broken)]


def _package_is_missing(_: World) -> str | None:
    return "pip cannot install it" if environment() is None else None


def _aia_is_missing(world: World) -> str | None:
    if world.quick:
        return "it takes seconds"
    if world.broken.tls_port != 443:
        return "it knows only port 443, which is not ours to listen on"
    if shutil.which("openssl") is None:
        return "it needs the openssl command"
    return _package_is_missing(world)


def _url_without_port(world: World) -> list[str | Path]:
    return [environment() or sys.executable, CLIENTS / "with_aia.py", "https://localhost/"]


def _gnutls_cli(world: World) -> list[str | Path]:
    trust = f"--x509cafile={world.ca_file}"
    return ["gnutls-cli", "--ca-auto-retrieve", trust, "--port", str(world.broken.tls_port), "localhost"]


PEERS = (
    Peer("aia 0.2.0", _url_without_port, _aia_is_missing, is_slow=True),
    Peer("aia-chaser 3.6.0", _by_python("with_aia_chaser.py"), _package_is_missing),
    Peer("cert-chain-resolver 1.4.1", _by_python("with_cert_chain_resolver.py"), _package_is_missing),
    Peer(
        "gnutls-cli --ca-auto-retrieve",
        _gnutls_cli,
        lambda _: None if shutil.which("gnutls-cli") else "gnutls-cli is not here",
        says=REQUEST,
        is_python=False,
    ),
)
