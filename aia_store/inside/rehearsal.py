"""Rehearsals: OpenSSL's verdict on a chain before it is used or kept.

OpenSSL can verify a chain without a key or a socket. In memory, a client gets the few bytes that a TLS 1.2 server would
send: ServerHello, Certificate, and then ServerHelloDone, which is one message too early. If OpenSSL refuses the chain,
it raises SSLCertVerificationError. If it accepts the chain, it goes on, and fails because the leaf's key does not suit
the cipher, or because of the early message. Only these two errors mean "accepted". All certificates are in the
Certificate message, untrusted, so plain OpenSSL would reach the same verdict for a server that sends them all.
"""

from __future__ import annotations

import _ssl
import sys
import time
from _ssl import MemoryBIO, SSLCertVerificationError, SSLError

from . import (
    PARTIAL_CHAIN,
    Interrupted,
    importing,
    interrupt_in,
    lent_contexts,
    memory_of_contexts,
    remember,
    unless_interrupted,
)
from .certificate import MOST_SENT, Certificate, handshake_message, readable
from .contexts import CRL_CHECK_ALL, CRL_CHECKS, MOST_KEPT, NO_CHECK_TIME, Terms, kept, made
from .settings import debug
from .trusted import Trusted, default_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Protocol, TypeVar

    from .trusted import Given

    T = TypeVar("T")

    class TrustedCertificates(Protocol):
        """What a search must know of trusted certificates: `trusted.Trusted`, or its counterpart for pyOpenSSL."""

        flags: int

        def is_anchor(self, certificate: Certificate) -> bool: ...
        def holds(self, certificate: Certificate) -> bool: ...
        def issuers_of(self, subject: Certificate) -> list[Certificate]: ...
        def digest(self) -> str: ...


# The errors that OpenSSL raises only after it has accepted the chain.
_AFTER_THE_VERDICT = ("UNEXPECTED_MESSAGE", "WRONG_CERTIFICATE_TYPE", "UNKNOWN_CERTIFICATE_TYPE")

# PyPy leaves an error in OpenSSL's queue (ERR_get_error(3)). The program's connection would find the error there at its
# next read. PyPy empties the queue whenever it makes an SSL object.
_errors_stay = sys.implementation.name == "pypy"

_HANDSHAKE, _CERTIFICATE = 22, 11  # a record's content type, and a handshake message's type


class Rehearsal:
    """A context of ours with these trusted certificates (DER), and OpenSSL's verdicts in it."""

    def __init__(self, terms: Terms, ders: Iterable[bytes]) -> None:
        self._terms = terms
        self.context = made(terms, ders)

    def refusal(self, chain: Sequence[bytes], name: str | None = None) -> str | None:
        """Why OpenSSL refuses this chain (DER, the leaf first), in its words; None if it accepts.

        If a name is given (a host's, in ASCII, or an IP address), the leaf must be valid for it too.
        """
        self.context.check_hostname = name is not None
        return refusal_in(self.context, self._terms, chain, name)


_bares: dict[object, Any] = memory_of_contexts()  # by their terms: see `_bare`


class Chain:
    """What a peer sent (DER, the leaf first), and what is trusted. Raises DERError if the leaf cannot be read."""

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
        *chain, anchor = (certificate.der for certificate in path)
        return refusal_in(kept(self.terms, [anchor]), self.terms, chain)

    def anchors(self) -> str:
        """A text that changes whenever the trust anchors change."""
        return f"{self.trusted.digest()} for clients" if self.terms.from_client else self.trusted.digest()

    def fetch(self, search: Callable[[float], T], seconds: float) -> T | None:
        """Call `search` with the seconds for which it may fetch; return its result, or None if it may not fetch now."""
        if self.terms.from_client:
            with importing:
                from .client_certificates import allowance

            return allowance.use(search)
        return search(seconds)


