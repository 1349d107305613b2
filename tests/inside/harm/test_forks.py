"""A forked child never waits for a lock of ours that only its parent could release.

A child that waits in Python says so, at SIGALRM. One that waits in OpenSSL, which has such locks of its own, is ended:
plain Python hangs there in one of a hundred forks beside threads that shake hands.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import MakeHierarchy, start_python, wait_until
from tests.inside.harm.conftest import MEET, UNKNOWN, Sites, answer, size
from tests.support.servers import AIAHost, TLSServer

ALLOWED = 15  # seconds until a child counts as hanging

#: `ended(child)` is what a child said of its connection, or what ended it. Beside threads, `but_for_openssl` and
#: `verdict` allow a few children that OpenSSL's own locks stop.
FORK = f"""
import select, signal, warnings

warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, from Python 3.12 on

stuck = []

def waits(*_):
    raise TimeoutError("it waits")

def forked(run):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, waits)
        signal.alarm({ALLOWED})
        said = "nothing"
        try:
            said = run()
        except BaseException as error:
            said = repr(error)
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    return child, reading

def ended(child):
    if not select.select([child[1]], [], [], {ALLOWED} + 3)[0]:
        os.kill(child[0], signal.SIGKILL)
    with open(child[1], "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitpid(child[0], 0)[1]
    if status & 127 == signal.SIGKILL:
        return "waits in OpenSSL"
    return f"killed by signal {{status & 127}}" if status & 127 else said

def but_for_openssl(said):
    if said != "waits in OpenSSL":
        return said
    stuck.append(said)
    return "ok"

def verdict(said, forks):
    return f"{{len(stuck)}} of {{forks}} wait in OpenSSL" if len(stuck) > 2 + forks // 20 else said

def first_failure(said, right="ok"):
    return next((one for one in said if one != right), right)
"""

BESIDE_A_THREAD = """
import threading

port, cafile, forks = sys.argv[1], sys.argv[2], int(sys.argv[3])
busy = ssl.create_default_context(cafile=cafile)
made = threading.Event()

def make():
    while True:
        busy.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
        made.set()

threading.Thread(target=make, daemon=True).start()
made.wait()

def connect():
    return meet(ssl.create_default_context(cafile=cafile), port)

said = "ok"
for _ in range(0, forks, 10):
    children = [forked(connect) for _ in range(10)]
    said = first_failure([but_for_openssl(ended(child)) for child in children])
    if said != "ok":
        break
print(json.dumps(verdict(said, forks)))
sys.stdout.flush()
os._exit(0)
"""

FORKS = size(20, 400)


@pytest.mark.parametrize("kind", ["right", "leaf-only"])
def test_beside_a_thread_that_makes_ssl_objects(sites: Sites, kind: str) -> None:
    assert answer(FORK + BESIDE_A_THREAD, sites.port(kind), sites.pki.cafile, FORKS) == "ok"


BESIDE_HANDSHAKES = """
import threading

ports, cafile, forks = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
shared = ssl.create_default_context(cafile=cafile or None)
met = threading.Event()

def visit(kind):
    while True:
        try:
            meet(shared, ports[kind])
        except OSError:
            pass
        met.set()

for kind in ports:
    threading.Thread(target=visit, args=(kind,), daemon=True).start()
met.wait()

def connect():
    return meet(ssl.create_default_context(cafile=cafile or None), ports["leaf-only"])

said = "ok"
for _ in range(forks):
    said = but_for_openssl(ended(forked(connect)))
    if said != "ok":
        break
print(json.dumps(verdict(said, forks)))
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.usefixtures("default_paths")
@pytest.mark.parametrize("cafile", ["cafile", "default paths"])
def test_beside_threads_in_handshakes(sites: Sites, cafile: str) -> None:
    file = sites.pki.cafile if cafile == "cafile" else ""
    assert answer(FORK + BESIDE_HANDSHAKES, sites.ports, file, size(15, 200)) == "ok"


DURING_A_FETCH = """
import threading

slow, other, cafile = sys.argv[1:4]
thread = threading.Thread(target=lambda: meet(ssl.create_default_context(cafile=cafile), slow), daemon=True)
thread.start()
sys.stdin.readline()  # the fetch is under way
said = ended(forked(lambda: meet(ssl.create_default_context(cafile=cafile), other)))
print(json.dumps([said, thread.is_alive()]))
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.parametrize("writable", [True, False], ids=["writable", "unwritable"])
def test_during_a_fetch(store: Path, aia: AIAHost, hierarchy: MakeHierarchy, writable: bool) -> None:
    """With no folder to write in, fetches take turns within a process; a child is a process of its own."""
    pki = hierarchy()
    other = pki.root.intermediate("Other CA")
    other_leaf = other.leaf(aia=[aia.publish("/other.cer", other.der)])
    aia.silent("/0.cer")
    store.parent.joinpath("file").write_text("in the way")
    folder = store if writable else store.parent / "file" / "store"
    with TLSServer(pki.leaf) as slow, TLSServer(other_leaf) as quick:
        code = MEET + FORK + DURING_A_FETCH
        process = start_python(code, slow.port, quick.port, pki.cafile, env={"AIA_STORE_DIR": str(folder)})
        wait_until(lambda: aia.count("/0.cer") == 1)
        output, errors = process.communicate("now\n", timeout=60)
    said, fetch_was_under_way = json.loads(output)
    assert (said, errors) == ("ok", "")
    assert fetch_was_under_way, "the child's fetch does not wait for the parent's"


POOL = """
import multiprocessing, threading

port, cafile = sys.argv[1], sys.argv[2]
context = ssl.create_default_context(cafile=cafile)
first = meet(context, port)

def connect(number):
    signal.alarm(20)
    return meet(context if number % 2 else ssl.create_default_context(cafile=cafile), port)

def make():
    while True:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")

threading.Thread(target=make, daemon=True).start()
said = {first}
for _ in range(int(sys.argv[3])):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        said.update(pool.map_async(connect, range(12)).get(30))
print(json.dumps(sorted(said)))
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="plain Python 3.15 hangs in these pools, in four of five runs")
@pytest.mark.parametrize("kind", ["right", "leaf-only"])
def test_pools_of_processes(sites: Sites, kind: str) -> None:
    code = "import signal, warnings; warnings.simplefilter('ignore')\n" + POOL
    assert answer(code, sites.port(kind), sites.pki.cafile, size(5, 50)) == ["ok"]


