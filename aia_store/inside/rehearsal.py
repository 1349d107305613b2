"""Contexts of ours, and rehearsals in them: OpenSSL's verdict on a chain before it is used or kept.

OpenSSL can verify a chain without a key and without a socket. In memory, a client gets the few bytes that a TLS 1.2
server would send: ServerHello, Certificate, and then ServerHelloDone, which is one message too early. If OpenSSL
refuses the chain, it raises SSLCertVerificationError. If it accepts the chain, it goes on, and fails because the leaf's
key does not suit the cipher, or because of the early message. Only those errors mean "accepted". All certificates are
in the Certificate message, untrusted, so the verdict is that of plain OpenSSL for a server that sends them.

A context of ours is complete before its first use, and is never changed. So any number of threads may share it.
"""

from __future__ import annotations

import _ssl
import os
import time
from _ssl import MemoryBIO, SSLCertVerificationError, SSLError

from . import Interrupted, importing, interrupt_in, lent_contexts, remember
from .certificate import Certificate, handshake_message, readable, to_cadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Protocol, TypeVar

    from .trusted import Given, PathLike

    T = TypeVar("T")

    class TrustedCertificates(Protocol):
        """What a search needs to know: `trusted.Trusted`, or its counterpart for pyOpenSSL."""

        flags: int

        def is_anchor(self, certificate: Certificate) -> bool: ...
        def holds(self, certificate: Certificate) -> bool: ...
        def issuers_of(self, subject: Certificate) -> list[Certificate]: ...
        def digest(self) -> str: ...


CRL_CHECK, CRL_CHECK_ALL = 0x4, 0x8  # X509_V_FLAG_
NO_CHECK_TIME = 0x200000
CRL_CHECKS = CRL_CHECK | CRL_CHECK_ALL
MOST_KEPT = 64  # contexts

# The errors that OpenSSL raises only after it has accepted the chain.
_AFTER_THE_VERDICT = ("UNEXPECTED_MESSAGE", "WRONG_CERTIFICATE_TYPE", "UNKNOWN_CERTIFICATE_TYPE")

_HANDSHAKE, _CERTIFICATE = 22, 11  # a record's content type, and a handshake message's type


class LentError(Exception):
    """A program's own context cannot be asked about a chain now. The message says why."""