class Question(Chain):
    """A chain that a connection of the program got. If a context of ours cannot verify it, the program's own does."""

    trusted: Trusted
    findings: Any = None  # the `Findings` of a search that found no path

    def __init__(self, sent: list[bytes], terms: Terms, context: _ssl._SSLContext, given: Given) -> None:
        super().__init__(sent, Trusted(given.lists, given.directories, terms.flags), terms)
        self._context = context
        self._given = given
        if not given.is_plain:
            self.trusted.may_be_anchors = True  # the program's own context decides which of them are
        self._look_up = self.trusted.all_named_by([self.leaf, *self.sent])
        self._was_read_whole = len(sent) < MOST_SENT and len(self.sent) == len(set(sent[1:]))

    def whole_chain(self) -> Any:
        """A context of ours with the trusted certificates that the chain names; None if it refuses the sent chain."""
        names = (name for sent in (self.leaf, *self.sent) for name in (sent.subject_key, sent.issuer_key))
        if not self._look_up and not self.trusted.opens_files(names):
            return None  # OpenSSL finds nothing that is trusted
        ours = kept(self.terms, self._look_up, self._given.directories)
        return ours if refusal_in(ours, self.terms, self.ders) is None else None

    def seconds_left(self, path: Iterable[Certificate] = ()) -> float:
        """The seconds until the first certificate of the chain or of a path expires."""
        at_hand = (self.leaf, *self.sent, *readable(self._look_up), *path)
        left = (certificate.validity[1] - self.now for certificate in at_hand)
        return min((seconds for seconds in left if seconds > 0), default=0)

    def may_be_judged_otherwise(self) -> bool:
        """Whether the program's own context may judge the chain differently from the context of `whole_chain`.

        It may if it lacks deferred certificates. It also may if several trusted certificates have the same name.
        """
        if self._given.deferred:
            return True
        names = [certificate.subject_key for certificate in readable(self._look_up)]
        return not self._asks_the_program() and len(set(names)) < len(names)

    def is_accepted_as_sent(self) -> bool:
        """Whether the program's own context has what ours lacks (CRLs, for example), and accepts the chain as sent."""
        return not self._is_plain() and self._own_refusal(self.ders) is None

    def may_be_completed(self) -> bool:
        """Whether a context of ours can replace the program's own."""
        if self.terms.flags & CRL_CHECK_ALL and self.terms.flags & PARTIAL_CHAIN:
            # OpenSSL would need a CRL for the intermediate at which the path ends, and the key of the CRL's issuer.
            debug("a chain under VERIFY_CRL_CHECK_CHAIN and VERIFY_X509_PARTIAL_CHAIN is not completed")
            return False
        # With CRL checks, we must know the files with the CRLs, so that a context of ours can load them.
        return self._given.is_complete or not self.terms.flags & CRL_CHECKS

    def refusal(self, path: list[Certificate]) -> str | None:
        # If a certificate is an anchor by its own trust settings, only the program's own context can tell.
        is_common = path[-1].is_self_signed or bool(self.terms.flags & PARTIAL_CHAIN)
        refusal = super().refusal(path) if is_common else None
        if refusal is None and self._asks_the_program():
            refusal = self._own_refusal([certificate.der for certificate in path[:-1]])
        return refusal

    def context_of(self, path: list[Certificate]) -> Any:
        """A context of ours for this path, which was accepted just before. The path begins with the leaf.

        The context holds all intermediates, so that OpenSSL, which looks there first, takes this very path. It also
        loads the files that hold trust settings and CRLs.
        """
        if not self._asks_the_program() or not self._given.is_complete:
            return kept(self.terms, [certificate.der for certificate in path[1:]])
        return made(
            self.terms,
            [*self._given.loaded.ders, *(certificate.der for certificate in path[1:-1])],
            self._given.files,
            self._given.directories,
            checks_crls=True,
        )

    def refusing_context(self) -> Any:
        """A context of ours that refuses the chain that was sent, with the error that the program's own would give.

        Returns None if no CA file was deferred, because the program's own context then holds everything. Usually our
        context holds what OpenSSL looks up for this chain, and is shared. If part of the chain could not be read, or
        OpenSSL could find a certificate in a directory, our context holds everything that the program trusts. Such a
        context is not shared, because OpenSSL adds to it what it finds in a directory.
        """
        given = self._given
        if not given.deferred:
            return None
        if self._was_read_whole and not self.trusted.looks_up_files([self.leaf, *self.sent]):
            return kept(self.terms, self._look_up)
        everything = [der for listed in given.lists for der in listed.ders]
        defaults = _finds_the_defaults_as_before(given)
        return made(self.terms, everything, directories=given.directories, defaults=defaults)

    def _is_plain(self) -> bool:
        return self._given.is_plain and self.trusted.is_plain

    def _asks_the_program(self) -> bool:
        return not self._is_plain() or bool(self.terms.flags & CRL_CHECKS)

    def _own_refusal(self, chain: Sequence[bytes]) -> str | None:
        """Why OpenSSL refuses this chain (DER, the leaf first) in the program's own context; None if it accepts.

        That context knows what a context of ours cannot: CRLs, trust settings, pinned certificates. The SSL object is
        made from a context of ours, under the terms of the connection, and gets the program's context only for the
        verification. So no callback of the program is called, no connection is counted, and the context's protocol
        versions and ciphers do not matter.
        """
        self._given.load_deferred(self._context)
        return refusal_in(_bare(self.terms), self.terms, chain, lent=(self._context, self._given))


