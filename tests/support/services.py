"""Servers of other protocols than HTTP, each with just enough of it for a client's first question."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import struct
from collections.abc import Callable, Mapping

from .pki import Leaf
from .tls import TLSListener
from .wire import read_request, response_head


class LineServer(TLSListener):
    """TLS from the first byte, then a greeting, and one answer per line. `answer` gets the words of the line."""

    def __init__(self, leaf: Leaf, greeting: bytes, answer: Callable[[list[bytes]], bytes]) -> None:
        self._greeting, self._answer = greeting, answer
        super().__init__(leaf)

    def serve(self, connection: socket.socket) -> None:
        """Hold one session."""
        with self.handshake(connection) as tls:
            tls.sendall(self._greeting)
            self._talk(tls)

    def _talk(self, tls: socket.socket) -> None:
        with tls.makefile("rb") as lines:
            while line := lines.readline():
                tls.sendall(self._answer(line.split()))


def imap_server(leaf: Leaf) -> LineServer:
    """IMAP on a port of its own."""

    def answer(words: list[bytes]) -> bytes:
        tag, command = words[0], words[1].upper()
        untagged = {b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n", b"LOGOUT": b"* BYE bye\r\n"}
        return untagged.get(command, b"") + tag + b" OK done\r\n"

    return LineServer(leaf, b"* OK ready\r\n", answer)


def pop3_server(leaf: Leaf) -> LineServer:
    """POP3 on a port of its own."""
    return LineServer(leaf, b"+OK ready\r\n", lambda words: b"+OK\r\n")


def redis_server(leaf: Leaf) -> LineServer:
    """Redis: pongs to PING, and says OK to the rest."""
    answers = {b"PING": b"+PONG\r\n", b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n", b"QUIT": b"+OK\r\n"}

    def answer(words: list[bytes]) -> bytes:
        # A command is an array of strings, each with its length in a line before it; ours are known by their names.
        word = words[0].upper() if words else b""
        return answers.get(word, b"+OK\r\n" if word == b"CLIENT" else b"")

    return LineServer(leaf, b"", answer)


class FTPServer(LineServer):
    """FTP with AUTH TLS."""

    def __init__(self, leaf: Leaf) -> None:
        super().__init__(leaf, b"220 ready\r\n", lambda words: b"230 fine\r\n")

    def serve(self, connection: socket.socket) -> None:
        """Hold one session."""
        connection.sendall(self._greeting)
        assert connection.recv(100).upper().startswith(b"AUTH")
        connection.sendall(b"234 go ahead\r\n")
        with self.handshake(connection) as tls:
            self._talk(tls)


class PacketServer(TLSListener):
    """TLS from the first byte, and an answer to all that comes at once; None ends the connection."""

    def __init__(self, leaf: Leaf, answer: Callable[[bytes], bytes | None], alpn: tuple[str, ...] = ()) -> None:
        self._answer = answer
        super().__init__(leaf, alpn=alpn)

    def serve(self, connection: socket.socket) -> None:
        """Hold one session."""
        with self.handshake(connection) as tls:
            self._talk(tls)

    def _talk(self, tls: socket.socket) -> None:
        while data := tls.recv(65536):
            reply = self._answer(data)
            if reply is None:
                return
            tls.sendall(reply)


def ldap_server(leaf: Leaf) -> PacketServer:
    """LDAPS: a BindResponse of success to a bind, and the end to everything else."""

    def answer(data: bytes) -> bytes | None:
        number, operation = data[2:5], data[5]
        return b"\x30\x0c" + number + bytes.fromhex("61070a010004000400") if operation == 0x60 else None

    return PacketServer(leaf, answer)


def mqtt_server(leaf: Leaf) -> PacketServer:
    """MQTT 3.1.1: a CONNACK to CONNECT, nothing to the rest."""
    return PacketServer(leaf, lambda data: b"\x20\x02\x00\x00" if data[0] == 0x10 else b"")


class AMQPServer(TLSListener):
    """AMQP of another version than any client speaks: says which, as 0-9-1 has it, and closes the connection."""

    def serve(self, connection: socket.socket) -> None:
        """Hold one session."""
        with self.handshake(connection) as tls:
            if tls.recv(8):
                tls.sendall(b"AMQP\x00\x02\x00\x00")


def http2_server(leaf: Leaf) -> PacketServer:
    """HTTP/2 up to its first SETTINGS."""
    return PacketServer(leaf, lambda data: bytes.fromhex("000000040000000000") if b"PRI * " in data else b"", ("h2",))


def mongodb_server(leaf: Leaf) -> PacketServer:
    """MongoDB, a lone server: the same to every command."""
    flags = b"".join(b"\x08" + name + b"\x00\x01" for name in (b"ismaster", b"isWritablePrimary", b"helloOk"))
    limits = {b"maxBsonObjectSize": 1 << 24, b"maxMessageSizeBytes": 48_000_000, b"maxWriteBatchSize": 100_000}
    versions = {b"minWireVersion": 0, b"maxWireVersion": 21}
    numbers = b"".join(b"\x10" + name + b"\x00" + struct.pack("<i", n) for name, n in {**limits, **versions}.items())
    body = flags + numbers + b"\x01ok\x00" + struct.pack("<d", 1.0) + b"\x00"
    document = struct.pack("<i", len(body) + 4) + body

    def answer(data: bytes) -> bytes:
        asked, opcode = struct.unpack_from("<4xi4xi", data)
        if opcode == 2004:  # OP_QUERY is answered by OP_REPLY (1), OP_MSG by its like
            opcode, head = 1, struct.pack("<iqii", 0, 0, 0, 1)
        else:
            head = struct.pack("<ib", 0, 0)
        return struct.pack("<4i", 16 + len(head) + len(document), 1, asked, opcode) + head + document

    return PacketServer(leaf, answer)


def _kafka_text(text: bytes) -> bytes:
    return struct.pack(">h", len(text)) + text


class KafkaServer(PacketServer):
    """Kafka, a lone broker of the first versions of the protocol, with one topic: ok."""

    _METADATA, _API_VERSIONS, _UNSUPPORTED_VERSION = 3, 18, 35

    def __init__(self, leaf: Leaf) -> None:
        super().__init__(leaf, self._reply)

    def _reply(self, data: bytes) -> bytes | None:
        api, version, asked = struct.unpack_from(">4xhhi", data)
        if api == self._API_VERSIONS:
            error = self._UNSUPPORTED_VERSION if version > 0 else 0
            known = ((self._METADATA, 0, 1), (self._API_VERSIONS, 0, 0))
            body = struct.pack(">hi", error, len(known)) + b"".join(struct.pack(">hhh", *one) for one in known)
        elif api == self._METADATA:
            broker = struct.pack(">i", 1) + _kafka_text(b"localhost") + struct.pack(">ih", self.port, -1)
            topic = struct.pack(">h", 0) + _kafka_text(b"ok") + struct.pack(">?i", False, 0)
            body = struct.pack(">i", 1) + broker + struct.pack(">ii", 1, 1) + topic
        else:
            return None
        return struct.pack(">ii", 4 + len(body), asked) + body


def oracle_server(leaf: Leaf) -> PacketServer:
    """Oracle's listener by TCPS, which knows no service: a REFUSE packet to every CONNECT."""
    reason = b"(DESCRIPTION=(ERR=12514)(VSNNUM=0)(ERROR_STACK=(ERROR=(CODE=12514)(EMFI=4))))"
    payload = struct.pack(">BBH", 1, 0, len(reason)) + reason
    refuse = struct.pack(">HHBBH", 8 + len(payload), 0, 4, 0, 0) + payload
    return PacketServer(leaf, lambda data: refuse)


