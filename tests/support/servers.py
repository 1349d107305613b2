"""Every server of the tests, under one name."""

from __future__ import annotations

from .aia_host import AIAHost
from .dead import BlackHole, free_port, refusing_port
from .tls import SMTPServer, TLSServer, Version, server_context
from .wire import Request

__all__ = [
    "AIAHost",
    "BlackHole",
    "Request",
    "SMTPServer",
    "TLSServer",
    "Version",
    "free_port",
    "refusing_port",
    "server_context",
]