IN_A_HANDLER = """
port, cafile, forks, warm = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
"localhost".encode("idna")  # the codec is the program's, and is there before the first signal
first = meet(ssl.create_default_context(cafile=cafile), port) if warm == "warm" else "ok"
children = []

def connect():
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(20)
    return meet(ssl.create_default_context(cafile=cafile), port)

def fork(number, frame):
    if len(children) < forks:
        children.append(forked(connect))

signal.signal(signal.SIGALRM, fork)
signal.setitimer(signal.ITIMER_REAL, 0.011, 0.011)
said = {first}
while len(children) < forks:
    said.add(meet(ssl.create_default_context(cafile=cafile), port))
signal.setitimer(signal.ITIMER_REAL, 0)
said.update(ended(child) for child in children)
print(json.dumps(sorted(said)))
"""


@pytest.mark.parametrize(("kind", "warm"), [("right", "cold"), ("right", "warm"), ("leaf-only", "warm")])
def test_in_a_signal_handler(sites: Sites, kind: str, warm: str) -> None:
    assert answer(FORK + IN_A_HANDLER, sites.port(kind), sites.pki.cafile, size(40, 300), warm) == ["ok"]


def test_in_a_signal_handler_while_our_modules_are_imported(sites: Sites) -> None:
    """A child that was forked in the midst of an import may complete nothing, but sees no error of ours."""
    said = answer(FORK + IN_A_HANDLER, sites.port("leaf-only"), sites.pki.cafile, size(40, 300), "cold")
    assert {"ok"} <= set(said) <= {"ok", UNKNOWN}


A_CHILD_OF_A_CHILD = """
port, cafile = sys.argv[1], sys.argv[2]
context = ssl.create_default_context(cafile=cafile or None)
first = meet(context, port) if sys.argv[3] == "used" else "ok"
tcp = socket.create_connection(("127.0.0.1", int(port)), 30)
begun = context.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False)

def connect():
    return meet(context, port)

def parent_too():
    return first_failure([connect(), ended(forked(connect)), connect()])

def go_on():
    begun.do_handshake()
    return "ok"

said = [first, ended(forked(parent_too)), ended(forked(go_on)), connect()]
print(json.dumps(said))
"""


