"""Under X509_V_FLAG_PARTIAL_CHAIN, no intermediate of ours becomes an anchor, whatever a program does meanwhile.

An SSL object keeps the flags that its context had when it was made, and nothing can take the flag from it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import FLAGS, MakeHierarchy, whole_package, write_pem
from tests.inside.harm.conftest import answer, constrained_chain
from tests.support.pki import Authority
from tests.support.servers import TLSServer

#: `good` and `evil` are ports: the same intermediate may sign for the first name only, as the one above it says.
WORLD = """
good, evil, cafile, pinned, flags = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
PARTIAL_CHAIN = 0x80000

def trusting(*files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags = ssl.VerifyFlags(flags)
    for file in files:
        context.load_verify_locations(file)
    return context

def begun(context):
    tcp = socket.create_connection(("127.0.0.1", evil), 30)
    return context.wrap_socket(tcp, server_hostname="evil.example", do_handshake_on_connect=False)

def ended(connection):
    with connection:
        try:
            connection.do_handshake()
            return "ok"
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
"""

MOVED = """
pinning, completed = trusting(pinned), trusting(cafile)
said = [meet(completed, good, "good.example")]
connection = begun(pinning)
connection.context = completed
said.append(ended(connection))
"""

CLEARED = """
context = trusting(cafile, pinned)
connection = begun(context)
context.verify_flags &= ~PARTIAL_CHAIN
said = [meet(context, good, "good.example"), ended(connection)]
"""

CLEARED_BEFORE_IT_WAS_PINNED = """
context = trusting(cafile)
connection = begun(context)
context.verify_flags &= ~PARTIAL_CHAIN
said = [meet(context, good, "good.example")]
context.load_verify_locations(pinned)
said.append(ended(connection))
"""

BEFORE_ENABLE = """
import aia_store

context = trusting(cafile)
connection = begun(context)
aia_store.enable()
context.load_verify_locations(pinned)
said = [meet(context, good, "good.example"), ended(connection)]
"""

BEFORE_COMPLETE = """
import aia_store

context = trusting(cafile)
connection = begun(context)
aia_store.complete(context)
said = [meet(context, good, "good.example"), ended(connection)]
"""

ONE_AFTER_THE_OTHER = """
context = trusting(cafile, pinned)
said = []
for _ in range(2):
    said.append(meet(context, good, "good.example"))
    said.append(ended(begun(context)))
said = [said[0] if said[0] == said[2] else said, said[1] if said[1] == said[3] else said]
"""

AT_ONCE = """
context = trusting(cafile)
connection = begun(context)
tcp = socket.create_connection(("127.0.0.1", good), 30)
other = context.wrap_socket(tcp, server_hostname="good.example", do_handshake_on_connect=False)
said = [ended(other), ended(connection)]
"""

WITH_THE_HOOK = {
    "moved to a completed context": MOVED,
    "the flag cleared meanwhile": CLEARED,
    "the flag cleared and an intermediate pinned": CLEARED_BEFORE_IT_WAS_PINNED,
    "one after the other": ONE_AFTER_THE_OTHER,
    "both begun": AT_ONCE,
}
BEFORE_THE_HOOK = {"begun before enable": BEFORE_ENABLE, "begun before complete": BEFORE_COMPLETE}


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())
@pytest.mark.parametrize("sends", ["leaf", "leaf and CA", "all"])
@pytest.mark.parametrize(
    "case", [*WITH_THE_HOOK, *(pytest.param(case, marks=whole_package) for case in BEFORE_THE_HOOK)]
)
def test_no_anchor_comes_of_it(
    store: Path, hierarchy: MakeHierarchy, tmp_path: Path, case: str, sends: str, flags: int
) -> None:
    chain = constrained_chain(hierarchy)
    pinned = write_pem(tmp_path / "pinned.pem", Authority.root("Other Root").intermediate("Pinned CA"))
    sent = chain.pki.intermediates[: ["leaf", "leaf and CA", "all"].index(sends)]
    code = WORLD + {**WITH_THE_HOOK, **BEFORE_THE_HOOK}[case] + "print(json.dumps(said))\n"
    with TLSServer(chain.pki.leaf) as good, TLSServer(chain.evil_leaf, sent) as evil:
        arguments = (good.port, evil.port, chain.pki.cafile, pinned, int(flags))
        of_good, of_evil = answer(code, *arguments, hook=case in WITH_THE_HOOK)
    assert of_evil in ("permitted subtree violation", "unable to get local issuer certificate")
    assert of_good == "ok"
