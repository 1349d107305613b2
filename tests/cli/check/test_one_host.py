"""`check`: what a server sends, what is missing, and what its owner should do."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from aia_store.check.asked import Target
from aia_store.check.finding import Fault
from aia_store.check.host import probe
from aia_store.inside import settings as config
from aia_store.inside.certificate import Certificate
from aia_store.inside.rehearsal import flight
from tests.conftest import Hierarchy, MakeHierarchy, get, hooked, trusting
from tests.manager.machine import COMMAND, Machine
from tests.support.listener import Listener
from tests.support.pki import Authority, Leaf, Options, der_of, pem_blocks
from tests.support.servers import AIAHost, TLSServer, Version, refusing_port


@pytest.fixture
def pki(machine: Machine, hierarchy: MakeHierarchy) -> Hierarchy:
    """Two intermediates under the machine's trust anchor."""
    made = hierarchy({}, {})
    machine.trust(made.root)
    return made


def address(server: TLSServer) -> str:
    return f"localhost:{server.port}"


def test_a_complete_server(machine: Machine, pki: Hierarchy, aia: AIAHost) -> None:
    with TLSServer(pki.leaf, pki.intermediates) as server:
        shown = machine.says("check", address(server))
        found = machine.json("check", address(server))
    assert "Complete" in shown
    for name in ("localhost", "Test Intermediate 0", "Test Intermediate 1", "Test Root", str(machine.roots)):
        assert name in shown
    assert "NOT SENT" not in shown
    assert found[0]["complete"] is True
    assert found[0]["missing"] == []
    assert machine.kept() == set()
    assert aia.count() == 0


def test_a_server_that_sends_only_its_leaf(machine: Machine, pki: Hierarchy, aia: AIAHost) -> None:
    with TLSServer(pki.leaf) as server:
        shown = machine.says("check", address(server), status=1)
    assert "2 intermediates" in shown
    tree = [line for line in shown.splitlines() if "NOT SENT" in line]
    assert len(tree) == 2
    for line, level, url in zip(tree, range(2), pki.urls(aia), strict=True):
        assert f"Test Intermediate {level}" in line
        assert url in line
    assert "Test Root" in shown
    assert f"aia-store check {address(server)} --fullchain" in shown


def test_what_was_found_is_kept(machine: Machine, pki: Hierarchy, aia: AIAHost) -> None:
    with TLSServer(pki.leaf) as server:
        machine.says("check", address(server), status=1)
        assert machine.kept() == set(map(der_of, pki.intermediates))
        shown = machine.says("check", address(server), status=1, AIA_STORE_OFFLINE="1")
    assert shown.count("from the store") == 2
    assert aia.count() == 2


def test_one_of_two_is_missing(machine: Machine, pki: Hierarchy) -> None:
    with TLSServer(pki.leaf, pki.intermediates[:1]) as server:
        shown = machine.says("check", address(server), status=1)
    assert "1 intermediate must" in shown
    (line,) = [line for line in shown.splitlines() if "NOT SENT" in line]
    assert "Test Intermediate 1" in line


def test_the_lower_one_is_missing_and_the_upper_one_is_sent(machine: Machine, pki: Hierarchy) -> None:
    with TLSServer(pki.leaf, pki.intermediates[1:]) as server:
        shown = machine.says("check", address(server), status=1)
    assert "Incomplete: 1 intermediate " in shown
    (line,) = [line for line in shown.splitlines() if "NOT SENT" in line]
    assert "Test Intermediate 0" in line


def test_a_wrong_intermediate_is_pointed_out(machine: Machine, pki: Hierarchy) -> None:
    wrong = Authority.root("Somebody").intermediate("Wrong Intermediate")
    with TLSServer(pki.leaf, [wrong]) as server:
        shown = machine.says("check", address(server), status=1)
    assert "Incomplete: 2 intermediates" in shown
    assert "Wrong Intermediate  sent, but no part of the path" in shown


