"""What all tests share: a store of their own, the hook, certificates with an AIA host, clients and child processes.

Fixtures: `store` (a fresh, isolated environment; the path of its store folder), `hook` (the hook is on), `aia` (a
host that publishes certificates) and `hierarchy` (root, intermediates and leaf, published there). The rest is plain
functions, to be imported from here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

import aia_store
from tests.support import NO_HOOK
from tests.support.pki import Authority, Certified, Leaf, Options, pem
from tests.support.servers import AIAHost
from tests.support.tls import TLSListener

if TYPE_CHECKING:
    from typing import Unpack

#: The tests of `aia_store.inside`, which need nothing else of the package: only they run on Python 3.9.
INSIDE_HALF = tuple(Path(__file__).with_name(name) for name in ("fetch", "ground", "handshake", "inside", "support"))
HAS_WHOLE_PACKAGE = sys.version_info >= (3, 10)

#: For the few tests in those folders that use another part of the package.
whole_package = pytest.mark.skipif(not HAS_WHOLE_PACKAGE, reason="only aia_store.inside runs on this Python")

PARTIAL_CHAIN = 0x80000  # X509_V_FLAG_PARTIAL_CHAIN, which `ssl` has a name for from Python 3.10 on
FLAGS = {
    "flags of 3.11": int(ssl.VERIFY_X509_TRUSTED_FIRST),
    "flags of 3.13": int(ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_STRICT | PARTIAL_CHAIN),
}

#: What a program with the hook does first, as the interpreter's start-up does it.
ATTACH = "import aia_store.inside.startup; aia_store.inside.startup.attach()\n"

#: Makes `connect(port, cafile)` in a child process, which imports nothing but socket and ssl.
CONNECT = """
import socket, ssl, sys

def connect(port, cafile, host="localhost"):
    context = ssl.create_default_context(cafile=cafile)
    with socket.create_connection(("127.0.0.1", int(port)), 30) as tcp:
        with context.wrap_socket(tcp, server_hostname=host) as tls:
            tls.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
            reply = b""
            while piece := tls.recv(4096):
                reply += piece
    return reply.partition(b"\\r\\n\\r\\n")[2].decode()
"""

#: The same as a program: `-c CONNECT_ONCE port cafile` prints what the server said.
CONNECT_ONCE = CONNECT + "print(connect(sys.argv[1], sys.argv[2]))\n"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background programs like this, and every program that a test interrupts would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Start anew without the machine's own hook, if there is one."""
    if any(getattr(finder, "is_aia_store_watcher", False) for finder in sys.meta_path):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [NO_HOOK, os.environ.get("PYTHONPATH")]))
        config.pluginmanager.getplugin("capturemanager").stop_global_capturing()
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *sys.argv[1:]])


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """On Python 3.9, look into the folders of `INSIDE_HALF` only."""
    if HAS_WHOLE_PACKAGE or collection_path == Path(__file__).parent:
        return None
    return None if any(collection_path.is_relative_to(folder) for folder in INSIDE_HALF) else True


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a long text by its argument: a text with a certificate differs between the processes of pytest-xdist."""
    return argname if isinstance(val, (bytes, str)) and len(val) > 100 else None


_ISOLATED = ("AIA_STORE_", "SSL_CERT_", "XDG_", "REQUESTS_", "CURL_")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a store folder, not yet made, in an environment that is isolated from this machine."""
    for name in list(os.environ):
        if name.startswith(_ISOLATED) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for variable in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        folder = tmp_path / "isolated" / variable.lower()
        folder.mkdir(parents=True)
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.setenv("AIA_STORE_ALLOWED_NETWORKS", "127.0.0.0/8")
    monkeypatch.setenv("AIA_STORE_DIR", str(tmp_path / "store"))
    return tmp_path / "store"


@contextlib.contextmanager
def hooked() -> Iterator[None]:
    """The hook is on, in this process."""
    aia_store.enable()
    try:
        yield
    finally:
        aia_store.disable()


@pytest.fixture
def hook(store: Path) -> Iterator[None]:
    """The hook is on, in this process, with a store of its own."""
    with hooked():
        yield


@pytest.fixture
def aia() -> Iterator[AIAHost]:
    """A web server for certificates."""
    with AIAHost() as host:
        yield host


