"""The note that explains why a chain was refused (PEP 678)."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import re
import socket
import ssl
import time
import traceback
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

import aia_store
from aia_store.inside import explain, patch
from aia_store.inside.certificate import Certificate
from aia_store.inside.revoked import digests
from aia_store.inside.store import REVOKED
from tests.conftest import (
    ATTACH,
    CONNECT,
    FLAGS,
    PARTIAL_CHAIN,
    MakeHierarchy,
    get,
    hashed_directory,
    run_python,
    trusting,
    write_pem,
)
from tests.support.dead import refusing_port
from tests.support.mutual import MutualServer, call, client_context
from tests.support.pki import Authority, Leaf, crl
from tests.support.refusals import IF_GENUINE, KINDS, ONLY_LEAF, OTHER_PATH, OWNER_REPLACES, OWNER_SENDS
from tests.support.servers import AIAHost, TLSServer
from tests.support.tls import TLSListener
from tests.support.trusted import crl_pem

pytestmark = pytest.mark.skipif(not hasattr(BaseException, "add_note"), reason="from Python 3.11 on")

STRICT = 0x20  # X509_V_FLAG_X509_STRICT
NO_URL = "It could not be fetched: no URL is named for it (no AIA)."


def error_of(server: TLSListener, context: ssl.SSLContext, host: str = "localhost") -> ssl.SSLCertVerificationError:
    """How a connection fails."""
    with pytest.raises(ssl.SSLCertVerificationError) as raised:
        get(server, context, host)
    return raised.value


def notes(error: BaseException) -> list[str]:
    """The notes on an error."""
    found: list[str] = getattr(error, "__notes__", [])
    return found


def note_of(server: TLSListener, context: ssl.SSLContext, host: str = "localhost") -> list[str]:
    """The lines of the one note with which a connection fails."""
    (note,) = notes(error_of(server, context, host))
    assert note.startswith("aia-store: ")
    return note.removeprefix("aia-store: ").split("\n")


@pytest.fixture
def leaf_only(hook: None) -> Iterator[tuple[TLSServer, Authority]]:
    """A server whose leaf names no URL, and its root."""
    root = Authority.root()
    with TLSServer(root.intermediate().leaf()) as server:
        yield server, root


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_refusal(kind: str, aia: AIAHost, hook: None, monkeypatch: pytest.MonkeyPatch) -> None:
    case = KINDS[kind](aia)
    for name, value in case.env.items():
        monkeypatch.setenv(name, value)
    with TLSServer(case.leaf, case.sends) as server:
        error = error_of(server, trusting(*case.trusts))
    (note,) = notes(error)
    assert case.is_explained_by(note), note
    assert note.isascii()
    assert all(line.isprintable() for line in note.split("\n"))
    assert len(note) < 1000


def test_a_host_that_was_not_asked_again(hook: None) -> None:
    root = Authority.root()
    url = f"http://127.0.0.1:{refusing_port()}/issuer.cer"
    issuer = root.intermediate()
    for leaf in (issuer.leaf(aia=[url]), issuer.leaf(aia=[url])):
        before = time.time()
        with TLSServer(leaf) as server:
            what, why, _ = note_of(server, trusting(root))
    assert what == ONLY_LEAF
    found = re.fullmatch(
        re.escape(f"It could not be fetched from {url} (it failed a short while ago; asked again after ")
        + r"(\d\d:\d\d)\)\.",
        why,
    )
    assert found is not None, why
    expected = {time.strftime("%H:%M", time.localtime(before + seconds)) for seconds in (60, 120)}
    assert found[1] in expected


DEAD_PROXY = r"the proxy 127\.0\.0\.1:\d+ cannot be reached \(Connection refused\); asked again after \d\d:\d\d"


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"http_proxy": "http://me:secret@127.0.0.1:{port}"}, DEAD_PROXY),
        ({"AIA_STORE_PROXY": "http://me:secret@127.0.0.1:{port}"}, DEAD_PROXY),
        ({"ALL_PROXY": "socks5://me:secret@127.0.0.1"}, "ALL_PROXY names a SOCKS proxy; .*AIA_STORE_PROXY.*"),
        ({"https_proxy": "http://me:secret@127.0.0.1"}, ".*; https_proxy is not used, as it is not for http; .*"),
        ({"HTTP_PROXY": "x", "REQUEST_METHOD": "GET"}, ".*; HTTP_PROXY is not used, as in CGI .*"),
        ({"http_proxy": "x", "AIA_STORE_PROXY": "none"}, ".*; http_proxy is not used, as AIA_STORE_PROXY is none.*"),
    ],
)
def test_a_proxy_in_the_way(
    hook: None, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], reason: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(port=refusing_port()))
    root = Authority.root()
    url = f"http://127.0.0.1:{refusing_port()}/issuer.cer"
    with TLSServer(root.intermediate().leaf(aia=[url])) as server:
        _, why, _ = note_of(server, trusting(root))
    assert re.fullmatch(rf"It could not be fetched from {url} \({reason}\)\.", why), why
    assert "secret" not in why


def test_the_second_handshake_of_a_context_says_what_the_first_found(aia: AIAHost, hook: None) -> None:
    case = KINDS["status 404"](aia)
    context = trusting(*case.trusts)
    with TLSServer(case.leaf) as server:
        assert note_of(server, context) == note_of(server, context)
    assert aia.count() == 1


def test_a_reply_that_was_useless_lately(aia: AIAHost, hook: None) -> None:
    case = KINDS["another ca behind the url"](aia)
    with TLSServer(case.leaf) as server:
        note_of(server, trusting(*case.trusts))
        _, why, _ = note_of(server, trusting(*case.trusts))
    assert re.fullmatch(
        r"What http://\S+ returned a short while ago led to no trust anchor; asked again after \d\d:\d\d\.", why
    ), why


def test_no_time_under_an_event_loop(aia: AIAHost, hook: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIA_STORE_ASYNC_BUDGET", "0")
    case = KINDS["status 404"](aia)

    async def connect(port: int) -> None:
        await asyncio.open_connection("localhost", port, ssl=trusting(*case.trusts))

    with TLSServer(case.leaf) as server, pytest.raises(ssl.SSLCertVerificationError) as raised:
        asyncio.run(connect(server.port))
    (note,) = notes(raised.value)
    assert note.split("\n")[1] == "It was not fetched, because AIA_STORE_ASYNC_BUDGET leaves no time for that."
    assert aia.connections == 0


def test_a_revoked_intermediate(hierarchy: MakeHierarchy, hook: None, store: Path) -> None:
    pki = hierarchy()
    revoked = digests(Certificate(pki.intermediates[0].der), Certificate(pki.root.der))
    store.mkdir(mode=0o700)
    (store / REVOKED).write_bytes(b"".join(sorted(revoked)))
    with TLSServer(pki.leaf) as server:
        lines = note_of(server, trusting(pki.root))
    assert lines == [
        'The chain needs the intermediate "Test Intermediate 0", which is known to be revoked.',
        "The server's owner needs a certificate from another one.",
    ]


def test_a_wrong_key_behind_the_url(aia: AIAHost, hook: None) -> None:
    root = Authority.root()
    impostor = root.intermediate(subject_key_id=False)
    leaf = root.intermediate(subject_key_id=False).leaf(
        authority_key_id=False, aia=[aia.publish("/impostor.cer", impostor.der)]
    )
    with TLSServer(leaf) as server:
        lines = note_of(server, trusting(root, flags=int(ssl.VERIFY_X509_TRUSTED_FIRST)))
    assert lines == [
        "A path to a trust anchor was found, but OpenSSL refuses it: certificate signature failure.",
        OTHER_PATH,
    ]


def test_what_only_a_strict_client_refuses(hook: None) -> None:
    root = Authority.root()
    context = trusting(root, flags=FLAGS["flags of 3.13"])
    with TLSServer(root.leaf(authority_key_id=False)) as server:
        lines = note_of(server, context)
    assert lines == [
        "OpenSSL refuses the chain: Missing Authority Key Identifier.",
        "From 3.13 on, Python refuses what RFC 5280 forbids (VERIFY_X509_STRICT); the CA has to reissue it.",
    ]


def test_revocation_lists(hook: None, tmp_path: Path) -> None:
    root = Authority.root()
    leaf = root.leaf()
    context = trusting(root)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    with TLSServer(leaf) as server:
        assert note_of(server, context) == [
            "The program checks revocation lists (CRLs) and has none for this chain.",
            "The program has to load a current list of every CA that it checks.",
        ]
        (tmp_path / "crl.pem").write_text(crl_pem(crl(root, [leaf])))
        context.load_verify_locations(tmp_path / "crl.pem")
        assert note_of(server, context) == [
            "A revocation list (CRL) that the program has loaded says that a certificate of the chain is revoked.",
            OWNER_REPLACES,
        ]


def test_a_connection_that_is_left_alone_for_its_flags(hook: None) -> None:
    root = Authority.root()
    context = trusting(root, flags=PARTIAL_CHAIN)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    with TLSServer(root.intermediate().leaf()) as server:
        _, why, _ = note_of(server, context)
    assert why == "aia-store left this connection alone, because the program checks revocation lists."


def test_a_connection_that_is_left_alone_for_a_certificate_loaded_late(
    leaf_only: tuple[TLSServer, Authority], tmp_path: Path
) -> None:
    server, root = leaf_only
    context = trusting(root)
    client = root.leaf("client")
    (tmp_path / "client.pem").write_text(client.key_pem + client.pem)
    with socket.create_connection(("127.0.0.1", server.port), 30) as tcp:
        tls = context.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False)
        context.load_cert_chain(tmp_path / "client.pem")
        with tls, pytest.raises(ssl.SSLCertVerificationError) as raised:
            tls.do_handshake()
    (note,) = notes(raised.value)
    reason = "a certificate was loaded into its context after it was made"
    assert note.split("\n")[1] == f"aia-store left this connection alone: {reason}."


def test_broken_settings(leaf_only: tuple[TLSServer, Authority], monkeypatch: pytest.MonkeyPatch) -> None:
    server, root = leaf_only
    monkeypatch.setenv("AIA_STORE_OFFLINE", "perhaps")
    _, why, _ = note_of(server, trusting(root))
    reason = "AIA_STORE_OFFLINE must be true or false, not 'perhaps'"
    assert why == f"aia-store left this connection alone: {reason}."
    monkeypatch.setenv("AIA_STORE_EXPLAIN", "0")
    assert notes(error_of(server, trusting(root))) == []


def test_a_store_that_cannot_be_used_is_no_matter(
    leaf_only: tuple[TLSServer, Authority], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, root = leaf_only
    monkeypatch.setenv("AIA_STORE_DIR", os.devnull)
    what, why, _ = note_of(server, trusting(root))
    assert (what, why) == (ONLY_LEAF, NO_URL)


@pytest.mark.parametrize(
    ("host", "names", "checks_name"),
    [
        ("localhost", ["elsewhere.example"], False),
        ("bücher.localhost", ["xn--bcher-kva.localhost"], True),
        ("a.localhost", ["*.localhost"], True),
    ],
)
def test_only_a_name_that_matters_is_said_besides(hook: None, host: str, names: list[str], checks_name: bool) -> None:
    context = trusting(Authority.root("Another Root"))
    context.check_hostname = checks_name
    with TLSServer(Authority.root().leaf(san=names)) as server:
        what, *_ = note_of(server, context, host)
    assert "Besides" not in what


def test_the_machines_trust_anchors(hook: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = hashed_directory(tmp_path / "certs", Authority.root("Another Root"))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    monkeypatch.setenv("SSL_CERT_FILE", str(write_pem(tmp_path / "roots.pem", Authority.root("Another Root"))))
    root = Authority.root("Company Root")
    with TLSServer(root.leaf(), [root]) as server:
        what, remedy = note_of(server, ssl.create_default_context())
    assert what == 'The chain ends at the root "Company Root", which this machine does not trust.'
    assert remedy == f"If you know whose it is, and that it is genuine, {explain.how_to_trust()}."
    assert remedy != IF_GENUINE


@pytest.mark.parametrize(
    ("folder", "how"),
    [
        ("usr/local/share/ca-certificates", "copy it to {}/NAME.crt and run `update-ca-certificates`"),
        ("etc/pki/ca-trust/source/anchors", "copy it to {}/NAME.crt and run `update-ca-trust`"),
        ("etc/pki/trust/anchors", "copy it to {}/NAME.crt and run `update-ca-certificates`"),
        ("etc/ca-certificates/trust-source/anchors", "run `trust anchor FILE` with it"),
        ("etc", "add it to the system's trust anchors"),
    ],
)
def test_how_each_system_is_told_to_trust(tmp_path: Path, folder: str, how: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    assert explain.how_to_trust(str(tmp_path)) == how.format(tmp_path / folder)


def test_a_client_that_a_server_refuses(hook: None, tmp_path: Path) -> None:
    root = Authority.root()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=root.pem)
    found: list[BaseException] = []

    class Server(MutualServer):
        def serve(self, connection: socket.socket) -> None:
            try:
                with context.wrap_socket(connection, server_side=True):
                    pass
            except ssl.SSLError as error:
                found.append(error)
            self._verdicts.put("seen")

    leaf = root.leaf()
    (tmp_path / "server.pem").write_text(leaf.key_pem + leaf.pem)
    context.load_cert_chain(tmp_path / "server.pem")
    aia_store.complete(context, client_certificates=True)
    with Server(context) as server:
        call(server.port, client_context(root.intermediate().leaf("client")))
        server.outcome()
    (note,) = notes(found[0])
    assert note.split("\n")[0] == (
        'aia-store: The client sent only its own certificate; the issuer "Test Intermediate" is missing.'
    )


def test_no_command_with_a_host_that_a_shell_would_obey(hook: None) -> None:
    root = Authority.root()
    host = "$(reboot).localhost"
    with TLSServer(root.leaf(eku=[ExtendedKeyUsageOID.CLIENT_AUTH], san=["*.localhost"])) as server:
        lines = note_of(server, trusting(root), host)
    assert lines[-1] == "The server's owner has to get another certificate."


class AtPort443(TLSServer):
    """A server at the port of HTTPS, at an address of this machine where there is no other."""

    address = "127.0.4.43"


def port_443(leaf: Leaf) -> AtPort443:
    try:
        return AtPort443(leaf, port=443)
    except PermissionError:
        pytest.skip("ports below 1024 are for root")


def test_the_command_needs_no_port_at_443(hook: None) -> None:
    root = Authority.root()
    with port_443(root.intermediate().leaf()) as server:
        tcp = socket.create_connection((server.address, server.port), 30)
        with tcp, pytest.raises(ssl.SSLCertVerificationError) as raised:
            trusting(root).wrap_socket(tcp, server_hostname="localhost")
    (note,) = notes(raised.value)
    assert "; `aia-store check localhost` shows more. Or" in note


def test_no_other_port_is_named(leaf_only: tuple[TLSServer, Authority]) -> None:
    """A socket's may be that of a proxy, and an SSLObject knows none."""
    server, root = leaf_only

    async def connect() -> None:
        await asyncio.open_connection("127.0.0.1", server.port, ssl=trusting(root), server_hostname="localhost")

    with pytest.raises(ssl.SSLCertVerificationError) as raised:
        asyncio.run(connect())
    for error in (raised.value, error_of(server, trusting(root))):
        (note,) = notes(error)
        assert OWNER_SENDS in note