class MySQLServer(PacketServer):
    """MySQL, which lets everybody in after an SSLRequest, and says OK to every query."""

    _CAPABILITIES = 0x000FAA0F  # long password, found rows, database, protocol 4.1, TLS, transactions, plugins, …
    _GREETING = (
        b"\x0a8.0.0\x00\x01\x00\x00\x00" + b"salt-of-" + b"\x00" + struct.pack("<H", _CAPABILITIES & 0xFFFF)
        + b"\x21\x02\x00" + struct.pack("<H", _CAPABILITIES >> 16) + b"\x15" + bytes(10)
        + b"twelve-bytes\x00mysql_native_password\x00"
    )  # fmt: skip

    def __init__(self, leaf: Leaf) -> None:
        super().__init__(leaf, self._okay)

    def serve(self, connection: socket.socket) -> None:
        """Hold one session."""
        connection.sendall(struct.pack("<I", len(self._GREETING)) + self._GREETING)
        assert len(connection.recv(36)) == 36  # SSLRequest, and not one byte of what follows
        with self.handshake(connection) as tls:
            self._talk(tls)

    @staticmethod
    def _okay(data: bytes) -> bytes | None:
        is_quit = data[3:5] == b"\x00\x01"
        return None if is_quit else b"\x07\x00\x00" + bytes([data[3] + 1]) + b"\x00\x00\x00\x02\x00\x00\x00"