def test_a_root_that_is_sent_is_pointed_out(machine: Machine, pki: Hierarchy) -> None:
    with TLSServer(pki.leaf, [*pki.intermediates, Authority.root("Needless Root")]) as server:
        shown = machine.says("check", address(server))
    assert "Needless Root  sent, but no part of the path: a root" in shown


def test_an_expired_certificate_is_what_is_wrong(machine: Machine, pki: Hierarchy) -> None:
    with TLSServer(pki.intermediates[0].leaf(not_after=timedelta(days=-3)), pki.intermediates) as server:
        shown = machine.says("check", address(server), status=1)
    assert "expired" in shown
    assert "✓ localhost" not in shown, "a tick beside what is wrong"
    assert "No path to a trust anchor" not in shown
    assert "not found" not in shown
    assert "not needed" not in shown
    assert "Its owner should renew the certificate" in shown


@pytest.mark.parametrize("sent", [0, 2])
def test_a_wrong_name_is_what_is_wrong(machine: Machine, pki: Hierarchy, aia: AIAHost, sent: int) -> None:
    leaf = pki.intermediates[0].leaf("www.example.com", aia=pki.urls(aia)[:1])
    with TLSServer(leaf, pki.intermediates[:sent]) as server:
        shown = machine.says("check", address(server), status=1)
    verdict = shown[shown.index("Broken") :]
    assert "ostname" in verdict
    assert "localhost" in verdict
    assert ".." not in verdict
    # Two things are wrong with the one that sends nothing: its owner should learn of both.
    assert ("NOT SENT" in shown) is (sent == 0)
    assert ("--fullchain" in verdict) is (sent == 0)
    assert "should get a certificate that is valid for localhost" in verdict


def test_a_self_signed_certificate(machine: Machine, pki: Hierarchy) -> None:
    alone = Leaf._make("localhost", None, {"san": ["localhost"]})
    with TLSServer(alone) as server:
        shown = machine.says("check", address(server), status=1)
    assert "self-signed" in shown
    assert "localhost  not found" not in shown, "the issuer of a self-signed certificate is not missing"
    assert "Its owner should get a certificate from a CA" in shown


def test_an_unknown_root(machine: Machine, pki: Hierarchy) -> None:
    stranger = Authority.root("Strange Root")
    intermediate = stranger.intermediate("Strange Intermediate")
    with TLSServer(intermediate.leaf(), [intermediate, stranger]) as server:
        shown = machine.says("check", address(server), status=1)
        found = machine.json("check", address(server), status=1)[0]
    assert "No path to a trust anchor" in shown
    assert "It ends at Strange Root, a root that is not trusted here." in shown
    assert (found["complete"], found["path"]) == (False, [])
    assert len(found["sent"]) == 3


def test_no_aia(machine: Machine, pki: Hierarchy) -> None:
    with TLSServer(pki.intermediates[0].leaf()) as server:
        shown = machine.says("check", address(server), status=1)
    assert "Test Intermediate 0  not found" in shown
    assert "(AIA)" in shown


@pytest.mark.parametrize("offline", ["", "1"])
def test_dead_aia(machine: Machine, pki: Hierarchy, offline: str) -> None:
    url = f"http://127.0.0.1:{refusing_port()}/x.cer"
    with TLSServer(pki.intermediates[0].leaf(aia=[url])) as server:
        shown = [machine.says("check", address(server), status=1, AIA_STORE_OFFLINE=offline) for _ in range(2)]
    for text in shown:
        assert "No path to a trust anchor" in text
        assert ("AIA_STORE_OFFLINE" if offline else url) in text
    assert offline or "Connection refused" in shown[0]


def test_a_repaired_aia_host_is_tried_at_once(machine: Machine, pki: Hierarchy, aia: AIAHost) -> None:
    """Pauses do not count: a user who runs `check` has often just repaired something."""
    url = aia.url("/later.cer")
    with TLSServer(pki.intermediates[0].leaf(aia=[url]), pki.intermediates[1:]) as server:
        assert "404" in machine.says("check", address(server), status=1)
        aia.publish("/later.cer", pki.intermediates[0].der)
        assert "Incomplete: 1 intermediate" in machine.says("check", address(server), status=1)
        machine.learn(server.port)


