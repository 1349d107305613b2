"""A server that compresses its certificates (RFC 8879), as `openssl s_server -cert_comp` does from OpenSSL 3.2 on."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Hierarchy, MakeHierarchy, trusting, wait_until
from tests.support.dead import free_port
from tests.support.servers import AIAHost

OPENSSL = shutil.which("openssl")


def _can_compress() -> bool:
    if OPENSSL is None:
        return False
    told = subprocess.run([OPENSSL, "s_server", "-help"], capture_output=True, text=True, check=False)
    return "-cert_comp" in told.stderr


pytestmark = [
    pytest.mark.skipif(ssl.OPENSSL_VERSION_INFO < (3, 2), reason="this Python's OpenSSL knows no compression"),
    pytest.mark.skipif(not _can_compress(), reason="the openssl command knows no compression"),
]


@contextmanager
def compressing_server(pki: Hierarchy, folder: Path) -> Iterator[int]:
    """A server that sends its leaf alone, compressed for those who take that; gives its port."""
    (folder / "leaf.pem").write_text(pki.leaf.pem)
    (folder / "key.pem").write_text(pki.leaf.key_pem)
    port = free_port()
    command = [str(OPENSSL), "s_server", "-accept", str(port), "-cert", "leaf.pem", "-key", "key.pem", "-cert_comp"]
    with subprocess.Popen(
        [*command, "-tls1_3", "-www", "-quiet"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            wait_until(lambda: _listens(port))
            yield port
        finally:
            server.kill()


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def meet(port: int, context: ssl.SSLContext) -> None:
    with (
        socket.create_connection(("127.0.0.1", port), 30) as tcp,
        context.wrap_socket(tcp, server_hostname="localhost") as tls,
    ):
        assert tls.version() == "TLSv1.3"


@pytest.mark.parametrize("resets_options", [False, True])
def test_a_compressed_leaf_is_completed(
    hook: None, aia: AIAHost, hierarchy: MakeHierarchy, tmp_path: Path, resets_options: bool
) -> None:
    pki = hierarchy()
    context = trusting(pki.root)
    if resets_options:
        context.options = ssl.Options(0)
    options = context.options
    with compressing_server(pki, tmp_path) as port:
        meet(port, context)
    assert context.options == options
    assert aia.count() == 1
