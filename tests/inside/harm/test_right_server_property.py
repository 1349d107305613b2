"""A server that sends its whole chain causes no request, and is accepted, after any history, in every library."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path

import pytest

from tests.conftest import FLAGS
from tests.inside.harm.conftest import answer, cafile_of, self_signed_leaf, size
from tests.support.pki import Authority
from tests.support.servers import AIAHost, TLSServer

#: Each defines `visit(port)`, over one context or one session for the whole program.
LIBRARIES = {
    "urllib": """
import urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
visit = lambda port: opener.open(f"https://localhost:{port}/").read().decode()
""",
    "http.client": """
import http.client
def visit(port):
    connection = http.client.HTTPSConnection("localhost", port, context=context)
    connection.request("GET", "/")
    return connection.getresponse().read().decode()
""",
    "urllib3": """
import urllib3
urllib3.disable_warnings()
pool = urllib3.PoolManager(ssl_context=context)
visit = lambda port: pool.request("GET", f"https://localhost:{port}/", retries=False).data.decode()
""",
    "requests": """
import requests, warnings
warnings.simplefilter("ignore")
session = requests.Session()
session.trust_env = False
verify = cafile if verified else False
visit = lambda port: session.get(f"https://localhost:{port}/", verify=verify).text
""",
    "httpx": """
import httpx
client = httpx.Client(verify=context, trust_env=False)
visit = lambda port: client.get(f"https://localhost:{port}/").text
""",
    "aiohttp": """
import aiohttp, asyncio
async def get(port):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        async with session.get(f"https://localhost:{port}/") as reply:
            return await reply.text()
visit = lambda port: asyncio.run(get(port))
""",
    "asyncio": """
