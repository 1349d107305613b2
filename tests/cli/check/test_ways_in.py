"""The ways to a host: each kind of key, each address, a proxy; and what was asked is said."""

from __future__ import annotations

import os
import shutil
import socket
import time
from pathlib import Path

import pytest

from aia_store.check.asked import Target
from aia_store.check.connection import look
from aia_store.check.witness import seeing_context
from aia_store.inside.settings import Settings
from tests.conftest import Hierarchy, MakeHierarchy
from tests.manager.machine import COMMAND, Machine
from tests.support.listener import Listener
from tests.support.openssl import OpenSSLServer
from tests.support.pki import Authority, der_of, pem_blocks
from tests.support.proxy import Proxy
from tests.support.servers import AIAHost, TLSServer, refusing_port

NAME = "www.example.test"


@pytest.fixture
def pki(machine: Machine, hierarchy: MakeHierarchy) -> Hierarchy:
    """One intermediate under the machine's trust anchor."""
    made = hierarchy()
    machine.trust(made.root)
    return made


@pytest.fixture
def both(pki: Hierarchy, aia: AIAHost) -> OpenSSLServer:
    """A server with two certificates; the chain of the one with an RSA key is incomplete."""
    rsa = pki.intermediates[0].leaf(key="rsa", aia=pki.urls(aia))
    return OpenSSLServer(pki.leaf, pki.intermediates, second=(rsa, ()))


def test_both_kinds_of_keys_are_asked_for(machine: Machine, pki: Hierarchy, both: OpenSSLServer) -> None:
    with both:
        host = f"localhost:{both.port}"
        shown = machine.says("check", host, status=1)
        answers = machine.json("check", host, status=1)
    assert {answer["key"]: answer["result"] for answer in answers} == {"ECDSA": "complete", "RSA": "incomplete"}
    assert shown.count(f"{host}  at 127.0.0.1, ") == 2
    assert "Complete: every client that trusts the root and gets this chain can connect." in shown
    assert "RSA key" in shown
    assert "ECDSA key" in shown


@pytest.mark.parametrize("first", ["ECDSA", "RSA"])
@pytest.mark.parametrize("version", ["-tls1_3", "-tls1_2"])
def test_both_kinds_are_asked_for_in_each_version(
    machine: Machine, pki: Hierarchy, aia: AIAHost, version: str, first: str
) -> None:
    """With TLS 1.3, no cipher suite says which kind the client wants; its signature algorithms do."""
    ca = pki.intermediates[0]
    kinds = {"ECDSA": ca.leaf(), "RSA": ca.leaf(key="rsa")}
    order = ("ECDSA+SHA256:RSA-PSS+SHA256" if first == "ECDSA" else "RSA-PSS+SHA256:ECDSA+SHA256",)
    options = [version, "-serverpref", "-sigalgs", *order]
    with OpenSSLServer(kinds["ECDSA"], [ca], options, second=(kinds["RSA"], ())) as server:
        host = f"localhost:{server.port}"
        answers = machine.json("check", host, status=1)
    assert {answer["key"]: answer["result"] for answer in answers} == {"ECDSA": "complete", "RSA": "broken"}
    assert {answer["connected_to"]["address"] for answer in answers} == {"127.0.0.1"}


def test_one_kind_of_key_with_tls_1_3_only(machine: Machine, pki: Hierarchy) -> None:
    for kind in ("ec", "rsa", "ed25519"):
        with TLSServer(pki.intermediates[0].leaf(key=kind), pki.intermediates, "1.3") as server:
            assert len(machine.json("check", f"localhost:{server.port}")) == 1


