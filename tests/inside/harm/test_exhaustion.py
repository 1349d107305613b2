"""A program that runs out of stack or memory within a handshake is told so; a right server is not refused for it.

The large CA file is loaded on demand. If that fails, OpenSSL verifies without it, so its verdict is worth nothing.
"""

from __future__ import annotations

import sys

import pytest

from tests.inside.harm.conftest import Sites, answer

#: Makes `outcomes(port, cafile, exhausted)`: the different outcomes of handshakes with ever more stack or memory left.
OUTCOMES = """
def outcome(port, cafile, exhausted, left):
    context = ssl.create_default_context(cafile=cafile)
    with socket.create_connection(("127.0.0.1", int(port)), 30) as tcp:
        with context.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False) as tls:
            try:
                exhausted(tls.do_handshake, left)
            except Exception as error:
                return type(error).__name__
    return "ok"

def outcomes(port, cafile, exhausted):
    meet(ssl.create_default_context(cafile=cafile), port)  # so that everything is imported
    found = [outcome(port, cafile, exhausted, left) for left in range(1, 80)]
    return [outcome for number, outcome in enumerate(found) if number == 0 or outcome != found[number - 1]]
"""

STACK = """
def deeper(frames, action):
    return action() if frames <= 0 else deeper(frames - 1, action)

def exhausted(action, left):
    frame, used = sys._getframe(), 0
    while frame is not None:
        frame, used = frame.f_back, used + 1
    deeper(sys.getrecursionlimit() - used - left, action)
"""

MEMORY = """
import _testcapi

def exhausted(action, left):
    _testcapi.set_nomemory(left, left + 1)
    try:
        action()
    finally:
        _testcapi.remove_mem_hooks()
"""


def test_a_stack_that_is_nearly_full(sites: Sites) -> None:
    code = OUTCOMES + STACK + "print(json.dumps(outcomes(sys.argv[1], sys.argv[2], exhausted)))"
    assert answer(code, sites.port("right"), sites.large_cafile) == ["RecursionError", "ok"]


def test_an_allocation_that_fails(sites: Sites) -> None:
    pytest.importorskip("_testcapi")
    code = OUTCOMES + MEMORY + "print(json.dumps(sorted(set(outcomes(sys.argv[1], sys.argv[2], exhausted)))))"
    found = answer(code, sites.port("right"), sites.large_cafile)
    if sys.version_info >= (3, 15):  # it may raise another error if an allocation of its own fails
        found = [outcome for outcome in found if outcome != "SSLWantReadError"]
    assert found == ["MemoryError", "ok"]
