"""A web server as a shelf: it may answer anything, and leads a machine nowhere else."""

from __future__ import annotations

import base64
import socket

import pytest

from aia_store.inside import settings as config
from aia_store.manager.share.opening import open_shelf
from aia_store.manager.share.shelf import AbsentError, DeniedError, Found, ShelfError
from tests.manager.share.conftest import Join
from tests.manager.share.engines import Engine, WebServer
from tests.manager.share.test_bad_input import publish
from tests.support.listener import Listener
from tests.support.pki import Authority
from tests.support.servers import TLSServer


class Answering(Listener):
    """Answers each request with the same bytes, and keeps what it was asked."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self.asked = b""
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        self.asked += connection.recv(65_536)
        connection.sendall(self._reply)


def get(server: Listener, monkeypatch: pytest.MonkeyPatch, user: str = "", mark: str = "") -> Found | None:
    """The manifest on the shelf that this server is."""
    monkeypatch.setenv("AIA_STORE_SHARE", f"http://{user}127.0.0.1:{server.port}/shelf/")
    return open_shelf(config.load()).get("out/manifest", 1_000, mark)


@pytest.mark.parametrize("scheme", ["http://127.0.0.1:{port}/admin", "https://127.0.0.1:{port}/", "file:///etc/passwd"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(scheme: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with Answering(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret") as inner:
        location = scheme.format(port=inner.port)
        reply = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        with Answering(reply.encode()) as outer, pytest.raises(ShelfError, match="is not followed"):
            get(outer, monkeypatch)
        assert inner.connections == 0


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"HTTP/1.1 404 No\r\n\r\n", AbsentError),
        (b"HTTP/1.1 403 No\r\n\r\n", DeniedError),
        (b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\n\r\n", DeniedError),
        (b"HTTP/1.1 500 \x1b[31mNo\r\n\r\n", ShelfError),
        (b"HTTP/1.1 206 Part\r\nContent-Length: 9\r\n\r\nabc", ShelfError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + bytes(1001), ShelfError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n" + bytes(2001), ShelfError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ShelfError),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000 + b"\r\n", ShelfError),
        (b"SSH-2.0-server\r\n", ShelfError),
        (b"", ShelfError),
    ],
)
def test_what_is_no_file_is_one_line(reply: bytes, kind: type[ShelfError], monkeypatch: pytest.MonkeyPatch) -> None:
    with Answering(reply) as server, pytest.raises(kind) as raised:
        get(server, monkeypatch)
    assert str(raised.value).isprintable()
    assert f"http://127.0.0.1:{server.port}/shelf/out/manifest" in str(raised.value)


def test_a_file_may_come_in_chunks_and_has_a_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    chunked = b'HTTP/1.1 200 OK\r\nETag: "one"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
    with Answering(chunked) as server:
        assert get(server, monkeypatch) == Found(b"abc", '"one"')
    with Answering(b"HTTP/1.1 304 Not Modified\r\n\r\n") as server:
        assert get(server, monkeypatch, mark='"one"') is None
        assert b'If-None-Match: "one"\r\n' in server.asked


def test_a_user_and_a_password_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with Answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as server:
        get(server, monkeypatch, user="user:a%20secret@")
        assert b"Authorization: Basic " + base64.b64encode(b"user:a secret") in server.asked
        assert b"Host: 127.0.0.1:" in server.asked


def test_https_is_verified_with_the_machines_own_anchors(
    join: Join, shelf: Engine, public: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = join("machine", shelf)
    with TLSServer(public.leaf()) as good, TLSServer(Authority.root("Stranger").leaf()) as bad:
        for server, says in ((good, "it is no manifest"), (bad, "certificate verify failed")):
            machine.environment["AIA_STORE_SHARE"] = f"https://localhost:{server.port}/shelf"
            assert says in machine.run("share", "pull").stderr


def test_nothing_that_a_shelf_says_controls_a_terminal(join: Join, public: Authority, shelf: Engine) -> None:
    machine = join("machine", shelf)
    machine.build()
    reply = b"HTTP/1.1 302 No\r\nLocation: http://\x1b]0;title\x07\x9b31m\r\nContent-Length: 0\r\n\r\n"
    with Answering(reply) as server:
        url = f"http://127.0.0.1:{server.port}"
        said = "".join(
            done.stdout + done.stderr
            for done in (
                machine.run(*command, AIA_STORE_SHARE=url) for command in (["refresh"], ["share", "status"], ["status"])
            )
        )
    assert "is not followed" in said
    assert not {character for character in said if not character.isprintable()} - {"\n"}


def test_a_plain_server_needs_no_extra(join: Join, public: Authority, tmp_path_factory: pytest.TempPathFactory) -> None:
    with WebServer(tmp_path_factory.mktemp("engine") / "web") as server:
        publish(server, public.intermediate())
        machine = join("machine", server, reads=True)
        (machine.folder.parent / "site" / "obstore.py").write_text("raise ImportError")
        assert machine.json("share", "pull")["taken"] == 1
