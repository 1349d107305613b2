"""Every server of the tests, under one name."""

from __future__ import annotations

from .aia_host import AIAHost
from .dead import BlackHole, deaf_port, free_port, refusing_port
from .tls import SMTPServer, TLSServer, Version, server_context
from .wire import Request

__all__ = [
    "AIAHost",
    "BlackHole",
    "Request",
    "SMTPServer",
    "TLSServer",
    "Version",
    "deaf_port",
    "free_port",
    "refusing_port",
    "server_context",
]
