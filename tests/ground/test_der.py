"""Certificates are read from DER like `cryptography` and OpenSSL read them; otherwise, only DERError is raised."""

from __future__ import annotations

import csv
import functools
import hashlib
import shutil
import ssl
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aia_store.inside.certificate import Certificate, DERError, canonical_name, encode, pem_certificates, to_pem

from ..support import asn1
from ..support.pki import Authority, Leaf, aia_value

CCADB = Path(__file__).parents[2].parent / "shared" / "data" / "ccadb" / "AllCertificatePEMs.csv"
FIELDS = (
    "subject_key",
    "issuer_key",
    "validity",
    "extensions",
    "subject_key_id",
    "authority_key_id",
    "basic_constraints",
    "ca_issuers",
    "is_self_issued",
    "is_self_signed",
    "fingerprint",
    "pem",
)

ROOT = Authority.root("Der Root")
INTERMEDIATE = ROOT.intermediate(
    "Der CA", path_length=3, aia=["http://a.example/1", "ldap://b.example/2"], permitted=["example.com"]
)
LEAF = INTERMEDIATE.leaf(aia=["http://c.example/3"])

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not here")


def touch_everything(der: bytes) -> None:
    """Read every property; DERError is the only way out."""
    try:
        certificate = Certificate(der)
    except DERError:
        return
    for field in FIELDS:
        try:
            getattr(certificate, field)
        except DERError:
            continue


# Against `cryptography`, over every real certificate at hand


def from_ccadb() -> list[bytes]:
    if not CCADB.exists():
        pytest.skip("the CCADB's certificates are not here")
    with CCADB.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return [der for row in rows for der in pem_certificates(row["X.509 Certificate (PEM)"].encode())]


def from_this_test() -> list[bytes]:
    odd = [
        ROOT.intermediate(subject_key_id=False, authority_key_id=False, ca=None, key_usage=None),
        ROOT.intermediate(version1=True),
        ROOT.intermediate(not_after=timedelta(days=20_000), not_before=timedelta(days=-20_000)),
        ROOT.intermediate(aia=[f"http://many.example/{n}" for n in range(12)]),
        Authority.root("With AKID", authority_key_id=True),
        Authority.root("Another's AKID", authority_key_id=b"someone else's"),
        ROOT.intermediate("Key Identifiers Differ", issuer="Key Identifiers Differ", authority_key_id=b"another"),
    ]
    return [ROOT.der, INTERMEDIATE.der, LEAF.der, *(item.der for item in odd)]