# What is not changed.


def test_the_error_is_what_it_was(aia: AIAHost, store: Path) -> None:
    case = KINDS["no url"](aia)
    with TLSServer(case.leaf) as server:
        plain = error_of(server, trusting(*case.trusts))
        aia_store.enable()
        try:
            error = error_of(server, trusting(*case.trusts))
        finally:
            aia_store.disable()
    assert notes(plain) == []
    assert len(notes(error)) == 1
    assert type(error) is type(plain)
    assert (str(error), repr(error), error.args) == (str(plain), repr(plain), plain.args)
    assert (error.verify_code, error.verify_message) == (plain.verify_code, plain.verify_message)
    assert {name: value for name, value in vars(error).items() if name != "__notes__"} == vars(plain)
    assert (error.__cause__, error.__context__) == (plain.__cause__, plain.__context__)


def test_copies_and_pickles_of_the_error(leaf_only: tuple[TLSServer, Authority]) -> None:
    server, root = leaf_only
    error = error_of(server, trusting(root))
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(other), str(other), notes(other)) == (type(error), str(error), notes(error))


def test_an_error_that_is_raised_again_keeps_its_one_note(leaf_only: tuple[TLSServer, Authority]) -> None:
    """Also while another handshake is refused, and as the cause of another error."""
    server, root = leaf_only
    error = error_of(server, trusting(root))
    for _ in range(2):
        with pytest.raises(ssl.SSLCertVerificationError) as again:
            raise error
    with pytest.raises(RuntimeError) as outer:
        try:
            raise error
        except ssl.SSLError:
            assert len(notes(error_of(server, trusting(root)))) == 1
            raise RuntimeError("not connected") from error
    assert again.value is outer.value.__cause__ is error
    assert (len(notes(error)), notes(outer.value)) == (1, [])


