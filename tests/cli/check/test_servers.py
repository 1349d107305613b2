"""The lines that the page gives for each server, in that server itself: it sends the whole chain then."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from aia_store.check.asked import Target
from aia_store.check.connection import look
from aia_store.check.witness import seeing_context
from aia_store.cli.check.servers import Lines, lines_for
from aia_store.inside import settings as config
from tests.conftest import wait_until
from tests.support.pki import Authority, pem
from tests.support.servers import free_port

HOST = "localhost"


class Place(NamedTuple):
    """Where one server is to run."""

    folder: Path
    port: int
    lines: Lines  # those of the page, with the folders of the test


class Kind(NamedTuple):
    """How one kind of server is run with the lines."""

    program: str
    command: Callable[[Place], list[str]]
    starttls: str | None = None
    stop: str | None = None  # what its command says instead of its last word, to stop it; by default, a signal does


def _nginx(place: Place) -> list[str]:
    kept = "".join(
        f"{kind}_temp_path {place.folder};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    server = f"server {{\nlisten 127.0.0.1:{place.port} ssl;\n{place.lines.lines}\n}}"
    (place.folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {place.folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off;\n{kept}{server}\n}}\n"
    )
    return ["nginx", "-p", str(place.folder), "-c", "nginx.conf", "-e", "stderr"]


def _apache(place: Place) -> list[str]:
    modules = "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        for name in ("mpm_event", "authz_core", "ssl")
    )
    (place.folder / "apache.conf").write_text(
        f"{modules}ServerRoot {place.folder}\nDefaultRuntimeDir {place.folder}\nPidFile pid\nServerName {HOST}\n"
        f"ErrorLog /dev/stderr\nListen 127.0.0.1:{place.port}\n"
        f"<VirtualHost *:{place.port}>\nSSLEngine on\n{place.lines.lines}\n</VirtualHost>\n"
    )
    return ["apache2", "-X", "-f", str(place.folder / "apache.conf")]


def _haproxy(place: Place) -> list[str]:
    subprocess.run(["sh", "-ec", place.lines.first], check=True)
    assert (place.folder / "private" / f"{HOST}.pem").stat().st_mode & 0o077 == 0, "it holds the key"
    bind = place.lines.lines
    (place.folder / "haproxy.cfg").write_text(
        "defaults\nmode http\ntimeout client 5s\ntimeout server 5s\ntimeout connect 5s\n"
        f"frontend web\n{bind.replace(':443', f'127.0.0.1:{place.port}')}\n"
    )
    return ["haproxy", "-db", "-f", str(place.folder / "haproxy.cfg")]


def _caddy(place: Place) -> list[str]:
    (place.folder / "Caddyfile").write_text(
        f"{{\nadmin off\nauto_https disable_redirects\nstorage file_system {place.folder}\n}}\n"
        f"https://{HOST}:{place.port} {{\n{place.lines.lines}\n}}\n"
    )
    return ["caddy", "run", "--config", str(place.folder / "Caddyfile")]


def _postfix(place: Place) -> list[str]:
    if os.geteuid() != 0:
        pytest.skip("only root can start it")
    configuration = place.folder / "postfix"
    for folder in ("queue", "data", "postfix"):
        (place.folder / folder).mkdir()
    shutil.chown(place.folder / "data", "postfix")
    (configuration / "main.cf").write_text(
        f"compatibility_level = 3.6\nqueue_directory = {place.folder}/queue\ndata_directory = {place.folder}/data\n"
        "maillog_file = /dev/stdout\ninet_interfaces = loopback-only\nsmtpd_tls_security_level = may\n"
        "myhostname = mail.example.test\n"
    )
    (configuration / "master.cf").write_text(
        f"127.0.0.1:{place.port} inet n - n - - smtpd\n"
        "postlog unix-dgram n - n - 1 postlogd\n"
        "anvil unix - - n - 1 anvil\nrewrite unix - - n - - trivial-rewrite\ncleanup unix n - n - 0 cleanup\n"
        "tlsmgr unix - - n 1000? 1 tlsmgr\nproxymap unix - - n - - proxymap\n"
    )
    subprocess.run(["sh", "-ec", place.lines.lines], check=True, env={**os.environ, "MAIL_CONFIG": str(configuration)})
    return ["postfix", "-c", str(configuration), "start-fg"]


KINDS = {
    "nginx": Kind("nginx", _nginx),
    "Apache": Kind("apache2", _apache),
    "HAProxy": Kind("haproxy", _haproxy),
    "Caddy": Kind("caddy", _caddy),
    "Postfix": Kind("postfix", _postfix, "smtp", "stop"),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path that each server's own user may search."""
    with tempfile.TemporaryDirectory(prefix="servers-", ignore_cleanup_errors=True) as place:
        os.chmod(place, 0o755)
        yield Path(place)


@pytest.mark.parametrize("lines", [one for one in lines_for(HOST) if one.server in KINDS], ids=lambda one: one.server)
def test_the_server_sends_the_chain(folder: Path, lines: Lines) -> None:
    kind = KINDS[lines.server]
    if shutil.which(kind.program) is None:
        pytest.skip(f"{kind.program} is not here")
    port = free_port()
    upper = Authority.root().intermediate("Upper CA")
    lower = upper.intermediate("Lower CA")
    leaf = lower.leaf(HOST)
    (folder / "private").mkdir()
    chain, key = folder / f"{HOST}.pem", folder / "private" / f"{HOST}.key"
    chain.write_text(pem(leaf, lower, upper))
    key.write_text(leaf.key_pem)
    command = kind.command(Place(folder, port, _moved(lines, folder)))
    with (
        open(folder / "said", "w+") as said,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=folder) as server,
    ):
        try:
            wait_until(lambda: server.poll() is not None or _listens(port))
            assert server.poll() is None, (folder / "said").read_text()
            seen = look(Target(HOST, port, starttls=kind.starttls), seeing_context(), config.load())
        finally:
            if kind.stop is not None:
                subprocess.run([*command[:-1], kind.stop], stdout=said, stderr=said, check=False)
            server.terminate()
            server.wait(20)
    assert seen.certificates == [leaf.der, lower.der, upper.der]


def _moved(lines: Lines, folder: Path) -> Lines:
    """The lines with the folders of the test."""

    def moved(text: str) -> str:
        return text.replace("/etc/ssl", str(folder)).replace("/etc/haproxy", str(folder / "private"))

    return lines._replace(lines=moved(lines.lines), first=moved(lines.first))


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
