"""What the tests of fetching share: an AIA host, and handshakes of a program with a server that sends too little."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import aia_store
from aia_store.inside import fetch

from ..support.pki import Authority, Certified, Leaf, pem
from ..support.servers import AIAHost, TLSServer

LOOPBACK = ["127.0.0.0/8"]
IN_THE_GUARD = "as it was:"  # the log says this if an unexpected error had to be caught

Fetch = Callable[[str], bytes]
Meet = Callable[..., "Meeting"]


@dataclass(frozen=True)
class Meeting:
    """How a handshake ended: `refusal` is OpenSSL's reason, None if it was completed."""

    refusal: str | None
    without_us: str | None  #: how the same handshake ends without the hook
    seconds: float  #: of waiting and working
    said: str  #: what AIA_STORE_LOG told
    kept: list[Path]  #: what is in the store afterwards

    @property
    def completed(self) -> bool:
        """Whether the handshake succeeded because of us."""
        return self.refusal is None and self.without_us is not None

    def is_left_alone(self) -> bool:
        """Whether it failed as it would have without us, nothing was kept, and no unexpected error was caught."""
        return self.refusal == self.without_us and not self.kept and IN_THE_GUARD not in self.said


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store for one test, with loopback as the only allowed network; returns the store's folder."""
    for name in list(os.environ):
        if name.startswith(("AIA_STORE_", "XDG_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-user-config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "no-site-config"))
    monkeypatch.setenv("AIA_STORE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("AIA_STORE_ALLOWED_NETWORKS", ",".join(LOOPBACK))
    monkeypatch.setenv("AIA_STORE_LOG", "debug")
    return tmp_path / "store"


@pytest.fixture
def aia() -> Iterator[AIAHost]:
    """A host where certificates are published."""
    with AIAHost() as host:
        yield host


@pytest.fixture
def get() -> Fetch:
    """Fetch a URL, loopback allowed, within a second."""
    return lambda url: fetch.get(url, LOOPBACK, time.monotonic() + 1)


def handshake(server: TLSServer, context: ssl.SSLContext) -> str | None:
    """OpenSSL's reason for refusing the server, None if it accepts. Any other exception fails the test."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as tcp:
        try:
            with context.wrap_socket(tcp, server_hostname="localhost"):
                return None
        except ssl.SSLCertVerificationError as error:
            return error.verify_message


@pytest.fixture
def meet(settings: Path, capsys: pytest.CaptureFixture[str]) -> Meet:
    """Connect to a server that sends `leaf` and `sends`, and trust `anchors`: first without the hook, then with it."""

    def meeting(leaf: Leaf, *anchors: Authority, sends: Sequence[Certified] = (), flags: int = 0) -> Meeting:
        def context() -> ssl.SSLContext:
            made = ssl.create_default_context(cadata=pem(*anchors))
            made.verify_flags |= flags
            return made

        with TLSServer(leaf, sends) as server:
            without_us = handshake(server, context())
            capsys.readouterr()
            started = time.monotonic()
            refusal = handshake(server, aia_store.complete(context()))
            seconds = time.monotonic() - started
        kept = sorted((settings / "certificates").rglob("*.pem"))
        return Meeting(refusal, without_us, seconds, capsys.readouterr().err, kept)

    return meeting
