"""A server with the hook fetches nothing, whatever a client's certificate names."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import aia_store
from tests.conftest import Hierarchy, MakeHierarchy, get, write_pem
from tests.support.servers import AIAHost, TLSServer, Version, server_context

Contexts = Callable[[Hierarchy], ssl.SSLContext]

#: `-c CLIENT port certificate`: a client without the hook shows its certificate, and prints nothing.
CLIENT = """
import socket, ssl, sys
context = ssl._create_unverified_context()
context.load_cert_chain(sys.argv[2])
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30) as tcp:
    with context.wrap_socket(tcp) as tls:
        tls.recv(1)
"""


@pytest.fixture
def pki(hierarchy: MakeHierarchy) -> Hierarchy:
    """Its leaf is the client's, and good for both sides."""
    return hierarchy({}, eku=None)


def plain(pki: Hierarchy) -> ssl.SSLContext:
    """A server's context, as programs make it."""
    return server_context(pki.leaf, client_ca=pki.root)


def explicit(pki: Hierarchy) -> ssl.SSLContext:
    """A context that was given to `complete`."""
    return aia_store.complete(plain(pki))


def for_both_sides(pki: Hierarchy) -> ssl.SSLContext:
    """A context that first was a client's, and so has our callback, and then serves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS)
    context.load_verify_locations(cadata=pki.root.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    with TLSServer(pki.leaf, pki.intermediates) as server:
        assert get(server, context) == b"ok"
    return context


def meets(context: ssl.SSLContext, certificate: Path) -> str:
    """What OpenSSL says of a client with this certificate."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, "-c", CLIENT, str(listening.getsockname()[1]), str(certificate)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as client:
            try:
                connection, _ = listening.accept()
                with connection, pytest.raises(ssl.SSLCertVerificationError) as raised:
                    context.wrap_socket(connection, server_side=True)
            finally:
                client.kill()
    return str(raised.value.verify_message)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("make", [plain, explicit, for_both_sides])
@pytest.mark.usefixtures("hook")
def test_a_client_makes_a_server_fetch_nothing(
    pki: Hierarchy, aia: AIAHost, tmp_path: Path, make: Contexts, version: Version
) -> None:
    shown = tmp_path / "client.pem"
    write_pem(shown, pki.leaf)
    shown.write_text(pki.leaf.key_pem + shown.read_text())
    context = make(pki)
    context.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    context.load_cert_chain(shown)
    assert meets(context, shown) == "unable to get local issuer certificate"
    assert aia.connections == 0
