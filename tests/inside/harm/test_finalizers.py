"""A finalizer may connect with a context that is garbage too, and gets what any other code would get."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import run_python
from tests.inside.harm.conftest import MEET, UNKNOWN, Sites, answer, with_and_without
from tests.support.servers import TLSServer

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


#: A module that stays until the interpreter clears it, because something that never ends refers to it.
LIBRARY = """
import os, sys

class Client:
    def __init__(self, meet, context, ports):
        self.meet, self.context, self.ports = meet, context, ports

    def __del__(self):
        said = [self.meet(self.context, self.ports[kind]) for kind in ("right", "unknown")]
        os.write(1, repr(said).encode())

_client = None
myself = sys.modules[__name__]
os.register_at_fork(after_in_child=lambda: _client)
"""

AT_THE_VERY_END = """
ports, cafile, folder = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]
"localhost".encode("idna")
sys.path.append(folder)
import library

context = ssl.create_default_context(cafile=cafile)
meet(context, ports["right"])
library._client = library.Client(meet, context, ports)
"""


@pytest.mark.parametrize("size", ["small", "large"])
def test_connects_when_modules_are_cleared(sites: Sites, tmp_path: Path, size: str) -> None:
    """Ours were imported after the library's, so they would be cleared first."""
    (tmp_path / "library.py").write_text(LIBRARY)
    file = sites.pki.cafile if size == "small" else sites.large_cafile
    program = MEET + AT_THE_VERY_END
    hooked, plain = (run_python(program, sites.ports, file, tmp_path, hook=hook) for hook in (True, False))
    assert plain.stdout == repr(["ok", UNKNOWN])
    assert (hooked.stdout, hooked.stderr) == (plain.stdout, plain.stderr)


CONTEXTS_OF_OURS = """
from aia_store.inside import patch

ports, cafile = json.loads(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=cafile)
said = [meet(context, ports[kind]) for kind in ("right", "another right", "right")]
print(json.dumps([said, len(patch._states)]))
"""


def test_a_context_of_ours_is_never_taken_for_a_programs(sites: Sites) -> None:
    """One that has served a connection rehearses the next chain. It may stand where a context of the program's was."""
    ca = sites.pki.root.intermediate("Another right CA")
    with TLSServer(ca.leaf(), [ca]) as server:
        ports = json.dumps({"right": sites.port("right"), "another right": server.port})
        assert answer(CONTEXTS_OF_OURS, ports, sites.large_cafile) == [["ok"] * 3, 1]
