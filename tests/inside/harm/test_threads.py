"""Many threads share one context, with all kinds of servers: no interpreter crashes, and each verdict is right.

Adding a lookup to an X509_STORE that other threads read corrupts the heap, and a process that dies of that does so at
some later point. So each child process takes many fresh contexts. AIA_STORE_TEST_HARM=all runs the full number.
"""

from __future__ import annotations

import pytest

from tests.inside.harm.conftest import Sites, answer, size

THREADS = 24
CONTEXTS = 15
PROCESSES = {"default paths": size(2, 20), "cafile": size(1, 20), "large cafile": size(1, 20)}

CROWD = """
import threading

port, threads, contexts, cafile = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
verdicts = {}

def run(context, start):
    start.wait()
    try:
        said = meet(context, port)
    except Exception as error:
        said = repr(error)
    verdicts[said] = verdicts.get(said, 0) + 1

for _ in range(contexts):
    context = ssl.create_default_context(cafile=cafile or None)
    start = threading.Barrier(threads)
    crowd = [threading.Thread(target=run, args=(context, start)) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
print(json.dumps(sorted(verdicts)))
"""


@pytest.mark.usefixtures("default_paths")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("cafile", PROCESSES)
@pytest.mark.parametrize("kind", ["self-signed", "unknown", "right", "leaf-only"])
def test_a_crowd_on_fresh_contexts(sites: Sites, kind: str, cafile: str) -> None:
    file = {"default paths": "", "cafile": sites.pki.cafile, "large cafile": sites.large_cafile}[cafile]
    for _ in range(PROCESSES[cafile]):
        seen = answer(CROWD, sites.port(kind), THREADS, CONTEXTS, file)
        assert seen == [sites.verdicts[kind]]


LETTING_GO = """
import threading

port, cafile = sys.argv[1], sys.argv[2]
context = ssl.create_default_context(cafile=cafile)
patch = sys.modules["aia_store.inside.patch"]
tcp = socket.create_connection(("127.0.0.1", int(port)), 30)
open_one = context.wrap_socket(tcp, server_hostname="localhost")
is_over = threading.Event()

def let_go_again_and_again():
    while not is_over.is_set():
        for _ in range(20):
            patch._let_go_if_done(patch._connections[id(open_one)], patch.TLS_1_3)

other = threading.Thread(target=let_go_again_and_again)
other.start()
verdicts = [meet(context, port) for _ in range(int(sys.argv[3]))]
is_over.set()
other.join()
print(json.dumps(sorted(set(verdicts))))
"""


def test_a_connection_that_is_made_while_another_is_let_go(sites: Sites) -> None:
    # To let a connection go, its context loses our callback for a moment. OpenSSL makes SSL objects without the GIL, so
    # an object that another thread makes at that moment would get no callback: no CA file would be loaded for it.
    assert answer(LETTING_GO, sites.port("right"), sites.large_cafile, size(60, 1000)) == ["ok"]