def test_the_worst_chain_decides_in_all_forms(machine: Machine, pki: Hierarchy, both: OpenSSLServer) -> None:
    page, metrics, chain = (machine.folder / name for name in ("page.html", "check.prom", "chain.pem"))
    with both, TLSServer(pki.leaf, pki.intermediates) as right:
        hosts = [f"localhost:{both.port}", f"localhost:{right.port}"]
        shown = machine.says("check", *hosts, "--html", page, "--prometheus", metrics, status=1)
        done = machine.run("check", hosts[0], "--fullchain", chain)
    assert "2 hosts: 1 complete, 1 incomplete." in shown
    assert f'{{host="localhost",port="{both.port}"}} 0\n' in metrics.read_text(encoding="utf-8")
    assert f"{hosts[0]} (RSA key)" in page.read_text(encoding="utf-8")
    assert "the leaf (RSA key) and 1 intermediate" in done.stderr
    assert pem_blocks(chain.read_text(encoding="ascii"))[1:] == [der_of(pki.intermediates[0])]


def with_hosts(machine: Machine, hosts: str, *arguments: object, status: int) -> str:
    """What the command prints where /etc/hosts has this line."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can have another /etc/hosts")
    file = machine.folder / "hosts"
    file.write_text(hosts, encoding="ascii")
    script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
    done = machine.execute("unshare", "--mount", "sh", "-c", script, "sh", file, *COMMAND, "check", *arguments)
    assert (done.returncode, done.stderr) == (status, ""), done
    return done.stdout


@pytest.mark.parametrize(("options", "status"), [([], 0), (["--all-addresses"], 1)])
def test_all_addresses(machine: Machine, root: Authority, options: list[str], status: int) -> None:
    ca = root.intermediate()
    leaf = ca.leaf(NAME)
    with (
        OpenSSLServer(leaf, [ca], at="127.0.0.1:0") as right,
        OpenSSLServer(leaf, (), at=f"127.0.0.2:{right.port}"),
    ):
        names = f"127.0.0.1 {NAME}\n127.0.0.2 {NAME}\n"
        shown = with_hosts(machine, names, f"{NAME}:{right.port}", *options, status=status)
    assert f"{NAME}:{right.port}  at 127.0.0.1" in shown
    assert ("at 127.0.0.2" in shown) is (status == 1)
    assert "Complete" in shown
    assert ("unable to verify the first certificate" in shown or "unable to get local issuer" in shown) is bool(status)


def test_an_address_that_does_not_answer(machine: Machine, root: Authority) -> None:
    page, metrics = machine.folder / "page.html", machine.folder / "check.prom"
    with OpenSSLServer(root.leaf(NAME)) as server:
        names = f"127.0.0.1 {NAME}\n127.0.0.2 {NAME}\n"
        there = f"{NAME}:{server.port}"
        forms = ["--html", page, "--prometheus", metrics]
        shown = with_hosts(machine, names, there, "--all-addresses", "--json", *forms, status=2)
    assert "cannot be reached" in shown
    assert '"result": "complete"' in shown
    assert f'check_complete{{host="{NAME}",port="{server.port}"}} 1\n' in metrics.read_text(encoding="utf-8")
    assert f'could_not_tell{{host="{NAME}",port="{server.port}"}} 1\n' in metrics.read_text(encoding="utf-8")


def test_the_port_that_was_named_is_kept(machine: Machine, root: Authority) -> None:
    with TLSServer(root.leaf(NAME)) as server:
        (found,) = machine.json("check", f"{NAME}:{server.port}", "--connect", "127.0.0.1")
    assert found["connected_to"] == {"host": "127.0.0.1", "port": server.port, "address": "127.0.0.1", "proxy": None}


def test_a_name_with_its_last_dot(machine: Machine, root: Authority) -> None:
    """DNS knows it, but TLS and certificates do not (RFC 6066, 3); curl, urllib3 and browsers drop it."""
    with TLSServer(root.leaf(NAME)) as server:
        (found,) = machine.json("check", f"{NAME}.", "--connect", f"127.0.0.1:{server.port}")
    assert (found["servername"], found["result"]) == (NAME, "complete")


def test_the_only_way_out_is_a_proxy(machine: Machine, root: Authority) -> None:
    with TLSServer(root.leaf(NAME)) as server, Proxy() as proxy:
        there, way = f"{NAME}:{server.port}", f"http://some%40body:secret@127.0.0.1:{proxy.port}"
        shown = machine.says("check", there, https_proxy=way)
        (found,) = machine.json("check", there, https_proxy=way)
        requests = list(proxy.requests)
        missed = machine.complains("check", there, status=2, https_proxy=way, no_proxy=NAME)
    assert {request.path for request in requests} == {there}
    assert requests[0].headers["proxy-authorization"] == "Basic c29tZUBib2R5OnNlY3JldA=="
    assert f"through the proxy 127.0.0.1:{proxy.port}" in shown
    assert "secret" not in shown
    assert found["connected_to"]["proxy"] == f"127.0.0.1:{proxy.port}"
    assert missed.startswith(f"{NAME} is not known")


def test_a_proxy_that_does_not_help(machine: Machine, root: Authority) -> None:
    port = refusing_port()
    line = machine.complains("check", NAME, status=2, https_proxy=f"http://a:secret@127.0.0.1:{port}")
    assert f"cannot be reached through the proxy 127.0.0.1:{port} (Connection refused)" in line
    with AIAHost() as no_proxy:  # which answers 404
        line = machine.complains("check", NAME, status=2, https_proxy=f"127.0.0.1:{no_proxy.port}")
    assert "404" in line
    line = machine.complains("check", NAME, status=2, https_proxy="http://proxy.example.test:3128")
    assert line.startswith("the proxy proxy.example.test:3128 is not known")


@pytest.mark.parametrize(
    ("head", "piece"),
    [(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"), (b"HTTP/1.1 200 OK\r\nA: ", b"b"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["header after header", "one endless header", "it will go on"],
)
def test_a_proxy_whose_answer_never_ends(head: bytes, piece: bytes) -> None:
    """Each piece comes in time, but all of them have one time limit."""
    settings = Settings()
    with Endless(head, piece) as proxy:
        settings.proxy = f"http://127.0.0.1:{proxy.port}"
        started = time.monotonic()
        with pytest.raises(OSError):
            look(Target(NAME, 443), seeing_context(), settings, seconds=1)
        assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 502 " + b"x" * 10_000 + b"\r\n\r\n", "(it answers 502 xxx"),
        (b"HTTP/1.1 407 \x1b[31mred\r\n\r\n", "(it answers 407 \N{REPLACEMENT CHARACTER}[31mred)"),
        (b"rubbish " * 8_000, "(no answer in HTTP: "),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 9_000 + b"\r\n", "(no answer in HTTP: "),
    ],
    ids=["a long reason", "a reason that colours", "rubbish", "many headers"],
)
def test_what_a_proxy_answers_is_said_in_one_short_line(
    machine: Machine, root: Authority, answer: bytes, said: str
) -> None:
    with Proxy(answer=answer) as proxy:
        line = machine.complains("check", NAME, status=2, https_proxy=f"http://a:secret@127.0.0.1:{proxy.port}")
    assert line.startswith(f"{NAME}:443 cannot be reached through the proxy 127.0.0.1:{proxy.port} {said}")
    assert line.endswith(")"), "whether the port is right is not the question"
    assert len(line) < 300


class Endless(Listener):
    """Answers whoever connects with a head, and then with one piece after another."""

    def __init__(self, head: bytes, piece: bytes) -> None:
        self._head, self._piece = head, piece
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        connection.sendall(self._head)
        while not self._closed.wait(0.05):
            connection.sendall(self._piece)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="only root can have no network")
@pytest.mark.parametrize("host", [NAME, "192.0.2.1"])
def test_without_a_network(machine: Machine, root: Authority, host: str) -> None:
    done = machine.execute("unshare", "--net", *COMMAND, "check", host)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("is there a network?\n")


def test_a_page_that_cannot_be_written_is_no_fault_of_the_host(machine: Machine, root: Authority) -> None:
    with TLSServer(root.leaf()) as server:
        for option in ("--html", "--prometheus", "--fullchain"):
            done = machine.run("check", f"localhost:{server.port}", option, Path("/dev/null/x"))
            assert (done.returncode, done.stderr.count("\n")) == (2, 1), done
            assert "/dev/null/x cannot be written" in done.stderr