def read_by_cryptography(certificate: x509.Certificate) -> dict[str, Any]:
    """What Certificate should read, according to `cryptography`."""

    def extension(kind: type[Any]) -> Any:
        try:
            return certificate.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None

    skid = extension(x509.SubjectKeyIdentifier)
    akid = extension(x509.AuthorityKeyIdentifier)
    basic = extension(x509.BasicConstraints)
    aia = extension(x509.AuthorityInformationAccess) or ()
    return {
        "serial": certificate.serial_number,
        "subject": certificate.subject.public_bytes(),
        "issuer": certificate.issuer.public_bytes(),
        "public_key": certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "validity": tuple(
            int(moment.timestamp()) for moment in (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        ),
        "skid": skid and skid.digest,
        "akid": akid and (akid.key_identifier, akid.authority_cert_serial_number),
        "basic": (basic.ca, basic.path_length) if basic else (False, None),
        "ca_issuers": [
            entry.access_location.value
            for entry in aia
            if entry.access_method == AuthorityInformationAccessOID.CA_ISSUERS
            and isinstance(entry.access_location, x509.UniformResourceIdentifier)
        ],
    }


def read_by_us(certificate: Certificate) -> dict[str, Any]:
    akid = certificate.authority_key_id
    serial = None if akid is None or akid.serial is None else int.from_bytes(akid.serial, "big", signed=True)
    return {
        "serial": int.from_bytes(certificate.serial, "big", signed=True),
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "public_key": certificate.public_key,
        "validity": certificate.validity,
        "skid": certificate.subject_key_id,
        "akid": akid and (akid.key_id, serial),
        "basic": certificate.basic_constraints,
        "ca_issuers": certificate.ca_issuers,
    }


def signed_itself(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("certificates", [from_ccadb, from_this_test])
def test_reads_what_cryptography_reads(certificates: Callable[[], list[bytes]]) -> None:
    compared, differ = 0, []
    for der in certificates():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = read_by_cryptography(x509.load_der_x509_certificate(der))
        except ValueError:  # real ones that `cryptography` cannot parse: not to be compared, but to be survived
            touch_everything(der)
            continue
        ours = read_by_us(Certificate(der))
        compared += 1
        # It compares and prints names its own way; only those that it writes back alike can be compared by bytes.
        differ += [(key, theirs[key], ours[key]) for key in theirs if theirs[key] != ours[key]]
    assert differ == []
    assert compared > (3_000 if certificates is from_ccadb else 9)


@pytest.mark.parametrize("certificates", [from_ccadb, from_this_test])
def test_every_certificate_that_signed_itself_is_found_self_signed(certificates: Callable[[], list[bytes]]) -> None:
    """A missed one would become an anchor; one that is wrongly suspected costs one fetch at most."""
    missed, suspected = [], 0
    for der in certificates():
        ours = Certificate(der)
        parsed = x509.load_der_x509_certificate(der)
        if signed_itself(parsed):
            missed += [] if ours.is_self_signed else [parsed.subject]
        else:
            suspected += ours.is_self_signed
    assert missed in ([], [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Another's AKID")])])
    assert suspected == 0


@pytest.mark.parametrize(
    ("certificate", "self_issued", "self_signed"),
    [
        (ROOT, True, True),
        (INTERMEDIATE, False, False),
        (Authority.root("S", authority_key_id=True), True, True),
        (Authority.root("S", subject_key_id=False), True, True),
        (Authority.root("S", subject_key_id=False, authority_key_id=b"one without a counterpart"), True, True),
        (Authority.root("S", authority_key_id=b"another key, so a roll-over certificate"), True, False),
        (Authority.root("S", issuer="s"), True, True),
        (Authority.root("S", signed_by=ROOT.key), True, True),
        (ROOT.intermediate("S", issuer="S", authority_key_id=False), True, True),
    ],
    ids=[
        "a root",
        "an intermediate",
        "an AKID that is its own",
        "no key identifiers",
        "an AKID and no SKID",
        "an AKID that is another's",
        "names that differ in case",
        "a forged signature, which OpenSSL does not look at",
        "another's signature",
    ],
)
def test_self_signed_means_what_openssl_means(certificate: Authority, self_issued: bool, self_signed: bool) -> None:
    ours = Certificate(certificate.der)
    assert (ours.is_self_issued, ours.is_self_signed) == (self_issued, self_signed)


# Canonical names against OpenSSL's own hash of them


def subject_hash(der: bytes) -> str:
    command = ["openssl", "x509", "-inform", "DER", "-noout", "-subject_hash"]
    return subprocess.run(command, input=der, capture_output=True, check=True).stdout.decode().strip()


def our_hash(name: bytes) -> str:
    digest = hashlib.sha1(canonical_name(name), usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def system_roots() -> list[bytes]:
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context.get_ca_certs(binary_form=True)


def named(*attributes: tuple[str, int, bytes], together: bool = False) -> bytes:
    """A Name of (attribute's last arc of 2.5.4, tag, value); `together`: in one RDN."""
    arcs = {"cn": b"\x03", "c": b"\x06", "o": b"\x0a", "ou": b"\x0b"}
    parts = [
        asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.OID, b"\x55\x04" + arcs[kind]), asn1.tlv(tag, value))
        for kind, tag, value in attributes
    ]
    rdns = [asn1.tlv(asn1.SET, *sorted(parts))] if together else [asn1.tlv(asn1.SET, part) for part in parts]
    return asn1.tlv(asn1.SEQUENCE, *rdns)


def with_subject(name: bytes) -> bytes:
    """A certificate with exactly this subject; its signature does not matter."""
    return asn1.with_field(ROOT.der, 5, name)


ODD_NAMES = {
    "UTF8String": named(("cn", 0x0C, "Größe Ångström ŽŠ".encode())),
    "PrintableString": named(("c", 0x13, b"HU"), ("o", 0x13, b"Some Company Ltd.")),
    "T61String": named(("cn", 0x14, "Zürich Straße".encode("latin-1"))),
    "IA5String": named(("cn", 0x16, b"CA@Example.COM")),
    "BMPString": named(("cn", 0x1E, "Кириллица CA Ö".encode("utf-16-be"))),
    "UniversalString": named(("cn", 0x1C, "Ünïversal \U0001f512 CA".encode("utf-32-be"))),
    "NumericString": named(("cn", 0x12, b"12 34  56 ")),
    "multi-valued RDN": named(("cn", 0x0C, b"Two"), ("ou", 0x13, b"In One"), ("o", 0x0C, b"RDN"), together=True),
    "multi-valued RDN whose order folding changes": named(
        ("cn", 0x0C, b"a"), ("cn", 0x13, b"B"), ("cn", 0x0C, b"C  c"), together=True
    ),
    "double spaces": named(("cn", 0x0C, b"  Two   spaces  here ")),
    "tabs and newlines": named(("cn", 0x0C, b"\tTab\n\v\f\r and  more\n")),
    "no-break space, which is no space": named(("cn", 0x0C, "a\u00a0 \u00a0b\u2003c".encode())),
    "upper case": named(("cn", 0x0C, b"ALL UPPER CASE"), ("c", 0x13, b"hu")),
    "upper case beyond ASCII, which is kept": named(("cn", 0x0C, "ÄÖÜ ΑΒΓ".encode())),
    "empty value": named(("cn", 0x0C, b"")),
    "only spaces": named(("cn", 0x13, b"   ")),
    "NUL within": named(("cn", 0x0C, b"a\0B")),
    "empty name": named(),
    "long value": named(("cn", 0x0C, b"A " * 300)),
}


@needs_openssl
@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES)
def test_canonical_name_is_openssls_for_odd_encodings(name: bytes) -> None:
    der = with_subject(name)
    assert our_hash(Certificate(der).subject) == subject_hash(der)


@pytest.mark.parametrize("tag", [0x1A, 0x1B, 0x03, 0x04, 0x05, 0x30], ids=hex)
def test_a_string_type_that_openssl_refuses_in_a_name_harms_nothing(tag: int) -> None:
    touch_everything(with_subject(named(("cn", tag, b"Odd  CA"))))


@needs_openssl
@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (0x0C, b"\xff\xfeA"),
        (0x0C, b"\xc0\x80A"),
        (0x0C, b"\xed\xa0\x80A"),
        (0x1E, b"\0A\0"),
        (0x1E, b"\xd8\x00\x00A"),
        (0x1C, b"\x00\x11\x00\x00"),
        (0x1C, b"\x00\x00\xd8\x00"),
    ],
    ids=["no UTF-8", "overlong", "a surrogate", "odd BMP", "half a pair", "beyond Unicode", "surrogate"],
)
def test_a_name_that_is_not_in_its_own_encoding_is_refused_as_openssl_does(tag: int, value: bytes) -> None:
    der = with_subject(named(("cn", tag, value)))
    with pytest.raises(subprocess.CalledProcessError):
        subject_hash(der)
    with pytest.raises(DERError):
        _ = Certificate(der).subject_key