def _finds_the_defaults_as_before(given: Given) -> bool:
    """Whether the default CA file was deferred, and neither the default paths nor this file have changed since."""
    if not given.defaults or given.defaults != default_paths():
        return False
    with importing:
        from . import cafile

    try:
        return cafile.of(given.defaults[0]) in given.deferred
    except unless_interrupted(OSError):
        return False


def _bare(terms: Terms) -> Any:
    """A context of ours without trust anchors, for SSL objects that get a program's context for the verification."""
    found = _bares.get(terms.key)
    if found is None:
        found = made(terms, (), checks_crls=True)
        found._msg_callback = _lend
        remember(_bares, terms.key, found, MOST_KEPT)
    return found


def _lend(connection: Any, direction: str, _version: int, content_type: int, message_type: int, _data: bytes) -> None:
    """The message callback: set the program's context on the SSL object before OpenSSL verifies the chain."""
    if content_type == _HANDSHAKE and direction == "read" and message_type == _CERTIFICATE:
        connection.context = lent_contexts[id(connection)]


def refusal_in(
    context: Any, terms: Terms, chain: Sequence[bytes], name: str | None = None, lent: tuple[Any, Given] | None = None
) -> str | None:
    """Why OpenSSL refuses this chain (DER, the leaf first) in a context of ours; None if it accepts.

    `lent` is a program's context, and what was loaded into it. If it is given, the chain is verified in this context,
    and counts as refused while the program is loading the context's own certificate.
    """
    incoming = MemoryBIO()
    incoming.write(flight(chain, terms))
    connection = context._wrap_bio(incoming, MemoryBIO(), terms.from_client, name)
    try:
        if lent is not None:
            program, given = lent
            lent_contexts[id(connection)] = program
            if given.loading:  # check only now: a thread that loads a certificate from here on waits for us
                return "the program's own context cannot be asked: its certificate is being loaded"
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
        if _errors_stay:
            context._wrap_bio(MemoryBIO(), MemoryBIO(), terms.from_client, name)
    return "OpenSSL reached no verdict"


def _hello(terms: Terms) -> bytes:
    """The peer's ServerHello or ClientHello, which comes before its certificates."""
    # Suite B has these two ciphers; each of its levels allows one of them.
    cipher = b"\xc0\x2b" if terms.suite_b == "SUITEB128ONLY" else b"\xc0\x2c"
    if terms.from_client:
        with importing:
            from .client_certificates import client_hello

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


_TOO_EARLY = handshake_message(14, b"")  # ServerHelloDone, which a server does not expect at all
_MOST_IN_A_RECORD = 1 << 14  # bytes
_USUAL_TERMS = Terms(0, None, "SUITEB128ONLY")  # from a server, with the more usual of the two ciphers


def flight(chain: Sequence[bytes], terms: Terms = _USUAL_TERMS) -> bytes:
    """The peer's records: its TLS 1.2 hello, this chain (DER, the leaf first), and a message that comes too early."""
    certificates = b"".join(len(der).to_bytes(3, "big") + der for der in chain)
    message = handshake_message(_CERTIFICATE, len(certificates).to_bytes(3, "big") + certificates)
    messages = _hello(terms) + message + _TOO_EARLY
    parts = (messages[at : at + _MOST_IN_A_RECORD] for at in range(0, len(messages), _MOST_IN_A_RECORD))
    return b"".join(b"\x16\x03\x03" + len(part).to_bytes(2, "big") + part for part in parts)
