"""Whole handshakes with hostile certificates, from the AIA host, the server or the store.

Each ends in one of two ways: completed, with a chain that OpenSSL accepts, or exactly as it would have without us.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

import aia_store
from aia_store.inside.certificate import Certificate
from aia_store.inside.search import Budget
from aia_store.inside.store import Folder

from ..conftest import wait_until
from ..support import asn1
from ..support.pki import Authority, Leaf, aia_value, pkcs7, private_key
from ..support.servers import AIAHost, TLSServer
from .conftest import IN_THE_GUARD, Meet, Meeting

ROOT = Authority.root("Hostile Root")
CA = ROOT.intermediate("Hostile CA")
OTHER_CA = ROOT.intermediate("Other CA")
ELSEWHERE = Authority.root("Elsewhere")
IMPOSTOR = ELSEWHERE.intermediate("Hostile CA")
SAME_KEY_ID = ELSEWHERE.intermediate("Hostile CA", subject_key_id=CA.key_id or False)

POLICY_CHECK = 0x80  # X509_V_FLAG_POLICY_CHECK
OTHER_URL = pytest.mark.parametrize("second", [False, True], ids=["no other URL", "a good second URL"])


def junk(extension: ObjectIdentifier, critical: bool = False) -> list[tuple[x509.ExtensionType, bool]]:
    return [(x509.UnrecognizedExtension(extension, b"\x30\x05junk"), critical)]


def name(tag: int, value: bytes) -> bytes:
    attribute = asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.OID, b"\x55\x04\x03"), asn1.tlv(tag, value))
    return asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.SET, attribute))


def ended_well(met: Meeting, completed: bool, seconds: float = 2) -> bool:
    return (met.completed if completed else met.is_left_alone()) and met.seconds < seconds


# What a URL may give instead of the issuer


FORGED = "a forged signature"
USELESS: dict[str, bytes] = {
    "an unknown root of that name": Authority.root("Hostile CA").der,
    "an unknown root": ELSEWHERE.der,
    "the trusted root": ROOT.der,
    "an unrelated CA": ELSEWHERE.intermediate("Unrelated").der,
    "another CA of the same root": ROOT.intermediate("Sister").der,
    "right name and wrong key": IMPOSTOR.der,
    "right name, right key identifier and wrong key": SAME_KEY_ID.der,
    "right name and wrong key, of the same root": ROOT.intermediate("Hostile CA").der,
    "right key and wrong name": CA.reissue(subject="Another Name").der,
    "right in all but who issued it": ELSEWHERE.cross_sign(CA).der,
    FORGED: CA.reissue(signed_by=private_key()).der,
    "expired": CA.reissue(not_after=timedelta(days=-1)).der,
    "not yet valid": CA.reissue(not_before=timedelta(days=1)).der,
    "no CA flag": CA.reissue(ca=False).der,
    "no basic constraints": CA.reissue(ca=None).der,
    "no keyCertSign": CA.reissue(no_cert_sign=True).der,
    "version 1": CA.reissue(version1=True).der,
    "e-mail only": CA.reissue(eku=[ExtendedKeyUsageOID.EMAIL_PROTECTION]).der,
    "client only": CA.reissue(eku=[ExtendedKeyUsageOID.CLIENT_AUTH]).der,
    "the host's name excluded": CA.reissue(excluded=["localhost"]).der,
    "other names permitted": CA.reissue(permitted=["example.com"]).der,
    "another key identifier": CA.reissue(subject_key_id=b"another").der,
    "another issuer's key identifier": CA.reissue(authority_key_id=b"another").der,
    "SHA-1": CA.reissue(hash=hashes.SHA1()).der,
    "an unknown critical extension": CA.reissue(
        extensions=[(x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]
    ).der,
    "broken AKID": CA.reissue(authority_key_id=False, extensions=junk(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)).der,
    "broken SKID": CA.reissue(subject_key_id=False, extensions=junk(ExtensionOID.SUBJECT_KEY_IDENTIFIER)).der,
    "broken basic constraints": CA.reissue(ca=None, extensions=junk(ExtensionOID.BASIC_CONSTRAINTS)).der,
    "broken key usage": CA.reissue(key_usage=None, extensions=junk(ExtensionOID.KEY_USAGE)).der,
    "broken EKU": CA.reissue(extensions=junk(ExtensionOID.EXTENDED_KEY_USAGE)).der,
    "broken name constraints": CA.reissue(extensions=junk(ExtensionOID.NAME_CONSTRAINTS)).der,
    "a root of that name and key with a broken AKID": Authority.root(
        "Hostile CA", key=CA.key, authority_key_id=False, extensions=junk(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    ).der,
    "an issuer's name that is no UTF-8": asn1.with_field(CA.der, 3, name(0x0C, b"\xff\xfe")),
    "an issuer's name that is no name": asn1.with_field(CA.der, 3, asn1.tlv(asn1.SEQUENCE, b"\x02\x01\x00")),
    "a subject that is no UTF-8": asn1.with_field(CA.der, 5, name(0x0C, b"\xff\xfe")),
    "a validity that is none": asn1.with_field(CA.der, 4, asn1.tlv(asn1.SEQUENCE, b"\x05\x00\x05\x00")),
    "a public key that is none": asn1.with_field(CA.der, 6, asn1.tlv(asn1.SEQUENCE, b"\x05\x00")),
}


@OTHER_URL
@pytest.mark.parametrize("reply", USELESS.values(), ids=USELESS)
def test_a_useless_reply_leaves_the_handshake_as_it_was(aia: AIAHost, meet: Meet, reply: bytes, second: bool) -> None:
    urls = [aia.publish("/bad", reply)] + ([aia.publish("/good", CA.der)] if second else [])
    met = meet(CA.leaf(aia=urls), ROOT)
    assert ended_well(met, second)
    assert len(met.kept) == second
    assert aia.count() == 1 + second


@pytest.mark.parametrize("reply", USELESS.values(), ids=USELESS)
def test_a_useless_one_before_the_issuer_in_one_reply_does_no_harm(aia: AIAHost, meet: Meet, reply: bytes) -> None:
    met = meet(CA.leaf(aia=[aia.publish("/both", pkcs7(reply, CA.der))]), ROOT)
    assert ended_well(met, True)
    assert [path.read_text() for path in met.kept] == [CA.pem]


#: OpenSSL cannot read these, so no server sends them.
UNREADABLE = {
    "an issuer's name that is no UTF-8",
    "an issuer's name that is no name",
    "a subject that is no UTF-8",
    "a validity that is none",
    "a public key that is none",
}
SENT = {name: der for name, der in USELESS.items() if name not in {*UNREADABLE, FORGED}}


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
def test_a_useless_one_sent_by_the_server_does_no_harm(aia: AIAHost, meet: Meet, sent: bytes) -> None:
    met = meet(CA.leaf(aia=[aia.publish("/ca", CA.der)]), ROOT, sends=[sent])
    assert ended_well(met, True)


def test_a_forged_one_sent_by_the_server_is_refused_as_without_us_and_then_completed(aia: AIAHost, meet: Meet) -> None:
    """Nothing about it is uncertain but its signature, which OpenSSL checks in the handshake itself."""
    leaf = CA.leaf(aia=[aia.publish("/ca", CA.der)])
    assert meet(leaf, ROOT, sends=[USELESS[FORGED]]).is_left_alone()
    assert ended_well(meet(leaf, ROOT, sends=[USELESS[FORGED]]), True)


@pytest.mark.parametrize("planted", USELESS.values(), ids=USELESS)
def test_a_useless_one_planted_in_the_store_does_no_harm(
    aia: AIAHost, meet: Meet, settings: Path, planted: bytes
) -> None:
    plant(settings, planted, CA)
    met = meet(CA.leaf(aia=[aia.publish("/ca", CA.der)]), ROOT)
    assert ended_well(met, True)
    assert aia.count() == 1


def plant(store: Path, der: bytes, bucket_of: Authority) -> None:
    """Put a certificate into the folder for certificates of this name."""
    folder = Folder(str(store))
    placed = Path(folder.keep(Certificate(bucket_of.der)))
    certificate = Certificate(der)
    placed.with_name(f"{certificate.fingerprint}.pem").write_text(certificate.pem)
    if der != bucket_of.der:
        placed.unlink()


@OTHER_URL
def test_the_leaf_itself_is_no_issuer(aia: AIAHost, meet: Meet, second: bool) -> None:
    urls = [aia.url("/leaf")] + ([aia.publish("/good", CA.der)] if second else [])
    leaf = CA.leaf(aia=urls)
    aia.publish("/leaf", leaf.der)
    assert ended_well(meet(leaf, ROOT), second)


def test_a_leaf_that_is_its_own_issuer_asks_nobody(aia: AIAHost, meet: Meet) -> None:
    url = aia.publish("/ca", CA.der)
    alone = Authority.root("localhost", ca=False, san=[x509.DNSName("localhost")], aia=[url])
    leaf = Leaf(alone.certificate, alone.key, alone.key_id, None, {})
    assert ended_well(meet(leaf, ROOT), False)
    assert aia.count() == 0


@pytest.mark.parametrize("where", ["aia", "store", "server"])
def test_a_root_offered_as_an_intermediate_stays_untrusted(
    aia: AIAHost, meet: Meet, settings: Path, where: str
) -> None:
    """It signed the leaf, so a completion that put it into the context would trust it."""
    evil = Authority.root("Evil Root")
    leaf = evil.leaf(aia=[aia.publish("/evil", evil.der)] if where == "aia" else [])
    if where == "store":
        plant(settings, evil.der, evil)
    met = meet(leaf, ROOT, sends=[evil] if where == "server" else [])
    assert met.refusal == met.without_us is not None
    assert IN_THE_GUARD not in met.said
    assert len(met.kept) == (where == "store")


@pytest.mark.parametrize("where", ["right bucket", "wrong bucket"])
@pytest.mark.parametrize("what", ["leaf", "root", "impostor", "issuer"])
def test_what_is_planted_in_the_store_costs_time_and_no_trust(
    meet: Meet, settings: Path, where: str, what: str
) -> None:
    leaf = CA.leaf()
    planted = {"leaf": leaf, "root": Authority.root("Hostile CA"), "impostor": SAME_KEY_ID, "issuer": CA}[what]
    plant(settings, planted.der, CA if where == "right bucket" else ROOT.intermediate("Elsewhere"))
    met = meet(leaf, ROOT)
    if what == "issuer" and where == "right bucket":
        assert met.completed
    else:
        assert met.refusal == met.without_us is not None
    assert IN_THE_GUARD not in met.said


def test_an_expired_one_in_the_store_does_not_hide_a_valid_one(aia: AIAHost, meet: Meet, settings: Path) -> None:
    plant(settings, CA.reissue(not_after=timedelta(days=-1)).der, CA)
    met = meet(CA.leaf(aia=[aia.publish("/ca", CA.der)]), ROOT)
    assert met.completed
    assert len(met.kept) == 2


def test_an_expired_cross_signed_one_sent_by_the_server_does_not_hide_a_valid_one(aia: AIAHost, meet: Meet) -> None:
    old = ELSEWHERE.cross_sign(CA, not_after=timedelta(days=-1))
    met = meet(CA.leaf(aia=[aia.publish("/ca", CA.der)]), ROOT, sends=[old, ELSEWHERE])
    assert met.completed


# Weak keys and signatures


def test_md5_is_refused(aia: AIAHost, meet: Meet) -> None:
    root = Authority.root("MD5 Root", key="rsa")
    weak = root.intermediate("MD5 CA", hash=hashes.MD5())
    assert ended_well(meet(weak.leaf(aia=[aia.publish("/ca", weak.der)]), root), False)
    good = weak.reissue(hash=hashes.SHA256())
    assert ended_well(meet(weak.leaf(aia=[aia.url("/ca"), aia.publish("/good", good.der)]), root), True)


def prime(bits: int, numbers: random.Random) -> int:
    while True:
        candidate = numbers.getrandbits(bits) | 3 << (bits - 2) | 1
        if candidate % 65537 != 1 and all(pow(base, candidate - 1, candidate) == 1 for base in (2, 3, 5)):
            return candidate


def signed_with_rsa(leaf: Leaf, modulus: int, exponent: int) -> Leaf:
    """The leaf, signed again with textbook RSA and SHA-256: a key that no library would use."""
    algorithm = bytes.fromhex("300d06092a864886f70d01010b0500")
    to_sign = asn1.children(asn1.children(leaf.der)[0])
    signed = asn1.tlv(asn1.SEQUENCE, *to_sign[:2], algorithm, *to_sign[3:])
    digest = hashes.Hash(hashes.SHA256())
    digest.update(signed)
    info = bytes.fromhex("3031300d060960864801650304020105000420") + digest.finalize()
    size = (modulus.bit_length() + 7) // 8
    padded = b"\0\1" + b"\xff" * (size - len(info) - 3) + b"\0" + info
    signature = pow(int.from_bytes(padded, "big"), exponent, modulus).to_bytes(size, "big")
    der = asn1.tlv(asn1.SEQUENCE, signed, algorithm, asn1.tlv(asn1.BIT_STRING, b"\0", signature))
    return replace(leaf, certificate=x509.load_der_x509_certificate(der))


def under_rsa(modulus: int, exponent: int, public_exponent: int = 65537) -> Callable[[AIAHost], Leaf]:
    """A leaf under an intermediate with this key, which is published."""

    def make(aia: AIAHost) -> Leaf:
        weak = ROOT.intermediate("RSA CA", public_key=RSAPublicNumbers(public_exponent, modulus).public_key())
        return signed_with_rsa(weak.leaf(aia=[aia.publish("/ca", weak.der)]), modulus, exponent)

    return make


def test_rsa_of_512_bits_is_refused_although_its_signature_is_right(aia: AIAHost, meet: Meet) -> None:
    numbers = random.Random(512)
    p, q = prime(256, numbers), prime(256, numbers)
    met = meet(under_rsa(p * q, pow(65537, -1, (p - 1) * (q - 1)))(aia), ROOT)
    assert ended_well(met, False)
    assert "too weak" in met.said, "OpenSSL's verdict was on the key, not on the signature"


@pytest.mark.parametrize(
    ("bits", "public_exponent"),
    [(16_384, 65537), (16_384, (1 << 64) + 1), (16_400, 65537), (65_536, 65537), (65_536, (1 << 40) + 1)],
)
def test_a_huge_rsa_key_burns_no_time(aia: AIAHost, meet: Meet, bits: int, public_exponent: int) -> None:
    """The signature is rubbish, but of the right size, so that only computing it shows that it is wrong."""
    modulus = random.Random(bits).getrandbits(bits) | 1 << (bits - 1) | 1
    leaf = under_rsa(modulus, 3, public_exponent)(aia)
    started = time.process_time()
    met = meet(leaf, ROOT)
    assert ended_well(met, False)
    assert time.process_time() - started < 2
    assert aia.count() == 1


# Paths that are too long, or go in circles


def test_a_broken_path_length_is_refused(aia: AIAHost, meet: Meet) -> None:
    url = aia.publish("/ca", CA.reissue(path_length=0).der)
    below = CA.intermediate("Below", aia=[url])
    assert ended_well(meet(below.leaf(), ROOT, sends=[below]), False)
    aia.publish("/ca", CA.reissue(path_length=1).der)
    fresh = CA.intermediate("Below", aia=[aia.publish("/other", CA.reissue(path_length=1).der)])
    assert ended_well(meet(fresh.leaf(), ROOT, sends=[fresh]), True)


@pytest.mark.parametrize(("missing", "completed"), [(1, True), (3, True), (4, False), (8, False)])
def test_a_fresh_issuer_at_every_hop_is_followed_three_times(
    aia: AIAHost, meet: Meet, missing: int, completed: bool
) -> None:
    lowest = ROOT
    urls: list[str] = []
    for level in range(missing):
        lowest = lowest.intermediate(f"Level {level}", aia=urls)
        urls = [aia.publish(f"/{level}", lowest.der)]
    met = meet(lowest.leaf(aia=urls), ROOT)
    assert ended_well(met, completed)
    assert len(met.kept) == (missing if completed else 0)
    assert aia.count() == min(missing, Budget.fetches)


@pytest.mark.parametrize("links", [2, 3])
def test_a_ring_of_issuers_ends(aia: AIAHost, meet: Meet, links: int) -> None:
    """Each names the next as its issuer, with its URL; the last one names the first."""
    seeds = [ELSEWHERE.intermediate(f"Ring {number}") for number in range(links)]
    for number, seed in enumerate(seeds):
        following = (number + 1) % links
        ring = seeds[following].cross_sign(seed, aia=[aia.url(f"/{following}")])
        aia.publish(f"/{number}", ring.der)
    assert ended_well(meet(seeds[0].leaf(aia=[aia.url("/0")]), ROOT), False)
    assert aia.count() <= Budget.fetches


def test_an_aia_that_names_itself_is_asked_once(aia: AIAHost, meet: Meet) -> None:
    itself = ELSEWHERE.intermediate("Hostile CA", aia=[aia.url("/itself")])
    aia.publish("/itself", itself.der)
    assert ended_well(meet(itself.leaf(aia=[aia.url("/itself")]), ROOT), False)
    assert aia.count() == 1


def ring(size: int) -> tuple[list[Authority], list[Authority]]:
    """Authorities, and a certificate by each of them for each other one."""
    authorities = [ELSEWHERE.intermediate(f"Cross {number}") for number in range(size)]
    return authorities, [one.cross_sign(other) for one in authorities for other in authorities if one is not other]


@pytest.mark.parametrize("leads_out", [True, False])
@pytest.mark.parametrize("order", [1, -1])
def test_a_ring_of_cross_signs_sent_by_the_server_ends(meet: Meet, leads_out: bool, order: int) -> None:
    authorities, sent = ring(4)
    if leads_out:
        sent.append(ROOT.cross_sign(authorities[2]))
    met = meet(authorities[0].leaf(), ROOT, sends=sent[::order])
    if leads_out:
        assert met.refusal is None
    else:
        assert met.is_left_alone()
    assert met.seconds < 3


def test_everybody_cross_signs_everybody_and_no_one_leads_out(meet: Meet) -> None:
    authorities, sent = ring(9)
    assert ended_well(meet(authorities[0].leaf(), ROOT, sends=sent), False, seconds=4)


def chain_below(root: Authority, length: int) -> list[Authority]:
    key = private_key()
    chain = [root]
    for level in range(length):
        # They share a key, to save time, but have different names, so that they form no ring.
        chain.append(chain[-1].intermediate(f"Deep {level}", key=key))
    return chain[1:]


@pytest.mark.parametrize(("length", "completed"), [(10, True), (11, False), (17, False)])
def test_a_chain_is_completed_up_to_ten_intermediates(meet: Meet, settings: Path, length: int, completed: bool) -> None:
    chain = chain_below(ROOT, length)
    for authority in chain:
        Folder(str(settings)).keep(Certificate(authority.der))
    met = meet(chain[-1].leaf(), ROOT)
    assert met.refusal == (None if completed else met.without_us)
    assert IN_THE_GUARD not in met.said
    assert met.seconds < 2


def test_a_chain_of_seventeen_that_is_sent_whole_still_works(meet: Meet) -> None:
    chain = chain_below(ROOT, 17)
    met = meet(chain[-1].leaf(), ROOT, sends=chain[::-1])
    assert (met.refusal, met.without_us) == (None, None)
    assert met.kept == []


@pytest.mark.parametrize("number", [20, 1_000])
@pytest.mark.parametrize("same_key_id", [False, True], ids=["other key identifiers", "the right key identifier"])
def test_impostors_of_one_name_in_the_store_cost_time_only(
    aia: AIAHost, meet: Meet, settings: Path, number: int, same_key_id: bool
) -> None:
    key = private_key()
    options: Any = {"key": key, **({"subject_key_id": CA.key_id} if same_key_id else {})}
    store = Folder(str(settings))
    bucket = Path(store.keep(Certificate(CA.der))).parent
    for path in bucket.iterdir():
        path.unlink()
    for serial in range(1, number + 1):
        impostor = Certificate(ROOT.intermediate("Hostile CA", serial=serial, **options).der)
        (bucket / f"{impostor.fingerprint}.pem").write_text(impostor.pem)
    met = meet(CA.leaf(aia=[aia.publish("/ca", CA.der)]), ROOT)
    assert met.seconds < 3
    assert IN_THE_GUARD not in met.said
    assert met.completed


def test_dozens_of_impostors_sent_by_the_server_end_in_time(aia: AIAHost, meet: Meet) -> None:
    impostors = [
        ROOT.intermediate("Hostile CA", serial=serial, subject_key_id=CA.key_id or False) for serial in range(1, 60)
    ]
    met = meet(CA.leaf(aia=[aia.publish("/ca", CA.der)]), ROOT, sends=impostors)
    assert met.completed or met.is_left_alone()
    assert met.seconds < 3


# AIA extensions


def test_of_six_urls_five_are_tried_three_at_a_time(aia: AIAHost, meet: Meet) -> None:
    urls = [aia.publish(f"/{number}", b"", 404) for number in range(5)] + [aia.publish("/good", CA.der)]
    leaf = CA.leaf(aia=urls)
    counts = []
    for _ in range(3):
        assert ended_well(meet(leaf, ROOT), False)
        counts.append(aia.count())
    assert counts == [Budget.fetches, Budget.urls, Budget.urls]
    assert aia.count("/good") == 0


def test_the_third_url_is_taken_when_the_first_two_fail_and_others_are_not_http(aia: AIAHost, meet: Meet) -> None:
    urls = [
        "ldap://127.0.0.1/cn=CA",
        aia.publish("/1", b"", 404),
        "https://127.0.0.1/",
        aia.publish("/2", b"", 500),
        "file:///etc/passwd",
        aia.publish("/good", CA.der),
    ]
    assert ended_well(meet(CA.leaf(aia=urls), ROOT), True)
    assert [request.path for request in aia.requests] == ["/1", "/2", "/good"]


@pytest.mark.parametrize(("number", "fetched"), [(9, True), (10, False), (11, False), (240, False)])
def test_from_a_certificate_with_ten_urls_none_is_fetched(aia: AIAHost, meet: Meet, number: int, fetched: bool) -> None:
    assert Budget.too_many_urls == 10
    urls = [aia.publish("/ca", CA.der), *(aia.url(f"/{count}") for count in range(number - 1))]
    assert ended_well(meet(CA.leaf(aia=urls), ROOT), fetched)
    assert aia.count() == fetched


def test_one_url_five_times_is_asked_once(aia: AIAHost, meet: Meet) -> None:
    bad = aia.publish("/bad", b"rubbish")
    assert ended_well(meet(CA.leaf(aia=[bad] * 5), ROOT), False)
    assert aia.count() == 1


def test_one_url_five_times_does_not_hide_the_next(aia: AIAHost, meet: Meet) -> None:
    urls = [*[aia.publish("/bad", b"rubbish")] * 5, aia.publish("/good", CA.der)]
    assert ended_well(meet(CA.leaf(aia=urls), ROOT), True)
    assert aia.count() == 2


OCSP = asn1.tlv(asn1.OID, bytes.fromhex("2b06010505073001"))
CA_ISSUERS = asn1.tlv(asn1.OID, bytes.fromhex("2b06010505073002"))


def aia_with(*entries: bytes) -> Callable[[bytes], bytes]:
    return lambda _: asn1.tlv(asn1.SEQUENCE, *entries)


#: Each includes the good URL where possible.
BROKEN_AIA: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "junk": lambda _: b"junk",
    "a sequence cut short": lambda url: aia_value(url)[:-3],
    "a length beyond its end": lambda url: b"\x30\x7f" + aia_value(url)[2:],
    "indefinite": lambda url: b"\x30\x80" + aia_value(url)[2:] + b"\0\0",
    "no entry": aia_with(),
    "an entry without a location": aia_with(asn1.tlv(asn1.SEQUENCE, CA_ISSUERS)),
    "an entry that is no sequence": aia_with(asn1.tlv(asn1.INTEGER, b"\x01")),
    "a broken entry after a good one": lambda url: asn1.tlv(asn1.SEQUENCE, aia_value(url)[2:], b"\x30\x7f"),
    "no URI but a directory name": aia_with(asn1.tlv(asn1.SEQUENCE, CA_ISSUERS, asn1.tlv(0xA4, name(0x0C, b"CA")))),
    "no URI but an e-mail address": aia_with(asn1.tlv(asn1.SEQUENCE, CA_ISSUERS, asn1.tlv(0x81, b"ca@example.com"))),
    "no URI but an IP address": aia_with(asn1.tlv(asn1.SEQUENCE, CA_ISSUERS, asn1.tlv(0x87, bytes([127, 0, 0, 1])))),
    "OCSP only": lambda url: asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.SEQUENCE, OCSP, asn1.tlv(asn1.IA5_URI, url))),
    "an empty URI": lambda _: aia_value(b""),
}


@pytest.mark.parametrize("broken", BROKEN_AIA.values(), ids=BROKEN_AIA)
def test_a_broken_aia_fetches_nothing_and_the_store_still_serves(
    aia: AIAHost, meet: Meet, settings: Path, broken: Callable[[bytes], bytes]
) -> None:
    leaf = CA.leaf(aia_raw=broken(aia.publish("/ca", CA.der).encode()))
    assert ended_well(meet(leaf, ROOT), False)
    assert aia.count() == 0
    Folder(str(settings)).keep(Certificate(CA.der))
    assert ended_well(meet(leaf, ROOT), True)


@pytest.mark.parametrize("of", ["leaf", "issuer"])
def test_a_critical_aia_is_openssls_to_judge(aia: AIAHost, meet: Meet, of: str) -> None:
    """RFC 5280 forbids it, and OpenSSL knows no such critical extension, so it refuses the chain."""
    issuer = CA.reissue(aia=[aia.url("/root")], aia_critical=True) if of == "issuer" else CA
    leaf = CA.leaf(aia=[aia.publish("/ca", issuer.der)], aia_critical=of == "leaf")
    assert ended_well(meet(leaf, ROOT), False)
    assert meet(leaf, ROOT, sends=[issuer]).without_us is not None


ODD_URIS = {
    "beyond ASCII": b"http://127.0.0.1:%d/\xc3\xa4",
    "no UTF-8": b"http://127.0.0.1:%d/\xff",
    "NUL": b"http://127.0.0.1:%d/ca\0",
    "NUL in the host": b"http://127.0.0.1\0.example:%d/ca",
    "CRLF": b"http://127.0.0.1:%d/ca\r\nX-Injected: yes",
    "CRLF and a request": b"http://127.0.0.1:%d/ca HTTP/1.1\r\n\r\nGET /other",
    "LF": b"http://127.0.0.1:%d/ca\n",
    "a space": b"http://127.0.0.1:%d/c a",
    "a terminal's escape": b"http://127.0.0.1:%d/\x1b[2J",
}


@OTHER_URL
@pytest.mark.parametrize("uri", ODD_URIS.values(), ids=ODD_URIS)
def test_an_odd_uri_is_not_asked(aia: AIAHost, meet: Meet, uri: bytes, second: bool) -> None:
    for path in ("/ca", "/", "/other"):
        aia.publish(path, CA.der)
    uris = [uri % aia.port] + ([aia.publish("/good", CA.der).encode()] if second else [])
    met = meet(CA.leaf(aia_raw=aia_value(*uris)), ROOT)
    assert ended_well(met, second)
    assert [request.path for request in aia.requests] == ["/good"] * second
    assert met.said.replace("\n", "").isprintable(), "what is logged does not command a terminal"


@pytest.mark.parametrize("number", [1, 2, 4])
def test_urls_that_policy_refuses_do_not_use_up_the_fetches(aia: AIAHost, meet: Meet, number: int) -> None:
    """Nothing was fetched from them, so the honest one after them can be; up to the number of URLs tried."""
    refused = [f"http://127.0.0.1:22/{count}" for count in range(number)]
    assert ended_well(meet(CA.leaf(aia=[*refused, aia.publish("/good", CA.der)]), ROOT), True)


@pytest.mark.parametrize("uri", [b" %b", b"%b ", b"  %b\t"], ids=["before", "behind", "around"])
def test_blanks_around_a_url_are_no_part_of_it(aia: AIAHost, meet: Meet, uri: bytes) -> None:
    leaf = CA.leaf(aia_raw=aia_value(uri % aia.publish("/ca", CA.der).encode()))
    assert ended_well(meet(leaf, ROOT), True)


# Bombs


def dns_names(number: int) -> list[str]:
    return [f"n{count}.example.com" for count in range(number)]


@pytest.mark.parametrize(("constraints", "names"), [(900, 900), (2_000, 2_000)])
def test_a_bomb_of_name_constraints_is_bounded(aia: AIAHost, meet: Meet, constraints: int, names: int) -> None:
    bomb = ROOT.intermediate("Bomb", excluded=[f"x{name}" for name in dns_names(constraints)])
    leaf = bomb.leaf(san=["localhost", *dns_names(names)], aia=[aia.publish("/ca", bomb.der)])
    met = meet(leaf, ROOT)
    assert met.refusal in (None, met.without_us)
    assert IN_THE_GUARD not in met.said
    assert met.seconds < 4


@pytest.mark.parametrize("flags", [0, POLICY_CHECK], ids=["by default", "with policy checks"])
def test_a_bomb_of_policies_is_bounded(meet: Meet, settings: Path, flags: int) -> None:
    """Every CA maps every policy to every other one, so that a naive tree doubles at each level."""
    policies = [f"1.3.6.1.4.1.99999.{number}" for number in range(20)]
    oids = [x509.ObjectIdentifier(policy) for policy in policies]
    encoded = [x509.CertificatePolicies([x509.PolicyInformation(oid, None)]).public_bytes()[4:] for oid in oids]
    mappings = asn1.tlv(asn1.SEQUENCE, *(asn1.tlv(asn1.SEQUENCE, one, two) for one in encoded for two in encoded))
    extension = x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.33"), mappings)
    lowest = ROOT
    for level in range(8):
        lowest = lowest.intermediate(f"Policy {level}", policies=policies, extensions=[(extension, False)])
        Folder(str(settings)).keep(Certificate(lowest.der))
    met = meet(lowest.leaf(policies=policies), ROOT, flags=flags)
    assert met.refusal in (None, met.without_us)
    assert IN_THE_GUARD not in met.said
    assert met.seconds < 4


# A store that cannot be used


@pytest.mark.parametrize("what", ["everyone may write", "a file", "beneath a file", "cannot be made"])
def test_without_a_store_memory_serves_and_one_fetch_is_enough(
    aia: AIAHost, meet: Meet, settings: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    if what == "everyone may write":
        settings.mkdir()
        settings.chmod(0o777)
    elif what == "a file":
        settings.write_bytes(b"")
    elif what == "beneath a file":
        settings.write_bytes(b"")
        monkeypatch.setenv("AIA_STORE_DIR", str(settings / "deeper"))
    else:
        monkeypatch.setenv("AIA_STORE_DIR", f"/proc/aia-store-{settings.parent.name}")
    leaf = CA.leaf(aia=[aia.publish("/ca", CA.der)])
    for _ in range(3):
        met = meet(leaf, ROOT)
        assert met.completed
        assert met.kept == []
    assert aia.count() == 1


def test_without_descriptors_the_handshake_is_left_as_it_was_and_nothing_pauses(
    aia: AIAHost, meet: Meet, settings: Path
) -> None:
    leaf = CA.leaf(aia=[aia.publish("/ca", CA.der)])
    assert meet(OTHER_CA.leaf(aia=[aia.publish("/other", OTHER_CA.der)]), ROOT).completed  # all is loaded now
    context = aia_store.complete(ssl.create_default_context(cadata=ROOT.pem))
    with (
        TLSServer(leaf) as server,
        socket.create_connection(("127.0.0.1", server.port), 20) as tcp,
        context.wrap_socket(tcp, server_hostname="localhost", do_handshake_on_connect=False) as tls,
    ):
        wait_until(lambda: server.connections == 1)
        with no_descriptors(), pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
            tls.do_handshake()
    assert not (settings / "failures").exists()
    assert aia.count("/ca") == 0
    assert meet(leaf, ROOT).completed


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """Not one more file or socket can be opened."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limits[0], 256), limits[1]))
    with contextlib.ExitStack() as taken:
        taken.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        with contextlib.suppress(OSError):
            while True:
                taken.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        yield


