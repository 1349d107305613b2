"""The clients that are tested: what to install, what to talk to, and on which Pythons they run at all."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(frozen=True)
class Client:
    """One row of the table: a program that knows nothing of us, gets a port and a CA file, and prints ok.

    `package` is the distribution whose version counts, None for the standard library; `needs` are others beside it.
    `oldest` maps a Python to the oldest release that installs and runs there, found by `tests.clients.oldest`.
    """

    name: str
    program: str
    package: str | None = None
    server: str = "https"
    needs: tuple[str, ...] = ()
    newest: str = ""  #: a specifier for the newest release that counts
    oldest: dict[str, str] = field(default_factory=dict)
    is_quick: bool = True  #: part of every run of the tests, and not of the whole matrix only
    connects_often: bool = False  #: makes several connections by itself

    @property
    def path(self) -> Path:
        return PROGRAMS / f"{self.program}.py"

    def requirements(self, release: str) -> list[str]:
        """What to install for the release, "newest" or "oldest"; empty for the standard library."""
        if self.package is None:
            return []
        specifier = self.newest if release == "newest" else f"=={self.oldest[PYTHON]}"
        return [f"{self.package}{specifier}", *self.needs]


CLIENTS = [
    Client("urllib", "urllib_request"),
    Client("http.client", "http_client"),
    Client("xmlrpc.client", "xmlrpc_client", server="xmlrpc"),
    Client("ftplib", "ftplib_tls", server="ftp"),
    Client("imaplib", "imaplib_tls", server="imap"),
    Client("poplib", "poplib_tls", server="pop3"),
    Client("smtplib", "smtplib_starttls", server="smtp"),
    Client("asyncio streams", "asyncio_streams"),
    Client("asyncio start_tls", "asyncio_start_tls"),
    Client("urllib3", "urllib3_pool", "urllib3"),
    Client("urllib3 1.26", "urllib3_pool", "urllib3", newest="<2", is_quick=False),
    Client("requests", "requests_get", "requests"),
    Client("httpx", "httpx_sync", "httpx"),
    Client("httpx on asyncio", "httpx_asyncio", "httpx"),
    Client("httpx on trio", "httpx_trio", "httpx", needs=("trio",)),
    Client("aiohttp", "aiohttp_get", "aiohttp"),
    Client("tornado", "tornado_fetch", "tornado", is_quick=False),
    Client("trio", "trio_stream", "trio"),
    Client("anyio", "anyio_stream", "anyio"),
    Client("curio", "curio_stream", "curio", is_quick=False),
    Client("uvloop", "uvloop_streams", "uvloop", is_quick=False),
    Client("gevent", "gevent_urllib", "gevent"),
    Client("eventlet", "eventlet_urllib", "eventlet"),
    Client("websockets", "websockets_connect", "websockets", server="websocket"),
    Client("websocket-client", "websocket_client", "websocket-client", server="websocket"),
    Client("niquests", "niquests_get", "niquests", is_quick=False),
    Client("botocore", "botocore_s3", "botocore", is_quick=False),
    Client("pip", "pip_download", "pip", server="index", is_quick=False, connects_often=True),
    Client("truststore", "truststore_urllib", "truststore"),
    Client("redis", "redis_ping", "redis", server="redis"),
    Client("pymongo", "pymongo_ping", "pymongo", server="mongodb", is_quick=False, connects_often=True),
    Client("PyMySQL", "pymysql_connect", "PyMySQL", server="mysql"),
    Client("ldap3", "ldap3_bind", "ldap3", server="ldap"),
    Client("paho-mqtt", "paho_mqtt", "paho-mqtt", server="mqtt"),
    Client("pika", "pika_connect", "pika", server="amqp"),
    Client("aiosmtplib", "aiosmtplib_starttls", "aiosmtplib", server="smtp"),
    Client("httplib2", "httplib2_request", "httplib2"),
]