@needs_openssl
def test_canonical_name_is_openssls_for_the_systems_roots(tmp_path: Path) -> None:
    """`openssl rehash` names a link to each certificate by the hash of its subject."""
    for number, der in enumerate(system_roots()):
        (tmp_path / f"{number}.pem").write_text(to_pem(der))
    subprocess.run(["openssl", "rehash", str(tmp_path)], capture_output=True, check=True)
    links = [path for path in tmp_path.iterdir() if path.is_symlink()]
    assert len(links) > 100
    for link in links:
        (der,) = pem_certificates(link.read_bytes())
        assert our_hash(Certificate(der).subject) == link.stem


@pytest.mark.parametrize(
    "other",
    [
        named(("o", 0x13, b"some company"), ("cn", 0x13, b"the ca")),
        named(("o", 0x1E, "SOME COMPANY".encode("utf-16-be")), ("cn", 0x1C, "The CA".encode("utf-32-be"))),
        named(("o", 0x0C, b"  Some\t Company"), ("cn", 0x16, b"The  CA ")),
    ],
)
def test_names_that_rfc_5280_calls_equal_have_one_canonical_form(other: bytes) -> None:
    assert canonical_name(other) == canonical_name(named(("o", 0x0C, b"Some Company"), ("cn", 0x0C, b"The CA")))


