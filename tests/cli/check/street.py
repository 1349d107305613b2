"""A street of servers, one for each kind of fault, under roots that one machine trusts."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

from tests.manager.machine import Machine
from tests.support import gnutls
from tests.support.openssl import WEAK, OpenSSLServer, pss_leaf, small_key
from tests.support.pki import Authority, Certified, Leaf, Options
from tests.support.relay import OtherCertificates
from tests.support.servers import AIAHost, TLSServer

_CAS: dict[str, Options] = {
    "an Ed25519 CA": {"key": ed25519.Ed25519PrivateKey.generate()},
    "a CA on a rare curve": {"key": ec.generate_private_key(ec.SECP256K1())},
    "a policy that is missing": {"extensions": [(x509.PolicyConstraints(0, None), True)]},
}
Server = TLSServer | OpenSSLServer | OtherCertificates | gnutls.GnuTLSServer


def _only_encipherment() -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    unused = dict.fromkeys([*names, "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"], False)
    return x509.KeyUsage(**{**unused, "key_encipherment": True})


@dataclass
class Street:
    """Servers, one for each kind of fault, by its name."""

    machine: Machine
    servers: dict[str, Server]

    @property
    def ports(self) -> list[int]:
        return [server.port for server in self.servers.values()]


@contextlib.contextmanager
def street(machine: Machine) -> Iterator[Street]:
    """The servers, and the machine, which trusts three roots, one of which has expired, and an intermediate."""
    root = Authority.root("Street Root")
    aged = Authority.root("Aged Root", not_after=timedelta(days=-3))
    young = Authority.root("Young Root")
    foreign = Authority.root("Foreign Root")
    trusted_ca = foreign.intermediate("Trusted CA")
    machine.trust(root, aged, young, trusted_ca)
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
        kinds |= {
            "a trusted intermediate": (trusted_ca.leaf(), []),
            "a trusted intermediate that is sent": (trusted_ca.leaf(), [trusted_ca]),
            "a trusted intermediate and its root": (trusted_ca.leaf(), [trusted_ca, foreign]),
            "a common name only": (ca.leaf(subject="localhost", san=[]), [ca, upper]),
            "a common name beside addresses": (ca.leaf(subject="localhost", san=["127.0.0.1"]), [ca, upper]),
            "a key that may not sign": (ca.leaf(key="rsa", key_usage=_only_encipherment()), [ca, upper]),
        }
        for kind, options in _CAS.items():
            other = root.intermediate(kind, **options)
            kinds[kind] = other.leaf(), [other]
        servers: dict[str, Server] = {kind: stack.enter_context(TLSServer(*what)) for kind, what in kinds.items()}
        rsa = ca.leaf(key="rsa")
        weak = {kind: OpenSSLServer(rsa, [ca, upper], options) for kind, options in WEAK.items()}
        weak["a small key"] = OpenSSLServer(ca.leaf(key=small_key()), [ca, upper])
        weak["a PSS key"] = OpenSSLServer(pss_leaf(ca), [ca, upper])
        weak["two kinds of keys"] = OpenSSLServer(leaf, [ca, upper], second=(rsa, [ca]))
        servers.update({kind: stack.enter_context(server) for kind, server in weak.items()})
        for kind, key in {
            "an Ed25519 key": ed25519.Ed25519PrivateKey.generate(),
            "an Ed448 key": ed448.Ed448PrivateKey.generate(),
            "a P-521 key": ec.generate_private_key(ec.SECP521R1()),
        }.items():
            servers[kind] = stack.enter_context(TLSServer(ca.leaf(key=key), [ca, upper]))
        if shutil.which(gnutls.PROGRAM) is not None:
            old = gnutls.GnuTLSServer(rsa, [ca, upper], gnutls.OLD_RENEGOTIATION)
            servers["no secure renegotiation"] = stack.enter_context(old)
        other = stack.enter_context(TLSServer(rsa, (), "1.2"))
        servers["another key"] = stack.enter_context(OtherCertificates(other.port, [leaf, ca, upper]))
        yield Street(machine, servers)
