"""Whenever a program can look, a connection's context is the program's; and nothing is kept of it afterwards."""

from __future__ import annotations

import json

import pytest

from tests.conftest import FLAGS, MakeHierarchy
from tests.inside.harm.conftest import Sites, answer, size, with_and_without
from tests.support.servers import TLSServer, Version

VERSIONS: list[Version] = ["1.2", "1.3"]

#: A client by hand: `feed` gives it a few bytes at a time and `look`s in between.
BY_HAND = """
import gc, weakref

class Client:
    def __init__(self, context, port, host="localhost"):
        self.context = context
        self.tcp = socket.create_connection(("127.0.0.1", int(port)), 30)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=host)
        self.strangers = 0
        self.looks = 0

    def look(self):
        self.looks += 1
        bare = self.tls._sslobj
        self.strangers += self.tls.context is not self.context or bare.context is not self.context

    def drive(self, step, at_once=1):
        while True:
            try:
                self.look()
                return step()
            except ssl.SSLWantReadError:
                self.look()
                self.tcp.sendall(self.outgoing.read())
                piece = self.tcp.recv(at_once)
                if piece:
                    self.incoming.write(piece)
                else:
                    self.incoming.write_eof()
            finally:
                self.look()

ports, cafile = json.loads(sys.argv[1]), sys.argv[2]

def made():
    return ssl.create_default_context(cafile=cafile)
"""

BYTE_BY_BYTE = """
step = {
    "do_handshake": lambda tls: tls.do_handshake(),
    "write": lambda tls: tls.write(b"GET / HTTP/1.1\\r\\n\\r\\n"),
    "read": lambda tls: tls.read(1),
}[sys.argv[4]]
context = made()
seen = []
for kind in (sys.argv[3], "right", sys.argv[3]):
    client = Client(context, ports[kind])
    try:
        client.drive(lambda: step(client.tls))
        said = "ok"
    except ssl.SSLCertVerificationError as error:
        said = error.verify_message
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError) as error:
        said = "the server has gone"
    seen.append([said, client.strangers, client.looks > 500])
print(json.dumps(seen))
"""


@pytest.mark.parametrize("step", ["do_handshake", "write"])
@pytest.mark.parametrize("version", VERSIONS)
def test_between_two_steps_of_a_handshake_fed_byte_by_byte(
    store: object, hierarchy: MakeHierarchy, version: Version, step: str
) -> None:
    pki = hierarchy()
    with TLSServer(pki.leaf, pki.intermediates, version) as right, TLSServer(pki.leaf, [], version) as leaf_only:
        ports = json.dumps({"right": right.port, "leaf-only": leaf_only.port})
        for kind in ("leaf-only", "right"):
            seen = answer(BY_HAND + BYTE_BY_BYTE, ports, pki.cafile, kind, step)
            assert seen == [["ok", 0, True]] * 3


@pytest.mark.parametrize("kind", ["self-signed", "unknown"])
def test_of_a_refused_one_fed_byte_by_byte(sites: Sites, kind: str) -> None:
    seen = answer(BY_HAND + BYTE_BY_BYTE, sites.ports, sites.pki.cafile, kind, "do_handshake")
    assert seen == [[sites.verdicts[said], 0, True] for said in (kind, "right", kind)]


#: The same of sockets: what a program can ask of one, at every stage of its life.
ASKED = """
def asked(tls):
    bare = tls._sslobj
    session = tls.session
    return {
        "context": tls.context is context,
        "context of the C object": bare is None or bare.context is context,
        "session": session is not None,
        "session_reused": tls.session_reused,
        "getpeercert": repr(certificate_of(tls)),
        "version": tls.version(),
        "cipher": tls.cipher(),
        "compression": tls.compression(),
        "alpn": tls.selected_alpn_protocol(),
        "server_side": tls.server_side,
        "server_hostname": tls.server_hostname,
        "owner": bare is None or bare.owner is tls,
        "vars": sorted(vars(tls)),
        "dir": dir(tls),
        "shared_ciphers": tls.shared_ciphers(),
    }

def certificate_of(tls):
    try:
        return tls.getpeercert(), len(tls.getpeercert(True) or b"")
    except ValueError as error:
        return str(error)

def attempted(step):
    try:
        step()
        return "ok"
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except OSError as error:
        return type(error).__name__
"""

