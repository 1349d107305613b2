"""Servers with a dialogue before TLS, right or wrong."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence

from tests.support.pki import Certified, Leaf
from tests.support.servers import SMTPServer
from tests.support.services import FTPServer, MySQLServer, PostgreSQLServer
from tests.support.tls import TLSListener

#: In turn: what the server sends, and the end of what it must receive.
Dialogue = Sequence[bytes]


class Talker(TLSListener):
    """Sends and receives the parts of `dialogue` in turn, the server first, and then switches to TLS."""

    def __init__(self, leaf: Leaf, dialogue: Dialogue, sends: Sequence[Certified] = ()) -> None:
        self._dialogue = dialogue
        self.heard: list[bytes] = []
        super().__init__(leaf, sends)

    def serve(self, connection: socket.socket) -> None:
        """Hold one session."""
        for turn, words in enumerate(self._dialogue):
            if turn % 2 == 0:
                connection.sendall(words)
            else:
                self.heard.append(self._until(connection, words))
        with self.handshake(connection) as tls:
            tls.recv(1)

    def _until(self, connection: socket.socket, mark: bytes) -> bytes:
        heard = b""
        while not heard.endswith(mark):
            piece = connection.recv(1)
            if not piece:
                raise ConnectionError
            heard += piece
        return heard


_XMPP_STREAM = b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' id='1' version='1.0'>"
_XMPP_TLS = b"urn:ietf:params:xml:ns:xmpp-tls"
_STARTTLS_OID = b"1.3.6.1.4.1.1466.20037"

TALKS: dict[str, Dialogue] = {
    "smtp": (
        b"220-mail.example.test\r\n220 ready\r\n",
        b"EHLO localhost\r\n",
        b"250-mail.example.test\r\n250-PIPELINING\r\n250 starttls\r\n",
        b"STARTTLS\r\n",
        b"220 go ahead\r\n",
    ),
    "imap": (b"* OK [CAPABILITY IMAP4rev1] hello\r\n", b"a STARTTLS\r\n", b"* 1 EXISTS\r\na OK begin\r\n"),
    "pop3": (b"+OK ready\r\n", b"STLS\r\n", b"+OK begin\r\n"),
    "ftp": (b"220-one\r\n two\r\n220 ready\r\n", b"AUTH TLS\r\n", b"234 go ahead\r\n"),
    "ldap": (b"", _STARTTLS_OID, bytes.fromhex("30840000001002010178840000000" + "70a010004000400")),
    "xmpp": (
        b"",
        b"to='localhost'>",
        _XMPP_STREAM + b"<stream:features><starttls xmlns='" + _XMPP_TLS + b"'/></stream:features>",
        b"<starttls xmlns='" + _XMPP_TLS + b"'/>",
        b"<proceed xmlns='" + _XMPP_TLS + b"'/>",
    ),
    "postgres": (b"", struct.pack("!ii", 8, 80877103), b"S"),
}

#: Servers for the clients of docs/clients.md; some protocols have no dialogue above.
SERVERS: dict[str, Callable[[Leaf], TLSListener]] = {
    "smtp": SMTPServer,
    "ftp": FTPServer,
    "mysql": MySQLServer,
    "postgres": PostgreSQLServer,
}

#: The answer of a server that speaks the protocol, but declines TLS.
DECLINING: dict[str, Dialogue] = {
    "smtp": (b"220 ready\r\n", b"EHLO localhost\r\n", b"250-here\r\n250 SIZE 1000\r\n"),
    "imap": (b"* OK ready\r\n", b"a STARTTLS\r\n", b"a BAD what?\r\n"),
    "pop3": (b"+OK ready\r\n", b"STLS\r\n", b"-ERR what?\r\n"),
    "ftp": (b"220 ready\r\n", b"AUTH TLS\r\n", b"502 what?\r\n"),
    "ldap": (b"", _STARTTLS_OID, bytes.fromhex("300c02010178070a013404000400")),
    "xmpp": (b"", b"to='localhost'>", _XMPP_STREAM + b"<stream:features><bind/></stream:features>"),
    "postgres": (b"", struct.pack("!ii", 8, 80877103), b"N"),
    "mysql": (struct.pack("<I", 60) + b"\x0a5.0\0" + bytes(55),),
}