@pytest.mark.usefixtures("default_paths")
@pytest.mark.parametrize("used", ["new", "used"])
@pytest.mark.parametrize("cafile", ["cafile", "default paths"])
@pytest.mark.parametrize("kind", ["right", "leaf-only"])
def test_a_child_of_a_child(sites: Sites, kind: str, cafile: str, used: str) -> None:
    file = sites.pki.cafile if cafile == "cafile" else ""
    assert answer(FORK + A_CHILD_OF_A_CHILD, sites.port(kind), file, used) == ["ok"] * 4


CONTEXTS_OF_OURS = """
from aia_store.inside import contexts

port, cafile = sys.argv[1:3]
context, mine = (ssl.create_default_context(cafile=cafile) for _ in range(2))
first = meet(context, port)
said = ended(forked(lambda: "shared" if contexts._kept else meet(mine, port)))
print(json.dumps([first, bool(contexts._kept), said]))
"""


def test_a_child_shares_no_context_of_ours_with_the_threads_of_its_parent(sites: Sites) -> None:
    """One of them may have held a lock of OpenSSL's in it."""
    said = answer(FORK + CONTEXTS_OF_OURS, sites.port("leaf-only"), sites.pki.cafile)
    assert said == ["ok", True, "ok"]


FREED = """
import gc, weakref
from aia_store.inside.contexts import Context

port, cafile = sys.argv[1:3]
context = ssl.create_default_context(cafile=cafile)
said = [meet(context, port)]
ours = [weakref.ref(found) for found in gc.get_objects() if isinstance(found, Context)]

def look():
    return "freed" if any(one() is None for one in ours) else meet(context, port)

print(json.dumps([*said, len(ours) > 0, ended(forked(look))]))
"""


@pytest.mark.parametrize("kind", ["right", "leaf-only", "unknown"])
def test_a_child_frees_no_context_of_ours_that_its_parent_made(sites: Sites, kind: str) -> None:
    """OpenSSL takes a lock to free one. If a thread of the parent held it, the child would hang before fork returns."""
    right = sites.verdicts[kind]
    assert answer(FORK + FREED, sites.port(kind), sites.large_cafile) == [right, True, right]


IN_THE_MIDST_OF_A_PROPERTY = """
import threading
from aia_store.inside.cafile import CAFile
from aia_store.inside.certificate import Certificate

pem = open(sys.argv[1], "rb").read()
der = ssl.PEM_cert_to_DER_cert(pem.decode())
makers = {Certificate: lambda: Certificate(der), CAFile: lambda: CAFile(pem)}

def read(one, name, tracer):
    sys.settrace(tracer)
    getattr(one, name)

def said(kind, name):
    begun, go_on = threading.Event(), threading.Event()

    def stop(frame, event, argument):
        if frame.f_code.co_name == name:
            begun.set()
            go_on.wait()

    thread = threading.Thread(target=read, args=(makers[kind](), name, stop))
    other = makers[kind]()
    def read_other():
        getattr(other, name)
        return "ok"

    thread.start()
    begun.wait()
    child = forked(read_other)
    go_on.set()
    thread.join()
    return ended(child)

names = [(kind, name) for kind in makers for name, one in vars(kind).items() if "cached" in type(one).__name__]
print(json.dumps({name: said(kind, name) for kind, name in names}))
"""


def test_while_a_thread_computes_a_property(sites: Sites) -> None:
    """Up to Python 3.11, functools has one lock for all instances of a class."""
    said = answer(FORK + IN_THE_MIDST_OF_A_PROPERTY, sites.pki.cafile)
    assert {"subject_key", "ders"} <= set(said), "the properties of both classes"
    assert set(said.values()) == {"ok"}


def test_only_modules_refer_to_our_locks(sites: Sites) -> None:
    """eventlet replaces the RLocks that it finds in modules, and prints an error if it cannot reach all references."""
    code = """
import gc
import aia_store.inside

ssl.create_default_context(cafile=sys.argv[1])
referrers = gc.get_referrers(aia_store.inside.importing)
print(json.dumps(sorted({type(referrer).__name__ for referrer in referrers})))
"""
    assert answer(code, sites.pki.cafile) == ["dict"]