class PostgreSQLServer(PacketServer):
    """PostgreSQL, which lets everybody in after an SSLRequest, and takes every query for an empty one."""

    def __init__(self, leaf: Leaf) -> None:
        super().__init__(leaf, self._reply)

    def serve(self, connection: socket.socket) -> None:
        """Hold one session."""
        assert len(connection.recv(8)) == 8
        connection.sendall(b"S")
        with self.handshake(connection) as tls:
            self._talk(tls)

    @staticmethod
    def _reply(data: bytes) -> bytes | None:
        ready = b"Z\x00\x00\x00\x05I"
        if data[:1] == b"\x00":  # the start-up message has no type
            version = b"server_version\x0015.0\x00"
            told = b"S" + (4 + len(version)).to_bytes(4, "big") + version
            return b"R\x00\x00\x00\x08\x00\x00\x00\x00" + told + ready
        return b"I\x00\x00\x00\x04" + ready if data[:1] == b"Q" else None


class WebSocketServer(TLSListener):
    """Sends ok to every client, and closes the connection."""

    def serve(self, connection: socket.socket) -> None:
        """Hold one session."""
        with self.handshake(connection) as tls:
            request = read_request(tls)
            if request is None:
                return
            key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
            accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
            head = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}
            tls.sendall(response_head(101, head) + b"\x81\x02ok" + b"\x88\x02\x03\xe8")
            tls.recv(4096)  # its goodbye


class SiteServer(TLSListener):
    """HTTPS with these pages, one request a connection; `pages`: path to its media type and its bytes."""

    def __init__(self, leaf: Leaf, pages: Mapping[str, tuple[str, bytes]]) -> None:
        self._pages = pages
        super().__init__(leaf)

    def serve(self, connection: socket.socket) -> None:
        """Answer one request."""
        with self.handshake(connection) as tls:
            request = read_request(tls)
            if request is None:
                return
            status = 200 if request.path in self._pages else 404
            kind, body = self._pages.get(request.path, ("text/plain", b"not here"))
            head = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
            tls.sendall(response_head(status, head) + body)


class ACMEServer(TLSListener):
    """ACME (RFC 8555) up to a new account, which every client gets; one request a connection."""

    def serve(self, connection: socket.socket) -> None:
        """Answer one request."""
        with self.handshake(connection) as tls:
            request = read_request(tls)
            if request is None:
                return
            here = f"https://localhost:{self.port}"
            paths = {"newNonce": "/nonce", "newAccount": "/account", "newOrder": "/order"}
            directory = {name: here + path for name, path in paths.items()}
            answer: dict[str, str] = directory if request.path == "/directory" else {"status": "valid"}
            body = b"" if request.method == "HEAD" else json.dumps(answer).encode()
            head = {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "Replay-Nonce": base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("="),
                "Location": f"{here}/account/ok",
                "Connection": "close",
            }
            tls.sendall(response_head(201 if request.path == "/account" else 200, head) + body)