@pytest.mark.parametrize(
    "other",
    [
        named(("cn", 0x0C, b"The CA"), ("o", 0x0C, b"Some Company")),
        named(("o", 0x0C, b"Some Company"), ("cn", 0x0C, b"The CA"), together=True),
        named(("o", 0x0C, b"Some Company"), ("cn", 0x0C, b"TheCA")),
        named(("o", 0x0C, b"Some Company"), ("ou", 0x0C, b"The CA")),
        named(("o", 0x0C, b"Some Company")),
        named(("o", 0x0C, b"Some Company"), ("cn", 0x0C, b"The CA\0")),
    ],
)
def test_names_that_differ_stay_apart(other: bytes) -> None:
    assert canonical_name(other) != canonical_name(named(("o", 0x0C, b"Some Company"), ("cn", 0x0C, b"The CA")))


# Single hostile fields


@pytest.mark.parametrize(
    ("raw", "urls"),
    [
        (aia_value(), []),
        (aia_value(b""), [""]),
        (aia_value(b"http://a\0b/\xff\r\n"), ["http://a\0b/\xff\r\n"]),
        (aia_value(b"http://1/", b"ldap://2/", b"http://1/"), ["http://1/", "ldap://2/", "http://1/"]),
    ],
    ids=["none", "empty", "NUL, CRLF and beyond ASCII", "several, repeated"],
)
def test_urls_come_as_they_are_written(raw: bytes, urls: list[str]) -> None:
    assert Certificate(INTERMEDIATE.leaf(aia_raw=raw).der).ca_issuers == urls


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"junk",
        b"\x30\x05junk",
        b"\x30\x80\x00\x00",
        b"\x31\x00",
        asn1.tlv(0x30, asn1.tlv(0x30)),
        asn1.tlv(0x30, asn1.tlv(0x30, asn1.tlv(0x06, b"\x2b"))),
        asn1.tlv(0x30, asn1.tlv(0x02, b"\x01")),
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x89" + bytes(9),
        aia_value(b"http://good.example/")[:-1],
    ],
)
def test_broken_aia_is_a_der_error(raw: bytes) -> None:
    certificate = Certificate(INTERMEDIATE.leaf(aia_raw=raw).der)
    with pytest.raises(DERError):
        _ = certificate.ca_issuers
    assert certificate.subject_key, "the rest can still be read"


@pytest.mark.parametrize(
    ("tag", "text", "moment"),
    [
        (0x17, b"700101000000Z", datetime(1970, 1, 1, tzinfo=timezone.utc)),
        (0x17, b"491231235959Z", datetime(2049, 12, 31, 23, 59, 59, tzinfo=timezone.utc)),
        (0x17, b"500101000000Z", datetime(1950, 1, 1, tzinfo=timezone.utc)),
        (0x17, b"000229120000Z", datetime(2000, 2, 29, 12, tzinfo=timezone.utc)),
        (0x18, b"20500101000000Z", datetime(2050, 1, 1, tzinfo=timezone.utc)),
        (0x18, b"21000301000000Z", datetime(2100, 3, 1, tzinfo=timezone.utc)),
        (0x18, b"99991231235959Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)),
        (0x18, b"00010101000000Z", datetime(1, 1, 1, tzinfo=timezone.utc)),
        (0x17, b"7001010000Z", None),
        (0x17, b"700101000000+0100", None),
        (0x17, b"700101000000", None),
        (0x18, b"20500101000000.5Z", None),
        (0x18, b"2050010100000Z", None),
        (0x18, b"2050-1-1000000Z", None),
        (0x18, "٢٠٥٠٠١٠١٠٠٠٠٠٠".encode() + b"Z", None),
        (0x17, b"", None),
        (0x02, b"700101000000Z", None),
    ],
)
def test_times_are_read_as_rfc_5280_writes_them(tag: int, text: bytes, moment: datetime | None) -> None:
    to_sign, algorithm, signature = asn1.children(ROOT.der)
    fields = asn1.children(to_sign)
    fields[4] = asn1.tlv(asn1.SEQUENCE, asn1.tlv(tag, text), asn1.tlv(tag, text))
    certificate = Certificate(asn1.tlv(asn1.SEQUENCE, asn1.tlv(asn1.SEQUENCE, *fields), algorithm, signature))
    if moment is None:
        with pytest.raises(DERError):
            _ = certificate.validity
    else:
        assert certificate.validity == (moment.timestamp(), moment.timestamp())


@pytest.mark.parametrize(
    "der",
    [b"", b"0", b"\x30", b"\x30\x80", b"\x30\x00", b"\x30\x82\xff\xff", LEAF.der[:-1], LEAF.der + b"\0", b"\0" * 1000],
    ids=["empty", "one byte", "a tag", "indefinite", "empty sequence", "too long", "truncated", "one more", "zeros"],
)
def test_what_is_no_certificate_is_a_der_error(der: bytes) -> None:
    with pytest.raises(DERError):
        Certificate(der)


# PEM


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ROOT.pem.encode(), [ROOT.der]),
        (b"subject=CN = Der Root\nsome text\n" + ROOT.pem.encode() + b"and more", [ROOT.der]),
        (ROOT.pem.replace("\n", "\r\n").encode(), [ROOT.der]),
        (ROOT.pem.replace("\n", "").encode(), [ROOT.der]),
        (ROOT.pem.encode() + LEAF.pem.encode(), [ROOT.der, LEAF.der]),
        (LEAF.key_pem.encode() + LEAF.pem.encode(), [LEAF.der]),
        (b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n" + ROOT.pem.encode(), [ROOT.der]),
        (ROOT.pem.encode().replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"), []),
        (ROOT.pem.encode().partition(b"-----END")[0], []),
        (b"-----END CERTIFICATE-----" + ROOT.pem.encode(), [ROOT.der]),
        (b"-----BEGIN CERTIFICATE-----", []),
        (b"", []),
    ],
)
def test_pem_blocks_are_found_among_anything(text: bytes, found: list[bytes]) -> None:
    assert list(pem_certificates(text)) == found


