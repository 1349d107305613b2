"""STARTTLS: the short dialogue by which a protocol switches to TLS.

Each protocol's dialogue is the shortest that its specification allows. Text protocols are in `lines`, the others in
`packets`. A server may send anything meanwhile, so `conversation` limits how much is read, and for how long.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import NamedTuple

from . import lines, packets
from .conversation import Conversation, StartTLSError

__all__ = ["PROTOCOLS", "StartTLSError", "start", "usual_at"]


class Protocol(NamedTuple):
    """A protocol with STARTTLS: its usual port, other ports, and its dialogue.

    The dialogue gets the name of the host, in ASCII, and raises StartTLSError if the server does not offer TLS.
    """

    port: int
    others: tuple[int, ...]
    dialogue: Callable[[Conversation, str], None]


PROTOCOLS = {
    "smtp": Protocol(25, (587, 2525), lines.smtp),
    "imap": Protocol(143, (), lines.imap),
    "pop3": Protocol(110, (), lines.pop3),
    "ftp": Protocol(21, (), lines.ftp),
    "ldap": Protocol(389, (), packets.ldap),
    "postgres": Protocol(5432, (), packets.postgres),
    "mysql": Protocol(3306, (), packets.mysql),
    "xmpp": Protocol(5222, (), lines.xmpp),
}


def start(protocol: str, connection: socket.socket, name: str, deadline: float) -> None:
    """Make the server expect TLS next. `deadline` is on the monotonic clock. Raises StartTLSError and OSError."""
    PROTOCOLS[protocol].dialogue(Conversation(connection, deadline), name)


def usual_at(port: int) -> str | None:
    """The protocol that usually uses a port."""
    return next((name for name, one in PROTOCOLS.items() if port in (one.port, *one.others)), None)
