"""Security levels and Suite B belong to a context: a completed chain must satisfy those of the program's context."""

from __future__ import annotations

import functools
import ssl
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.conftest import FLAGS, Hierarchy, MakeHierarchy, run_python
from tests.support.keys import PrivateKey
from tests.support.pki import Authority, Options
from tests.support.servers import AIAHost, TLSServer

from . import client
from .client import ACCEPTED, Setup, Visit
from .conftest import Comparison, verdicts
from .programs import Program

P384 = ec.generate_private_key(ec.SECP384R1())
WEAK_KEY, WEAK_HASH = "CA certificate key too weak", "CA signature digest algorithm too weak"

flags_of = pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())
levels = pytest.mark.parametrize("level", range(4))


@functools.cache
def weak_key() -> PrivateKey:
    return rsa.generate_private_key(65537, 1024)


def at_level(root: Authority, flags: int, *ciphers: str) -> Setup:
    return Setup(flags=flags, ciphers=ciphers, cadata=root.pem)


@flags_of
@levels
@pytest.mark.parametrize("which", [0, 1], ids=["lower", "upper"])
def test_a_weak_key(comparison: Comparison, hierarchy: MakeHierarchy, flags: int, level: int, which: int) -> None:
    """RSA of 1024 bits, which level 1 takes and level 2 does not."""
    options: list[Options] = [{}, {}]
    options[which] = {"key": weak_key()}
    pki = hierarchy(*options)
    verdict = comparison.completed(at_level(pki.root, flags, f"DEFAULT:@SECLEVEL={level}"), pki.leaf, pki.intermediates)
    assert verdict == (ACCEPTED if level < 2 else WEAK_KEY)


@flags_of
@levels
def test_a_weak_key_of_the_root(comparison: Comparison, hierarchy: MakeHierarchy, flags: int, level: int) -> None:
    pki = hierarchy({}, {}, root=Authority.root(key=weak_key()))
    verdict = comparison.completed(at_level(pki.root, flags, f"DEFAULT:@SECLEVEL={level}"), pki.leaf, pki.intermediates)
    assert verdict == (ACCEPTED if level < 2 else WEAK_KEY)


@flags_of
@levels
def test_the_level_of_a_cipher_list_that_fails(
    comparison: Comparison, hierarchy: MakeHierarchy, flags: int, level: int
) -> None:
    """OpenSSL takes the level before it finds that there is no such cipher."""
    pki = hierarchy({"key": weak_key()}, {})
    setup = Setup(
        flags=flags,
        ciphers=(f"DEFAULT:@SECLEVEL={2 - level % 2}",),
        failing_ciphers=(f"@SECLEVEL={level}:NOSUCH",),
        cadata=pki.root.pem,
    )
    assert comparison.completed(setup, pki.leaf, pki.intermediates) == (ACCEPTED if level < 2 else WEAK_KEY)


@flags_of
@levels
@pytest.mark.parametrize("which", [0, 1], ids=["lower", "upper"])
def test_a_weak_signature(comparison: Comparison, hierarchy: MakeHierarchy, flags: int, level: int, which: int) -> None:
    """SHA-1, which level 0 takes and level 1 does not."""
    options: list[Options] = [{}, {}]
    options[which] = {"hash": hashes.SHA1()}
    pki = hierarchy(*options)
    verdict = comparison.completed(at_level(pki.root, flags, f"DEFAULT:@SECLEVEL={level}"), pki.leaf, pki.intermediates)
    assert verdict == (ACCEPTED if level < 1 else WEAK_HASH)


@levels
def test_rsa_of_2048_bits(comparison: Comparison, hierarchy: MakeHierarchy, level: int) -> None:
    """Level 3 asks for 3072."""
    pki = hierarchy({"key": "rsa"})
    setup = at_level(pki.root, FLAGS["flags of 3.13"], f"DEFAULT:@SECLEVEL={level}")
    assert comparison.completed(setup, pki.leaf, pki.intermediates) == (ACCEPTED if level < 3 else WEAK_KEY)


