"""What a program sets on its context holds exactly as without the hook, above all what it trusts."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder
from tests.conftest import (
    FLAGS,
    PARTIAL_CHAIN,
    Hierarchy,
    MakeHierarchy,
    get,
    hashed_directory,
    hooked,
    refused,
    run_python,
    trusting,
    write_pem,
)
from tests.support.pki import Authority, Leaf, Options, pem
from tests.support.servers import AIAHost, TLSServer

flags_of = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())
PARTIAL = FLAGS["flags of 3.13"]

OTHER_ROOT = Authority.root("Other Root")
OTHER_CA = OTHER_ROOT.intermediate("Other CA")

GOOD, EVIL = "good.example", "evil.example"
VIOLATION, NO_ISSUER = "permitted subtree violation", "unable to get local issuer certificate"


def ending(days: int, **options: object) -> Options:
    """The options of a CA that ends in so many days; one should end before those above it."""
    return {"not_after": timedelta(days=days), **options}  # type: ignore[typeddict-item]


def ders(context: ssl.SSLContext) -> set[bytes]:
    return set(context.get_ca_certs(True))


def plant(store: Path, *authorities: Authority) -> None:
    """Put certificates into the store folder, as an attacker would."""
    for authority in authorities:
        Folder(str(store)).keep(Certificate(authority.der))


@flags_of
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
def test_an_unrelated_root_refuses(hook: None, hierarchy: MakeHierarchy, flags: int, count: int, known: bool) -> None:
    options: list[Options] = [{}] * count
    pki = hierarchy(*options)
    for sent in range(count + 1):
        with TLSServer(pki.leaf, pki.intermediates[:sent]) as server:
            if known:
                assert get(server, trusting(pki.root, flags=flags)) == b"ok"
            context = trusting(OTHER_ROOT, flags=flags)
            for _ in range(3):
                refused(server, context)
            assert ders(context) == {OTHER_ROOT.der}


def by_server(root: Authority, aia: AIAHost, store: Path) -> tuple[list[str], list[Authority]]:
    return [], [root]


def by_aia(root: Authority, aia: AIAHost, store: Path) -> tuple[list[str], list[Authority]]:
    return [aia.publish("/rogue.cer", root.der)], []


def by_store(root: Authority, aia: AIAHost, store: Path) -> tuple[list[str], list[Authority]]:
    plant(store, root)
    return [], []


Offer = Callable[[Authority, AIAHost, Path], tuple[list[str], list[Authority]]]
offered = pytest.mark.parametrize("offer", [by_server, by_aia, by_store])


@flags_of
@offered
def test_a_root_is_never_learned(hook: None, store: Path, aia: AIAHost, offer: Offer, flags: int) -> None:
    rogue = Authority.root("Rogue Root")
    urls, sends = offer(rogue, aia, store)
    with TLSServer(rogue.leaf(aia=urls), sends) as server:
        context = trusting(OTHER_ROOT, flags=flags)
        for _ in range(2):
            refused(server, context)
        assert ders(context) == {OTHER_ROOT.der}


@flags_of
@offered
def test_a_root_above_an_intermediate_is_never_learned(
    hook: None, store: Path, aia: AIAHost, offer: Offer, flags: int
) -> None:
    rogue = Authority.root("Rogue Root")
    urls, sends = offer(rogue, aia, store)
    intermediate = rogue.intermediate("Rogue CA", aia=urls)
    plant(store, intermediate)
    with TLSServer(intermediate.leaf(), [intermediate, *sends]) as server:
        context = trusting(OTHER_ROOT, flags=flags)
        for _ in range(2):
            refused(server, context)
        assert ders(context) == {OTHER_ROOT.der}


@flags_of
@offered
@pytest.mark.parametrize("same_key", [True, False])
def test_a_self_signed_namesake_is_ignored(
    hook: None, store: Path, aia: AIAHost, hierarchy: MakeHierarchy, offer: Offer, flags: int, same_key: bool
) -> None:
    """The key of a true intermediate, or its name alone, in a certificate that would be an anchor."""
    pki = hierarchy()
    right = pki.intermediates[0]
    rogue = Authority.root(right.name, key=right.key if same_key else "ec")
    urls, sends = offer(rogue, aia, store)
    leaf = right.leaf(aia=[*urls, aia.url("/0.cer")])
    with TLSServer(leaf, sends) as server:
        context = trusting(pki.root, flags=flags)
        assert get(server, context) == b"ok"
        assert ders(context) == {pki.root.der}


@flags_of
def test_the_programs_flags_and_options_stay(hook: None, hierarchy: MakeHierarchy, flags: int) -> None:
    pki = hierarchy()
    context = trusting(pki.root, flags=flags)
    settings = (context.verify_flags, context.options, context.verify_mode, context.check_hostname)
    with TLSServer(pki.leaf) as server, TLSServer(OTHER_CA.leaf()) as hopeless:
        refused(hopeless, context)
        assert get(server, context) == b"ok"
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
        with pytest.raises(ValueError):
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=".")
    assert (context.verify_flags, context.options, context.verify_mode, context.check_hostname) == settings


# A pinned intermediate: the program trusts it, and not its root.


def pinned_as_data(folder: Path, *anchors: Authority) -> ssl.SSLContext:
    return trusting(*anchors, flags=PARTIAL)


def pinned_in_a_directory(folder: Path, *anchors: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags = ssl.VerifyFlags(PARTIAL)
    context.load_verify_locations(capath=hashed_directory(folder / "anchors", *anchors))
    return context


Pin = Callable[..., ssl.SSLContext]
pinned = pytest.mark.parametrize("pin", [pinned_as_data, pinned_in_a_directory])


@pinned
@pytest.mark.parametrize("sends", [0, 1, 2])
def test_a_pinned_intermediate(
    store: Path, aia: AIAHost, hierarchy: MakeHierarchy, tmp_path: Path, pin: Pin, sends: int
) -> None:
    pki = hierarchy({}, {})
    context = pin(tmp_path, pki.intermediates[0])
    with TLSServer(pki.leaf, pki.intermediates[:sends]) as server:
        assert get(server, context) == b"ok"
        with hooked():
            for _ in range(2):
                assert get(server, context) == b"ok"
    assert aia.count() == 0


@pinned
def test_a_pinned_upper_intermediate(
    store: Path, aia: AIAHost, hierarchy: MakeHierarchy, tmp_path: Path, pin: Pin
) -> None:
    pki = hierarchy(ending(70), ending(80))
    context = pin(tmp_path, pki.intermediates[1])
    with TLSServer(pki.leaf) as server:
        refused(server, context)
        with hooked():
            for _ in range(2):
                assert get(server, context) == b"ok"
    assert [request.path for request in aia.requests] == ["/0.cer"]


def test_a_pinned_intermediate_without_partial_chains(hook: None, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    context = trusting(pki.intermediates[0], flags=FLAGS["flags of 3.11"])
    with TLSServer(pki.leaf) as server:
        refused(server, context)
    assert ders(context) == {pki.intermediates[0].der}


@pytest.mark.parametrize(
    "where",
    ["cadata", "SSL_CERT_DIR", "capath"],
)
def test_a_pinned_intermediate_of_a_context_made_before_the_hook(
    store: Path, hierarchy: MakeHierarchy, tmp_path: Path, where: str
) -> None:
    pki = hierarchy()
    folder = hashed_directory(tmp_path / "anchors", pki.intermediates[0])
    load = {
        "cadata": "context.load_verify_locations(cadata=sys.argv[2])",
        "capath": "context.load_verify_locations(capath=sys.argv[3])",
        "SSL_CERT_DIR": "context.set_default_verify_paths()",
    }
    code = f"""
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.verify_flags = ssl.VerifyFlags({PARTIAL})
{load[where]}
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as tcp:
    if sys.argv[4] == "hook":
        import aia_store
        aia_store.enable()
    print(context.wrap_socket(tcp, server_hostname="localhost").version())
