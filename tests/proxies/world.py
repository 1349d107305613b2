"""A machine whose only way out is a proxy, in a network namespace of its own; the hosts beyond are in the proxy's.

The hosts have a public address, so the default policy holds. The machine has a route to the proxy alone, and no name
server. The proxy knows more names than the machine does.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.manager.disks import need_namespaces
from tests.manager.machine import Machine
from tests.support.holder import started

PUBLIC, PROXY, CLIENT = "8.8.4.4", "10.9.0.1", "10.9.0.2"
PORT, SILENT = 3128, 3129
CREDENTIALS = "me:s3cret"

#: The names that the machine and the proxy know, and those that only the proxy knows.
KNOWN = f"""
127.0.0.1 localhost
127.0.0.1 loopback.example
{PROXY} inner.example proxy.example
{PUBLIC} both.example
{PROXY} both.example
"""
BEYOND = f"{PUBLIC} www.example ca.example reports.example\n"

_TINYPROXY = """
Port {port}
Listen {proxy}
Timeout 20
MaxClients 20
LogFile "{log}"
Allow 0.0.0.0/0
{authentication}
"""
_SQUID = """
http_port {proxy}:{port}
pid_filename none
cache deny all
access_log none
cache_log {log}
coredump_dir {folder}
hosts_file /etc/hosts
dns_nameservers 127.0.0.1
shutdown_lifetime 0 seconds
{authentication}
"""
_SQUID_PASSWORD = """
auth_param basic program {folder}/password
acl known proxy_auth REQUIRED
http_access allow known
"""
#: Reads a user and a password a line, and answers (squid's basic_auth helper).
_PASSWORD = '#!/bin/sh\nwhile read -r pair; do [ "$pair" = "{}" ] && echo OK || echo ERR; done\n'

PROGRAMS = {
    # Each with its line in the log once it listens.
    "tinyproxy": (["tinyproxy", "-d", "-c"], "Accepting connections"),
    "squid": (["squid", "-N", "-f"], "Accepting HTTP Socket connections"),
}

_NAMES = 'mount --bind "$1" /etc/hosts; mount --bind "$2" /etc/resolv.conf; ip link set lo up'
_OUTSIDE = f'set -e; {_NAMES}; ip addr add {PUBLIC}/32 dev lo; exec "$3" -m tests.proxies.outside "$4"'
_INSIDE = f"set -e; {_NAMES}; echo ready; read -r end || true"


class World:
    """Both namespaces, as long as the `with` lasts."""

    def __init__(self, folder: Path) -> None:
        need_namespaces("unshare", "--net", "--mount")
        for program in ("ip", "nsenter"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not here")
        self.folder = folder
        nothing = folder / "resolv.conf"
        nothing.write_text("# no name server\n")
        known, beyond = folder / "known", folder / "beyond"
        known.write_text(KNOWN)
        beyond.write_text(KNOWN + BEYOND)
        unshare = ["unshare", "--net", "--mount", "sh", "-c"]
        self._outside = started([*unshare, _OUTSIDE, "-", beyond, nothing, sys.executable, folder])
        self._inside = started([*unshare, _INSIDE, "-", known, nothing])
        link = f"ip link add out type veth peer name in netns {self._inside.pid}"
        subprocess.run([*self._entering(self._outside), *link.split()], check=True)
        for where, name, address in ((self._outside, "out", PROXY), (self._inside, "in", CLIENT)):
            for command in (f"ip addr add {address}/24 dev {name}", f"ip link set {name} up"):
                subprocess.run([*self._entering(where), *command.split()], check=True)

    def close(self) -> None:
        """End both."""
        for holder in (self._inside, self._outside):
            holder.communicate(timeout=20)

    @staticmethod
    def _entering(holder: subprocess.Popen[str]) -> list[str]:
        return ["nsenter", f"--net=/proc/{holder.pid}/ns/net", f"--mount=/proc/{holder.pid}/ns/mnt"]

    def machine(self, folder: Path) -> Machine:
        """A new machine behind the proxy; its variables name no proxy yet."""
        machine = BehindProxy(folder, self._entering(self._inside))
        machine.roots.write_text((self.folder / "root.pem").read_text())
        del machine.environment["AIA_STORE_ALLOWED_NETWORKS"]
        return machine

    def requests(self) -> list[tuple[str, str, list[str]]]:
        """What the hosts beyond were asked over http so far: host, path, and the names of the headers."""
        assert self._outside.stdin is not None
        assert self._outside.stdout is not None
        self._outside.stdin.write("\n")
        self._outside.stdin.flush()
        return [tuple(request) for request in json.loads(self._outside.stdout.readline())]

    def asked_of_proxy(self, url: str) -> str:
        """The status line with which the proxy answers whoever asks it for a URL."""
        ask = f"import socket; s = socket.create_connection(('{PROXY}', {PORT}), 20); "
        ask += f"s.sendall(b'GET {url} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n'); print(s.recv(99))"
        command = [*self._entering(self._inside), sys.executable, "-c", ask]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    @contextlib.contextmanager
    def silence(self) -> Iterator[None]:
        """Something at the proxy's address that accepts connections and never answers."""
        accept = f"import socket, sys; s = socket.create_server(('{PROXY}', {SILENT})); print('ready', flush=True); "
        holder = started([*self._entering(self._outside), sys.executable, "-c", accept + "sys.stdin.read()"])
        try:
            yield
        finally:
            holder.communicate(timeout=20)

    @contextlib.contextmanager
    def proxy(self, program: str, *, password: bool = False) -> Iterator[None]:
        """Run a real proxy between the two."""
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not here")
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            folder.chmod(0o777)  # squid runs as a user of its own
            with self._running(program, folder, password=password):
                yield

    @contextlib.contextmanager
    def _running(self, program: str, folder: Path, *, password: bool) -> Iterator[None]:
        command, ready = PROGRAMS[program]
        log, configuration = folder / "log", folder / "configuration"
        configuration.write_text(self._configuration(program, folder, log, password=password))
        with subprocess.Popen(
            [*self._entering(self._outside), *command, str(configuration)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                deadline = time.monotonic() + 20
                while not (log.exists() and ready in log.read_text()):
                    assert time.monotonic() < deadline, f"{program} does not start"
                    assert process.poll() is None, log.read_text() if log.exists() else program
                    time.sleep(0.02)
                yield
            finally:
                process.send_signal(signal.SIGKILL if program == "squid" else signal.SIGTERM)

    @staticmethod
    def _configuration(program: str, folder: Path, log: Path, *, password: bool) -> str:
        if program == "tinyproxy":
            authentication = f"BasicAuth {CREDENTIALS.replace(':', ' ')}" if password else ""
            return _TINYPROXY.format(port=PORT, proxy=PROXY, log=log, authentication=authentication)
        helper = folder / "password"
        helper.write_text(_PASSWORD.format(CREDENTIALS.replace(":", " ")))
        helper.chmod(0o755)
        authentication = _SQUID_PASSWORD.format(folder=folder) if password else "http_access allow all"
        return _SQUID.format(port=PORT, proxy=PROXY, log=log, folder=folder, authentication=authentication)


class BehindProxy(Machine):
    """A machine whose programs run in a namespace."""

    def __init__(self, folder: Path, entering: list[str]) -> None:
        super().__init__(folder)
        self._entering = entering

    def start(self, command: object, **variables: str | None) -> subprocess.Popen[str]:
        """Start any program in this environment; it reads nothing."""
        return super().start([*self._entering, *map(str, command)], **variables)  # type: ignore[call-overload]


def naming(place: str = f"{PROXY}:{PORT}", credentials: str = "") -> Mapping[str, str]:
    """The variables that name a proxy."""
    url = f"http://{credentials}@{place}" if credentials else f"http://{place}"
    return {"http_proxy": url, "https_proxy": url}