def test_an_aia_extension_that_cannot_be_read(machine: Machine, pki: Hierarchy) -> None:
    with TLSServer(pki.intermediates[0].leaf(aia_raw=b"\x30\x05junk")) as server:
        shown = machine.says("check", address(server), status=1)
        found = machine.json("check", address(server), status=1)
    assert "Broken: unable to get local issuer certificate" in shown
    assert found[0]["complete"] is False


def test_several_hosts(machine: Machine, pki: Hierarchy) -> None:
    with TLSServer(pki.leaf, pki.intermediates) as right, TLSServer(pki.leaf) as wrong:
        shown = machine.says("check", address(right), address(wrong), status=1)
        found = machine.json("check", address(right), address(wrong), status=1)
        assert machine.run("check", address(right), address(right)).returncode == 0
    assert (
        shown.index(address(right)) < shown.index("Complete") < shown.index(address(wrong)) < shown.index("Incomplete")
    )
    assert [item["complete"] for item in found] == [True, False]


def test_what_the_first_host_taught_is_not_called_trusted_at_the_second(machine: Machine, pki: Hierarchy) -> None:
    with TLSServer(pki.leaf) as one, TLSServer(pki.leaf) as two:
        shown = machine.says("check", address(one), address(two), status=1)
        found = machine.json("check", address(one), address(two), status=1)
    assert shown.count("NOT SENT; fetched from") + shown.count("NOT SENT; from the store") == 4
    for host in found:
        assert [item["source"] for item in host["path"]].count("trusted here") == 1


def test_a_host_that_cannot_be_asked_does_not_silence_the_others(machine: Machine, pki: Hierarchy) -> None:
    with TLSServer(pki.leaf, pki.intermediates) as right:
        dead = f"localhost:{refusing_port()}"
        done = machine.run("check", dead, address(right))
        as_json = machine.run("check", "--json", dead, address(right))
    assert done.returncode == as_json.returncode == 2
    assert "Complete" in done.stdout
    assert dead in done.stderr
    assert done.stderr.count("\n") == 1
    failed, complete = json.loads(as_json.stdout)
    assert f"{failed['host']}:{failed['port']}" == dead
    assert dead in failed["error"]
    assert complete["complete"] is True


@pytest.mark.parametrize("sent", [[], [0], [1], [1, 0], [0, 1]], ids=str)
def test_the_full_chain_makes_a_server_right(machine: Machine, pki: Hierarchy, tmp_path: Path, sent: list[int]) -> None:
    file = tmp_path / "fullchain.pem"
    with TLSServer(pki.leaf, [pki.intermediates[level] for level in sent]) as server:
        done = machine.run("check", address(server), "--fullchain", file)
    assert f"wrote {file}" in done.stderr
    chain = pem_blocks(file.read_text())
    assert chain == [der_of(each) for each in (pki.leaf, *pki.intermediates)]
    with TLSServer(pki.leaf, chain[1:]) as server:
        assert get(server, trusting(pki.root)) == b"ok"


def test_a_full_chain_that_cannot_be_had_is_not_written(machine: Machine, pki: Hierarchy, tmp_path: Path) -> None:
    file = tmp_path / "fullchain.pem"
    file.write_text("what was there")
    with TLSServer(pki.intermediates[0].leaf()) as server:
        done = machine.run("check", address(server), "--fullchain", file)
    assert done.returncode == 1
    assert f"{file} was not written" in done.stderr
    assert file.read_text() == "what was there"


def test_a_full_chain_that_cannot_be_written(machine: Machine, pki: Hierarchy, tmp_path: Path) -> None:
    with TLSServer(pki.leaf) as server:
        done = machine.run("check", address(server), "--fullchain", tmp_path / "none" / "fullchain.pem")
    assert done.returncode == 1
    assert done.stderr.startswith("aia-store: ")
    assert "fullchain.pem cannot be written" in done.stderr