"""
    env = {"SSL_CERT_DIR": str(folder) if where == "SSL_CERT_DIR" else "", "SSL_CERT_FILE": ""}
    with TLSServer(pki.leaf) as server:
        for hook in ("none", "hook"):
            done = run_python(code, server.port, pki.intermediates[0].pem, folder, hook, env=env, hook=False)
            assert (done.stdout, done.stderr) == ("TLSv1.3\n", "")


@pytest.mark.parametrize("anchor", [OTHER_ROOT, OTHER_CA], ids=["root", "pinned"])
def test_a_context_made_before_the_hook_does_not_come_to_trust_the_default_directory(
    store: Path, hierarchy: MakeHierarchy, tmp_path: Path, anchor: Authority
) -> None:
    pki = hierarchy(ending(70))
    code = f"""
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.verify_flags = ssl.VerifyFlags({PARTIAL})
context.load_verify_locations(cadata=sys.argv[2])
import aia_store
aia_store.enable()
for _ in range(3):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as tcp:
        try:
            print(context.wrap_socket(tcp, server_hostname="localhost").version())
        except ssl.SSLCertVerificationError:
            print("refused")
"""
    env = {"SSL_CERT_DIR": str(hashed_directory(tmp_path / "roots", pki.root)), "SSL_CERT_FILE": ""}
    with TLSServer(pki.leaf) as server:
        done = run_python(code, server.port, anchor.pem, env=env, hook=False)
    assert (done.stdout, done.stderr) == ("refused\n" * 3, "")


def test_a_pinned_leaf(store: Path, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    context = trusting(pki.leaf, flags=PARTIAL)
    with TLSServer(pki.leaf) as server:
        assert get(server, context) == b"ok"
        with hooked():
            assert get(server, context) == b"ok"
    assert aia.count() == 0


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ({}, {}),
        ({}, {"permitted": [GOOD]}),
        ({"permitted": [GOOD]}, {"permitted": [GOOD]}),
        ({"permitted": ["example"]}, {"permitted": [GOOD]}),
        ({}, {"excluded": [EVIL]}),
        ({"excluded": [EVIL]}, {"excluded": [EVIL]}),
        ({}, {"path_length": 1}),
        ({"path_length": 1}, {"path_length": 1}),
        ({"path_length": 0}, {"path_length": 1}),
        ({"not_after": timedelta(days=80)}, {"not_after": timedelta(days=75)}),
    ],
)
def test_an_intermediate_beside_a_pinned_one(
    hook: None, hierarchy: MakeHierarchy, lower: Options, upper: Options
) -> None:
    """It is no anchor, so it need not repeat the constraints from above, which still hold."""
    pki = hierarchy({**ending(70), **lower}, {**ending(80), **upper}, san=[GOOD])
    context = trusting(pki.root, OTHER_CA, flags=PARTIAL)
    constrained = upper.keys() & {"permitted", "excluded"}
    evil = pki.intermediates[0].leaf(EVIL)
    with (
        TLSServer(pki.leaf) as server,
        TLSServer(OTHER_CA.leaf()) as of_pinned,
        TLSServer(evil) as violator,
        TLSServer(evil, pki.intermediates) as whole_violator,
    ):
        for _ in range(2):
            assert get(server, context, GOOD) == b"ok"
            if constrained:
                whole = refused(whole_violator, context, EVIL)
                assert "subtree violation" in whole
                assert refused(violator, context, EVIL) in (whole, NO_ISSUER)
        assert ders(context) == {pki.root.der, OTHER_CA.der}
        assert get(of_pinned, context) == b"ok"
        assert get(server, trusting(pki.root, flags=PARTIAL), GOOD) == b"ok"
        assert get(server, trusting(pki.root, OTHER_CA, flags=FLAGS["flags of 3.11"]), GOOD) == b"ok"


@pytest.fixture
def constrained(hierarchy: MakeHierarchy) -> tuple[Hierarchy, Leaf]:
    """The lower intermediate may only sign for GOOD, but only the upper one says so; and a leaf for EVIL below it."""
    pki = hierarchy({}, {"permitted": [GOOD]}, san=[GOOD])
    return pki, pki.intermediates[0].leaf(EVIL)


@flags_of
def test_the_constraints_above_are_looked_at(hook: None, constrained: tuple[Hierarchy, Leaf], flags: int) -> None:
    pki, evil = constrained
    context = trusting(pki.root, flags=flags)
    with TLSServer(pki.leaf) as server, TLSServer(evil) as violator:
        for _ in range(2):
            assert refused(violator, context, EVIL) in (VIOLATION, NO_ISSUER)
            assert get(server, context, GOOD) == b"ok"
        assert ders(context) == {pki.root.der}
        assert refused(violator, context, EVIL) in (VIOLATION, NO_ISSUER)


@flags_of
def test_an_anchor_pinned_later_makes_no_anchor_of_what_was_completed(
    hook: None, constrained: tuple[Hierarchy, Leaf], flags: int
) -> None:
    pki, evil = constrained
    context = trusting(pki.root, flags=flags)
    with TLSServer(pki.leaf) as server, TLSServer(evil) as violator:
        assert get(server, context, GOOD) == b"ok"
        context.load_verify_locations(cadata=OTHER_CA.pem)
        assert refused(violator, context, EVIL) in (VIOLATION, NO_ISSUER)
        assert get(server, context, GOOD) == b"ok"
        assert refused(violator, context, EVIL) in (VIOLATION, NO_ISSUER)


def test_an_anchor_pinned_later_is_one(hook: None, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy(ending(70))
    context = trusting(pki.root, flags=PARTIAL)
    with TLSServer(pki.leaf) as server, TLSServer(OTHER_CA.leaf()) as of_pinned:
        assert get(server, context) == b"ok"
        refused(of_pinned, context)
        context.load_verify_locations(cadata=OTHER_CA.pem)
        assert get(of_pinned, context) == b"ok"
        assert get(server, context) == b"ok"


@flags_of
def test_the_flag_set_later_makes_no_anchor(hook: None, constrained: tuple[Hierarchy, Leaf], flags: int) -> None:
    pki, evil = constrained
    context = trusting(pki.root, flags=flags & ~PARTIAL_CHAIN)
    with TLSServer(pki.leaf) as server, TLSServer(evil) as violator:
        assert get(server, context, GOOD) == b"ok"
        context.verify_flags |= PARTIAL_CHAIN
        assert refused(violator, context, EVIL) in (VIOLATION, NO_ISSUER)


@flags_of
def test_what_was_completed_is_no_anchor_after_disable(
    store: Path, constrained: tuple[Hierarchy, Leaf], flags: int
) -> None:
    pki, evil = constrained
    context = trusting(pki.root, flags=flags)
    with TLSServer(pki.leaf) as server, TLSServer(evil) as violator:
        with hooked():
            assert get(server, context, GOOD) == b"ok"
        for one, host in ((violator, EVIL), (server, GOOD)):
            assert refused(one, context, host) == NO_ISSUER
        assert context.verify_flags == flags


@flags_of
@pytest.mark.parametrize("known", [False, True], ids=["before complete", "while disabled"])
def test_what_was_completed_is_no_anchor_for_a_connection_begun_before(
    store: Path, constrained: tuple[Hierarchy, Leaf], flags: int, known: bool
) -> None:
    """OpenSSL copied the flags of its context when it was made, and looks at the same certificates."""
    pki, evil = constrained
    context = trusting(pki.root, flags=flags)
    with TLSServer(pki.leaf) as server, TLSServer(evil) as violator:
        if known:
            with hooked():
                context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=GOOD)
        tcp = socket.create_connection(("127.0.0.1", violator.port), 30)
        begun = context.wrap_socket(tcp, server_hostname=EVIL, do_handshake_on_connect=False)
        with begun, hooked():
            try:
                get(server, context, GOOD)  # completes, or is left alone
            except ssl.SSLCertVerificationError:
                pass
            assert ders(context) == {pki.root.der}
            with pytest.raises(ssl.SSLCertVerificationError):
                begun.do_handshake()


# The program's own callback.


@pytest.mark.parametrize("when", ["before", "after", "both"])
def test_the_programs_message_callback(hook: None, hierarchy: MakeHierarchy, when: str) -> None:
    pki = hierarchy()
    context = trusting(pki.root)
    seen: list[object] = []

    def callback(
        connection: object, direction: object, version: object, kind: object, what: object, data: object
    ) -> None:
        assert isinstance(connection, (ssl.SSLSocket, ssl.SSLObject))
        seen.append(what)

    def set_it() -> None:
        context._msg_callback = callback  # type: ignore[attr-defined]

    with TLSServer(pki.leaf) as server:
        if when != "after":
            set_it()
        assert get(server, context) == b"ok"
        if when != "before":
            set_it()
        assert context._msg_callback is callback  # type: ignore[attr-defined]
        seen.clear()
        other = pki.root.intermediate("Another")
        for _ in range(2):
            assert get(server, context) == b"ok"
        assert len([what for what in seen if what == ssl._TLSMessageType.CERTIFICATE]) == 2  # type: ignore[attr-defined]
    with TLSServer(other.leaf(aia=[]), [other]) as server:
        assert get(server, context) == b"ok"


@pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy itself refuses None there")
def test_without_a_message_callback_of_its_own(hook: None, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy({}, {})
    context = trusting(pki.root)
    with TLSServer(pki.intermediates[1].leaf(), [pki.intermediates[1]]) as right, TLSServer(pki.leaf) as server:
        assert get(right, context) == b"ok"
        assert context._msg_callback is None  # type: ignore[attr-defined]
        context._msg_callback = None  # type: ignore[attr-defined]
        assert get(server, context) == b"ok"


# What is left alone.


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_server_fetches_nothing_for_its_clients(
    hook: None, aia: AIAHost, hierarchy: MakeHierarchy, tmp_path: Path, version: str
) -> None:
    pki = hierarchy(eku=None)
    client = write_pem(tmp_path / "client.pem", pki.leaf)
    client.write_text(client.read_text() + pki.leaf.key_pem)
    with TLSServer(OTHER_CA.leaf(), [OTHER_CA], version, client_ca=pki.root) as server:  # type: ignore[arg-type]
        context = trusting(OTHER_ROOT)
        context.load_cert_chain(client)
        with pytest.raises(OSError) as raised:  # of several kinds: the server hangs up
            get(server, context)
        assert not isinstance(raised.value, ssl.SSLCertVerificationError)
        assert (server.connections, server.handshakes) == (1, 0)
    assert aia.connections == 0


def test_a_client_certificate_is_still_shown(hook: None, hierarchy: MakeHierarchy, tmp_path: Path) -> None:
    pki = hierarchy()
    client = write_pem(tmp_path / "client.pem", OTHER_CA.leaf(eku=None), OTHER_CA)
    shown = OTHER_CA.leaf(eku=None)
    client.write_text(pem(shown, OTHER_CA) + shown.key_pem)
    with TLSServer(pki.leaf, [OTHER_CA], client_ca=OTHER_ROOT) as server:
        context = trusting(pki.root)
        context.load_cert_chain(client)
        assert get(server, context) == b"ok"


def test_a_context_that_verifies_nothing(hook: None, aia: AIAHost, hierarchy: MakeHierarchy) -> None:
    pki = hierarchy()
    context = trusting(pki.root)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with TLSServer(pki.leaf) as server:
        assert get(server, context) == b"ok"
        assert ders(context) == {pki.root.der}
        assert aia.connections == 0
        context.verify_mode = ssl.CERT_REQUIRED
        assert get(server, context) == b"ok"


# What no intermediate can repair.


@flags_of
@pytest.mark.parametrize("fetched", [False, True])
def test_a_wrong_host_name(hook: None, hierarchy: MakeHierarchy, flags: int, fetched: bool) -> None:
    pki = hierarchy()
    context = trusting(pki.root, flags=flags)
    with TLSServer(pki.leaf) as server:
        if fetched:
            assert get(server, context) == b"ok"
        for _ in range(2):
            assert "Hostname mismatch" in refused(server, context, EVIL)
        assert get(server, context) == b"ok"


@flags_of
@pytest.mark.parametrize(
    ("times", "says"),
    [
        ({"not_after": timedelta(hours=-1)}, "certificate has expired"),
        ({"not_before": timedelta(hours=1)}, "certificate is not yet valid"),
    ],
)
def test_a_leaf_that_has_expired_or_is_not_yet_valid(
    hook: None, aia: AIAHost, hierarchy: MakeHierarchy, flags: int, times: Options, says: str
) -> None:
    pki = hierarchy(**times)
    with TLSServer(pki.leaf) as server:
        refused(server, trusting(pki.root, flags=flags))
    with TLSServer(pki.leaf, pki.intermediates) as server:
        # OpenSSL 3.6 adds a guess at the clock.
        assert refused(server, trusting(pki.root, flags=flags)).startswith(says)
    assert aia.connections == 0


@flags_of
@pytest.mark.parametrize(
    "options",
    [
        {"not_after": timedelta(hours=-1)},
        {"not_before": timedelta(hours=1)},
        {"ca": False},
        {"no_cert_sign": True},
        {"excluded": ["localhost"]},
        {"permitted": [GOOD]},
        {"signed_by": OTHER_ROOT.key},
        {"path_length": -1},
    ],
    ids=lambda options: next(iter(options)),
)
def test_an_intermediate_that_openssl_refuses_is_not_kept(
    hook: None, store: Path, aia: AIAHost, hierarchy: MakeHierarchy, flags: int, options: Options
) -> None:
    pki = hierarchy({}, {"path_length": 0}) if "path_length" in options else hierarchy(options)
    context = trusting(pki.root, flags=flags)
    with TLSServer(pki.leaf, pki.intermediates) as whole:
        refused(whole, trusting(pki.root, flags=flags))
    with TLSServer(pki.leaf) as server:
        for _ in range(2):
            refused(server, context)
    assert ders(context) == {pki.root.der}
    assert not list(store.glob("certificates/*/*/*"))


@flags_of
@pytest.mark.parametrize("first", [True, False])
def test_an_expired_root_beside_its_successor(hook: None, hierarchy: MakeHierarchy, flags: int, first: bool) -> None:
    pki = hierarchy()
    both = [pki.root.reissue(not_after=timedelta(hours=-1)), pki.root]
    with TLSServer(pki.leaf) as server:
        assert get(server, trusting(*(both if first else reversed(both)), flags=flags)) == b"ok"


@flags_of
def test_an_expired_root(hook: None, hierarchy: MakeHierarchy, flags: int) -> None:
    pki = hierarchy()
    expired = pki.root.reissue(not_after=timedelta(hours=-1))
    with TLSServer(pki.leaf) as server:
        refused(server, trusting(expired, flags=flags))


def test_times_are_not_looked_at_where_the_program_says_so(hook: None, hierarchy: MakeHierarchy) -> None:
    no_check_time = 0x200000  # X509_V_FLAG_NO_CHECK_TIME
    pki = hierarchy({"not_after": timedelta(hours=-1)}, not_after=timedelta(hours=-1))
    with TLSServer(pki.leaf) as server:
        assert get(server, trusting(pki.root, flags=no_check_time)) == b"ok"


def test_a_context_may_be_used_by_a_server_and_a_client(hook: None, hierarchy: MakeHierarchy) -> None:
    """A server's object is made as usual after a client's chain was completed."""
    pki = hierarchy()
    context = trusting(pki.root)
    with TLSServer(pki.leaf) as server:
        assert get(server, context) == b"ok"
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    one, another = socket.socketpair()
    with one, another:
        made = server_context.wrap_socket(one, server_side=True, do_handshake_on_connect=False)
        assert made.server_side
        made.close()
