"""A machine for one page, where the hosts of its examples exist, and send only their leaf.

It is this machine, under overlays and in a network of its own, with nothing in it but loopback: whatever a block does
is visible to the page alone. The names that RFC 2606 reserves (example.org, mail.example …) lead there, as /etc/hosts
says. Its only trust anchor is a root of ours, in the system's place and in certifi's.

    python -m tests.docs.world NAME…

is what runs there: it makes the certificates for these names, has the machine trust them, serves, and prints a line
when it is ready. It ends with its standard input.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
import pytest

from tests.docs.blocks import PROJECT
from tests.docs.reader import Machine
from tests.manager.overlay import Overlay
from tests.support.holder import started
from tests.support.pki import Authority
from tests.support.servers import AIAHost, SMTPServer, TLSServer

RESERVED = re.compile(r"\b(?:[a-z0-9-]+\.)*example(?:\.(?:com|net|org))?\b")
HTTPS, SMTP, AIA = (443, 8443), (25, 587), 80

if TYPE_CHECKING:
    from typing import Self  # Python 3.11

_NEEDED = ("unshare", "nsenter", "mount", "openssl")
_SHARED = ("dev", "proc", "run", "sys", "tmp", "mnt", "media", "lost+found")  # that a machine of its own shares with us
#: Continues in the project's folder inside the machine; `nsenter --wd` would keep the one outside open.
_IN_THE_PROJECT = ("sh", "-c", 'cd "$0" && exec "$@"', str(PROJECT))
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1  # linux/sockios.h, linux/if.h


class World(Machine):
    """The machine, which exists within the `with`. Skips the test if it cannot be made."""

    def __init__(self, folder: Path, text: str) -> None:
        """With the reserved names of this text."""
        missing = [program for program in _NEEDED if shutil.which(program) is None]
        if missing or not sys.platform.startswith("linux") or os.geteuid() != 0:
            pytest.skip(f"a machine of its own needs Linux, root and {', '.join(missing or _NEEDED)}")
        self._names = sorted({name for name in RESERVED.findall(text) if "." in name})
        home = folder / "home"
        home.mkdir()
        self._environment = {
            "PATH": f"{sys.prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(home),
            "SHELL": "/bin/sh",
            "LC_ALL": "C.UTF-8",
            "AIA_STORE_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        try:
            self._overlay = Overlay(folder / "overlay", *_changeable())
        except OSError as error:
            pytest.skip(f"no overlays can be laid over this machine: {error}")

    def start(self, *command: object) -> subprocess.Popen[str]:
        inside = ["nsenter", f"--target={self._servers.pid}", "--mount", "--net", *_IN_THE_PROJECT]
        return subprocess.Popen(
            [*inside, *map(str, command)],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        command = ["unshare", "--net", *_IN_THE_PROJECT, sys.executable, "-m", "tests.docs.world", *self._names]
        try:
            self._servers = started(self._overlay.enter(*command))
        except OSError as error:
            self._overlay.close()
            pytest.fail(f"the servers did not start: {error}")
        return self

    def __exit__(self, *_: object) -> None:
        self._servers.communicate(timeout=self.seconds)
        self._overlay.close()


def _changeable() -> list[Path]:
    """The folders that a block may change: all of the machine's, and ours if they are on another disk."""
    ours = [Path(name).resolve() for name in dict.fromkeys([sys.prefix, sys.base_prefix, str(PROJECT)])]
    apart = {Path("/", name) for name in _SHARED}
    apart |= {_top(path) for path in ours if path.stat().st_dev != _top(path).stat().st_dev}  # an overlay would hide it
    machine = [path for path in Path("/").iterdir() if path.is_dir() and not path.is_symlink()]
    return [path for path in machine if path not in apart] + [path for path in ours if _top(path) in apart]


def _top(path: Path) -> Path:
    return Path(*path.parts[:2])


def main(names: list[str]) -> None:
    """Be the servers of these names."""
    if not os.path.ismount("/etc"):
        sys.exit("this changes what the machine trusts; only `World` runs it, where it is a machine of its own")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))
    root = Authority.root("Root of the Examples")
    intermediate = root.intermediate("Intermediate of the Examples")
    leaf = intermediate.leaf(san=["localhost", "127.0.0.1", *names], aia=["http://127.0.0.1/intermediate.cer"])
    Path("/etc/hosts").write_text(f"127.0.0.1 {' '.join(['localhost', *names])}\n", encoding="ascii")
    _trust(root)
    with contextlib.ExitStack() as stack:
        stack.enter_context(AIAHost(AIA)).publish("/intermediate.cer", intermediate.der)
        for port in HTTPS:
            stack.enter_context(TLSServer(leaf, port=port))
        for port in SMTP:
            stack.enter_context(SMTPServer(leaf, port=port))
        print("ready", flush=True)
        sys.stdin.read()


def _trust(root: Authority) -> None:
    """Make this the only trust anchor of the machine."""
    folder = Path("/etc/ssl/certs")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "root.pem").write_text(root.pem, encoding="ascii")
    subprocess.run(["openssl", "rehash", folder], check=True)
    for file in (folder / "ca-certificates.crt", Path(certifi.where())):
        file.write_text(root.pem, encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1:])
