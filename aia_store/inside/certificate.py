"""Read certificates with the standard library alone: from DER, from PEM, and from the TLS message that carries them.

Only the few fields that are needed to find an issuer are read, and nothing is judged: OpenSSL decides whether a
certificate is good. All input may come from a hostile server. Functions raise `DERError` if they cannot read it.
"""

from __future__ import annotations

import binascii
import sys

from . import cached_property, importing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

SEQUENCE, SET, INTEGER, BIT_STRING, OCTET_STRING, OID = 0x30, 0x31, 0x02, 0x03, 0x04, 0x06
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18

# Object identifiers, as the bytes of their DER contents.
SUBJECT_KEY_IDENTIFIER = b"\x55\x1d\x0e"
KEY_USAGE = b"\x55\x1d\x0f"
KEY_CERT_SIGN = 0x04  # in the first octet of the key usage
BASIC_CONSTRAINTS = b"\x55\x1d\x13"
NAME_CONSTRAINTS = b"\x55\x1d\x1e"
CRL_DISTRIBUTION_POINTS = b"\x55\x1d\x1f"
CERTIFICATE_POLICIES = b"\x55\x1d\x20"
POLICY_MAPPINGS = b"\x55\x1d\x21"
AUTHORITY_KEY_IDENTIFIER = b"\x55\x1d\x23"
POLICY_CONSTRAINTS = b"\x55\x1d\x24"
EXTENDED_KEY_USAGE = b"\x55\x1d\x25"
INHIBIT_ANY_POLICY = b"\x55\x1d\x36"
AUTHORITY_INFORMATION_ACCESS = b"\x2b\x06\x01\x05\x05\x07\x01\x01"
CA_ISSUERS = b"\x2b\x06\x01\x05\x05\x07\x30\x02"
SERVER_AUTH = b"\x2b\x06\x01\x05\x05\x07\x03\x01"
# The extensions of a CA certificate that never make OpenSSL refuse certificates below it. (Name constraints can.)
_USUAL_EXTENSIONS = {
    AUTHORITY_INFORMATION_ACCESS,
    AUTHORITY_KEY_IDENTIFIER,
    BASIC_CONSTRAINTS,
    CERTIFICATE_POLICIES,
    CRL_DISTRIBUTION_POINTS,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    SUBJECT_KEY_IDENTIFIER,
}
# The SHA-2 signatures that each kind of key makes (RFC 4055, RFC 5758).
_SHA_2_WITH_RSA = tuple(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01" + bytes((number,)) for number in (11, 12, 13))
_ECDSA_WITH_SHA_2 = tuple(b"\x2a\x86\x48\xce\x3d\x04\x03" + bytes((number,)) for number in (2, 3, 4))
_SIGNATURES = {
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01": _SHA_2_WITH_RSA,  # rsaEncryption
    b"\x2a\x86\x48\xce\x3d\x02\x01": _ECDSA_WITH_SHA_2,  # id-ecPublicKey
}

_PEM_BEGIN = b"-----BEGIN CERTIFICATE-----"
_PEM_END = b"-----END CERTIFICATE-----"
_TRUSTED_BEGIN = b"-----BEGIN TRUSTED CERTIFICATE-----"
_TRUSTED_END = b"-----END TRUSTED CERTIFICATE-----"

_UTF8_STRING = 0x0C
_CONSTRUCTED = 0x20  # the bit of a tag for a value in parts (X.690, 8.1.2.5)

# How the string types that OpenSSL folds in names (ASN1_MASK_CANON in its x_name.c) are encoded.
STRINGS = {
    _UTF8_STRING: "utf-8",
    0x13: "latin-1",  # PrintableString
    0x14: "latin-1",  # T61String, which OpenSSL reads as Latin-1
    0x16: "latin-1",  # IA5String
    0x1A: "latin-1",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}


class DERError(ValueError):
    """The bytes are not DER, or have another type than expected."""


def read(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """The tag of the element at `at`, and where its contents begin and end. Raises DERError on a bad length."""
    if at + 2 > end:
        raise DERError("an element is cut short")
    tag = data[at]
    length = data[at + 1]
    start = at + 2
    if length >= 0x80:
        octets = length & 0x7F
        if not 0 < octets <= 4 or start + octets > end:
            raise DERError("a length that cannot be read")
        length = int.from_bytes(data[start : start + octets], "big")
        start += octets
    stop = start + length
    if stop > end:
        raise DERError("an element is longer than what holds it")
    return tag, start, stop


def expect(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Where the contents of the element at `at` begin and end. Raises DERError if the element has another tag."""
    found, start, stop = read(data, at, end)
    if found != tag:
        raise DERError(f"tag {found:#04x} where {tag:#04x} belongs")
    return start, stop


def elements(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield, for each element from `start` to `end`: its tag, its offset, and where its contents begin and end."""
    at = start
    while at < end:
        tag, inner, stop = read(data, at, end)
        yield tag, at, inner, stop
        at = stop


def encode(tag: int, contents: bytes) -> bytes:
    """One DER element with this tag and these contents."""
    length = len(contents)
    if length < 0x80:
        return bytes((tag, length)) + contents
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + contents


def canonical_name(name: bytes) -> bytes:
    """The RDNs of a Name (DER) as OpenSSL compares them: case and white space folded, in UTF-8 (RFC 5280, 7.1)."""
    start, end = expect(name, 0, len(name), SEQUENCE)
    rdns = []
    for tag, _, inner, stop in elements(name, start, end):
        if tag != SET or inner == stop:
            raise DERError("an RDN that is no SET, or an empty one, which OpenSSL leaves out")
        attributes = sorted(_canonical_attribute(name, *at[2:]) for at in elements(name, inner, stop))
        rdns.append(encode(SET, b"".join(attributes)))
    return b"".join(rdns)


def _canonical_attribute(name: bytes, start: int, end: int) -> bytes:
    type_start, type_stop = expect(name, start, end, OID)
    tag, value_start, value_stop = read(name, type_stop, end)
    value = name[value_start:value_stop]
    if tag & _CONSTRUCTED or (tag == BIT_STRING and value[:1] != b"\0"):
        raise DERError("a value that OpenSSL may write in another way")
    if tag in STRINGS:
        try:
            text = text_of(value, tag)
        except UnicodeDecodeError as error:
            raise DERError("a name that is not in its own encoding") from error
        # Like OpenSSL's ossl_isspace and ossl_tolower, bytes.split() and bytes.lower() only know ASCII.
        tag, value = _UTF8_STRING, b" ".join(text.encode("utf-8", "surrogatepass").split()).lower()
    return encode(SEQUENCE, encode(OID, name[type_start:type_stop]) + encode(tag, value))


def text_of(value: bytes, tag: int, errors: str = "strict") -> str:
    """Decode the value of a string with this DER tag. `errors` is as for bytes.decode(). Raises UnicodeDecodeError."""
    with importing:  # Python imports the codec
        return value.decode(STRINGS.get(tag, "latin-1"), errors)


def words_of(key: bytes) -> list[bytes]:
    """The words that every certificate with this canonical name contains (see `may_hold`), the longest first."""
    words: set[bytes] = set()
    for _, _, rdn, rdn_end in elements(key, 0, len(key)):
        for _, _, inner, stop in elements(key, rdn, rdn_end):
            _, at = expect(key, inner, stop, OID)
            tag, value, end = read(key, at, stop)
            if tag == _UTF8_STRING:
                # The string types encode characters beyond ASCII differently.
                words.update(word for word in key[value:end].split() if word.isascii() and b"\0" not in word)
    return sorted(words, key=len, reverse=True)


def may_hold(folded_der: bytes, words: list[bytes]) -> bool:
    """Whether a certificate, as `folded` returns it, contains all of these words anywhere.

    If not, no name in the certificate has these words. Reading the names would take a hundred times as long.
    """
    return all(word in folded_der for word in words)


def folded(der: bytes) -> bytes:
    """A certificate (DER) in the form that `may_hold` takes: lower case, and one byte per ASCII character."""
    return der.lower().replace(b"\0", b"")


def pem_certificates(text: bytes, *, with_trust_settings: bool = False) -> Iterator[bytes]:
    """The DER of each CERTIFICATE block in a PEM text, which may hold other text too. Broken blocks are left out.

    With `with_trust_settings`, OpenSSL's TRUSTED CERTIFICATE blocks follow, without their trust settings.
    """
    yield from _blocks(text, _PEM_BEGIN, _PEM_END)
    if with_trust_settings:
        for block in _blocks(text, _TRUSTED_BEGIN, _TRUSTED_END):
            try:
                yield block[: expect(block, 0, len(block), SEQUENCE)[1]]  # the settings come after the certificate
            except DERError:
                pass


def _blocks(text: bytes, begin: bytes, end: bytes) -> Iterator[bytes]:
    at = text.find(begin)
    while at >= 0:
        start = at + len(begin)
        stop = text.find(end, start)
        if stop < 0:
            return
        start = max(start, text.rfind(begin, start, stop) + len(begin))  # an earlier BEGIN has no END
        try:
            yield binascii.a2b_base64(text[start:stop])
        except binascii.Error:
            pass
        at = text.find(begin, stop)


def hash_function(name: str) -> Any:
    """Return `hashlib.sha1` or `hashlib.sha256`, by name, without importing `hashlib`, which takes 5 ms.

    OpenSSL's are the fastest, but take 2 ms to load. They are used if they are loaded already, or are the only ones.
    """
    with importing:
        if "_hashlib" not in sys.modules:
            module = "_sha2" if name == "sha256" and sys.version_info >= (3, 12) else f"_{name}"
            try:
                return getattr(__import__(module), name)
            except ImportError:
                pass
        return getattr(__import__("_hashlib"), f"openssl_{name}")


def sha256(data: bytes) -> str:
    """The SHA-256 of some bytes, 64 hexadecimal digits."""
    return str(hash_function("sha256")(data).hexdigest())


def sha1(data: bytes) -> bytes:
    """The SHA-1 of `data` (20 bytes), also in OpenSSL's FIPS mode. Use it only where no security depends on it."""
    return bytes(hash_function("sha1")(data, usedforsecurity=False).digest())


def to_pem(der: bytes) -> str:
    """One certificate as a PEM block, ending in a newline."""
    text = binascii.b2a_base64(der, newline=False).decode("ascii")
    lines = "\n".join([text[at : at + 64] for at in range(0, len(text), 64)])
    return f"{_PEM_BEGIN.decode()}\n{lines}\n{_PEM_END.decode()}\n"


def strict_base64(text: bytes) -> bytes:
    """Decode base64. Raises ValueError if `text` has line breaks, white space or any other irregularity."""
    found = binascii.a2b_base64(text)
    if binascii.b2a_base64(found, newline=False) != text:  # like the strict mode, which is new in Python 3.11
        raise ValueError("base64 that is out of order")
    return found


def to_cadata(ders: Iterable[bytes]) -> str:
    """Certificates (DER) in PEM, for the `cadata` of `load_verify_locations`.

    If `cadata` is DER, PyPy adds the certificates, but raises an error. CPython does the same if OpenSSL cannot read an
    extension. With PEM, neither raises an error.
    """
    return "".join(map(to_pem, ders))


def _seconds(tag: int, text: bytes) -> int:
    """Read a UTCTime or GeneralizedTime in a form that RFC 5280, 4.1.2.5 allows. Returns seconds since 1970."""
    digits = text[:-1]
    if tag == UTC_TIME and len(digits) == 12:
        digits = (b"20" if digits < b"50" else b"19") + digits
    elif tag != GENERALIZED_TIME:
        raise DERError("no time")
    if len(digits) != 14 or not digits.isdigit() or text[-1:] != b"Z":
        raise DERError("a time that cannot be read")
    year, month, day, hour, minute, second = (
        int(digits[a:b]) for a, b in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))
    )
    # Days since 1970, counted in years that begin in March, so that the leap day comes last.
    if month <= 2:
        year, month = year - 1, month + 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day - 719469
    return ((days * 24 + hour) * 60 + minute) * 60 + second


class AuthorityKeyIdentifier:
    """The contents of the authorityKeyIdentifier extension (RFC 5280, 4.2.1.1). Each part is None if it is absent."""

    __slots__ = ("issuers", "key_id", "serial")

    def __init__(self, value: bytes) -> None:
        start, end = expect(value, 0, len(value), SEQUENCE)
        parts = {tag: value[inner:stop] for tag, _, inner, stop in elements(value, start, end)}
        self.key_id = parts.get(0x80)
        self.issuers = parts.get(0xA1)
        self.serial = parts.get(0x82)


class Certificate:
    """One certificate, read from DER (bytes). Raises `DERError` if its outer structure cannot be read.

    Names, the public key and extension values are the DER bytes from the certificate. Times are in seconds since 1970.
    Most fields are read on first use, and may raise `DERError` then. Two objects are equal if their DER is equal.
    """

    def __init__(self, der: bytes) -> None:
        self.der = der
        start, end = expect(der, 0, len(der), SEQUENCE)
        if end != len(der):
            raise DERError("bytes after the certificate")
        at, self._end = expect(der, start, end, SEQUENCE)
        tag, _, stop = read(der, at, self._end)
        if tag == 0xA0:  # version
            at = stop
        inner, self._algorithm = expect(der, at, self._end, INTEGER)
        self.serial = der[inner : self._algorithm]
        self._signature, at = expect(der, self._algorithm, self._end, SEQUENCE)
        _, stop = expect(der, at, self._end, SEQUENCE)
        self.issuer = der[at:stop]
        self._validity, at = expect(der, stop, self._end, SEQUENCE)
        _, stop = expect(der, at, self._end, SEQUENCE)
        self.subject = der[at:stop]
        _, self._after_key = expect(der, stop, self._end, SEQUENCE)
        self.public_key = der[stop : self._after_key]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, 64 hexadecimal digits."""
        return sha256(self.der)

    @property
    def pem(self) -> str:
        """The certificate as a PEM block, ending in a newline."""
        return to_pem(self.der)

    @property
    def is_in_der(self) -> bool:
        """Whether everything around the signed part is in DER, as RFC 5280, 4.1 demands.

        OpenSSL accepts BER there. So anybody can encode the same certificate in any number of other ways.
        """
        try:
            signed, whole_end = expect(self.der, 0, len(self.der), SEQUENCE)
            _, at = expect(self.der, self._end, whole_end, SEQUENCE)
            bits, end = expect(self.der, at, whole_end, BIT_STRING)
            algorithm = self.der[self._algorithm : expect(self.der, self._algorithm, self._end, SEQUENCE)[1]]
        except DERError:
            return False
        in_der = self.der[signed : self._end] + algorithm + encode(BIT_STRING, self.der[bits:end])
        return self.der == encode(SEQUENCE, in_der)

    @cached_property
    def subject_key(self) -> bytes:
        """The subject's canonical name (see `canonical_name`)."""
        return canonical_name(self.subject)

    @cached_property
    def issuer_key(self) -> bytes:
        """The issuer's canonical name (see `canonical_name`)."""
        return self.subject_key if self.issuer == self.subject else canonical_name(self.issuer)

    @cached_property
    def validity(self) -> tuple[int, int]:
        """notBefore and notAfter, in seconds since 1970."""
        tag, start, stop = read(self.der, self._validity, self._end)
        not_before = _seconds(tag, self.der[start:stop])
        tag, start, stop = read(self.der, stop, self._end)
        return not_before, _seconds(tag, self.der[start:stop])

    def is_valid_at(self, moment: float) -> bool:
        """Whether this moment, in seconds since 1970, lies within the validity."""
        not_before, not_after = self.validity
        return not_before <= moment <= not_after

    @cached_property
    def extensions(self) -> dict[bytes, bytes]:
        """The contents of each extension's OCTET STRING, by object identifier. If one is repeated, the first counts."""
        values: dict[bytes, bytes] = {}
        for field, _, tagged, tagged_end in elements(self.der, self._after_key, self._end):
            if field != 0xA3:
                continue
            start, stop = expect(self.der, tagged, tagged_end, SEQUENCE)
            for _, _, inner, end in elements(self.der, start, stop):
                type_start, at = expect(self.der, inner, end, OID)
                tag, value, after = read(self.der, at, end)
                if tag != OCTET_STRING:  # "critical" comes first
                    value, after = expect(self.der, after, end, OCTET_STRING)
                values.setdefault(self.der[type_start:at], self.der[value:after])
        return values

    @cached_property
    def subject_key_id(self) -> bytes | None:
        value = self.extensions.get(SUBJECT_KEY_IDENTIFIER)
        if value is None:
            return None
        start, stop = expect(value, 0, len(value), OCTET_STRING)
        return value[start:stop]

    @cached_property
    def authority_key_id(self) -> AuthorityKeyIdentifier | None:
        value = self.extensions.get(AUTHORITY_KEY_IDENTIFIER)
        return None if value is None else AuthorityKeyIdentifier(value)

    @cached_property
    def basic_constraints(self) -> tuple[bool, int | None]:
        """Whether this is a CA, and its path length constraint. Without the extension, it is not a CA."""
        value = self.extensions.get(BASIC_CONSTRAINTS)
        if value is None:
            return False, None
        is_ca, path_length = False, None
        start, end = expect(value, 0, len(value), SEQUENCE)
        for tag, _, inner, stop in elements(value, start, end):
            if tag == 0x01:
                is_ca = value[inner:stop] != b"\x00"
            elif tag == INTEGER:
                path_length = int.from_bytes(value[inner:stop], "big", signed=True)
        return is_ca, path_length

    @cached_property
    def ca_issuers(self) -> list[str]:
        """The URLs of the caIssuers entries of AIA (RFC 5280, 4.2.2.1) in order. Other kinds of names are left out."""
        value = self.extensions.get(AUTHORITY_INFORMATION_ACCESS)
        if value is None:
            return []
        urls = []
        start, end = expect(value, 0, len(value), SEQUENCE)
        for _, _, inner, stop in elements(value, start, end):
            method, at = expect(value, inner, stop, OID)
            tag, location, location_end = read(value, at, stop)
            if value[method:at] == CA_ISSUERS and tag == 0x86:
                urls.append(value[location:location_end].decode("latin-1"))
        return urls

    @cached_property
    def is_self_issued(self) -> bool:
        """Whether subject and issuer are the same name."""
        return self.subject == self.issuer or self.subject_key == self.issuer_key

    @cached_property
    def is_self_signed(self) -> bool:
        """Whether OpenSSL treats this as self-signed (EXFLAG_SS): it is self-issued and its AKID names no other issuer.

        Like OpenSSL, this does not verify the signature. In an SSL context, such a certificate is a trust anchor.
        """
        return self.is_self_issued and self.names_as_issuer(self)

    @property
    def is_for_servers(self) -> bool:
        """Whether the extended key usage is absent or names serverAuth. Like OpenSSL, we ignore anyExtendedKeyUsage."""
        purposes = self.extensions.get(EXTENDED_KEY_USAGE)
        return purposes is None or encode(OID, SERVER_AUTH) in purposes

    def is_sound_ca(self, below: int) -> bool:
        """Whether this is a CA for TLS servers, with only usual extensions, that may have `below` CAs below it."""
        is_ca, path_length = self.basic_constraints
        usage = self.extensions.get(KEY_USAGE, b"")
        return (
            is_ca
            and (path_length is None or path_length >= below)
            and len(usage) in (4, 5)
            and (usage[0], usage[1]) == (BIT_STRING, len(usage) - 2)
            and bool(usage[3] & KEY_CERT_SIGN)
            and self.is_for_servers
            and _USUAL_EXTENSIONS.issuperset(self.extensions)
        )

    def names_as_issuer(self, issuer: Certificate) -> bool:
        """Whether this certificate's authority key identifier fits `issuer` (as OpenSSL's X509_check_akid)."""
        akid = self.authority_key_id
        if akid is None:
            return True
        if akid.key_id is not None and issuer.subject_key_id not in (None, akid.key_id):
            return False
        if akid.serial is not None and akid.serial != issuer.serial:
            return False
        return akid.issuers is None or _issuer_is_among(akid.issuers, issuer)

    def was_surely_issued_by(self, issuer: Certificate) -> bool:
        """Whether names and AKID fit `issuer`, and the signature algorithm is SHA-2 with the issuer's kind of key.

        The AKID must be the SHA-1 of the issuer's key (RFC 5280, 4.2.1.2, method 1), so no other key fits.
        """
        akid = self.authority_key_id
        algorithm, key = issuer._algorithm_and_key
        return (
            self.issuer_key == issuer.subject_key
            and self.names_as_issuer(issuer)
            and akid is not None
            and akid.key_id is not None
            and akid.key_id == issuer.subject_key_id == sha1(key)
            and self._signature_algorithm in _SIGNATURES.get(algorithm, ())
        )

    @property
    def _signature_algorithm(self) -> bytes:
        start, stop = expect(self.der, self._signature, self._end, OID)
        return self.der[start:stop]

    @property
    def _algorithm_and_key(self) -> tuple[bytes, bytes]:
        info = self.public_key
        start, end = expect(info, 0, len(info), SEQUENCE)
        start, at = expect(info, start, end, SEQUENCE)
        bits, _ = expect(info, at, end, BIT_STRING)
        start, stop = expect(info, start, at, OID)
        return info[start:stop], info[bits + 1 : end]


def _issuer_is_among(general_names: bytes, certificate: Certificate) -> bool:
    """Whether the certificate's issuer is the first directoryName of these GeneralNames; True if they have none.

    Like OpenSSL, this ignores further directoryNames.
    """
    for tag, _, start, stop in elements(general_names, 0, len(general_names)):
        if tag == 0xA4:
            return canonical_name(general_names[start:stop]) == certificate.issuer_key
    return True


_NEEDED = (
    "subject_key",
    "issuer_key",
    "validity",
    "basic_constraints",
    "subject_key_id",
    "authority_key_id",
    "is_self_signed",
)


def readable(ders: Iterable[bytes]) -> Iterator[Certificate]:
    """Yield each certificate once, if all fields that a search for issuers needs can be read."""
    for der in dict.fromkeys(ders):
        try:
            certificate = Certificate(der)
            for field in _NEEDED:  # fields are read on first use: these are read now, so that they cannot raise later
                getattr(certificate, field)
        except DERError:
            continue
        yield certificate


class Certificates:
    """An immutable sequence of certificates (DER), which finds them by name."""

    def __init__(self, ders: Iterable[bytes]) -> None:
        self.ders = tuple(ders)
        self._folded: tuple[bytes, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificates) and self.ders == other.ders

    def __hash__(self) -> int:
        return hash(self.ders)

    def named(self, subject_key: bytes) -> list[bytes]:
        """The certificates (DER) whose subject has this canonical name or cannot be read."""
        if not self.ders:
            return []
        if not self._folded:
            self._folded = tuple(map(folded, self.ders))
        words = words_of(subject_key)
        return [
            der for der, text in zip(self.ders, self._folded) if may_hold(text, words) and _may_be_of(der, subject_key)
        ]


def _may_be_of(der: bytes, subject_key: bytes) -> bool:
    try:
        return Certificate(der).subject_key == subject_key
    except DERError:
        return True


def subject_hash(subject_key: bytes) -> str:
    """The hash of a canonical name, as `openssl x509 -subject_hash` prints it. It names files in hashed directories."""
    return f"{int.from_bytes(sha1(subject_key)[:4], 'little'):08x}"


CERTIFICATE, COMPRESSED_CERTIFICATE = 11, 25  # handshake messages
TLS_1_3 = 0x0304
MOST_SENT = 100  # certificates that are read from one message
MOST_UNPACKED = 1 << 20  # bytes of a decompressed message
_ZLIB, _ZSTD = 1, 3


class MessageError(ValueError):
    """The bytes are not a Certificate message that can be read."""


def handshake_message(kind: int, body: bytes) -> bytes:
    """A TLS handshake message of this type (RFC 5246, 7.4): header and body."""
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def sent_in(message: bytes, version: int) -> list[bytes]:
    """The certificates (DER, at most 100) in a Certificate message of this TLS version.

    `message` includes the handshake header (RFC 8446, 4.4.2; RFC 5246, 7.4.2). A message of type 25 is decompressed
    first (RFC 8879). Raises MessageError if the message cannot be read.
    """
    body = message[4:]
    if message[:1] == bytes((COMPRESSED_CERTIFICATE,)):
        body = _decompressed(body)
    if version >= TLS_1_3:
        body = body[1 + body[0] :] if body else body  # certificate_request_context
    entries, _ = _vector(body, 0, 3)
    found: list[bytes] = []
    at = 0
    while at < len(entries) and len(found) < MOST_SENT:
        certificate, at = _vector(entries, at, 3)
        if version >= TLS_1_3:
            _, at = _vector(entries, at, 2)  # extensions
        found.append(certificate)
    return found


def _vector(data: bytes, at: int, octets: int) -> tuple[bytes, int]:
    """Read the TLS vector at offset `at`. Its length field has `octets` bytes. Returns its contents and its end."""
    start = at + octets
    stop = start + int.from_bytes(data[at:start], "big")
    if start > len(data) or stop > len(data):
        raise MessageError("a Certificate message that is cut short")
    return data[start:stop], stop


def _decompressed(body: bytes) -> bytes:
    algorithm = int.from_bytes(body[:2], "big")
    size = int.from_bytes(body[2:5], "big")
    packed, _ = _vector(body, 5, 3)
    if size > MOST_UNPACKED:
        raise MessageError("a Certificate message too large to decompress")
    if algorithm == _ZLIB:
        with importing:
            import zlib

        try:
            plain = zlib.decompressobj().decompress(packed, size + 1)
        except zlib.error as error:
            raise MessageError("a Certificate message that zlib cannot read") from error
    elif algorithm == _ZSTD:
        plain = _unpack_zstd(packed, size)
    else:
        raise MessageError(f"certificate compression {algorithm}, for which Python has no decoder")
    if len(plain) != size:
        raise MessageError("a Certificate message that is not as large as it says")
    return plain


def _unpack_zstd(packed: bytes, size: int) -> bytes:
    try:
        with importing:
            from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # Python 3.14
    except ImportError as error:
        raise MessageError("certificate compression zstd, which Python reads from 3.14 on") from error
    try:
        return bytes(zstd.ZstdDecompressor().decompress(packed, size + 1))
    except zstd.ZstdError as error:
        raise MessageError("a Certificate message that zstd cannot read") from error