@pytest.mark.parametrize("option", ["--fullchain", "--html", "--prometheus"])
def test_a_full_disk_is_no_fault_of_the_host(machine: Machine, pki: Hierarchy, option: str) -> None:
    """Monitoring must not raise an alarm."""
    with TLSServer(pki.leaf, pki.intermediates) as server:
        done = machine.run("check", address(server), option, "/dev/full")
    full = "aia-store: /dev/full cannot be written (No space left on device)\n"
    assert (done.returncode, done.stderr) == (2, full)


@pytest.mark.parametrize(
    ("redirected", "status"), [(">/dev/full", 2), ("| true", 2), (">&-", 0), (">&- 2>&-", 0), ("localhost:1 2>&-", 2)]
)
def test_where_the_output_goes_is_no_fault_of_the_host(
    machine: Machine, pki: Hierarchy, redirected: str, status: int
) -> None:
    with TLSServer(pki.leaf, pki.intermediates) as server:
        line = f"set -o pipefail; {' '.join(COMMAND)} check {address(server)} {redirected}"
        assert machine.execute("bash", "-c", line).returncode == status


def test_a_full_chain_is_for_one_host(machine: Machine, pki: Hierarchy) -> None:
    assert "one host" in machine.complains("check", "a.invalid", "b.invalid", "--fullchain", "x", status=2)


class IPv6Server(TLSServer):
    """Listens on ::1."""

    def __init__(self, leaf: Leaf) -> None:
        super().__init__(leaf)
        self._six = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self.port = self._six.getsockname()[1]
        threading.Thread(target=self._serve_six, daemon=True).start()

    def _serve_six(self) -> None:
        while True:
            try:
                connection, _ = self._six.accept()
            except OSError:
                return
            threading.Thread(target=self._ignore_errors, args=(connection,), daemon=True).start()

    def _ignore_errors(self, connection: socket.socket) -> None:
        try:
            with connection:
                self.serve(connection)
        except OSError:
            pass

    def close(self) -> None:
        self._six.close()
        super().close()


@contextmanager
def on_ipv6(leaf: Leaf) -> Iterator[IPv6Server]:
    try:
        server = IPv6Server(leaf)
    except OSError as error:
        pytest.skip(f"no IPv6 here ({error})")
    with server:
        yield server


def test_an_ipv6_literal(machine: Machine, pki: Hierarchy, aia: AIAHost) -> None:
    named: Options = {"san": ["::1"], "aia": pki.urls(aia)[:1]}
    with on_ipv6(pki.intermediates[0].leaf(**named)) as server:
        shown = machine.says("check", f"[::1]:{server.port}", status=1)
        assert machine.json("check", f"[::1]:{server.port}", status=1)[0]["host"] == "::1"
    assert "Incomplete: 2 intermediates" in shown
    assert f"aia-store check '[::1]:{server.port}' --fullchain" in shown, "brackets mean something to a shell"


@pytest.mark.parametrize(
    "write", ["localhost:{}", "https://localhost:{}", "https://localhost:{}/a/path?q", "LOCALHOST:{}"]
)
def test_spellings_of_a_host(machine: Machine, pki: Hierarchy, write: str) -> None:
    with TLSServer(pki.leaf, pki.intermediates) as server:
        assert "Complete" in machine.says("check", write.format(server.port))


class HandMadeServer(Listener):
    """A TLS 1.2 server that sends these bytes as its certificates, has no key, and then stops."""

    def __init__(self, certificates: list[bytes]) -> None:
        self._certificates = certificates
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        """Send it to one client."""
        connection.recv(65_536)
        connection.sendall(flight(self._certificates))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)


