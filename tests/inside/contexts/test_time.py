"""Certificates that expire while a program runs: what was completed before is then refused, as without the hook."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import timedelta

from tests.conftest import FLAGS
from tests.support.pki import Authority, Leaf, Options, pem, pkcs7
from tests.support.servers import AIAHost, TLSServer

from . import client, lives
from .client import ACCEPTED, Setup, Visit
from .conftest import verdicts
from .programs import Program

SOON = 8  # seconds: enough to meet all servers once
NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME


@dataclass(frozen=True)
class Chain:
    root: Authority
    upper: Authority
    lower: Authority
    leaf: Leaf


def chain(aia: AIAHost, name: str, ends: str) -> Chain:
    """A chain one of whose certificates ends soon."""

    def options(level: str) -> Options:
        return {"not_after": timedelta(seconds=SOON)} if level == ends else {}

    root = Authority.root(f"Root {name}", **options("root"))
    upper = root.intermediate(f"Upper {name}", **options("upper"))
    url = aia.publish(f"/upper/{name}", upper.der)
    lower = upper.intermediate(f"Lower {name}", aia=[url], **options("lower"))
    url = aia.publish(f"/lower/{name}", lower.der)
    return Chain(root, upper, lower, lower.leaf(aia=[url], **options("leaf")))


def test_a_certificate_of_the_path_ends(plain: Program, program: Program, aia: AIAHost) -> None:
    """Each of them in turn; for the context that met the server before, and for one made afterwards."""
    expected, found = {}, {}
    with contextlib.ExitStack() as stack:
        cases = {}
        for number, (kind, flags) in enumerate({**FLAGS, "no time": NO_CHECK_TIME}.items()):
            for ends in ("root", "upper", "lower", "leaf", "above a pin"):
                made = chain(aia, f"{number}-{ends.replace(' ', '-')}", "root" if ends == "above a pin" else ends)
                anchor = made.upper if ends == "above a pin" else made.root
                whole = stack.enter_context(TLSServer(made.leaf, [made.lower, made.upper]))
                short = stack.enter_context(TLSServer(made.leaf))
                setup = Setup(flags=flags, cadata=anchor.pem)
                cases[f"{ends}, {kind}"] = setup, Visit(whole.port), Visit(short.port)
        ended = time.time() + SOON + 1
        for name, (setup, whole_one, short_one) in cases.items():
            [judged] = plain.run(client.play, setup, [whole_one])
            [outcome] = program.run(lives.go_on, name, setup, [short_one])
            assert outcome.accepted == judged.accepted, name
        assert time.time() < ended - 1, "this machine is too slow"
        time.sleep(ended - time.time())
        for name, (setup, whole_one, short_one) in cases.items():
            [judged] = plain.run(client.play, setup, [whole_one])
            [alone] = plain.run(client.play, setup, [short_one])
            outcomes = program.run(lives.go_on, name, setup, [short_one, whole_one, short_one])
            outcomes += program.run(client.play, setup, [short_one, whole_one])
            expected[name] = [judged.accepted] * 5
            found[name] = [outcome.accepted for outcome in outcomes]
            refusals = {outcome.verdict for outcome in outcomes} - {ACCEPTED}
            assert refusals <= {judged.verdict, alone.verdict}, name
    assert found == expected
    assert expected["root, flags of 3.13"] == [False] * 5
    assert expected["above a pin, flags of 3.13"] == [True] * 5


def test_an_intermediate_is_renewed_when_it_ends(plain: Program, program: Program, aia: AIAHost) -> None:
    """The same context, before the server's old chain, which is refused, and its new one."""
    seconds = 3
    root = Authority.root()
    old = root.intermediate("CA", not_after=timedelta(seconds=seconds))
    ended = time.time() + seconds + 1
    leaf = old.leaf(aia=[aia.publish("/ca.cer", old.der)])
    new = old.reissue(not_after=timedelta(days=90))
    setup = Setup(flags=FLAGS["flags of 3.13"], cadata=root.pem)
    with TLSServer(leaf) as short, TLSServer(leaf, [old]) as stale, TLSServer(leaf, [new]) as fresh:
        assert verdicts(program.run(lives.go_on, "renewed", setup, [Visit(short.port)])) == [ACCEPTED]
        time.sleep(max(0, ended - time.time()))
        aia.publish("/ca.cer", new.der)
        assert not plain.run(client.play, setup, [Visit(stale.port)])[0].accepted
        assert plain.run(client.play, setup, [Visit(fresh.port)])[0].accepted
        to = [Visit(server.port) for server in (fresh, short, stale, fresh, short)]
        assert verdicts(program.run(lives.go_on, "renewed", setup, to)) == [ACCEPTED] * 5


def test_a_root_ends_and_there_is_another_path(plain: Program, program: Program, aia: AIAHost) -> None:
    """The same context, before a server that was right without us until then."""
    seconds = 3
    old, new = Authority.root("Old", not_after=timedelta(seconds=seconds)), Authority.root("New")
    ended = time.time() + seconds + 1
    by_old = old.intermediate("CA")
    by_new = new.cross_sign(by_old)
    leaf = by_old.leaf(aia=[aia.publish("/both.p7c", pkcs7(by_old.der, by_new.der))])
    with TLSServer(leaf, [by_old]) as server:
        to = [Visit(server.port)]
        setups = {kind: Setup(flags=flags, cadata=pem(old, new)) for kind, flags in FLAGS.items()}
        for kind, setup in setups.items():
            assert verdicts(program.run(lives.go_on, kind, setup, to)) == [ACCEPTED]
        assert aia.connections == 0
        time.sleep(max(0, ended - time.time()))
        for kind, setup in setups.items():
            assert not plain.run(client.play, setup, to)[0].accepted
            assert verdicts(program.run(lives.go_on, kind, setup, to)) == [ACCEPTED]
