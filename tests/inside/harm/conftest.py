"""What the tests of harm share: right and broken servers, and child programs that report what they see."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Hierarchy, MakeHierarchy, run_python, write_pem
from tests.support.ca_files import large_ca_file
from tests.support.pki import Authority, Leaf
from tests.support.servers import TLSServer

#: In a child: `meet(context, port)` returns what the server said, or why OpenSSL refused its certificate.
MEET = """
import json, os, socket, ssl, sys

def meet(context, port, host="localhost"):
    with socket.create_connection(("127.0.0.1", int(port)), 30) as tcp:
        try:
            with context.wrap_socket(tcp, server_hostname=host) as tls:
                tls.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
                reply = b""
                while True:
                    piece = tls.recv(4096)
                    if not piece:
                        return reply.partition(b"\\r\\n\\r\\n")[2].decode()
                    reply += piece
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
"""

SELF_SIGNED, UNKNOWN = "self-signed certificate", "unable to get local issuer certificate"


def size(few: int, full: int) -> int:
    """How many to try: `few`, or the full number if the environment says AIA_STORE_TEST_HARM=all."""
    return full if os.environ.get("AIA_STORE_TEST_HARM") == "all" else few


def answer(code: str, *args: object, hook: bool = True, env: dict[str, str] | None = None) -> Any:
    """The JSON output of a program that begins with `MEET`. It must succeed and print nothing else."""
    done = run_python(MEET + code, *args, hook=hook, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return json.loads(done.stdout)


def with_and_without(code: str, *args: object, env: dict[str, str] | None = None) -> tuple[Any, Any]:
    """What such a program prints with the hook, and what in plain Python."""
    return answer(code, *args, env=env), answer(code, *args, env=env, hook=False)


@functools.cache
def other_roots() -> list[Authority]:
    """As many roots as a system has, so that a CA file takes its time to load."""
    return [Authority.root(f"Other Root {number}") for number in range(140)]


@dataclass(frozen=True)
class Sites:
    """One server of each kind, and the expected result for a program that trusts `pki.root`."""

    pki: Hierarchy
    servers: dict[str, TLSServer]
    verdicts: dict[str, str]
    large_cafile: Path  #: with the root, and large enough to be loaded on demand

    def port(self, kind: str) -> int:
        """The address of the server of this kind."""
        return self.servers[kind].port

    @property
    def ports(self) -> str:
        """All of them as JSON, for a child program."""
        return json.dumps({kind: server.port for kind, server in self.servers.items()})


def self_signed_leaf() -> Leaf:
    """A server's certificate that nobody else signed."""
    return Leaf._make("localhost", None, {"san": ["localhost"]})


@pytest.fixture
def sites(store: Path, hierarchy: MakeHierarchy, tmp_path: Path) -> Iterator[Sites]:
    """Servers that are right, leaf-only, self-signed, and of an unknown root."""
    pki = hierarchy()
    stranger = Authority.root("Stranger").intermediate("Stranger's CA")
    right = pki.root.intermediate("Right CA")
    with contextlib.ExitStack() as stack:
        servers = {
            "right": TLSServer(right.leaf(), [right]),
            "leaf-only": TLSServer(pki.leaf),
            "self-signed": TLSServer(self_signed_leaf()),
            "unknown": TLSServer(stranger.leaf(), [stranger]),
        }
        for server in servers.values():
            stack.enter_context(server)
        verdicts = {"right": "ok", "leaf-only": "ok", "self-signed": SELF_SIGNED, "unknown": UNKNOWN}
        yield Sites(pki, servers, verdicts, large_ca_file(tmp_path / "large.pem", pki.root, *other_roots()))


@pytest.fixture
def default_paths(sites: Sites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The large CA file is the machine's, for this process and its children."""
    empty = tmp_path / "no certificates"
    empty.mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(sites.large_cafile))
    monkeypatch.setenv("SSL_CERT_DIR", str(empty))


def constrained_chain(hierarchy: MakeHierarchy, good: str = "good.example", evil: str = "evil.example") -> Constrained:
    """A CA that the one above it allows to sign for `good` only, and a leaf of its for each name."""
    pki = hierarchy({}, {"permitted": [good]}, san=[good])
    return Constrained(pki, pki.intermediates[0].leaf(evil), good, evil)


@dataclass(frozen=True)
class Constrained:
    """Its lower intermediate does not repeat the constraint, so it would accept too much as an anchor."""

    pki: Hierarchy
    evil_leaf: Leaf
    good: str
    evil: str


def cafile_of(folder: Path, *anchors: Authority) -> Path:
    """A small CA file with these anchors."""
    return write_pem(folder / "anchors.pem", *anchors)