def test_a_certificate_that_cannot_be_read(machine: Machine, pki: Hierarchy) -> None:
    lame = pki.leaf.der[:-9]
    for certificates in ([b"rubbish"], [lame], [b""], []):
        with HandMadeServer(certificates) as server:
            line = machine.complains("check", f"localhost:{server.port}", status=2)
        assert f"localhost:{server.port} " in line
        assert "certificate" in line or "TLS" in line


def test_more_certificates_than_openssl_takes(machine: Machine, pki: Hierarchy) -> None:
    """OpenSSL's limit is 100 KiB, whoever uses it; the port is not the problem."""
    with TLSServer(pki.leaf, [pki.intermediates[0]] * 300) as server:
        line = machine.complains("check", f"localhost:{server.port}", status=2)
    assert line == (
        f"localhost:{server.port} sends more than OpenSSL takes (excessive message size): "
        "it should send its certificate and the intermediates, and nothing else"
    )


def test_rubbish_behind_a_good_leaf_is_told_apart(machine: Machine, pki: Hierarchy) -> None:
    chain = [pki.leaf.der, *(each.der for each in pki.intermediates)]
    with HandMadeServer(chain) as right, HandMadeServer([*chain, b"rubbish"]) as wrong:
        found = machine.json("check", f"localhost:{right.port}", f"localhost:{wrong.port}", status=1)
    assert [answer["faults"] for answer in found] == [["handshake"], ["handshake", "obstructed"]]
    assert "cannot read" in found[1]["refusal"]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_server_that_asks_for_a_client_s_certificate(machine: Machine, pki: Hierarchy, version: Version) -> None:
    """It ends the handshake, but has sent its own certificate before."""
    client_ca = Authority.root("Client Root")
    with (
        TLSServer(pki.leaf, pki.intermediates, version, client_ca=client_ca) as right,
        TLSServer(pki.leaf, [], version, client_ca=client_ca) as wrong,
    ):
        found = machine.json("check", address(right), address(wrong), status=1)
    assert [answer["result"] for answer in found] == ["complete", "incomplete"]


