"""The server of gnutls-bin, for what OpenSSL's cannot do."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .pki import Certified, Leaf, pem
from .servers import free_port

if TYPE_CHECKING:
    from typing import Self

PROGRAM = "gnutls-serv"
#: The priority string of a server that knows no secure renegotiation (RFC 5746).
OLD_RENEGOTIATION = "NORMAL:-VERS-TLS1.3:%DISABLE_SAFE_RENEGOTIATION"


class GnuTLSServer:
    """`gnutls-serv`, which answers HTTP, with this priority string. `port` is where."""

    def __init__(self, leaf: Leaf, sends: Sequence[Certified], priority: str) -> None:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            key, chain = folder / "key.pem", folder / "chain.pem"
            key.write_text(leaf.key_pem, encoding="ascii")
            chain.write_text(pem(leaf, *sends), encoding="ascii")
            self.port = free_port()
            command = [PROGRAM, "--http", "--priority", priority, "--port", str(self.port)]
            command += ["--x509certfile", str(chain), "--x509keyfile", str(key)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            while not _listens(self.port):
                assert self._process.poll() is None, "it did not start"
                time.sleep(0.05)

    @property
    def url(self) -> str:
        """Its URL."""
        return f"https://localhost:{self.port}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
