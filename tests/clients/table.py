"""The clients that are tested: what to install, which server to talk to, and on which Pythons they run."""

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
    `oldest` maps a Python to the oldest release that installs (without a compiler) and runs there, as
    `tests.clients.oldest` found it.
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
    first_python: str = "3.9"  #: none older has it
    shows_note: bool = True  #: whether its user sees the error of `ssl`, and so the note that explains it
    last_python: str = ""  #: no release runs on a newer one, whatever its metadata say

    @property
    def path(self) -> Path:
        return PROGRAMS / f"{self.program}.py"

    @property
    def runs_here(self) -> bool:
        """Whether any release is known to run on this Python."""
        first, here = _parts(self.first_python), sys.version_info[:2]
        return first <= here and not (self.last_python and here > _parts(self.last_python))

    def requirements(self, release: str) -> list[str]:
        """What to install for the release, "newest" or "oldest"; empty for the standard library."""
        if self.package is None:
            return []
        specifier = self.newest if release == "newest" else f"=={self.oldest[PYTHON]}"
        return [f"{self.package}{specifier}", *self.needs]


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


CLIENTS = [
    Client("urllib", "urllib_request"),
    Client("http.client", "http_client"),
    Client("xmlrpc.client", "xmlrpc_client", server="xmlrpc"),
    Client("ftplib", "ftplib_tls", server="ftp"),
    Client("imaplib", "imaplib_tls", server="imap"),
    Client("poplib", "poplib_tls", server="pop3"),
    Client("smtplib", "smtplib_starttls", server="smtp"),
    Client("asyncio streams", "asyncio_streams"),
    Client("asyncio start_tls", "asyncio_start_tls", first_python="3.11"),
    Client("urllib3", "urllib3_pool", "urllib3", oldest={"3.11": "2.0.0"}),
    Client("urllib3 1", "urllib3_pool", "urllib3", newest="<2", is_quick=False, oldest={"3.11": "1.23"}),
    Client("requests", "requests_get", "requests", oldest={"3.11": "2.19.0"}),
    Client("httpx", "httpx_sync", "httpx", oldest={"3.11": "0.11.0"}, shows_note=False),
    Client("httpx on asyncio", "httpx_asyncio", "httpx", oldest={"3.11": "0.10.0"}, shows_note=False),
    Client("httpx on trio", "httpx_trio", "httpx", needs=("trio",), oldest={"3.11": "0.10.0"}, shows_note=False),
    Client("aiohttp", "aiohttp_get", "aiohttp", oldest={"3.11": "3.8.3"}),
    Client("tornado", "tornado_fetch", "tornado", is_quick=False, oldest={"3.11": "6.0"}),
    Client("trio", "trio_stream", "trio", oldest={"3.11": "0.2.0"}),
    Client("anyio", "anyio_stream", "anyio", oldest={"3.11": "2.0.0"}),
    Client("curio", "curio_stream", "curio", last_python="3.11", is_quick=False, oldest={"3.11": "0.7"}),
    Client("uvloop", "uvloop_streams", "uvloop", is_quick=False, oldest={"3.11": "0.17.0"}),
    Client("gevent", "gevent_urllib", "gevent", oldest={"3.11": "23.7.0"}),
    Client("eventlet", "eventlet_urllib", "eventlet", oldest={"3.11": "0.33.3"}),
    Client("websockets", "websockets_connect", "websockets", server="websocket", oldest={"3.11": "10.0"}),
    Client("websocket-client", "websocket_client", "websocket-client", server="websocket", oldest={"3.11": "0.45.0"}),
    Client("niquests", "niquests_get", "niquests", is_quick=False, oldest={"3.11": "2.32.0"}),
    Client("botocore", "botocore_s3", "botocore", is_quick=False, oldest={"3.11": "1.13.45"}),
    Client(
        "pip",
        "pip_download",
        "pip",
        server="index",
        is_quick=False,
        connects_often=True,
        oldest={"3.11": "19.2"},
        shows_note=False,
    ),
    Client("truststore", "truststore_urllib", "truststore", oldest={"3.11": "0.6.0"}),
    Client("redis", "redis_ping", "redis", server="redis", oldest={"3.11": "3.3.2"}),
    Client(
        "pymongo",
        "pymongo_ping",
        "pymongo",
        server="mongodb",
        is_quick=False,
        connects_often=True,
        shows_note=False,
        oldest={"3.11": "3.10.0"},
    ),
    Client(
        "kafka-python",
        "kafka_topics",
        "kafka-python",
        server="kafka",
        is_quick=False,
        connects_often=True,
        shows_note=False,
        oldest={"3.11": "1.4.5"},
    ),
    Client("asyncpg", "asyncpg_connect", "asyncpg", server="postgresql", is_quick=False, oldest={"3.11": "0.26.0"}),
    Client("PyMySQL", "pymysql_connect", "PyMySQL", server="mysql", oldest={"3.11": "0.7.0"}),
    Client("oracledb", "oracledb_connect", "oracledb", server="oracle", is_quick=False, oldest={"3.11": "2.0.0"}),
    Client("ldap3", "ldap3_bind", "ldap3", server="ldap", oldest={"3.11": "2.5.1"}, shows_note=False),
    Client("paho-mqtt", "paho_mqtt", "paho-mqtt", server="mqtt", oldest={"3.11": "1.3.0"}),
    Client("pika", "pika_connect", "pika", server="amqp", oldest={"3.11": "1.0.0"}),
    Client("aiosmtplib", "aiosmtplib_starttls", "aiosmtplib", server="smtp", oldest={"3.11": "1.1.1"}),
    Client("httplib2", "httplib2_request", "httplib2", oldest={"3.11": "0.11.0"}),
    Client(
        "ansible",
        "ansible_modules",
        "ansible-core",
        is_quick=False,
        connects_often=True,
        shows_note=False,
    ),
    Client("acme", "acme_directory", "acme", server="acme", is_quick=False, oldest={"3.11": "4.0.0"}),
    Client(
        "certbot",
        "certbot_register",
        "certbot",
        server="acme account",
        is_quick=False,
        connects_often=True,
        shows_note=False,
        oldest={"3.11": "4.0.0"},
    ),
    Client("pyOpenSSL", "pyopenssl_get", "pyOpenSSL", oldest={"3.11": "23.2.0"}, shows_note=False),
    Client(
        "Twisted",
        "twisted_agent",
        "Twisted",
        needs=("pyOpenSSL", "service-identity"),
        is_quick=False,
        shows_note=False,
        oldest={"3.11": "22.10.0"},
    ),
    Client("Scrapy", "scrapy_spider", "Scrapy", is_quick=False, shows_note=False),
    Client("mitmproxy", "mitmproxy_reverse", "mitmproxy", is_quick=False, shows_note=False),
    Client(
        "urllib3.contrib.pyopenssl",
        "urllib3_pyopenssl",
        "urllib3",
        needs=("pyOpenSSL", "idna"),
        is_quick=False,
        shows_note=False,
        oldest={"3.11": "2.2.0"},
    ),
]
