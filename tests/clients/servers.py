"""The server that each client of the table talks to, by the name that the table gives it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

from tests.support import services
from tests.support.pki import Leaf
from tests.support.servers import SMTPServer, TLSServer
from tests.support.tls import TLSListener

_WHEEL = "demo-1.0-py3-none-any.whl"
_XML = b"<?xml version='1.0'?><methodResponse><params><param><value>ok</value></param></params></methodResponse>"


def _xmlrpc(leaf: Leaf) -> TLSListener:
    return services.SiteServer(leaf, dict.fromkeys(("/", "/RPC2"), ("text/xml", _XML)))


def _index(leaf: Leaf) -> TLSListener:
    """A package index with one package."""
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        info = "demo-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    page = f"<!DOCTYPE html><html><body><a href='/{_WHEEL}'>{_WHEEL}</a></body></html>".encode()
    pages = {"/simple/demo/": ("text/html", page), f"/{_WHEEL}": ("application/zip", wheel.getvalue())}
    return services.SiteServer(leaf, pages)


def _acme(leaf: Leaf) -> TLSListener:
    return services.SiteServer(leaf, {"/directory": ("application/json", b'{"newNonce": "ok"}')})


SERVERS: dict[str, Callable[[Leaf], TLSListener]] = {
    "https": TLSServer,
    "smtp": SMTPServer,
    "xmlrpc": _xmlrpc,
    "index": _index,
    "acme": _acme,
    "acme account": services.ACMEServer,
    "kafka": services.KafkaServer,
    "oracle": services.oracle_server,
    "postgresql": services.PostgreSQLServer,
    "ftp": services.FTPServer,
    "imap": services.imap_server,
    "pop3": services.pop3_server,
    "redis": services.redis_server,
    "ldap": services.ldap_server,
    "mqtt": services.mqtt_server,
    "amqp": services.AMQPServer,
    "mongodb": services.mongodb_server,
    "mysql": services.MySQLServer,
    "websocket": services.WebSocketServer,
}
