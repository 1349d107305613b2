"""The little HTTP/1.1 that the test servers speak."""

from __future__ import annotations

import http
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """What a client asked; header names are in lower case, and repeated ones joined with a comma."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    raw: bytes = field(repr=False)
    time: float = field(default_factory=time.monotonic)


def read_request(connection: socket.socket) -> Request | None:
    """The next request on the connection; None if the client leaves before its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    while len(body) < int(headers.get("content-length", 0)):
        piece = connection.recv(65536)
        if not piece:
            return None
        body += piece
        data += piece
    return Request(method, rest.rpartition(" ")[0], headers, body, data)


def response_head(status: int, headers: Mapping[str, str]) -> bytes:
    """A status line and headers, with the empty line after them."""
    reason = http.HTTPStatus(status).phrase if status in http.HTTPStatus._value2member_map_ else "Unknown"
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