def test_the_hook_does_not_complete_what_check_examines(
    machine: Machine, pki: Hierarchy, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.enter(monkeypatch)
    with TLSServer(pki.leaf) as server, hooked():
        for _ in range(2):
            (finding,) = probe(Target("localhost", server.port), config.load(), [Certificate(pki.root.der)])
            assert finding.faults == [Fault.INCOMPLETE]


def test_what_is_no_regular_file_is_written_as_it_is(machine: Machine, pki: Hierarchy) -> None:
    with TLSServer(pki.leaf, pki.intermediates) as server:
        done = machine.run("check", "-q", address(server), "--fullchain", "/dev/stdout")
    assert pem_blocks(done.stdout) == [der_of(each) for each in (pki.leaf, *pki.intermediates)]


def test_a_client_that_is_stricter_than_the_rest_is_named(machine: Machine, pki: Hierarchy) -> None:
    """From 3.13 on, Python's default context requires key identifiers (VERIFY_X509_STRICT)."""
    leaf = pki.intermediates[0].leaf(authority_key_id=False)
    with TLSServer(leaf, pki.intermediates) as server:
        shown = machine.says("check", address(server))
    assert "Complete, but not for every client" in shown
    assert "It fails in Python from 3.13 with the hook, Python from 3.13: Missing Authority Key Identifier." in shown


def test_as_far_as_the_chain_leads_is_drawn(machine: Machine, pki: Hierarchy) -> None:
    """Without a path, the issuer of the last certificate is missing, not that of the first."""
    upper = Authority.root("Strange Root").intermediate("Strange Upper CA")
    lower = upper.intermediate("Strange Lower CA")
    with TLSServer(lower.leaf(), [lower, upper]) as server:
        shown = machine.says("check", address(server), status=1)
    assert "✓ Strange Lower CA  sent" in shown
    assert "✓ Strange Upper CA  sent" in shown
    assert "✗ Strange Root  not found" in shown
    assert "Strange Upper CA names no readable URL for its issuer (AIA)" in shown


@pytest.mark.parametrize(
    ("urls", "why"),
    [
        (["https://ca.example/ca.cer"], "https://ca.example/ca.cer was not fetched: only plain http is fetched."),
        (["http://ca.example:22/ca.cer"], "http://ca.example:22/ca.cer was not fetched: port 22 is not allowed."),
        (
            [f"http://ca.example/{number}.cer" for number in range(12)],
            "12 URLs are named for its issuer, which is too many: none was fetched.",
        ),
    ],
    ids=["https", "port 22", "many"],
)
def test_a_url_that_is_not_fetched_is_said(machine: Machine, pki: Hierarchy, urls: list[str], why: str) -> None:
    with TLSServer(Authority.root().intermediate("Lost CA").leaf(aia=urls)) as server:
        shown = machine.says("check", address(server), status=1)
    assert why in shown.splitlines()


def test_a_reply_that_is_another_certificate_is_said(machine: Machine, pki: Hierarchy, aia: AIAHost) -> None:
    url = aia.publish("/other.cer", Authority.root("Another CA").der)
    with TLSServer(Authority.root().intermediate("Lost CA").leaf(aia=[url])) as server:
        shown = machine.says("check", address(server), status=1)
    assert f"What {url} returned is not the issuer." in shown.splitlines()


def deep(root: Authority, aia: AIAHost, count: int) -> tuple[Leaf, list[Authority]]:
    """A leaf below this many intermediates, each published, and these, from the leaf upwards."""
    above, urls = [root], [aia.publish("/root.cer", root.der)]
    for number in range(count):
        above.append(above[-1].intermediate(f"Deep {number}", aia=urls))
        urls = [aia.publish(f"/{number}.cer", above[-1].der)]
    return above[-1].leaf(aia=urls), above[:0:-1]


def test_a_check_fetches_no_more_than_a_few(machine: Machine, aia: AIAHost) -> None:
    root = Authority.root()
    machine.trust(root)
    leaf, _ = deep(root, aia, 5)
    with TLSServer(leaf) as server:
        shown = machine.says("check", address(server), status=1)
    assert "✗ Deep 1  not found" in shown
    assert f"{aia.url('/1.cer')} was not fetched, because this check has fetched enough." in shown.splitlines()


def test_a_path_that_is_longer_than_the_hook_follows(machine: Machine, aia: AIAHost) -> None:
    """OpenSSL accepts a hundred intermediates, and nothing else is said of them than of a few."""
    root = Authority.root()
    machine.trust(root)
    leaf, intermediates = deep(root, aia, 14)
    with TLSServer(leaf, intermediates) as server:
        shown = machine.says("check", address(server))
    assert shown.count("  sent, until") == 15
    assert "no part of the path" not in shown
    assert "not found" not in shown
    with TLSServer(leaf, intermediates[1:]) as server:
        views = {view["client"]: view for view in machine.json("check", address(server), status=1)[0]["views"]}
    assert not views["Python to 3.12 with the hook"]["works"]
    assert views["Python to 3.12 with the hook"]["why"] == "the path has more than 10 intermediates"
    assert views["Chrome, Edge"]["works"]


def test_a_certificate_that_demands_a_stapled_response(machine: Machine, pki: Hierarchy) -> None:
    """Nobody asks for one here, and GnuTLS would refuse a server that sends none."""
    features = x509.TLSFeature([x509.TLSFeatureType.status_request])
    with TLSServer(pki.intermediates[0].leaf(extensions=[(features, False)]), pki.intermediates) as server:
        shown = machine.says("check", address(server), "--html", machine.folder / "page.html")
    assert "can connect, if the server sends an OCSP response, as its certificate demands." in shown
    assert "The certificate demands that the server sends (staples) an OCSP response, which was not checked" in shown
    page = (machine.folder / "page.html").read_text(encoding="utf-8")
    assert "every client that trusts the root can connect, if the server sends an OCSP response" in page