@pytest.mark.parametrize("contents", [b"", CA.pem.encode()[:200], bytes(range(256)) * 8, IMPOSTOR.pem.encode()])
def test_a_damaged_file_is_fetched_again_and_replaced(
    aia: AIAHost, meet: Meet, settings: Path, contents: bytes
) -> None:
    damaged = Path(Folder(str(settings)).keep(Certificate(CA.der)))
    damaged.write_bytes(contents)
    assert meet(CA.leaf(aia=[aia.publish("/ca", CA.der)]), ROOT).completed
    assert damaged.read_text() == CA.pem
    assert aia.count() == 1


def test_offline_fetches_nothing_and_uses_what_is_there(
    aia: AIAHost, meet: Meet, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIA_STORE_OFFLINE", "1")
    leaf = CA.leaf(aia=[aia.publish("/ca", CA.der)])
    assert ended_well(meet(leaf, ROOT), False)
    Folder(str(settings)).keep(Certificate(CA.der))
    assert ended_well(meet(leaf, ROOT), True)
    assert aia.count() == 0


@pytest.mark.parametrize("variable", ["AIA_STORE_OFFLINE", "AIA_STORE_ALLOWED_NETWORKS", "AIA_STORE_DISABLE"])
def test_a_setting_that_cannot_be_used_leaves_the_handshake_as_it_was(
    aia: AIAHost, meet: Meet, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "nonsense")
    met = meet(CA.leaf(aia=[aia.publish("/ca", CA.der)]), ROOT)
    assert met.refusal == met.without_us is not None
    assert variable in met.said
    assert met.kept == []
