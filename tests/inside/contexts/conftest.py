"""Two programs, with and without the hook, and how their results with the same servers must agree."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.pki import Authority, Certified, Leaf
from tests.support.servers import TLSServer, Version

from . import client
from .client import Outcome, Setup, Visit
from .programs import Program

STRANGER = Authority.root("Stranger").intermediate("A CA that has nothing to do with it")


@pytest.fixture(scope="session")
def plain() -> Iterator[Program]:
    """A program without the hook: OpenSSL itself."""
    with Program(hook=False) as program:
        yield program


@pytest.fixture
def program(store: Path) -> Iterator[Program]:
    """A program with the hook, just begun, and with an empty store."""
    with Program(hook=True) as program:
        yield program


@dataclass(frozen=True)
class Comparison:
    """The two programs, doing the same."""

    plain: Program
    hooked: Program

    def completed(
        self,
        setup: Setup,
        leaf: Leaf,
        chain: Sequence[Certified],
        *,
        host: str = "localhost",
        version: Version | None = None,
    ) -> str:
        """Plain OpenSSL's verdict on the whole chain; with the hook it is the same, whatever the server sends of it.

        Where the chain is refused, it is so with an error that the program would have seen without the hook, too:
        that of the whole chain or that of what was sent.
        """
        return self._compare(setup, leaf, chain, host, version, is_completed=True)

    def completed_or_left_alone(
        self,
        setup: Setup,
        leaf: Leaf,
        chain: Sequence[Certified],
        *,
        host: str = "localhost",
        version: Version | None = None,
    ) -> str:
        """The same if completing may be impossible: then the verdict on what was sent may stand."""
        return self._compare(setup, leaf, chain, host, version, is_completed=False)

    def _compare(
        self,
        setup: Setup,
        leaf: Leaf,
        chain: Sequence[Certified],
        host: str,
        version: Version | None,
        *,
        is_completed: bool,
    ) -> str:
        whole_chain = list(chain)
        messages = [whole_chain, [], [STRANGER], whole_chain[::-1], [], whole_chain]
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(TLSServer(leaf, sent, version)) for sent in messages]
            visits = [Visit(server.port, host) for server in servers]
            whole, *_ = expected = self.plain.run(client.play, setup, visits)
            # One context for all of them in a row; and a new one for each that does not send the whole chain.
            outcomes = self.hooked.run(client.play, setup, visits)
            outcomes += [self.hooked.run(client.play, setup, [visit])[0] for visit in visits[1:4]]
        for number, outcome in enumerate(outcomes):
            at = number if number < len(visits) else number - len(visits) + 1
            allowed = _allowed(whole, expected[at], is_completed=is_completed or messages[at] == whole_chain)
            assert outcome.verdict in allowed, f"{verdicts(outcomes)}, without the hook {verdicts(expected)}"
        return whole.verdict


def verdicts(outcomes: Sequence[Outcome]) -> list[str]:
    """The outcome of each connection."""
    return [outcome.verdict for outcome in outcomes]


def _allowed(whole: Outcome, sent: Outcome, *, is_completed: bool) -> set[str]:
    """The allowed verdicts on what was sent, if plain OpenSSL says this about it, and that about the whole chain."""
    return {whole.verdict} if whole.accepted and is_completed else {whole.verdict, sent.verdict}


@pytest.fixture
def comparison(plain: Program, program: Program) -> Comparison:
    """The two, to be compared."""
    return Comparison(plain, program)
