"""Servers made in Python serve with the hook as without, those that ask for a client's certificate too."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.environments import Environments, NotInstallable
from tests.manager.machine import Machine
from tests.support.pki import Authority, Leaf, pem
from tests.support.servers import free_port

PACKAGES = ["gunicorn", "jetforce", "uvicorn"]
SECONDS = 30
APPLICATION = """
def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]

async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"served"})
"""


@dataclass(frozen=True)
class Server:
    """A server of a package: its command, which serves in the working folder, and what it is asked and says."""

    package: str
    command: str
    asks: bytes = b"GET / HTTP/1.0\r\n\r\n"
    says: bytes = b"served"


SERVERS = [
    Server("gunicorn", "gunicorn --bind 127.0.0.1:PORT --certfile CERTIFICATE --keyfile KEY application:wsgi"),
    Server("uvicorn", "uvicorn --port PORT --ssl-certfile CERTIFICATE --ssl-keyfile KEY application:asgi"),
    # Gemini: any client's certificate will do, and is trusted on first use.
    Server(
        "jetforce",
        "jetforce --dir . --port PORT --tls-certfile CERTIFICATE --tls-keyfile KEY",
        b"gemini://localhost/\r\n",
        b"20 text/gemini",
    ),
]


@pytest.mark.parametrize("server", SERVERS, ids=[server.package for server in SERVERS])
def test_a_server_is_unharmed(machine: Machine, environments: Environments, server: Server) -> None:
    try:
        python = environments.python(PACKAGES)
    except NotInstallable as error:
        pytest.skip(f"{server.package} cannot be installed here: {error}")
    (machine.folder / "application.py").write_text(APPLICATION)
    root = Authority.root("Root of Servers")
    leaf, stranger = root.leaf(), Authority.root("Somebody").leaf()
    names = {"CERTIFICATE": write(machine, "server", leaf), "KEY": machine.folder / "server.key"}
    own = write(machine, "client", stranger), machine.folder / "client.key"
    answers = []
    for disabled in ("1", "0"):
        port = free_port()
        command = server.command.replace("PORT", str(port))
        for name, file in names.items():
            command = command.replace(name, str(file))
        program, *arguments = command.split()
        with machine.start(
            [python.with_name(program), *arguments], AIA_STORE_DISABLE=disabled, PYTHONPATH=str(machine.folder)
        ) as process:
            try:
                answers.append([ask(port, root, server.asks, shown) for shown in (None, own)])
            finally:
                process.terminate()
    assert answers[0] == answers[1]
    assert all(server.says in answer for answer in answers[1])


def write(machine: Machine, name: str, leaf: Leaf) -> Path:
    """Write a certificate and its key beside it; returns the certificate's file."""
    file = machine.folder / f"{name}.pem"
    file.write_text(pem(leaf))
    file.with_suffix(".key").write_text(leaf.key_pem)
    return file


def ask(port: int, root: Authority, asks: bytes, shown: tuple[Path, Path] | None) -> bytes:
    """The first line of the answer's body, once the server is up; the client may show a certificate."""
    context = ssl.create_default_context(cadata=root.pem)
    if shown is not None:
        context.load_cert_chain(*shown)
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            tcp = socket.create_connection(("127.0.0.1", port), SECONDS)
            with context.wrap_socket(tcp, server_hostname="localhost") as tls:
                tls.sendall(asks)
                answer = b"".join(iter(lambda: tls.recv(4096), b""))
                return answer.split(b"\r\n\r\n")[-1].splitlines()[0]
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
