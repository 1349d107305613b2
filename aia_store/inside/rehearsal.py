"""Contexts of ours, and the rehearsal in them: OpenSSL judges a chain before it is used or kept.

OpenSSL can judge a chain without a key and without a socket: in memory, a client meets the few bytes that a TLS 1.2
server would send: ServerHello, Certificate, and then at once ServerHelloDone, which is one message too early. A chain
that is refused ends in SSLCertVerificationError. One that is accepted lets OpenSSL go on, to a leaf key that does not
suit the cipher or to the message that comes too early; those errors, and no others, mean "accepted". All certificates
come in the Certificate message, untrusted, so the verdict is that of plain OpenSSL for a server that sends them.

A context of ours is built whole before its first use and never added to. Then any number of threads may share it.
"""

from __future__ import annotations

import _ssl
import time
from _ssl import MemoryBIO, SSLCertVerificationError, SSLError, SSLWantReadError
from _thread import get_ident

from . import importing, rehearsing_threads
from .certificate import Certificate, readable, to_cadata
from .trusted import time_of_change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    from .trusted import Given, PathLike, Trusted

    T = TypeVar("T")

CRL_CHECK, CRL_CHECK_ALL = 0x4, 0x8  # X509_V_FLAG_
NO_CHECK_TIME = 0x200000
CRL_CHECKS = CRL_CHECK | CRL_CHECK_ALL
MOST_KEPT = 64  # contexts
ECDHE_ECDSA_AES128_GCM_SHA256, ECDHE_ECDSA_AES256_GCM_SHA384 = 0xC02B, 0xC02C

_NO_TLS_1_2 = 1 << 27  # SSL_OP_NO_TLSv1_2
_NEWEST = -1  # TLSVersion.MAXIMUM_SUPPORTED; MINIMUM_SUPPORTED is -2
# What OpenSSL meets only after it has accepted the chain.
_AFTER_THE_VERDICT = ("UNEXPECTED_MESSAGE", "WRONG_CERTIFICATE_TYPE", "UNKNOWN_CERTIFICATE_TYPE")

_context: Any = _ssl._SSLContext


class CannotAskError(Exception):
    """A program's own context cannot be asked about a chain; the message says why."""


class Terms:
    """What a chain is judged under, besides the trusted certificates. The flags are those of the SSL object.

    `flags` are X509_V_FLAG_ bits; `level` is OpenSSL's security level, None for its default; `suite_b` is what the
    cipher list began with to ask for Suite B, or empty; `from_client`: the chain is a client's.
    """

    __slots__ = ("flags", "from_client", "level", "suite_b")

    def __init__(self, flags: int, level: int | None, suite_b: str = "", *, from_client: bool = False) -> None:
        self.flags = flags
        self.level = level
        self.suite_b = suite_b
        self.from_client = from_client

    @property
    def key(self) -> tuple[int, int | None, str, bool]:
        """Equal for equal terms."""
        return self.flags, self.level, self.suite_b, self.from_client


class _Context(_ssl._SSLContext):
    """The class beneath the doors. PyPy makes no instances of the class that it is derived from."""


