"""The program's own call raises what a signal handler raises while the hook waits, and nothing is left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from aia_store.install.watcher import HOOKS
from tests.conftest import Hierarchy, MakeHierarchy, run_python, start_python, wait_until
from tests.inside.harm.conftest import MEET, UNKNOWN, Sites, answer, size
from tests.support.servers import AIAHost, TLSServer

#: A program that `begin`s a connection, `drive`s its handshake, and tells what it sees when that was interrupted.
START = """
import gc, signal, weakref

port, right, cafile = sys.argv[1:4]
context = ssl.create_default_context(cafile=cafile)

class Alarm(Exception):
    pass

class Harsh(BaseException):
    pass

def ring(number, frame):
    raise Alarm("ring")

def ring_harshly(number, frame):
    raise Harsh("ring")

signal.signal(signal.SIGALRM, ring)
signal.signal(signal.SIGUSR1, ring_harshly)

def begin():
    tcp = socket.create_connection(("127.0.0.1", int(port)), 30)
    return context.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False)
"""

TELL = """
gc.disable()  # as in plain Python, nothing waits for it
connection = begin()
seen = {}
try:
    drive(connection)
except BaseException as error:
    seen["raised"] = [type(error).__name__, str(error)]
    seen["shows an error of ours beside it"] = not error.__suppress_context__ and error.__context__ is not None
bare = getattr(connection, "_sslobj", connection)
seen["context"] = connection.context is context and bare.context is context
gone = weakref.ref(connection)
if hasattr(connection, "close"):
    connection.close()
del connection, bare
seen["connection is alive"] = gone() is not None
seen["SSL objects"] = sum(type(one).__name__ == "_SSLSocket" for one in gc.get_objects())
seen["goes on"] = meet(context, right)
print(json.dumps(seen))
"""

DRIVES = {
    "do_handshake": "drive = lambda connection: connection.do_handshake()\n",
    "recv": "drive = lambda connection: connection.recv(100)\n",
    "recv_into": "drive = lambda connection: connection.recv_into(bytearray(100))\n",
    "read": "drive = lambda connection: connection.read(100)\n",
    "send": "drive = lambda connection: connection.send(b'hello')\n",
    "sendall": "drive = lambda connection: connection.sendall(b'hello')\n",
    "write": "drive = lambda connection: connection.write(b'hello')\n",
    "object": """
def begin():
    global tcp, incoming, outgoing
    tcp = socket.create_connection(("127.0.0.1", int(port)), 30)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    return context.wrap_bio(incoming, outgoing, server_hostname="localhost")

def drive(connection, step="do_handshake", *arguments):
    while True:
        try:
            return getattr(connection, step)(*arguments)
        except ssl.SSLWantReadError:
            tcp.sendall(outgoing.read())
            incoming.write(tcp.recv(65536))
""",
}
DRIVES["object, read"] = (
    DRIVES["object"] + "by_step = drive\ndrive = lambda connection: by_step(connection, 'read', 100)\n"
)
DRIVES["object, write"] = (
    DRIVES["object"] + "by_step = drive\ndrive = lambda connection: by_step(connection, 'write', b'hello')\n"
)

SIGNALS = {
    "SIGINT": (signal.SIGINT, ["KeyboardInterrupt", ""]),
    "SIGALRM": (signal.SIGALRM, ["Alarm", "ring"]),
    "SIGUSR1": (signal.SIGUSR1, ["Harsh", "ring"]),
}


@dataclass(frozen=True)
class World:
    """A server whose intermediate is with a host that never answers, and a right one."""

    pki: Hierarchy
    silent: TLSServer
    right: TLSServer
    aia: AIAHost

    def interrupted(self, code: str, number: signal.Signals) -> subprocess.CompletedProcess[str]:
        """Start such a program, send it the signal during its fetch, and see how it ends."""
        process = start_python(code, self.silent.port, self.right.port, self.pki.cafile)
        wait_until(lambda: self.aia.count("/0.cer") == 1)
        time.sleep(0.1)  # from the request to the wait for its answer
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


@pytest.fixture
def world(store: object, aia: AIAHost, hierarchy: MakeHierarchy) -> Iterator[World]:
    pki = hierarchy()
    aia.silent("/0.cer")
    with TLSServer(pki.leaf) as silent, TLSServer(pki.leaf, pki.intermediates) as right:
        yield World(pki, silent, right, aia)


OTHER_SIGNALS = [(way, number) for way in ("do_handshake", "recv", "object, read") for number in ("SIGALRM", "SIGUSR1")]


@pytest.mark.parametrize(("way", "number"), [*((way, "SIGINT") for way in DRIVES), *OTHER_SIGNALS])
def test_it_comes_out_of_the_call_that_waited(world: World, way: str, number: str) -> None:
    sent, raised = SIGNALS[number]
    done = world.interrupted(MEET + START + DRIVES[way] + TELL, sent)
    assert done.stderr == ""
    assert json.loads(done.stdout) == {
        "raised": raised,
        "shows an error of ours beside it": False,
        "context": True,
        "connection is alive": False,
        "SSL objects": 0,
        "goes on": "ok",
    }


ASYNCIO = """
import asyncio, signal