LIFE_OF_A_SOCKET = """
context = made()
seen = []
for _ in range(2):
    tcp = socket.create_connection(("127.0.0.1", ports[sys.argv[3]]), 30)
    tls = context.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False)
    seen.append(asked(tls))
    drive = {
        "do_handshake": lambda: tls.do_handshake(),
        "send": lambda: tls.send(b"GET / HTTP/1.1\\r\\n\\r\\n"),
        "recv": lambda: tls.recv(1),
        "not blocking": lambda: (tls.settimeout(20), tls.do_handshake(), tls.settimeout(30)),
    }[sys.argv[4]]
    seen.append(attempted(drive))
    seen.append(asked(tls))
    seen.append(attempted(lambda: tls.send(b"GET / HTTP/1.1\\r\\n\\r\\n")))
    seen.append(attempted(lambda: tls.recv(1)))
    seen.append(asked(tls))
    tls.close()
print(json.dumps(seen))
"""


@pytest.mark.parametrize("way", ["do_handshake", "send", "not blocking"])
@pytest.mark.parametrize("kind", ["right", "self-signed", "unknown"])
def test_what_can_be_asked_of_a_socket_is_as_in_plain_python(sites: Sites, kind: str, way: str) -> None:
    hooked, plain = with_and_without(BY_HAND + ASKED + LIFE_OF_A_SOCKET, sites.ports, sites.pki.cafile, kind, way)
    assert hooked == plain
    assert plain[0]["context"]


@pytest.mark.parametrize("way", ["do_handshake", "send", "not blocking"])
def test_what_can_be_asked_of_a_completed_socket(sites: Sites, way: str) -> None:
    """As of one whose server sent its whole chain, but for the certificate."""
    hooked, plain = (
        answer(BY_HAND + ASKED + LIFE_OF_A_SOCKET, sites.ports, sites.pki.cafile, kind, way, hook=hook)
        for kind, hook in (("leaf-only", True), ("right", False))
    )
    for one in (*hooked, *plain):
        if isinstance(one, dict):
            one.pop("getpeercert")
    assert hooked == plain


#: Handshakes that end before they are done.
GIVEN_UP = """
context = made()
strangers = looks = 0
gone = []
for end in range(40, 4000, 130):
    client = Client(context, ports[sys.argv[3]])
    left = end
    while left > 0:
        client.look()
        try:
            client.tls.do_handshake()
            client.look()
            break
        except ssl.SSLWantReadError:
            client.look()
            client.tcp.sendall(client.outgoing.read())
            piece = client.tcp.recv(min(left, 65))
            client.incoming.write(piece)
            left -= len(piece)
        except ssl.SSLError:
            client.look()
            break
    client.look()
    strangers += client.strangers
    looks += client.looks
    client.tcp.close()
    gone.append(weakref.ref(client.tls))
    del client
gc.collect()
alive = sum(one() is not None for one in gone)
said = meet(context, ports["right"])
known = weakref.ref(context)
del context
gc.collect()
print(json.dumps([strangers, alive, said, known() is not None]))
"""


@pytest.mark.parametrize("kind", ["right", "leaf-only", "self-signed", "unknown"])
def test_handshakes_that_are_given_up(sites: Sites, kind: str) -> None:
    seen = answer(BY_HAND + GIVEN_UP, sites.ports, sites.pki.cafile, kind)
    assert seen == [0, 0, "ok", False]