def test_each_error_of_a_crowd_has_its_own_note(leaf_only: tuple[TLSServer, Authority]) -> None:
    """In threads and in tasks, which share a context, and in an exception group."""
    server, root = leaf_only
    context = trusting(root)

    async def connect() -> None:
        await asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname="localhost")

    async def all_at_once() -> list[BaseException | None]:
        return await asyncio.gather(*(connect() for _ in range(8)), return_exceptions=True)

    with ThreadPoolExecutor(8) as threads:
        errors = [*threads.map(lambda _: error_of(server, context), range(16)), *asyncio.run(all_at_once())]
    for error in errors:
        assert isinstance(error, ssl.SSLCertVerificationError)
        assert len(notes(error)) == 1
    group = ExceptionGroup("two", [error for error in errors[:2] if isinstance(error, ssl.SSLError)])  # noqa: F821
    shown = "".join(traceback.format_exception(group))
    assert shown.count("aia-store: The server sent only its own certificate") == 2


def test_a_traceback_shows_the_note(leaf_only: tuple[TLSServer, Authority]) -> None:
    server, root = leaf_only
    error = error_of(server, trusting(root))
    assert f"\naia-store: {ONLY_LEAF}\n{NO_URL}\n{OWNER_SENDS}" in "".join(traceback.format_exception(error))


