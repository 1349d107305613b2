"""A real browser without a window: Chromium, driven by its own chromedriver over HTTP (the WebDriver protocol)."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.support.servers import free_port

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
]

_NEEDED = {"chromium": "chromium", "chromedriver": "chromium-driver", "certutil": "libnss3-tools"}


class Browser:
    """One session."""

    def __init__(self, port: int, profile: str) -> None:
        self._url = f"http://127.0.0.1:{port}/session"
        options = {"args": [*_FLAGS, f"--user-data-dir={profile}"]}
        wanted = {
            "browserName": "chrome",
            "acceptInsecureCerts": False,
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        self._url += "/" + self._ask("", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def open(self, page: Path, width: int, *, dark: bool = False) -> None:
        """Show a file in a window so wide; on a phone that is 360."""
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._devtools("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", {"features": [scheme]})
        self._ask("/url", {"url": page.as_uri()})

    def reached(self, urls: Sequence[str]) -> list[bool]:
        """Whether the browser connects to each of these URLs. The first server must be right.

        They are fetched from the first one's page: a browser is slow to recover from its own warning.
        """
        self._ask("/url", {"url": urls[0]})
        assert self.run("return document.body.innerText") == "ok"
        script = "const [urls, done] = arguments; Promise.allSettled(urls.map(u => fetch(u, {mode: 'no-cors'})))"
        script += ".then(all => done(all.map(one => one.status == 'fulfilled')))"
        answers: list[bool] = self._ask("/execute/async", {"script": script, "args": [urls]})
        return answers

    def run(self, script: str) -> Any:
        """Run a function with this body in the page; returns its result."""
        return self._ask("/execute/sync", {"script": script, "args": []})

    def save(self, selector: str, folder: Path) -> Path:
        """Click a link, and return the file that the browser saves in this folder, which is empty."""
        self._devtools("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
        self.run(f"document.querySelector({selector!r}).click()")
        wait_until(lambda: any(file.suffix != ".crdownload" for file in folder.iterdir()))
        (file,) = folder.iterdir()
        return file

    def complaints(self) -> list[str]:
        """The browser's messages about the page since the last call: blocked or missing resources, errors."""
        return [entry["message"] for entry in self._ask("/se/log", {"type": "browser"})]

    def photograph(self, file: Path) -> None:
        """The whole page as a PNG."""
        found = self._devtools("Page.captureScreenshot", {"captureBeyondViewport": True})
        file.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        """End the session, and with it the browser."""
        urllib.request.urlopen(urllib.request.Request(self._url, method="DELETE"), timeout=30).close()

    def _devtools(self, command: str, parameters: dict[str, object]) -> Any:
        return self._ask("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _ask(self, path: str, body: object) -> Any:
        request = urllib.request.Request(
            self._url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)["value"]


@contextlib.contextmanager
def browser(*roots: Path) -> Iterator[Browser]:
    """Chromium that trusts these roots (PEM files) too, or a skip that says why not."""
    for program, package in _NEEDED.items():
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not here (Debian: {package})")
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        database = Path(profile, ".pki", "nssdb")
        database.mkdir(parents=True)
        _certutil(database, "-N", "--empty-password")
        for root in roots:
            _certutil(database, "-A", "-t", "C,,", "-n", root.name, "-i", str(root))
        environment = {**os.environ, "HOME": profile, "no_proxy": "*"}
        command = ["chromedriver", f"--port={port}", "--silent"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
            try:
                wait_until(lambda: _is_ready(port))
                session = Browser(port, profile)
                try:
                    yield session
                finally:
                    session.close()
            finally:
                driver.terminate()


def _certutil(database: Path, *arguments: str) -> None:
    """What a user of Chromium on Linux trusts beyond its own roots is in NSS' database."""
    subprocess.run(["certutil", "-d", f"sql:{database}", *arguments], check=True, capture_output=True)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as reply:
            return bool(json.load(reply)["value"]["ready"])
    except OSError:
        return False
