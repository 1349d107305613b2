"""What `get_verified_chain()` (Python 3.13) shows for a connection that was completed."""

from __future__ import annotations

import socket
import ssl
import sys

import pytest

from tests.conftest import MakeHierarchy, trusting
from tests.support.servers import TLSServer

pytestmark = pytest.mark.skipif(sys.version_info < (3, 13), reason="SSLSocket.get_verified_chain is new in Python 3.13")

PARTIAL_CHAIN = 0x80000  # X509_V_FLAG_PARTIAL_CHAIN


def verified_chain(server: TLSServer, context: ssl.SSLContext) -> list[bytes]:
    """The certificates in DER, the leaf first."""
    with (
        socket.create_connection(("127.0.0.1", server.port), 30) as tcp,
        context.wrap_socket(tcp, server_hostname="localhost") as tls,
    ):
        return list(tls.get_verified_chain())  # type: ignore[attr-defined, unused-ignore]


def test_it_ends_at_the_root_without_partial_chains(hook: None, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy({}, {})
    with TLSServer(pki.leaf) as server:
        shown = verified_chain(server, trusting(pki.root, flags=0))
    assert shown == [certificate.der for certificate in (pki.leaf, *pki.intermediates, pki.root)]


def test_it_ends_at_the_first_intermediate_with_them(hook: None, hierarchy: MakeHierarchy) -> None:
    """There OpenSSL looks no further than the context of ours; what is above was verified in the rehearsal."""
    pki = hierarchy({}, {})
    with TLSServer(pki.leaf) as server:
        shown = verified_chain(server, trusting(pki.root, flags=PARTIAL_CHAIN))
    assert shown == [certificate.der for certificate in (pki.leaf, pki.intermediates[0])]