port, right, cafile = sys.argv[1:4]
context = ssl.create_default_context(cafile=cafile)

class Alarm(Exception):
    pass

def ring(number, frame):
    raise Alarm("ring")

def leave(number, frame):
    sys.exit(7)

signal.signal(signal.SIGALRM, ring)
signal.signal(signal.SIGTERM, leave)

async def connect(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port), ssl=context, server_hostname="localhost")
    writer.write(b"GET / HTTP/1.1\\r\\n\\r\\n")
    said = await reader.read()
    writer.close()
    return said.partition(b"\\r\\n\\r\\n")[2].decode()

async def main(port):
    try:
        return await connect(port)
    except Alarm as error:
        return f"Alarm in the program: {error}"

try:
    print(asyncio.run(main(port)))
except BaseException as error:
    print(type(error).__name__, error)
signal.alarm(0)
print(asyncio.run(main(right)))
"""


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (signal.SIGINT, "KeyboardInterrupt "),
        (signal.SIGTERM, "SystemExit 7"),
        (signal.SIGALRM, "Alarm in the program: ring"),
    ],
    ids=["SIGINT", "SIGTERM", "SIGALRM"],
)
def test_under_asyncio(world: World, number: signal.Signals, says: str) -> None:
    done = world.interrupted(MEET + ASYNCIO, number)
    assert done.stdout.splitlines() == [says, "ok"]


#: How long a fetch lives that nobody waits for any more, and a little.
MEMORY = """
FETCH = 5.5
import gc, signal, time, weakref

port, right, cafile, times = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context(cafile=cafile)

class Alarm(Exception):
    pass

def ring(number, frame):
    raise Alarm("ring")

signal.signal(signal.SIGALRM, ring)

def interrupted(after):
    signal.setitimer(signal.ITIMER_REAL, after)
    try:
        meet(context, port)
    except Alarm:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return False

def living():
    gc.collect()
    return len(gc.get_objects())

raised = sum(interrupted(0.8) for _ in range(2))
time.sleep(FETCH)
before = living()
raised += sum(interrupted(0.15) for _ in range(times))
time.sleep(FETCH)
seen = [raised, living() - before, meet(context, right)]
gone = weakref.ref(context)
del context
gc.collect()
print(json.dumps([*seen, gone() is None]))
"""


def test_many_interrupts_leave_nothing_behind(world: World) -> None:
    """An interrupted fetch is not held against the host, so each program fetches anew."""
    times = size(15, 100)
    process = start_python(MEET + MEMORY, world.silent.port, world.right.port, world.pki.cafile, times)
    output, errors = process.communicate(timeout=60)
    assert errors == ""
    raised, grown, said, is_context_gone = json.loads(output)
    assert (raised, said, is_context_gone) == (times + 2, "ok", True)
    assert grown < 2 * times


#: A handler raises at one line of ours after another, in handshake after handshake, until one meets no more lines.
AT_EVERY_LINE = """
import signal