@flags_of
@pytest.mark.parametrize(
    ("ciphers", "expected"),
    [
        (["DEFAULT:@SECLEVEL=0", "ECDHE+AESGCM"], ACCEPTED),
        (["DEFAULT:@SECLEVEL=0", "ECDHE+AESGCM", "ECDHE+AESGCM:!aNULL"], ACCEPTED),
        (["@SECLEVEL=0:ECDHE+AESGCM"], ACCEPTED),
        (["DEFAULT:@SECLEVEL=0", "DEFAULT:@SECLEVEL=2"], WEAK_KEY),
        (["DEFAULT:@SECLEVEL=2", "ECDHE+AESGCM"], WEAK_KEY),
        (["DEFAULT:@SECLEVEL=3", "DEFAULT:@SECLEVEL=1"], ACCEPTED),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, list) else "",
)
def test_a_level_stays_until_another_is_set(
    comparison: Comparison, hierarchy: MakeHierarchy, flags: int, ciphers: list[str], expected: str
) -> None:
    pki = hierarchy({"key": weak_key()})
    setup = at_level(pki.root, flags, *ciphers)
    assert comparison.completed(setup, pki.leaf, pki.intermediates) == expected


@flags_of
@pytest.mark.parametrize(("before", "after"), [(0, 2), (1, 3)])
def test_the_level_changes_between_two_connections(
    plain: Program, program: Program, hierarchy: MakeHierarchy, flags: int, before: int, after: int
) -> None:
    pki = hierarchy({"key": weak_key()})
    first, then = (Setup(ciphers=(f"DEFAULT:@SECLEVEL={level}",)) for level in (before, after))
    with TLSServer(pki.leaf) as short, TLSServer(pki.leaf, pki.intermediates) as whole:
        lives = []
        for run, server in ((plain, whole), (program, short)):
            to = Visit(server.port)
            steps: list[Visit | Setup] = [first, to, to, then, to, to, first, to]
            lives.append(verdicts(run.run(client.play, at_level(pki.root, flags), steps)))
    accepted = [verdict == ACCEPTED for verdict in lives[0]]
    assert accepted == [before < 2] * 2 + [after < 2] * 2 + [before < 2]
    assert [verdict == ACCEPTED for verdict in lives[1]] == accepted


@flags_of
@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0)])
def test_the_level_changes_during_a_connection(
    plain: Program, program: Program, hierarchy: MakeHierarchy, flags: int, before: int, after: int
) -> None:
    """An SSL object keeps the level that its context had when it was made; where we cannot know, it is left alone."""
    pki = hierarchy({"key": weak_key()})
    setup = at_level(pki.root, flags, f"DEFAULT:@SECLEVEL={before}")
    then = Setup(ciphers=(f"DEFAULT:@SECLEVEL={after}",))
    with TLSServer(pki.leaf) as short, TLSServer(pki.leaf, pki.intermediates) as whole:
        [judged] = plain.run(client.play, setup, [Visit(whole.port, between=then)])
        [alone] = plain.run(client.play, setup, [Visit(short.port, between=then)])
        assert judged.accepted == (before < 2)
        for _ in range(2):
            [right, outcome] = program.run(
                client.play, setup, [Visit(whole.port, between=then), setup, Visit(short.port, between=then)]
            )
            assert right.verdict == judged.verdict
            assert outcome.verdict in {judged.verdict, alone.verdict}


@flags_of
def test_what_a_lower_level_completed_is_nothing_for_a_higher(
    plain: Program, program: Program, hierarchy: MakeHierarchy, flags: int
) -> None:
    """Two contexts of one program, alike but for their level."""
    pki = hierarchy({"key": weak_key()})
    with TLSServer(pki.leaf) as short, TLSServer(pki.leaf, pki.intermediates) as whole:
        for level in (1, 2, 1, 3, 0, 2):
            setup = at_level(pki.root, flags, f"DEFAULT:@SECLEVEL={level}")
            [judged] = plain.run(client.play, setup, [Visit(whole.port)])
            [outcome] = program.run(client.play, setup, [Visit(short.port)])
            assert outcome.accepted == judged.accepted == (level < 2)


# Suite B (RFC 6460): P-256 with SHA-256, P-384 with SHA-384, or one of the two only.


def suite_b(hierarchy: MakeHierarchy, kind: str) -> Hierarchy:
    """A chain that is all P-256, all P-384, P-256 below P-384, or has one RSA key or one wrong hash in it."""
    strong: Options = {"key": P384, "hash": hashes.SHA384()}
    # The hash goes with the key that signs, which is the issuer's.
    below_strong: Options = {"hash": hashes.SHA384()}
    if kind == "P-256":
        return hierarchy({}, {})
    if kind == "P-384":
        root = Authority.root(**strong)
        return hierarchy(strong, strong, root=root, **strong)
    if kind == "P-256 below P-384":
        return hierarchy({}, below_strong, root=Authority.root(**strong))
    if kind == "P-256 by RSA":
        return hierarchy({}, {"key": "rsa"})
    if kind == "P-256 below an RSA root":
        return hierarchy({}, {}, root=Authority.root(key="rsa"))
    assert kind == "P-256 with SHA-384"
    return hierarchy({"hash": hashes.SHA384()}, {})