import asyncio
async def get(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    writer.write(b"GET / HTTP/1.1\\r\\n\\r\\n")
    said = await reader.read()
    writer.close()
    return said.partition(b"\\r\\n\\r\\n")[2].decode()
visit = lambda port: asyncio.run(get(port))
""",
    "SSLObject": """
def visit(port):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    said = b""
    with socket.create_connection(("127.0.0.1", port), 30) as tcp:
        def drive(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    tcp.sendall(outgoing.read())
                    piece = tcp.recv(65536)
                    incoming.write(piece) if piece else incoming.write_eof()
        drive(tls.do_handshake)
        tls.write(b"GET / HTTP/1.1\\r\\n\\r\\n")
        try:
            while True:
                piece = drive(lambda: tls.read(4096))
                if not piece:
                    break
                said += piece
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass
    return said.partition(b"\\r\\n\\r\\n")[2].decode()
""",
    "ssl": "visit = lambda port: meet(context, port)\n",
}

START = """
history, cafile, flags, verified = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] == "verified"
context = ssl.create_default_context(cafile=cafile or None)
context.verify_flags = ssl.VerifyFlags(flags)
if not verified:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
"""

VISITS = """
unhappy = []
for number, (kind, port) in enumerate(history):
    try:
        said = visit(port)
    except Exception as error:
        said = repr(error)
    if kind == "right" and said != "ok":
        unhappy.append([number, said])
print(json.dumps(unhappy))
"""


class World:
    """Right servers, and broken ones of every kind, among them namesakes of the CAs of the right ones.

    What a right server's certificates name is below /right/ at the AIA host.
    """

    def __init__(self, aia: AIAHost, stack: contextlib.ExitStack) -> None:
        self._aia = aia
        root, other = Authority.root("Root of All"), Authority.root("Other Root")
        self.anchors = [root, other]
        right = root.intermediate("Right CA", aia=self._right("/root.cer"))
        lower = right.intermediate("Lower CA", aia=[aia.publish("/upper.cer", right.der)])
        bare = other.cross_sign(right, path_length=0)
        namesake = root.intermediate("Right CA")
        unknown = Authority.root("Stranger").intermediate("Stranger's CA")
        pinned_length = root.intermediate("Lower CA", path_length=0)
        self.right = [
            TLSServer(right.leaf(aia=self._right("/right.cer")), [right]),
            TLSServer(lower.leaf(aia=self._right("/lower.cer")), [lower, right]),
            TLSServer(lower.leaf(aia=self._right("/lower.cer")), [lower, right, root]),
            TLSServer(root.leaf(aia=self._right("/root.cer"))),
        ]
        self.broken = [
            TLSServer(bare.leaf(aia=[aia.publish("/bare.cer", bare.der)])),
            TLSServer(namesake.leaf(aia=[aia.publish("/namesake.cer", namesake.der)])),
            TLSServer(pinned_length.leaf(aia=[aia.publish("/length.cer", pinned_length.der)])),
            TLSServer(lower.leaf(aia=[aia.publish("/lower.cer", lower.der)])),
            TLSServer(right.leaf(aia=[aia.url("/missing.cer")])),
            TLSServer(unknown.leaf(aia=[aia.publish("/unknown.cer", unknown.der)])),
            TLSServer(unknown.leaf(), [unknown]),
            TLSServer(self_signed_leaf()),
        ]
        for server in (*self.right, *self.broken):
            stack.enter_context(server)

    def history(self, seed: int, length: int) -> list[tuple[str, int]]:
        """Visits to so many broken ones, and to each right one after each; the first such history is in order."""
        draw = random.Random(seed)
        visits = []
        for server in self.broken if seed == 0 else draw.choices(self.broken, k=length):
            visits.append(("broken", server.port))
            visits += [("right", right.port) for right in draw.sample(self.right, len(self.right))]
        return visits

    def requests(self) -> list[str]:
        """What was asked for the sake of right servers."""
        return [request.path for request in self._aia.requests if request.path.startswith("/right/")]

    def _right(self, name: str) -> list[str]:
        return [self._aia.url("/right" + name)]


@pytest.mark.parametrize(
    ("library", "flags"),
    [*((library, "flags of 3.11") for library in LIBRARIES), ("ssl", "flags of 3.13"), ("SSLObject", "flags of 3.13")],
)
def test_a_right_server_after_any_history(store: Path, aia: AIAHost, tmp_path: Path, library: str, flags: str) -> None:
    with contextlib.ExitStack() as stack:
        world = World(aia, stack)
        cafile = cafile_of(tmp_path, *world.anchors)
        for seed in range(size(1, 40)):
            history = json.dumps(world.history(seed, 20))
            code = START + LIBRARIES[library] + VISITS
            assert answer(code, history, cafile, int(FLAGS[flags]), "verified") == [], f"seed {seed}"
        assert world.requests() == []
        assert aia.count() > 0, "the broken ones are completed"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_program_that_accepts_everything_causes_no_request(
    store: Path, aia: AIAHost, tmp_path: Path, library: str
) -> None:
    with contextlib.ExitStack() as stack:
        world = World(aia, stack)
        history = json.dumps([(kind and "right", port) for kind, port in world.history(0, 0)])
        code = START + LIBRARIES[library] + VISITS
        assert answer(code, history, cafile_of(tmp_path, *world.anchors), 0x8000, "unverified") == []
        assert aia.connections == 0
    assert not store.exists()


RIGHT_ONLY = """
print(json.dumps([[visit(port) for _ in range(3)] for kind, port in history]))
"""


@pytest.mark.parametrize("library", LIBRARIES)
def test_right_servers_alone_write_nothing(store: Path, aia: AIAHost, tmp_path: Path, library: str) -> None:
    with contextlib.ExitStack() as stack:
        world = World(aia, stack)
        history = json.dumps([("right", server.port) for server in world.right])
        code = START + LIBRARIES[library] + RIGHT_ONLY
        said = answer(code, history, cafile_of(tmp_path, *world.anchors), int(FLAGS["flags of 3.13"]), "verified")
        assert said == [["ok"] * 3] * len(world.right)
        assert aia.connections == 0
    assert not store.exists()