def test_nothing_of_the_programs_is_kept(leaf_only: tuple[TLSServer, Authority]) -> None:
    server, root = leaf_only
    context = trusting(root)
    error = error_of(server, context)
    error.__traceback__ = None
    gone = weakref.ref(context)
    del context
    gc.collect()
    assert gone() is None
    assert patch._presented == {}
    assert notes(error) != []


def test_nothing_is_kept_of_a_connection_that_succeeds(hook: None) -> None:
    root = Authority.root()
    with TLSServer(root.leaf()) as server:
        assert get(server, trusting(root)) == b"ok"
    assert patch._presented == {}


# When there is none.


@pytest.mark.parametrize("setting", ["explain", "disable"])
def test_switched_off(leaf_only: tuple[TLSServer, Authority], monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    server, root = leaf_only
    monkeypatch.setenv(f"AIA_STORE_{setting.upper()}", "0" if setting == "explain" else "1")
    assert notes(error_of(server, trusting(root))) == []


def test_switched_off_in_the_configuration(leaf_only: tuple[TLSServer, Authority]) -> None:
    server, root = leaf_only
    folder = Path(os.environ["XDG_CONFIG_HOME"], "aia-store")
    folder.mkdir()
    (folder / "config.toml").write_text("explain = false\n")
    assert notes(error_of(server, trusting(root))) == []


def test_without_the_hook(leaf_only: tuple[TLSServer, Authority]) -> None:
    server, root = leaf_only
    aia_store.disable()
    assert notes(error_of(server, trusting(root))) == []


@pytest.mark.parametrize(("error", "is_loaded"), [("", False), ("refused", True)])
def test_what_makes_it_is_loaded_for_a_refused_chain_only(
    store: Path, hierarchy: MakeHierarchy, error: str, is_loaded: bool
) -> None:
    pki = hierarchy()
    code = CONNECT + (
        "try: connect(*sys.argv[1:])\nexcept ssl.SSLError: pass\n"
        "print(any(name.endswith('inside.explain') for name in sys.modules))\n"
    )
    cafile = write_pem(pki.cafile.parent / "other.pem", Authority.root("Another Root")) if error else pki.cafile
    with TLSServer(pki.leaf) as server:
        done = run_python(code, server.port, cafile)
    assert (done.stdout, done.stderr) == (f"{is_loaded}\n", "")


def test_an_explanation_that_fails_is_no_harm(
    leaf_only: tuple[TLSServer, Authority], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, root = leaf_only

    monkeypatch.setattr(explain, "note", lambda *_, **__: 1 // 0)
    error = error_of(server, trusting(root))
    assert "unable to get local issuer" in str(error)
    assert notes(error) == []


def test_what_a_signal_handler_raises_meanwhile_comes_out(store: Path, tmp_path: Path) -> None:
    """A handler that interrupts the making of the note is the program's."""
    code = (
        ATTACH
        + CONNECT
        + """
import signal, sys
from aia_store.inside import explain

class Alarm(Exception):
    pass

def ring(number, frame):
    raise Alarm

def note(*_, **named):
    signal.raise_signal(signal.SIGUSR1)

signal.signal(signal.SIGUSR1, ring)
explain.note = note
try:
    connect(*sys.argv[1:])
except Alarm:
    print("alarm")
"""
    )
    root = Authority.root()
    with TLSServer(root.leaf()) as server:
        cafile = write_pem(tmp_path / "other.pem", Authority.root("Another Root"))
        done = run_python(code, server.port, cafile, hook=False)
    assert (done.stdout, done.stderr) == ("alarm\n", "")
