"""A finalizer may connect with a context that is garbage as well, and finds what any other code would find."""

from __future__ import annotations

import pytest

from tests.inside.harm.conftest import Sites, with_and_without

PROGRAM = """
import gc

"localhost".encode("idna")  # a codec cannot be found at exit

ports, cafile, ends, used = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]

class Client:
    def __init__(self, meet=meet, say=os.write, dumps=json.dumps):
        self.context = ssl.create_default_context(cafile=cafile)
        self.meet, self.say, self.dumps = meet, say, dumps
        self.me = self

    def __del__(self):
        said = [self.meet(self.context, ports[kind]) for kind in ("right", "self-signed", "right")]
        self.say(1, self.dumps(said).encode())

client = Client()
if used == "used":
    meet(client.context, ports["right"])
if ends == "collected":
    del client
    gc.collect()
"""


@pytest.mark.parametrize("used", ["new", "used"])
@pytest.mark.parametrize("ends", ["collected", "at exit"])
@pytest.mark.parametrize("size", ["small", "large"])
def test_connects_with_a_context_that_is_garbage(sites: Sites, size: str, ends: str, used: str) -> None:
    file = sites.pki.cafile if size == "small" else sites.large_cafile
    hooked, plain = with_and_without(PROGRAM, sites.ports, file, ends, used)
    assert hooked == plain
