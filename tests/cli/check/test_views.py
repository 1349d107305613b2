"""What `check` expects of each client is what the client itself does, for each kind of fault."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes

from tests.cli.check.browser import browser
from tests.cli.check.clients import CLIENTS
from tests.conftest import write_pem
from tests.manager.machine import Machine
from tests.support.openssl import WEAK, OpenSSLServer, small_key
from tests.support.pki import Authority, Certified, Leaf, pem_blocks
from tests.support.servers import AIAHost, TLSServer


@dataclass
class Street:
    """Servers, one for each kind of fault, by its name."""

    machine: Machine
    servers: dict[str, TLSServer | OpenSSLServer]

    @property
    def ports(self) -> list[int]:
        return [server.port for server in self.servers.values()]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    machine = Machine(tmp_path_factory.mktemp("street") / "machine")
    root = Authority.root("Street Root")
    aged = Authority.root("Aged Root", not_after=timedelta(days=-3))
    young = Authority.root("Young Root")
    machine.trust(root, aged, young)
    with contextlib.ExitStack() as stack:
        aia = stack.enter_context(AIAHost())
        upper = root.intermediate("Upper CA", aia=[aia.publish("/root.cer", root.der)])
        ca = upper.intermediate("Lower CA", aia=[aia.publish("/upper.cer", upper.der)])
        url = aia.publish("/ca.cer", ca.der)
        leaf = ca.leaf(aia=[url])
        aged_ca, young_ca = aged.intermediate("Aged CA"), young.intermediate("Young CA")
        stranger = Authority.root("Strange Root")
        strange = stranger.intermediate("Strange CA")
        kinds: dict[str, tuple[Leaf, list[Certified]]] = {
            "complete": (leaf, [ca, upper]),
            "in the wrong order": (leaf, [upper, ca]),
            "with the root": (leaf, [ca, upper, root]),
            "with a stranger": (leaf, [strange, ca, upper]),
            "leaf only": (leaf, []),
            "one missing": (leaf, [ca]),
            "the lower one missing": (leaf, [upper]),
            "a wrong one": (leaf, [strange]),
            "no AIA": (ca.leaf(), [upper]),
            "expired": (ca.leaf(not_after=timedelta(days=-3)), [ca, upper]),
            "not yet valid": (ca.leaf(not_before=timedelta(days=3)), [ca, upper]),
            "another name": (ca.leaf("www.example.com", aia=[url]), [ca, upper]),
            "another name, leaf only": (ca.leaf("www.example.com", aia=[url]), []),
            "self-signed": (Leaf._make("localhost", None, {"san": ["localhost"]}), []),
            "unknown root": (strange.leaf(), [strange, stranger]),
            "an expired intermediate": (leaf, [ca.reissue(not_after=timedelta(days=-1)), upper]),
            "an expired one before the good one": (leaf, [ca.reissue(not_after=timedelta(days=-1)), ca, upper]),
            "a namesake before the good one": (leaf, [upper.intermediate("Lower CA"), ca, upper]),
            "no key identifier of the issuer": (ca.leaf(authority_key_id=False), [ca, upper]),
            "an impostor before the good one": (
                ca.leaf(authority_key_id=False),
                [upper.intermediate("Lower CA"), ca, upper],
            ),
            "an expired anchor": (aged_ca.leaf(), [aged_ca]),
            "an expired anchor that is cross-signed": (aged_ca.leaf(), [aged_ca, root.cross_sign(aged)]),
            "a root sent as a cross-sign": (young_ca.leaf(), [young_ca, stranger.cross_sign(young)]),
            "a root sent as a cross-sign of an expired one": (young_ca.leaf(), [young_ca, aged.cross_sign(young)]),
            "one certificate twice": (leaf, [ca, ca, upper]),
            "a weak digest": (ca.leaf(key="rsa", hash=hashes.SHA1()), [ca, upper]),
        }
        servers: dict[str, TLSServer | OpenSSLServer] = {
            kind: stack.enter_context(TLSServer(*what)) for kind, what in kinds.items()
        }
        rsa = ca.leaf(key="rsa")
        weak = {kind: OpenSSLServer(rsa, [ca, upper], options) for kind, options in WEAK.items()}
        weak["a small key"] = OpenSSLServer(ca.leaf(key=small_key()), [ca, upper])
        servers.update({kind: stack.enter_context(server) for kind, server in weak.items()})
        yield Street(machine, servers)


@pytest.fixture(scope="module")
def expected(street: Street) -> dict[str, dict[str, bool]]:
    """Whether `check` expects a client to connect, by client and then by kind of fault."""
    hosts = [f"localhost:{port}" for port in street.ports]
    for _ in range(2):  # the second time, the store knows everything that can be learned, as it does for the clients
        answers = street.machine.json("check", *hosts, status=1)
    found: dict[str, dict[str, bool]] = {}
    for kind, answer in zip(street.servers, answers, strict=True):
        for view in answer["views"]:
            found.setdefault(view["client"], {})[kind] = view["works"]
    return found


def surprises(street: Street, reached: list[bool], expected: dict[str, bool]) -> dict[str, bool]:
    """Whether a client connected, for each kind of fault where that was not expected of it."""
    found = dict(zip(street.servers, reached, strict=True))
    return {kind: connected for kind, connected in found.items() if connected is not expected[kind]}


@pytest.mark.parametrize(
    ("view", "number"), [(view, number) for view, asked in CLIENTS.items() for number in range(len(asked))]
)
def test_a_client_does_what_is_expected_of_it(
    street: Street, expected: dict[str, dict[str, bool]], view: str, number: int
) -> None:
    program, ask = CLIENTS[view][number]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not here")
    connected = ask(street.machine, street.machine.roots, street.ports)
    reached = [server.port in connected for server in street.servers.values()]
    assert surprises(street, reached, expected[view]) == {}


def test_a_browser_does_what_is_expected_of_it(street: Street, expected: dict[str, dict[str, bool]]) -> None:
    roots = [
        write_pem(street.machine.folder / f"{number}.pem", der)
        for number, der in enumerate(pem_blocks(street.machine.roots.read_text(encoding="ascii")))
    ]
    with browser(*roots) as chromium:
        reached = chromium.reached([server.url for server in street.servers.values()])
    assert surprises(street, reached, expected["Chrome, Edge"]) == {}
