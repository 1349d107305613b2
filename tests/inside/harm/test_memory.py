"""What is known of a context or a connection is dropped with it, however the handshake ended."""

from __future__ import annotations

import pytest

from tests.inside.harm.conftest import Sites, answer, size

PROGRAM = """
import gc

port, cafile, folder, contexts = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])

def connect():
    context = ssl.create_default_context(cafile=cafile, capath=folder)
    for _ in range(3):
        meet(context, port)

for _ in range(contexts):
    connect()
gc.collect()
kinds = [type(one).__name__ for one in gc.get_objects() if type(one).__module__.startswith("aia_store.inside")]
print(json.dumps({kind: kinds.count(kind) for kind in ("State", "Given", "Connection")}))
"""


@pytest.mark.parametrize("kind", ["right", "leaf-only", "unknown", "self-signed"])
def test_contexts_that_are_gone(sites: Sites, tmp_path: object, kind: str) -> None:
    """In a directory OpenSSL may find more than was given, so that decisions hold for one context only."""
    seen = answer(PROGRAM, sites.port(kind), sites.pki.cafile, tmp_path, size(60, 2_000))
    assert seen == {"State": 0, "Given": 0, "Connection": 0}