port, cafile, name, step, starts = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]

class Alarm(Exception):
    pass

Raised = {"KeyboardInterrupt": KeyboardInterrupt, "Alarm": Alarm, "TimeoutError": TimeoutError}[name]

def ring(*_):
    raise Raised("ring")

signal.signal(signal.SIGALRM, ring)
left, where = 0, None

def trace(frame, event, argument):
    global left, where
    if "/aia_store/inside/" not in frame.f_code.co_filename or frame.f_code.co_name == "<genexpr>":
        return None
    if where is None and event == "line":
        left -= 1
        if left <= 0:
            where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            signal.raise_signal(signal.SIGALRM)
    return trace

def begin():
    if starts == "new":
        sys.modules["aia_store.inside.verification"]._decisions.clear()
        return ssl.create_default_context(cafile=cafile)
    return context

context = ssl.create_default_context(cafile=cafile)
meet(context, port)
lost, lines = [], 0
while True:
    left, where = lines + 1, None
    tcp = socket.create_connection(("127.0.0.1", int(port)), 30)
    tried = begin()
    connection = tried.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False)
    sys.settrace(trace)
    try:
        connection.do_handshake()
        said = "ok"
    except BaseException as error:
        said = type(error).__name__
    finally:
        sys.settrace(None)
    if where is None:
        break
    if said != name:
        lost.append([where, said])
    if connection.context is not tried:
        lost.append([where, "shows a context of ours"])
    connection.close()
    del connection
    lines += step
print(json.dumps([lost, lines > 20]))
"""


@pytest.mark.parametrize("starts", ["known", "new"])
@pytest.mark.parametrize("name", ["KeyboardInterrupt", "Alarm", "TimeoutError"])
@pytest.mark.parametrize("kind", ["leaf-only", "unknown"])
def test_at_every_line_of_ours(sites: Sites, kind: str, name: str, starts: str) -> None:
    """Whatever its class, though our code handles an OSError of its own, and however the handshake ends."""
    step = size(3 if starts == "known" else 67, 1)
    assert answer(AT_EVERY_LINE, sites.port(kind), sites.pki.cafile, name, step, starts) == [[], True]


#: Another thread has an exception raised at any moment of a handshake. Prints how many the program never got.
FROM_A_THREAD = """
import ctypes, random, threading, time

port, cafile, times = sys.argv[1], sys.argv[2], int(sys.argv[3])

class JobTimeout(Exception):
    pass

main = threading.get_ident()
begun, raised = threading.Semaphore(0), []

def interrupt():
    for _ in range(times):
        begun.acquire()
        time.sleep(random.random() * usual)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(main), ctypes.py_object(JobTimeout))
        raised.append(True)

def first_meeting():
    sys.modules["aia_store.inside.verification"]._decisions.clear()
    meet(ssl.create_default_context(cafile=cafile), port)

meet(ssl.create_default_context(cafile=cafile), port)
start = time.monotonic()
first_meeting()
usual = time.monotonic() - start
threading.Thread(target=interrupt).start()
lost = 0
for number in range(times):
    try:
        begun.release()
        first_meeting()
        while len(raised) <= number:
            time.sleep(0.001)
        time.sleep(0.001)  # what was not raised before is raised here
        lost += 1
    except JobTimeout:
        while len(raised) <= number:
            time.sleep(0.001)
print(json.dumps(lost))
"""


@pytest.mark.skipif(sys.version_info < (3, 10), reason="Python 3.9 cannot tell which modules are its own")
@pytest.mark.parametrize("kind", ["leaf-only", "unknown"])
def test_what_another_thread_raises_in_ours(sites: Sites, kind: str) -> None:
    """Some time limits for jobs raise an Exception of their own in the job's thread."""
    assert answer(FROM_A_THREAD, sites.port(kind), sites.large_cafile, 100) == 0