KINDS = ["P-256", "P-384", "P-256 below P-384", "P-256 by RSA", "P-256 below an RSA root", "P-256 with SHA-384"]
TAKES = {"SUITEB128": {"P-256", "P-384", "P-256 below P-384"}, "SUITEB128ONLY": {"P-256"}, "SUITEB192": {"P-384"}}


@flags_of
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ciphers", ["SUITEB128", "SUITEB128ONLY", "SUITEB192"])
def test_suite_b(comparison: Comparison, hierarchy: MakeHierarchy, flags: int, kind: str, ciphers: str) -> None:
    """To leave such a connection alone is allowed, to accept what the program refuses is not."""
    pki = suite_b(hierarchy, kind)
    setup = at_level(pki.root, flags, ciphers)
    verdict = comparison.completed_or_left_alone(setup, pki.leaf, pki.intermediates)
    if ssl.OPENSSL_VERSION_INFO < (3, 5):  # its servers call the key shares of its Suite B clients illegal
        assert (verdict == ACCEPTED) == (kind in TAKES[ciphers])


@flags_of
def test_suite_b_stays_with_other_ciphers(comparison: Comparison, hierarchy: MakeHierarchy, flags: int) -> None:
    """OpenSSL keeps it when other ciphers are set later; and what was completed without it counts for nothing."""
    pki = suite_b(hierarchy, "P-256 by RSA")
    assert comparison.completed(at_level(pki.root, flags), pki.leaf, pki.intermediates) == ACCEPTED
    setup = at_level(pki.root, flags, "SUITEB128", "ECDHE+AESGCM")
    comparison.completed_or_left_alone(setup, pki.leaf, pki.intermediates)


@flags_of
def test_suite_b_is_set_between_two_connections(
    plain: Program, program: Program, hierarchy: MakeHierarchy, aia: AIAHost, flags: int
) -> None:
    pki = suite_b(hierarchy, "P-256 by RSA")
    suite = Setup(ciphers=("SUITEB128",))
    with TLSServer(pki.leaf) as short, TLSServer(pki.leaf, pki.intermediates) as whole:
        lives = []
        for run, server in ((plain, whole), (program, short)):
            to = Visit(server.port)
            lives.append(verdicts(run.run(client.play, at_level(pki.root, flags), [to, suite, to, to])))
    assert [verdict == ACCEPTED for verdict in lives[0]] == [True, False, False]
    assert [verdict == ACCEPTED for verdict in lives[1]] == [True, False, False]


BEFORE_US = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.verify_flags = ssl.VerifyFlags(int(sys.argv[3]))
context.set_ciphers(f"DEFAULT:@SECLEVEL={sys.argv[4]}")
context.load_verify_locations(cadata=sys.argv[2])
import aia_store
aia_store.complete(context)
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30) as tcp:
    try:
        print(context.wrap_socket(tcp, server_hostname="localhost") and "accepted")
    except ssl.SSLCertVerificationError:
        print("refused")
"""


@flags_of
@levels
def test_of_a_context_made_before_us(store: Path, hierarchy: MakeHierarchy, flags: int, level: int) -> None:
    """Python 3.9 does not tell it: the default level is satisfied too, whatever it is, and so no level is undercut."""
    pki = hierarchy({"key": weak_key()})
    with TLSServer(pki.leaf) as server:
        done = run_python(BEFORE_US, server.port, pki.root.pem, flags, level, hook=False)
    assert done.stderr == ""
    assert done.stdout == ("accepted\n" if level < 2 else "refused\n") or (sys.version_info < (3, 10) and level < 2)


@flags_of
def test_at_the_default_level_of_a_context_made_before_us(store: Path, hierarchy: MakeHierarchy, flags: int) -> None:
    pki = hierarchy()
    with TLSServer(pki.leaf) as server:
        done = run_python(BEFORE_US, server.port, pki.root.pem, flags, 1, hook=False)
    assert (done.stdout, done.stderr) == ("accepted\n", "")
