"""Run the servers in a process of their own, so that a measured client does not share its GIL with them.

    python -m tests.support.serve SPEC.json

prints one line of JSON, `{"tls_port": …, "aia_port": …}`, when it is ready (null for a server not asked for),
one more with the counters for each line "counts" on its standard input, and ends when that is closed. The
file is a `Spec`; file names in it are relative to its folder.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TypedDict

from .pki import Leaf, pem_blocks
from .servers import AIAHost, TLSServer, Version


class TLSSpec(TypedDict, total=False):
    """A `TLSServer`."""

    leaf: str  #: PEM file with the leaf and its key
    chain: str  #: PEM file with what is sent after it; default nothing
    version: Version
    reply: str
    alpn: list[str]
    port: int


class AIASpec(TypedDict, total=False):
    """An `AIAHost`."""

    files: dict[str, str]  #: URL path to file
    delay: float  #: seconds before each reply
    port: int


class Spec(TypedDict, total=False):
    """What to run; each is optional."""

    tls: TLSSpec
    aia: AIASpec


class Counts(TypedDict):
    """What the servers have seen so far."""

    connections: int  #: to the TLS server
    handshakes: int
    aia_connections: int
    requests: dict[str, int]  #: path to number of requests


def main(file: Path) -> None:
    """Serve what the file asks for until standard input ends."""
    spec: Spec = json.loads(file.read_text(encoding="utf-8"))
    with contextlib.ExitStack() as stack:
        tls = stack.enter_context(_tls_server(spec["tls"], file.parent)) if "tls" in spec else None
        aia = stack.enter_context(_aia_host(spec["aia"], file.parent)) if "aia" in spec else None
        _say({"tls_port": tls and tls.port, "aia_port": aia and aia.port})
        for line in sys.stdin:
            if line.strip() == "counts":
                _say(_counts(tls, aia))


def _tls_server(spec: TLSSpec, folder: Path) -> TLSServer:
    chain = (folder / spec["chain"]).read_text(encoding="utf-8") if "chain" in spec else ""
    return TLSServer(
        Leaf.from_pem((folder / spec["leaf"]).read_text(encoding="utf-8")),
        pem_blocks(chain),
        spec.get("version"),
        reply=spec.get("reply", "ok").encode(),
        alpn=spec.get("alpn", ()),
        port=spec.get("port", 0),
    )


def _aia_host(spec: AIASpec, folder: Path) -> AIAHost:
    host = AIAHost(spec.get("port", 0))
    for path, file in spec.get("files", {}).items():
        host.publish(path, (folder / file).read_bytes(), delay=spec.get("delay", 0))
    return host


def _counts(tls: TLSServer | None, aia: AIAHost | None) -> Counts:
    return {
        "connections": tls.connections if tls else 0,
        "handshakes": tls.handshakes if tls else 0,
        "aia_connections": aia.connections if aia else 0,
        "requests": Counter(request.path for request in aia.requests) if aia else {},
    }


def _say(line: object) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
