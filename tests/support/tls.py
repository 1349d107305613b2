"""TLS servers that send exactly the given certificates."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from .listener import Listener
from .pki import Authority, Certified, Leaf, der_of, pem
from .wire import read_request, response_head

Version = Literal["1.2", "1.3"]

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_PIECE = bytes(1 << 20)


def server_context(
    leaf: Leaf,
    sends: Sequence[Certified] = (),
    version: Version | None = None,
    *,
    client_ca: Authority | None = None,
    alpn: Sequence[str] = (),
) -> ssl.SSLContext:
    """A server's context that sends the leaf and then `sends`, as they are: any order, repeated, roots too.

    With `client_ca`, clients must show a certificate of that authority; `version` fixes the protocol.
    """
    if client_ca and not sends and client_ca.certificate.subject == leaf.certificate.issuer:
        raise ValueError("with no chain of its own to send, OpenSSL would send the client CA: use another one")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Weak certificates are for the client to refuse.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if version:
        context.minimum_version = context.maximum_version = _VERSIONS[version]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "chain.pem")
        file.write_text(leaf.key_pem + pem(leaf, *sends), encoding="ascii")
        context.load_cert_chain(file)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=client_ca.pem)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class TLSListener(Listener):
    """What the TLS servers share. `handshakes` counts those that the server saw completed.

    A TLS 1.3 client is done before the server is: read a reply before looking at `handshakes`.
    """

    def __init__(
        self,
        leaf: Leaf,
        sends: Sequence[Certified] = (),
        version: Version | None = None,
        *,
        client_ca: Authority | None = None,
        alpn: Sequence[str] = (),
        port: int = 0,
    ) -> None:
        self.certificates_sent = [leaf.der, *map(der_of, sends)]
        self.handshakes = 0
        self._context = server_context(leaf, sends, version, client_ca=client_ca, alpn=alpn)
        super().__init__(port)

    def handshake(self, connection: socket.socket) -> ssl.SSLSocket:
        """Start TLS on the connection."""
        tls = self._context.wrap_socket(connection, server_side=True)
        with self._lock:
            self.handshakes += 1
        return tls


class TLSServer(TLSListener):
    """HTTPS: any request gets `reply`, /bytes/N gets N bytes, and the connection is closed after it."""

    def __init__(
        self,
        leaf: Leaf,
        sends: Sequence[Certified] = (),
        version: Version | None = None,
        *,
        reply: bytes = b"ok",
        client_ca: Authority | None = None,
        alpn: Sequence[str] = (),
        port: int = 0,
    ) -> None:
        self._reply = reply
        super().__init__(leaf, sends, version, client_ca=client_ca, alpn=alpn, port=port)

    @property
    def url(self) -> str:
        """Its URL."""
        return f"https://localhost:{self.port}/"

    def serve(self, connection: socket.socket) -> None:
        """Answer one request."""
        with self.handshake(connection) as tls:
            request = read_request(tls)
            if request is None:
                return
            sized = re.fullmatch(r"/bytes/(\d+)", request.path)
            left = int(sized[1]) if sized else len(self._reply)
            tls.sendall(response_head(200, {"Content-Length": str(left), "Connection": "close"}))
            if not sized:
                tls.sendall(self._reply)
            else:
                while left:
                    left -= tls.send(_PIECE[:left])
            # Says goodbye without waiting for the client's.
            tls.settimeout(0)
            with contextlib.suppress(ssl.SSLError):
                tls.unwrap()


class SMTPServer(TLSListener):
    """Just enough SMTP to do STARTTLS, and to be polite before and after it."""

    def serve(self, connection: socket.socket) -> None:
        """Hold one session."""
        connection.sendall(b"220 localhost ESMTP\r\n")
        if self._talk(connection, [b"250-localhost", b"250 STARTTLS"]):
            with self.handshake(connection) as tls:
                self._talk(tls, [b"250 localhost"])

    def _talk(self, connection: socket.socket, greeting: list[bytes]) -> bool:
        """Answer commands until STARTTLS (True) or the end (False)."""
        # Unbuffered: what follows STARTTLS is not for this reader.
        with connection.makefile("rb", buffering=0) as lines:
            while line := lines.readline():
                command = line.split()[0].upper() if line.strip() else b""
                if command in (b"EHLO", b"HELO"):
                    connection.sendall(b"\r\n".join([*greeting, b""]))
                elif command == b"STARTTLS" and not isinstance(connection, ssl.SSLSocket):
                    connection.sendall(b"220 go ahead\r\n")
                    return True
                elif command == b"QUIT":
                    connection.sendall(b"221 bye\r\n")
                    return False
                else:
                    connection.sendall(b"502 not here\r\n")
        return False
