"""Show on this machine, without the internet, that completion works.

A temporary CA, a server that forgets its intermediate and an AIA host run on loopback. The clients are real programs in
child processes.
"""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from ..manager.words import one_line, reason_of

_CURL_PREFERS = ("CURL_CA_BUNDLE", "SSL_CERT_DIR")  # if one of these is set, curl ignores SSL_CERT_FILE
SECONDS = 60  # for each child process
CONNECTS_WITHIN = 5.0  # seconds
_ADDRESS = "127.0.0.1"  # not a name, because a machine may have no /etc/hosts
_CLIENT = """
import sys
if sys.argv[2] == "with":
    from aia_store.inside.startup import attach
    attach()
import ssl, urllib.error, urllib.request
context = ssl.create_default_context(cafile=sys.argv[3])
try:
    with urllib.request.urlopen(sys.argv[1], context=context, timeout=30) as reply:
        sys.exit(0 if reply.read() == b"ok" else 3)
except urllib.error.URLError as error:
    sys.exit(str(error.reason))
"""


class Step(NamedTuple):
    """One step: its title, whether it passed (None: not tried), and what was seen."""

    title: str
    passed: bool | None
    detail: str


class _Certified(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def run() -> Iterator[Step]:
    """Run all steps in order; yields each when it is done."""
    with tempfile.TemporaryDirectory(prefix="aia-store-selftest-") as folder:
        root = _issue("aia-store selftest root", None, None)
        intermediate = _issue("aia-store selftest intermediate", root, None)
        with _Server(_AIAHandler) as aia:
            aia.body = intermediate.certificate.public_bytes(Encoding.DER)
            obstacle = _obstacle_to(aia.server_port)
            if obstacle is not None:
                yield Step(f"This machine reaches itself at {_ADDRESS}", False, obstacle)
                return
            url = f"http://{_ADDRESS}:{aia.server_port}/intermediate.crt"
            leaf = _issue("aia-store selftest server", intermediate, url)
            with _Server(_OkHandler, _server_context(leaf, folder)) as server:
                yield from _steps(folder, root, aia, f"https://{_ADDRESS}:{server.server_port}/")


def _obstacle_to(port: int) -> str | None:
    """Why a server on this machine cannot be reached, in words; None if it can."""
    try:
        socket.create_connection((_ADDRESS, port), CONNECTS_WITHIN).close()
    except OSError as error:
        return f"{reason_of(error)}; is the loopback interface up? `ip link set lo up`"
    return None


def _steps(folder: str, root: _Certified, aia: _Server, url: str) -> Iterator[Step]:
    roots = os.path.join(folder, "root.pem")
    Path(roots).write_bytes(root.certificate.public_bytes(Encoding.PEM))
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIA_STORE_") and not name.lower().endswith("_proxy") and name not in _CURL_PREFERS
    }
    environment |= {
        "AIA_STORE_DIR": os.path.join(folder, "store"),
        "AIA_STORE_ALLOWED_NETWORKS": "127.0.0.0/8",
        "AIA_STORE_ROOTS": roots,
        "XDG_CONFIG_HOME": folder,
        "XDG_CONFIG_DIRS": folder,
    }

    def python(hook: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", _CLIENT, url, hook, roots]
        return _run(command, environment | {"AIA_STORE_DISABLE": "" if hook == "with" else "1"} | more)

    plain = python("without")
    yield Step(
        "Python without the hook refuses the server",
        "unable to get local issuer certificate" in plain.stderr,
        _line(-1, plain.stderr) or "it connected: something else completes the chain here",
    )
    hooked = python("with")
    yield Step(
        "Python with the hook connects, verified, after one fetch",
        hooked.returncode == 0 and aia.requests == 1,
        _line(-1, hooked.stderr) or f"{aia.requests} request to the AIA host",
    )
    again = python("with", AIA_STORE_OFFLINE="1")
    yield Step(
        "A second process connects with no fetch, offline",
        again.returncode == 0 and aia.requests == 1,
        _line(-1, again.stderr) or "the intermediate came from disk",
    )
    yield _curl_step(url, environment)


def _curl_step(url: str, environment: dict[str, str]) -> Step:
    title, curl = "curl connects, with SSL_CERT_FILE=$(aia-store bundle)", shutil.which("curl")
    if curl is None:
        return Step(title, None, "curl is not installed")
    built = _run([sys.executable, "-m", "aia_store", "bundle"], environment)
    if built.returncode != 0:
        return Step(title, False, _line(-1, built.stderr))
    command = [curl, "--disable", "--silent", "--show-error", "--noproxy", "*", url]
    before = _run(command, environment | {"SSL_CERT_FILE": environment["AIA_STORE_ROOTS"]})
    after = _run(command, environment | {"SSL_CERT_FILE": built.stdout.strip()})
    passed = before.returncode != 0 and after.stdout == "ok"
    # Advice follows the first line of curl's message.
    return Step(title, passed, _line(0, after.stderr) or f"without the bundle: {_line(0, before.stderr)}")


def _line(at: int, text: str) -> str:
    """The first (`at` = 0) or last (`at` = -1) line of a text; empty if the text has no lines."""
    return one_line((text.strip().splitlines() or [""])[at])


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=environment,
            cwd=sys.prefix,  # Python imports from the working folder, which others may be able to write
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {SECONDS} seconds")


def _issue(name: str, issuer: _Certified | None, aia: str | None) -> _Certified:
    """Issue a root if there is no issuer, a leaf if there is an AIA URL, otherwise an intermediate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    signer = issuer.key if issuer else key
    is_ca = aia is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(_key_usage(is_ca), critical=True)
    )
    if aia is not None:
        location, address = x509.UniformResourceIdentifier(aia), x509.IPAddress(ipaddress.ip_address(_ADDRESS))
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, location)
        builder = (
            builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
    return _Certified(builder.sign(signer, hashes.SHA256()), key)


def _key_usage(is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )


def _server_context(leaf: _Certified, folder: str) -> ssl.SSLContext:
    path = Path(folder, "leaf.pem")
    key = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(leaf.certificate.public_bytes(Encoding.PEM) + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


class _OkHandler(http.server.BaseHTTPRequestHandler):
    body = b"ok"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


class _AIAHandler(_OkHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.requests += 1
        self.body = self.server.body
        super().do_GET()


class _Server(socketserver.ThreadingTCPServer):  # not HTTPServer, which looks up the name of its address
    daemon_threads = True
    body, requests = b"", 0  # of an AIA host

    def __init__(self, handler: type[_OkHandler], context: ssl.SSLContext | None = None) -> None:
        super().__init__((_ADDRESS, 0), handler)
        self.context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            if self.context is not None:
                request = self.context.wrap_socket(request, server_side=True)
            super().finish_request(request, client_address)
        except OSError:
            pass  # a client that refuses us is part of the test

    @property
    def server_port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> _Server:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