@given(st.binary(min_size=1, max_size=5_000))
def test_pem_round_trip(der: bytes) -> None:
    assert list(pem_certificates(to_pem(der).encode("ascii"))) == [der]
    assert to_pem(der) == ssl.DER_cert_to_PEM_cert(der)


# Anything at all


def mutated(ders: list[bytes]) -> st.SearchStrategy[bytes]:
    """A certificate with a few bytes changed, removed, repeated or inserted; most keep much of their structure."""

    def mutate(der: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
        for where, cut, put in edits:
            at = int(where * len(der))
            der = der[:at] + put + der[at + cut :]
        return der

    edit = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 4), st.binary(max_size=4))
    return st.builds(mutate, st.sampled_from(ders), st.lists(edit, min_size=1, max_size=6))


@settings(max_examples=400, deadline=10_000)
@given(st.binary(max_size=3_000) | mutated(from_this_test()))
@example(b"\x30\x84\xff\xff\xff\xff")
def test_only_der_error_comes_out(der: bytes) -> None:
    touch_everything(der)


@settings(max_examples=400, deadline=10_000)
@given(st.data())
def test_only_der_error_comes_out_of_mutated_real_certificates(data: st.DataObject) -> None:
    touch_everything(data.draw(mutated(real_certificates())))


@functools.cache
def real_certificates() -> list[bytes]:
    return from_ccadb()[::40]


def every_single_byte_changed(der: bytes) -> Iterator[bytes]:
    for at in range(len(der)):
        for byte in (0x00, 0x7F, 0x80, 0x84, 0xFF, der[at] ^ 1):
            yield der[:at] + bytes([byte]) + der[at + 1 :]


def test_only_der_error_comes_out_whichever_byte_is_wrong() -> None:
    for der in every_single_byte_changed(INTERMEDIATE.der):
        touch_everything(der)


@pytest.mark.parametrize(
    "name",
    [
        encode(0x30, encode(0x31, b"") * 30_000),
        encode(0x30, encode(0x31, encode(0x30, b"\x06\x01\x2a\x0c\x00") * 9_000)),
        named(*(("cn", 0x0C, b"A" * 64),) * 800),
        encode(0x30, b"\x31\x80" * 30_000),
    ],
    ids=["empty RDNs", "one RDN of thousands", "hundreds of RDNs", "nesting"],
)
def test_a_name_of_64_kilobytes_takes_no_time(name: bytes) -> None:
    started = time.process_time()
    touch_everything(with_subject(name))
    assert time.process_time() - started < 1


def test_a_certificate_with_ten_thousand_urls_takes_no_time() -> None:
    leaf: Leaf = INTERMEDIATE.leaf(aia_raw=aia_value(*([b"http://a.example/"] * 10_000)))
    started = time.process_time()
    assert len(Certificate(leaf.der).ca_issuers) == 10_000
    assert time.process_time() - started < 1