@dataclass(frozen=True)
class Hierarchy:
    """A root, intermediates and a leaf. Everything below the root names its issuer's URL, and all are published."""

    root: Authority
    intermediates: list[Authority]  #: the leaf's issuer first
    leaf: Leaf
    cafile: Path  #: a PEM file with the root

    def urls(self, host: AIAHost) -> list[str]:
        """The URLs of the intermediates, the leaf's issuer first."""
        return [host.url(f"/{level}.cer") for level in range(len(self.intermediates))]


class MakeHierarchy(Protocol):
    """The intermediates' options, the leaf's issuer first; and the leaf's. Default: one intermediate, a new root."""

    def __call__(
        self, *intermediates: Options, root: Authority | None = None, **leaf: Unpack[Options]
    ) -> Hierarchy: ...


@pytest.fixture
def hierarchy(aia: AIAHost, tmp_path: Path) -> MakeHierarchy:
    """Make a `Hierarchy` whose certificates are published on `aia`: /0.cer issued the leaf, /1.cer issued that."""

    def make(*intermediates: Options, root: Authority | None = None, **leaf: Unpack[Options]) -> Hierarchy:
        levels = intermediates or ({},)
        authority = root = root or Authority.root()
        url = aia.publish("/root.cer", root.der)
        chain: list[Authority] = []
        for level in reversed(range(len(levels))):
            options: Options = {"aia": [url], **levels[level]}
            authority = authority.intermediate(f"Test Intermediate {level}", **options)
            url = aia.publish(f"/{level}.cer", authority.der)
            chain.insert(0, authority)
        named: Options = {"aia": [url], **leaf}
        return Hierarchy(root, chain, authority.leaf(**named), write_pem(tmp_path / "root.pem", root))

    return make


def write_pem(path: Path, *certificates: Certified) -> Path:
    """Write these certificates to a file; returns its path."""
    path.write_text(pem(*certificates), encoding="ascii")
    return path


def hashed_directory(path: Path, *certificates: Certified) -> Path:
    """A directory as `capath` wants it, made with the openssl command."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is not here")
    path.mkdir()
    for number, certificate in enumerate(certificates):
        write_pem(path / f"{number}.pem", certificate)
    subprocess.run(["openssl", "rehash", str(path)], check=True, capture_output=True)
    return path


def trusting(*anchors: Certified, flags: int | None = None) -> ssl.SSLContext:
    """A client's context with only these anchors; by default with this Python's own flags."""
    context = ssl.create_default_context(cadata=pem(*anchors))
    if flags is not None:
        context.verify_flags = ssl.VerifyFlags(flags)
    return context


def get(server: TLSListener, context: ssl.SSLContext, host: str = "localhost") -> bytes:
    """The server's reply to a client that uses this name for it."""
    with (
        socket.create_connection(("127.0.0.1", server.port), 30) as tcp,
        context.wrap_socket(tcp, server_hostname=host) as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
        reply = b""
        while piece := tls.recv(4096):
            reply += piece
    return reply.partition(b"\r\n\r\n")[2]


def refused(server: TLSListener, context: ssl.SSLContext, host: str = "localhost") -> str:
    """OpenSSL's reason for refusing this server's certificate; fails if it accepts it."""
    with pytest.raises(ssl.SSLCertVerificationError) as raised:
        get(server, context, host)
    return str(raised.value.verify_message)


def start_python(
    code: str,
    *args: object,
    env: dict[str, str] | None = None,
    hook: bool = True,
    cwd: Path | None = None,
    under: Sequence[str] = (),
) -> subprocess.Popen[str]:
    """Start this interpreter with this program, with the hook from the first line on, or without it.

    `cwd` is the folder to start it in; `under` is a command that starts it, such as setpriv.
    """
    return subprocess.Popen(
        [*under, sys.executable, "-c", (ATTACH if hook else "") + code, *map(str, args)],
        env={**os.environ, **(env or {})},
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_python(
    code: str,
    *args: object,
    env: dict[str, str] | None = None,
    hook: bool = True,
    cwd: Path | None = None,
    under: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run such a program to its end, for at most a minute."""
    with start_python(code, *args, env=env, hook=hook, cwd=cwd, under=under) as process:
        try:
            output, errors = process.communicate(timeout=60)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def wait_until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something that is certain to happen."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
