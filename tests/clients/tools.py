"""Clients outside Python's ssl, which take the bundle from the variables that `aia-store env` sets."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.clients.servers import SERVERS
from tests.clients.table import PROGRAMS
from tests.support.pki import Leaf
from tests.support.servers import TLSServer
from tests.support.services import PostgreSQLServer, http2_server
from tests.support.tls import TLSListener

_NODE = """
require("https").get("https://localhost:PORT/", reply => {
  reply.on("data", data => process.stdout.write(data));
}).on("error", error => { console.error(error.code); process.exit(1); });
"""
_RUSTUP = f"RUSTUP_HOME={Path.home()}/.rustup"  # where a cargo installed by rustup is, whatever HOME is
_NO_LOGIN = {"success": False, "code": "390100", "message": "nobody logs in here", "data": None}
_VERIFY = "-verify_return_error -verify_hostname localhost"


def git_server(leaf: Leaf) -> TLSListener:
    """A repository with one branch, as plain files."""
    return TLSServer(leaf, reply=b"0123456789" * 4 + b"\trefs/heads/main\n")


class CargoIndex(TLSServer):
    """A registry of crates that has none."""

    def __init__(self, leaf: Leaf) -> None:
        super().__init__(leaf)
        here = f"https://localhost:{self.port}"
        configuration, found = {"dl": here, "api": here}, {"crates": [], "meta": {"total": 0}}
        self._reply = json.dumps(configuration | found).encode()


@dataclass(frozen=True)
class Tool:
    """One client: the shell command with which it connects to PORT, and ends with status 0 if all is well."""

    name: str
    command: str
    version: str  #: the command that prints it
    variable: str  #: the variable from which it takes the bundle
    server: Callable[[Leaf], TLSListener] = TLSServer
    package: str | None = None  #: what to install from the package index, if it is a Python module

    @property
    def program(self) -> str:
        return next(word for word in self.version.split() if "=" not in word)


def wget_command() -> str:
    """wget uses SSL_CERT_FILE if it is built with OpenSSL. With GnuTLS, it needs an option."""
    try:
        about = subprocess.run(["wget", "--version"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        about = ""
    option = '--ca-certificate="$SSL_CERT_FILE" ' if "ssl/gnutls" in about else ""
    return f"wget --no-config --no-proxy -q --tries=1 {option}-O- https://localhost:PORT/"


TOOLS = [
    Tool("curl", "curl -q -sSf --noproxy '*' https://localhost:PORT/", "curl --version", "CURL_CA_BUNDLE"),
    Tool("wget", wget_command(), "wget --version", "SSL_CERT_FILE; made with GnuTLS: `--ca-certificate`"),
    Tool("git", "git ls-remote https://localhost:PORT/", "git --version", "GIT_SSL_CAINFO", git_server),
    Tool(
        "openssl s_client",
        f"openssl s_client {_VERIFY} -servername localhost -connect 127.0.0.1:PORT",
        "openssl version",
        "SSL_CERT_FILE",
    ),
    Tool("Node", f"node -e '{_NODE}'", "node --version", "NODE_EXTRA_CA_CERTS"),
    Tool(
        "Ruby", "ruby -rnet/http -e 'puts Net::HTTP.get(URI(\"https://localhost:PORT/\"))'", "ruby -v", "SSL_CERT_FILE"
    ),
    Tool("PHP", "php -r 'exit((int) !file_get_contents(\"https://localhost:PORT/\"));'", "php -v", "SSL_CERT_FILE"),
    Tool("Go", f'go run "{PROGRAMS}/get.go" PORT', "go version", "SSL_CERT_FILE"),
    Tool(
        "psql",
        "psql -w 'host=localhost port=PORT user=me dbname=me sslmode=verify-full' -c ''",
        "psql --version",
        "PGSSLROOTCERT",
        PostgreSQLServer,
    ),
    Tool(
        "cargo",
        f'{_RUSTUP} CARGO_HOME="$PWD/cargo" cargo search --index sparse+https://localhost:PORT/ anything',
        f"{_RUSTUP} cargo --version",
        "CARGO_HTTP_CAINFO",
        CargoIndex,
    ),
    Tool(
        "Nix",
        'nix --extra-experimental-features nix-command store prefetch-file --store "$PWD/nix" https://localhost:PORT/file',
        "nix --version",
        "NIX_SSL_CERT_FILE",
    ),
    Tool(
        "gcloud",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS=1 CLOUDSDK_CORE_PROJECT=any "
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE=https://localhost:PORT/ gcloud storage buckets list",
        "gcloud --version",
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
        lambda leaf: TLSServer(leaf, reply=b"{}"),
    ),
    Tool(
        "Deno",
        '"$(dirname PYTHON)/deno" eval \'await (await fetch("https://localhost:PORT/")).text()\'',
        "PYTHON -c 'import importlib.metadata; print(importlib.metadata.version(\"deno\"))'",
        "DENO_CERT",
        package="deno",
    ),
    Tool(
        "uv",
        '"$(dirname PYTHON)/uv" pip install --no-config --cache-dir "$PWD/uv" --target "$PWD/target" '
        "--index-url https://localhost:PORT/simple demo",
        '"$(dirname PYTHON)/uv" --version',
        "SSL_CERT_FILE",
        SERVERS["index"],
        package="uv",
    ),
    Tool(
        "curl_cffi",
        "PYTHON -c 'import curl_cffi; curl_cffi.get(\"https://localhost:PORT/\")'",
        "PYTHON -c 'import curl_cffi; print(curl_cffi.__version__)'",
        "CURL_CA_BUNDLE",
        package="curl_cffi",
    ),
    Tool(
        "rtls",
        f'PYTHON "{PROGRAMS}/rtls_connect.py" PORT',
        "PYTHON -c 'import importlib.metadata; print(importlib.metadata.version(\"rtls\"))'",
        "SSL_CERT_FILE",
        package="rtls",
    ),
    Tool(
        "snowflake-connector",
        f'PYTHON "{PROGRAMS}/snowflake_connect.py" PORT',
        "PYTHON -c 'import snowflake.connector; print(snowflake.connector.__version__)'",
        "SSL_CERT_FILE",
        lambda leaf: TLSServer(leaf, reply=json.dumps(_NO_LOGIN).encode()),
        package="snowflake-connector-python>=5",
    ),
    Tool(
        "httplib2, without the hook",
        "AIA_STORE_DISABLE=1 PYTHON -c 'import httplib2; httplib2.Http().request(\"https://localhost:PORT/\")'",
        "PYTHON -c 'import httplib2; print(httplib2.__version__)'",
        "HTTPLIB2_CA_CERTS",
        package="httplib2",
    ),
    Tool(
        "pycurl",
        f'PYTHON "{PROGRAMS}/pycurl_get.py" PORT',
        "PYTHON -c 'import pycurl; print(pycurl.version)'",
        "none: `CAINFO` is for the program to set",
        package="pycurl",
    ),
    Tool(
        "grpcio",
        f'PYTHON "{PROGRAMS}/grpcio_channel.py" PORT',
        "PYTHON -c 'import grpc; print(grpc.__version__)'",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
        http2_server,
        package="grpcio",
    ),
]
