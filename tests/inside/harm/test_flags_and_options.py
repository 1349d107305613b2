"""What one thread sets on a context is never lost because another thread makes SSL objects from it."""

from __future__ import annotations

import pytest

from tests.inside.harm.conftest import Sites, answer, size

TRIES = 3_000

RACE = """
import threading

name, bit, tries, cafile = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
sys.setswitchinterval(1e-6)
context = ssl.create_default_context(cafile=cafile)
context.options &= ~ssl.OP_NO_TICKET
kind = type(getattr(context, name))
ended = threading.Event()
made = 0

def make():
    global made
    while not ended.is_set():
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
        made += 1

threads = [threading.Thread(target=make) for _ in range(3)]
for thread in threads:
    thread.start()

def until_some_are_made():
    enough = made + 4
    while made < enough:
        pass

lost = 0
for _ in range(tries):
    before = getattr(context, name)
    setattr(context, name, kind(before | bit))
    until_some_are_made()
    lost += not getattr(context, name) & bit
    setattr(context, name, kind(before))
    until_some_are_made()
    lost += getattr(context, name) != before
    setattr(context, name, kind(before))
ended.set()
for thread in threads:
    thread.join()
print(json.dumps(lost))
"""

VERIFY_CRL_CHECK_LEAF, OP_NO_TICKET = 0x4, 0x4000


@pytest.mark.parametrize(
    ("name", "bit"),
    [("verify_flags", VERIFY_CRL_CHECK_LEAF), ("options", OP_NO_TICKET)],
    ids=["verify_flags", "options"],
)
def test_nothing_is_lost(sites: Sites, name: str, bit: int) -> None:
    assert answer(RACE, name, bit, size(300, TRIES), sites.pki.cafile) == 0


REVOKED = """
import threading

port, cafile = sys.argv[1], sys.argv[2]
accepted = 0
for _ in range(int(sys.argv[3])):
    context = ssl.create_default_context(cafile=cafile)
    ended = threading.Event()

    def make():
        while not ended.is_set():
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")

    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=make)
    thread.start()
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    ended.set()
    thread.join()
    sys.setswitchinterval(0.005)
    accepted += meet(context, port) == "ok"
print(json.dumps(accepted))
"""


def test_revocation_is_checked_from_the_moment_it_is_asked_for(sites: Sites) -> None:
    """There is no CRL, so OpenSSL refuses every server as soon as it needs one."""
    assert answer(REVOKED, sites.port("right"), sites.pki.cafile, size(30, 300)) == 0