class Terms:
    """The terms under which a chain is verified, besides the trusted certificates. The flags are the SSL object's.

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
    """The class below the wrappers. PyPy cannot make instances of its base class itself."""


class Rehearsal:
    """A context of ours, which trusts these certificates (DER), and those in these files and hashed directories.

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
        self._terms = terms
        # Without a level, OpenSSL's default is used: Python 3.9 cannot read the level.
        level = "" if terms.level is None else f":@SECLEVEL={terms.level}"
        context: Any = _Context(_ssl.PROTOCOL_TLS_SERVER if terms.from_client else _ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.minimum_version = context.maximum_version = _ssl.PROTO_TLSv1_2
        context.set_ciphers(f"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384{level}")
        if terms.suite_b:
            context.set_ciphers(terms.suite_b)
        context.verify_flags = terms.flags if checks_crls else terms.flags & ~CRL_CHECKS
        for file in files:
            context.load_verify_locations(cafile=file)
        if cadata := to_cadata(ders):
            context.load_verify_locations(cadata=cadata)
        for directory in directories:
            context.load_verify_locations(capath=directory)
        if defaults:
            context.set_default_verify_paths()
        if terms.from_client:
            with importing:
                from .clients import prepare_server

            prepare_server(context)
        self.context = context

    def refusal(self, chain: Sequence[bytes], name: str | None = None) -> str | None:
        """Why OpenSSL refuses this chain (DER, the leaf first), in its words; None if it accepts.

        With a name (of a host, in ASCII, or an IP address), the leaf must be valid for it too.
        """
        self.context.check_hostname = name is not None
        return _refusal(self.context, _hello(self._terms), chain, name, is_server=self._terms.from_client)


_kept: dict[object, Rehearsal] = {}


def kept(terms: Terms, ders: Sequence[bytes]) -> Rehearsal:
    """A context of ours with these certificates (DER), which is shared by all that need the same."""
    key = terms.key, tuple(ders)
    found = _kept.get(key)
    if found is None:
        found = Rehearsal(terms, ders)
        remember(_kept, key, found, MOST_KEPT)
    return found


_bares: dict[object, Any] = {}  # by their terms: see `_bare`


def _forget_in_child() -> None:
    """In a forked child, forget shared contexts: a thread that is gone may have held a lock of OpenSSL in one."""
    _kept.clear()
    _bares.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


class Chain:
    """What a peer sent (DER, its own certificate first), and what the other side trusts.

    Raises DERError if the leaf cannot be read.
    """

    def __init__(self, sent: list[bytes], trusted: TrustedCertificates, terms: Terms) -> None:
        self.ders = sent
        self.leaf = Certificate(sent[0])
        self.sent = list(readable(sent[1:]))
        self.trusted = trusted
        self.terms = terms
        self.now = time.time()

    def is_hopeless(self) -> bool:
        """Whether no intermediate can help: the leaf is its own issuer, has expired, or is not valid yet."""
        if self.leaf.is_self_signed:
            return True
        return not self.terms.flags & NO_CHECK_TIME and not self.leaf.is_valid_at(self.now)

    def refusal(self, path: list[Certificate]) -> str | None:
        """Why OpenSSL refuses exactly this path, from the leaf to the anchor; None if it accepts."""
        *certificates, anchor = (certificate.der for certificate in path)
        return kept(self.terms, [anchor]).refusal(certificates)

    def anchors(self) -> str:
        """A text that changes whenever the trust anchors change."""
        return f"{self.trusted.digest()} for clients" if self.terms.from_client else self.trusted.digest()

    def fetch(self, search: Callable[[float], T], seconds: float) -> T | None:
        """Run a search with the number of seconds that it may fetch; None if it may not fetch now."""
        if self.terms.from_client:
            with importing:
                from .clients import allowance

            return allowance.use(search)
        return search(seconds)


def refusal_by_the_program(context: _ssl._SSLContext, given: Given, terms: Terms, chain: Sequence[bytes]) -> str | None:
    """Why OpenSSL refuses this chain (DER, the leaf first) in the program's own context; None if it accepts.

    That context knows what a context of ours cannot: CRLs, trust settings, pinned certificates. The rehearsal is the
    swap the other way round: the SSL object is made from a context of ours, under the terms of the connection, and gets
    the program's context only for the verification. So no callback of the program is called, no connection is counted,
    and its protocol versions and ciphers do not matter. Raises LentError while the program changes what would be
    copied.
    """
    given.load_deferred(context)
    return _refusal(_bare(terms), _hello(terms), chain, None, is_server=terms.from_client, lent=(context, given))


def _bare(terms: Terms) -> Any:
    """A context of ours without trust anchors, for SSL objects to which a program's context is lent."""
    found = _bares.get(terms.key)
    if found is None:
        found = Rehearsal(terms, (), checks_crls=True).context
        found._msg_callback = _lend
        remember(_bares, terms.key, found, MOST_KEPT)
    return found


def _lend(connection: Any, direction: str, _version: int, content_type: int, message_type: int, _data: bytes) -> None:
    """The message callback: lend the program's context while OpenSSL verifies the chain."""
    if content_type == _HANDSHAKE and direction == "read" and message_type == _CERTIFICATE:
        connection.context = lent_contexts[id(connection)]


def _refusal(
    context: Any,
    hello: bytes,
    chain: Sequence[bytes],
    name: str | None,
    *,
    is_server: bool,
    lent: tuple[_ssl._SSLContext, Given] | None = None,
) -> str | None:
    incoming = MemoryBIO()
    incoming.write(_records(hello + _certificate_message(chain) + _TOO_EARLY))
    connection = context._wrap_bio(incoming, MemoryBIO(), is_server, name)
    try:
        if lent is not None:
            program, given = lent
            lent_contexts[id(connection)] = program
            if given.loading:  # check only now: a thread that loads a certificate from here on waits for us
                raise LentError("its certificate is being loaded")
        connection.do_handshake()
    except SSLError as error:
        interrupt = None if error.__context__ is None else interrupt_in(error)
        if interrupt is not None:  # it was raised in a callback
            raise Interrupted(interrupt) from None
        if isinstance(error, SSLCertVerificationError):
            return str(error.verify_message)
        if error.reason in _AFTER_THE_VERDICT:
            return None
        return f"OpenSSL cannot read it ({error.reason})"
    finally:
        lent_contexts.pop(id(connection), None)
    return "OpenSSL reached no verdict"


def _hello(terms: Terms) -> bytes:
    """The hello message of the other side, which comes before its certificates."""
    # Suite B has these two ciphers; each of its levels allows one of them.
    cipher = b"\xc0\x2b" if terms.suite_b == "SUITEB128ONLY" else b"\xc0\x2c"
    if terms.from_client:
        with importing:
            from .clients import client_hello

        return client_hello(cipher)
    return handshake_message(
        2,
        b"\x03\x03"
        + bytes(32)  # random
        + b"\x00"  # no session
        + cipher  # any leaf key will do, because it is checked after the chain
        + b"\x00"  # no compression
        + b"\x00\x05\xff\x01\x00\x01\x00",  # renegotiation_info, which OpenSSL 3 requires
    )


def flight(chain: Sequence[bytes]) -> bytes:
    """The records in which a TLS 1.2 server sends this chain (DER, the leaf first), and then a message too early."""
    return _records(_hello(Terms(0, None, "SUITEB128ONLY")) + _certificate_message(chain) + _TOO_EARLY)


_TOO_EARLY = handshake_message(14, b"")  # ServerHelloDone, which a server does not expect at all


def _certificate_message(chain: Sequence[bytes]) -> bytes:
    certificates = b"".join(len(der).to_bytes(3, "big") + der for der in chain)
    return handshake_message(11, len(certificates).to_bytes(3, "big") + certificates)


def _records(messages: bytes) -> bytes:
    most = 1 << 14  # bytes per record
    return b"".join(
        b"\x16\x03\x03" + len(part).to_bytes(2, "big") + part
        for part in (messages[at : at + most] for at in range(0, len(messages), most))
    )
