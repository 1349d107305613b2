"""The cost for programs if nothing can complete a server's chain, so that each handshake is refused."""

from __future__ import annotations

from .pairs import Row, take_turns, wall
from .world import CLIENTS, LOOPBACK, World

HANDSHAKES = 200
CONTEXTS, THREADS = 15, 24
WITHOUT = "without the hook"


def one_context(world: World, rounds: int) -> list[Row]:
    """A whole program that connects again and again, always with the same context."""
    return _rows(world, rounds, (1, 1, HANDSHAKES), f"a program, {HANDSHAKES} refused handshakes, one context", 1.1)


def threads(world: World, rounds: int) -> list[Row]:
    """A whole program whose threads share each new context."""
    what = f"a program, {THREADS} threads x {CONTEXTS} fresh contexts, all refused"
    return _rows(world, rounds, (CONTEXTS, THREADS, 1), what, 1.3)


def _rows(world: World, rounds: int, shape: tuple[int, int, int], what: str, limit: float) -> list[Row]:
    rows = []
    for kind, server in (("self-signed", world.self_signed), ("unknown root", world.unknown_root)):
        environment = world.environment(AIA_STORE_DIR=str(world.empty_store()), **LOOPBACK)
        arguments = [CLIENTS / "refusals.py", str(server.tls_port), *map(str, shape)]
        pairs = take_turns(
            lambda: wall([world.hooked, *arguments], environment),  # noqa: B023  called in this turn
            lambda: wall([world.bare, *arguments], environment),  # noqa: B023
            rounds,
        )
        rows.append(Row(f"{what}, {kind}", WITHOUT, pairs, limit))
    return rows