#: A handler raises at one line after another from the import of ssl on, in one forked child after another: what a
#: program catches, and how it goes on.
AT_EVERY_LINE_OF_THE_START = """
import json, os, signal, socket, sys, _socket

port, cafile, hooks, step = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
left, where, said = 0, None, []

def ring(*_):
    raise TimeoutError("ring")

signal.signal(signal.SIGALRM, ring)

def trace(frame, event, argument):
    global left, where
    if not frame.f_code.co_filename.startswith(os.path.dirname(os.path.dirname(hooks))):
        return None
    if where is None and event == "line":
        left -= 1
        if left <= 0:
            where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            signal.raise_signal(signal.SIGALRM)
    return trace

def connect():
    import ssl

    context = ssl.create_default_context(cafile=cafile)
    with socket.create_connection(("127.0.0.1", int(port)), 30) as tcp:
        context.wrap_socket(tcp, server_hostname="localhost").close()

def start():
    sys.settrace(trace)
    try:
        connect()
    except TimeoutError:
        said.append("TimeoutError")
    finally:
        sys.settrace(None)
    connect()
    said.append("connected")

sys.path.insert(0, hooks)
import aia_store_finder
lines, found = step, []
while True:
    heard, told = os.pipe()
    if not os.fork():
        left = lines
        try:
            start()
        except BaseException as error:
            said.append(repr(error))
        os.write(told, json.dumps([where, *said]).encode())
        os._exit(0)
    os.close(told)
    found.append(json.loads(os.read(heard, 4096)))
    os.close(heard)
    os.wait()
    if found[-1][0] is None:
        break
    lines += step
print(json.dumps([[one for one in found[:-1] if one[1:] != ["TimeoutError", "connected"]], found[-1], len(found) > 9]))
"""


def test_at_every_line_of_the_start(sites: Sites) -> None:
    """Our code is loaded within the program's own imports and calls; an interrupted start goes on with the next one."""
    done = run_python(
        AT_EVERY_LINE_OF_THE_START, sites.port("leaf-only"), sites.pki.cafile, HOOKS, size(397, 5), hook=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [[], [None, "connected"], True]


WHEN_A_CONNECTION_DIES = """
import signal

port, cafile = sys.argv[1:3]
context = ssl.create_default_context(cafile=cafile)
rung = 0

def ring(number, frame):
    global rung
    rung += 1
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, ring)

def trace(frame, event, argument):
    if "/aia_store/inside/" in frame.f_code.co_filename:
        signal.raise_signal(signal.SIGALRM)

for _ in range(3):
    tcp = socket.create_connection(("127.0.0.1", int(port)), 30)
    connection = context.wrap_socket(tcp, server_hostname="localhost")
    sys.settrace(trace)
    try:
        del connection
    finally:
        sys.settrace(None)
print(json.dumps(rung))
"""


def test_no_code_of_ours_runs_when_a_connection_dies(sites: Sites) -> None:
    """There Python prints what a handler raises, and goes on."""
    assert answer(WHEN_A_CONNECTION_DIES, sites.port("right"), sites.pki.cafile) == 0


WHILE_A_GENERATOR_ENDS = """
port, cafile = sys.argv[1:3]
context, another = (ssl.create_default_context(cafile=cafile) for _ in range(2))
said = []

def trace(frame, event, argument):
    if sys.exc_info()[0] is GeneratorExit and not said:
        said.append("nothing")
        kept = sys.modules["aia_store.inside.verification"]
        sys.modules["aia_store.inside.verification"] = None  # so that ours fails
        try:
            said[0] = meet(another, port)
        except BaseException as error:
            said[0] = repr(error)
        finally:
            sys.modules["aia_store.inside.verification"] = kept
    return trace

sys.settrace(trace)
try:
    said.append(meet(context, port))
finally:
    sys.settrace(None)
print(json.dumps(said))
"""


def test_a_connection_of_a_handler_that_runs_while_a_generator_of_ours_ends(sites: Sites) -> None:
    """An error of ours in it has the GeneratorExit as its context, which nobody raised from outside."""
    assert answer(WHILE_A_GENERATOR_ENDS, sites.port("leaf-only"), sites.pki.cafile) == [UNKNOWN, "ok"]