CALLBACK = """
context = made()
seen, strangers = [], 0

def callback(connection, direction, version, content_type, message_type, data):
    global strangers
    strangers += connection.context is not context
    bare = getattr(connection, "_sslobj", connection)
    strangers += bare is not None and bare.context is not context
    size = len(data) if content_type == 22 and message_type in (11, 14, 20) else 0
    seen.append([direction, str(version), str(content_type), str(message_type), size])

context._msg_callback = callback
said = []
for _ in range(2):
    if sys.argv[4] == "socket":
        said.append(meet(context, ports[sys.argv[3]]))
    else:
        client = Client(context, ports[sys.argv[3]])
        try:
            client.drive(client.tls.do_handshake, 50)
            client.drive(lambda: client.tls.write(b"GET / HTTP/1.1\\r\\n\\r\\n"))
            while client.drive(lambda: client.tls.read(1000)):
                pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            said.append("ok")
        except ssl.SSLCertVerificationError as error:
            said.append(error.verify_message)
    seen.append("the end")
shown = context._msg_callback is callback
print(json.dumps([said, shown, strangers, seen]))
"""


@pytest.mark.parametrize("way", ["socket", "object"])
@pytest.mark.parametrize("kind", ["right", "leaf-only", "self-signed", "unknown"])
def test_the_programs_own_callback_is_called_for_all(sites: Sites, kind: str, way: str) -> None:
    """The context that its connections show is the program's even there, and no message is missing or more."""
    hooked = answer(BY_HAND + CALLBACK, sites.ports, sites.pki.cafile, kind, way)
    # What a completed connection is to look like, only a right server shows in plain Python.
    as_if = "right" if kind == "leaf-only" else kind
    plain = answer(BY_HAND + CALLBACK, sites.ports, sites.pki.cafile, as_if, way, hook=False)
    if kind == "leaf-only":
        for seen in (hooked, plain):
            for message in seen[3]:
                if message != "the end":
                    message[4] = 0
    assert hooked == plain
    assert plain[2] == 0


LEAK = """
contexts = [made() for _ in range(2)]
kinds = json.loads(sys.argv[3])
flags = int(sys.argv[5])
for context in contexts:
    context.verify_flags = ssl.VerifyFlags(flags)

def round(number):
    fresh = made()
    for context in (*contexts, fresh):
        for kind in kinds:
            meet(context, ports[kind])

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def living():
    gc.collect()
    return len(gc.get_objects())

times = int(sys.argv[4]) // (3 * len(kinds))
for number in range(times // 4):
    round(number)
objects, memory = living(), resident()
for number in range(times):
    round(number)
grown = living() - objects, resident() - memory
count = sum(isinstance(one, (ssl.SSLContext, ssl.SSLSocket)) for one in gc.get_objects())
print(json.dumps([grown, count]))
"""


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS.keys())
def test_a_thousand_handshakes_leave_nothing_behind(sites: Sites, flags: int) -> None:
    kinds = json.dumps(["right", "leaf-only", "self-signed", "unknown"])
    code = BY_HAND + LEAK
    (objects, memory), count = answer(code, sites.ports, sites.pki.cafile, kinds, size(1_000, 10_000), int(flags))
    assert objects < 200
    assert memory < 4 << 20
    assert count < 2 + 64, "contexts of ours are kept within bounds"


GARBAGE = """
context = made()
said = [meet(context, ports[kind]) for kind in ("right", "leaf-only", "self-signed")]
tcp = socket.create_connection(("127.0.0.1", ports[sys.argv[3]]), 30)
tls = context.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False)
try:
    tls.do_handshake()
except ssl.SSLError:
    pass
gone = [weakref.ref(context), weakref.ref(tls)]
tls.close()
del context, tls, tcp
gc.collect()
print(json.dumps([one() is None for one in gone]))
"""


@pytest.mark.parametrize("kind", ["right", "leaf-only", "self-signed", "unknown"])
def test_contexts_and_sockets_are_freed_when_unused(sites: Sites, kind: str) -> None:
    assert answer(BY_HAND + GARBAGE, sites.ports, sites.pki.cafile, kind) == [True, True]