class Rehearsal:
    """A context of ours, which trusts these certificates (DER) and what is in these files and hashed directories.

    `defaults`: and what OpenSSL finds in its default paths, which is more than in any other directory. CRL checks are
    left out of a rehearsal unless it `checks_crls`: they need the program's own CRLs.
    """

    def __init__(
        self,
        terms: Terms,
        ders: Iterable[bytes],
        files: Iterable[PathLike] = (),
        directories: Sequence[str] = (),
        *,
        defaults: bool = False,
        checks_crls: bool = False,
    ) -> None:
        self.is_server = terms.from_client
        # OpenSSL's default level without one: what the level is cannot be read in Python 3.9.
        level = "" if terms.level is None else f":@SECLEVEL={terms.level}"
        context: Any = _Context(_ssl.PROTOCOL_TLS_SERVER if self.is_server else _ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.minimum_version = context.maximum_version = _ssl.PROTO_TLSv1_2
        context.set_ciphers(f"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384{level}")
        if terms.suite_b:
            context.set_ciphers(terms.suite_b)
        self._cipher = (
            ECDHE_ECDSA_AES128_GCM_SHA256 if terms.suite_b == "SUITEB128ONLY" else ECDHE_ECDSA_AES256_GCM_SHA384
        )
        context.verify_flags = terms.flags if checks_crls else terms.flags & ~CRL_CHECKS
        for file in files:
            context.load_verify_locations(cafile=file)
        if cadata := to_cadata(ders):
            context.load_verify_locations(cadata=cadata)
        for directory in directories:
            context.load_verify_locations(capath=directory)
        if defaults:
            context.set_default_verify_paths()
        if self.is_server:
            with importing:
                from .clients import prepare_server

            prepare_server(context)
        self.context = context

    def refusal(self, chain: Sequence[bytes], name: str | None = None) -> str | None:
        """Why OpenSSL refuses this chain (DER, the leaf first), in its words; None: it accepts.

        With a name (a host's, in ASCII, or an IP address) the leaf must be good for it too.
        """
        self.context.check_hostname = name is not None
        return _refusal(self.context, self._hello(), chain, name, is_server=self.is_server)

    def _hello(self) -> bytes:
        return _hello([self._cipher], from_client=self.is_server)


_kept: dict[object, Rehearsal] = {}


def kept(
    terms: Terms, ders: Sequence[bytes], directories: Sequence[str] = (), defaults: tuple[str, ...] = ()
) -> Rehearsal:
    """A context of ours with these certificates (DER), directories and default paths: one for all who ask for the same.

    What is in directories is what it was when the directory was last changed.
    """
    key = terms.key, tuple(ders), tuple((path, time_of_change(path)) for path in (*directories, *defaults))
    found = _kept.get(key)
    if found is None:
        found = Rehearsal(terms, ders, directories=directories, defaults=bool(defaults))
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[key] = found
    return found


class Chain:
    """What a peer sent (DER, its own certificate first), and what the other side trusts.

    Raises DERError where the leaf cannot be read.
    """

    def __init__(self, sent: list[bytes], trusted: Trusted, terms: Terms) -> None:
        self.ders = sent
        self.leaf = Certificate(sent[0])
        self.sent = list(readable(sent[1:]))
        self.trusted = trusted
        self.terms = terms
        self.now = time.time()

    def is_hopeless(self) -> bool:
        """Whether no intermediate can help: the leaf is its own issuer, or out of its time."""
        if self.leaf.is_self_signed:
            return True
        not_before, not_after = self.leaf.validity
        return not self.terms.flags & NO_CHECK_TIME and not not_before <= self.now <= not_after

    def refusal(self, path: list[Certificate]) -> str | None:
        """Why OpenSSL refuses exactly this path, from the leaf to the anchor; None: it accepts."""
        *certificates, anchor = (certificate.der for certificate in path)
        return kept(self.terms, [anchor]).refusal(certificates)

    def anchors(self) -> str:
        """A text that changes whenever the trust anchors change."""
        return f"{self.trusted.digest()} for clients" if self.terms.from_client else self.trusted.digest()

    def fetch(self, search: Callable[[float], T], seconds: float) -> T | None:
        """What a search finds that may fetch, and is told for how many seconds; None where it may not now."""
        if self.terms.from_client:
            with importing:
                from .clients import allowance

            return allowance.use(search)
        return search(seconds)


def refusal_by_the_program(
    context: _ssl._SSLContext, given: Given, terms: Terms, chain: Sequence[bytes], name: str | None
) -> str | None:
    """Why the program's own context refuses this chain (DER, the leaf first); None: it accepts.

    It honours what a context of ours cannot know: revocation lists, trust settings, pins, the host's name. Nothing in
    it changes but its count of connections. Raises CannotAskError.
    """
    ciphers = _ciphers_of(context, terms)
    given.load_deferred(context)
    asked = name if _context.check_hostname.__get__(context) else None
    if asked is None and _context.check_hostname.__get__(context):
        raise CannotAskError("it wants a host name, and there is none")
    thread = get_ident()
    rehearsing_threads.add(thread)
    try:
        hello = _hello(ciphers, from_client=terms.from_client)
        return _refusal(context, hello, chain, asked, is_server=terms.from_client)
    finally:
        rehearsing_threads.discard(thread)


def may_ask_the_program(context: _ssl._SSLContext, terms: Terms) -> bool:
    """Whether `refusal_by_the_program` can be asked."""
    try:
        _ciphers_of(context, terms)
    except CannotAskError:
        return False
    return True


def _ciphers_of(context: _ssl._SSLContext, terms: Terms) -> list[int]:
    """The TLS 1.2 ciphers of the program's with which a server proves itself by a certificate; at least one."""
    if terms.from_client and _context.sni_callback.__get__(context) is not None:
        raise CannotAskError("it would call the program")
    if _context.verify_mode.__get__(context) == _ssl.CERT_NONE:
        raise CannotAskError("it accepts everybody by now")
    if _context.verify_flags.__get__(context) != terms.flags:
        raise CannotAskError("its flags were changed since the connection was made")
    lowest, highest = (version.__get__(context) for version in (_context.minimum_version, _context.maximum_version))
    speaks = lowest <= _ssl.PROTO_TLSv1_2 and (highest == _NEWEST or highest >= _ssl.PROTO_TLSv1_2)
    if not speaks or _context.options.__get__(context) & _NO_TLS_1_2:
        raise CannotAskError("it speaks no TLS 1.2")
    ciphers = [
        int(cipher["id"]) & 0xFFFF
        for cipher in _context.get_ciphers(context)
        if cipher["protocol"] != "TLSv1.3" and cipher["auth"] in ("auth-ecdsa", "auth-rsa")
    ]
    if not ciphers:
        raise CannotAskError("it has no cipher with certificates")
    return ciphers


def _refusal(
    context: _ssl._SSLContext, hello: bytes, chain: Sequence[bytes], name: str | None, *, is_server: bool
) -> str | None:
    incoming = MemoryBIO()
    incoming.write(_records(hello + _certificate_message(chain) + _TOO_EARLY))
    connection = _context._wrap_bio(context, incoming, MemoryBIO(), is_server, name)
    try:
        connection.do_handshake()
    except SSLCertVerificationError as error:
        return str(error.verify_message)
    except SSLWantReadError:
        return None  # with an RSA key exchange, nothing was too early
    except SSLError as error:
        if error.reason in _AFTER_THE_VERDICT:
            return None
        return f"OpenSSL cannot read it ({error.reason})"
    return "OpenSSL came to no verdict"


def handshake_message(kind: int, body: bytes) -> bytes:
    """A handshake message of this type (RFC 5246, 7.4)."""
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def _hello(ciphers: Sequence[int], *, from_client: bool) -> bytes:
    """What the other side says before it shows its certificates."""
    if from_client:
        with importing:
            from .clients import client_hello

        return client_hello(ciphers)
    return handshake_message(
        2,
        b"\x03\x03"
        + bytes(32)  # random
        + b"\x00"  # no session
        + ciphers[0].to_bytes(2, "big")  # judged after the chain, so any leaf key will do
        + b"\x00"  # no compression
        + b"\x00\x05\xff\x01\x00\x01\x00",  # renegotiation_info, which OpenSSL 3 insists on
    )


_TOO_EARLY = handshake_message(14, b"")  # ServerHelloDone, which no server is sent either


def _certificate_message(chain: Sequence[bytes]) -> bytes:
    certificates = b"".join(len(der).to_bytes(3, "big") + der for der in chain)
    return handshake_message(11, len(certificates).to_bytes(3, "big") + certificates)


def _records(messages: bytes) -> bytes:
    most = 1 << 14  # bytes a record
    return b"".join(
        b"\x16\x03\x03" + len(part).to_bytes(2, "big") + part
        for part in (messages[at : at + most] for at in range(0, len(messages), most))
    )
