"""The rehearsal: OpenSSL judges a chain before it is used or kept.

OpenSSL can judge a chain without a key and without a socket: in memory, a client meets the few bytes that a TLS 1.2
server would send: ServerHello, Certificate, and then at once ServerHelloDone, which is one message too early. A chain
that is refused ends in SSLCertVerificationError. One that is accepted lets OpenSSL go on, to a leaf key that does not
suit the cipher or to the message that comes too early; those errors, and no others, mean "accepted". All certificates
come in the Certificate message, untrusted, so the verdict is that of plain OpenSSL for a server that sends them.
"""

from __future__ import annotations

import _ssl
import os
import time
from _ssl import MemoryBIO, SSLCertVerificationError, SSLError

from . import PARTIAL_CHAIN, Interrupted, importing, interrupt_in, lent_contexts
from .certificate import Certificate, handshake_message, readable
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
        """What a search asks of them: `trusted.Trusted`, or what pyOpenSSL has in its place."""

        flags: int

        def is_anchor(self, certificate: Certificate) -> bool: ...
        def holds(self, certificate: Certificate) -> bool: ...
        def issuers_of(self, subject: Certificate) -> list[Certificate]: ...
        def digest(self) -> str: ...


# What OpenSSL meets only after it has accepted the chain.
_AFTER_THE_VERDICT = ("UNEXPECTED_MESSAGE", "WRONG_CERTIFICATE_TYPE", "UNKNOWN_CERTIFICATE_TYPE")

_HANDSHAKE, _CERTIFICATE = 22, 11  # a record's content type, and a handshake message's type


class LentError(Exception):
    """A program's own context cannot be asked about a chain now; the message says why."""


class Rehearsal:
    """A context of ours and the verdicts in it; see `contexts.made` for what it is made of."""

    def __init__(self, terms: Terms, ders: Iterable[bytes]) -> None:
        self._terms = terms
        self.context = made(terms, ders)

    def refusal(self, chain: Sequence[bytes], name: str | None = None) -> str | None:
        """Why OpenSSL refuses this chain (DER, the leaf first), in its words; None: it accepts.

        With a name (a host's, in ASCII, or an IP address) the leaf must be good for it too.
        """
        self.context.check_hostname = name is not None
        return refusal_in(self.context, self._terms, chain, name)


_bares: dict[object, Any] = {}  # by their terms: see `_bare`

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_bares.clear)  # as in `contexts`


class Chain:
    """What a peer sent (DER, its own certificate first), and what the other side trusts.

    Raises DERError where the leaf cannot be read.
    """

    def __init__(self, sent: list[bytes], trusted: TrustedCertificates, terms: Terms) -> None:
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
        return not self.terms.flags & NO_CHECK_TIME and not self.leaf.is_valid_at(self.now)

    def refusal(self, path: list[Certificate]) -> str | None:
        """Why OpenSSL refuses exactly this path, from the leaf to the anchor; None: it accepts."""
        *certificates, anchor = (certificate.der for certificate in path)
        return refusal_in(kept(self.terms, [anchor]), self.terms, certificates)

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


class Question(Chain):
    """What a program's connection was sent, and the program's own context, which is asked where only it knows."""

    trusted: Trusted

    def __init__(
        self,
        sent: list[bytes],
        terms: Terms,
        context: _ssl._SSLContext,
        given: Given,
    ) -> None:
        super().__init__(sent, Trusted(given.lists, given.directories, terms.flags), terms)
        self._context = context
        self._given = given
        if not given.is_plain:
            self.trusted.may_be_anchors = True  # the program's own context says whether
        self._look_up = self.trusted.all_named_by([self.leaf, *self.sent])

    def whole_chain(self) -> Any:
        """Where OpenSSL accepts what was sent, just as it was sent: a context of ours that trusts what it looks up."""
        if self._given.directories:
            ours = made(self.terms, self._look_up, directories=self._given.directories)
        elif self._look_up:
            ours = kept(self.terms, self._look_up)
        else:
            return None
        return ours if refusal_in(ours, self.terms, self.ders) is None else None

    def seconds_left(self, path: Iterable[Certificate] = ()) -> float:
        """The seconds until the next of the certificates ends: of those at hand and of a path."""
        at_hand = (self.leaf, *self.sent, *readable(self._look_up), *path)
        left = (certificate.validity[1] - self.now for certificate in at_hand)
        return min((seconds for seconds in left if seconds > 0), default=0)

    def may_be_judged_otherwise(self) -> bool:
        """Whether the program's own context does not hold all, or has a choice.

        Where several trusted certificates bear one name, which of them OpenSSL takes first may differ.
        """
        if self._given.deferred:
            return True
        names = [certificate.subject_key for certificate in readable(self._look_up)]
        return not self._asks_the_program() and len(set(names)) < len(names)

    def is_accepted_as_sent(self) -> bool:
        """Whether the program's own context accepts what was sent, by what only it knows."""
        return not self._is_plain() and self._own_refusal(self.ders) is None

    def may_be_completed(self) -> bool:
        """Whether a context of ours could stand for the program's own."""
        if self.terms.flags & CRL_CHECK_ALL and self.terms.flags & PARTIAL_CHAIN:
            # OpenSSL then wants a revocation list for the intermediate where the path ends, and its issuer's key.
            debug("a chain under VERIFY_CRL_CHECK_CHAIN and VERIFY_X509_PARTIAL_CHAIN is not completed")
            return False
        # Or else its revocation lists must be known, to come along.
        return self._given.is_complete or not self.terms.flags & CRL_CHECKS

    def refusal(self, path: list[Certificate]) -> str | None:
        # Where an anchor is one by its own trust settings, only the program's own context can tell.
        is_common = path[-1].is_self_signed or bool(self.terms.flags & PARTIAL_CHAIN)
        refusal = super().refusal(path) if is_common else None
        if refusal is None and self._asks_the_program():
            refusal = self._own_refusal([certificate.der for certificate in path[:-1]])
        return refusal

    def context_of(self, path: list[Certificate]) -> Any:
        """A context of ours for this path, which was accepted just before; it begins with the leaf.

        It holds all intermediates, so that OpenSSL, which looks there first, takes this very path. Trust settings and
        revocation lists come along with the files that hold them.
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
        """A context of ours with all that the program trusts, to refuse what was sent as its own would; None: its own.

        Only for what was deferred: the program's own does not have it. One serves all who trust the same, unless
        OpenSSL could find something in a directory, which it would keep for the others.
        """
        given = self._given
        if not given.deferred:
            return None
        ders = [der for listed in given.lists for der in listed.ders]
        if not self.trusted.looks_up_files([self.leaf, *self.sent]):
            return kept(self.terms, ders)
        defaults = _finds_the_defaults_as_before(given)
        return made(self.terms, ders, directories=given.directories, defaults=defaults)

    def _is_plain(self) -> bool:
        return self._given.is_plain and self.trusted.is_plain

    def _asks_the_program(self) -> bool:
        return not self._is_plain() or bool(self.terms.flags & CRL_CHECKS)

    def _own_refusal(self, ders: list[bytes]) -> str | None:
        try:
            return refusal_by_the_program(self._context, self._given, self.terms, ders)
        except LentError as error:
            return f"the program's own context cannot be asked: {error}"


def _finds_the_defaults_as_before(given: Given) -> bool:
    """Whether OpenSSL's default paths are in use, and are what they were when their file was deferred."""
    if not given.defaults or given.defaults != default_paths():
        return False
    with importing:
        from . import cafile

    try:
        return cafile.of(given.defaults[0]) in given.deferred
    except OSError:
        return False


def refusal_by_the_program(context: _ssl._SSLContext, given: Given, terms: Terms, chain: Sequence[bytes]) -> str | None:
    """Why OpenSSL refuses this chain (DER, the leaf first) in the program's own context; None: it accepts.

    That context knows what a context of ours cannot: revocation lists, trust settings, pins. The rehearsal is the
    handshake mirrored: the SSL object is made of a context of ours, under the terms of the connection, and has the
    program's for the verification alone. So nothing of the program's is called or counted, and neither its protocol
    versions nor its ciphers matter. Raises LentError while the program changes what would be copied.
    """
    given.load_deferred(context)
    return refusal_in(_bare(terms), terms, chain, lent=(context, given))


def _bare(terms: Terms) -> Any:
    """A context of ours that trusts nobody, for SSL objects to which a program's context is lent."""
    found = _bares.get(terms.key)
    if found is None:
        found = made(terms, (), checks_crls=True)
        found._msg_callback = _lend
        if len(_bares) >= MOST_KEPT:
            _bares.clear()
        _bares[terms.key] = found
    return found


def _lend(connection: Any, direction: str, _version: int, content_type: int, message_type: int, _data: bytes) -> None:
    """OpenSSL is about to verify a chain, and then to give up."""
    if content_type == _HANDSHAKE and direction == "read" and message_type == _CERTIFICATE:
        connection.context = lent_contexts[id(connection)]


def refusal_in(
    context: Any,
    terms: Terms,
    chain: Sequence[bytes],
    name: str | None = None,
    *,
    lent: tuple[_ssl._SSLContext, Given] | None = None,
) -> str | None:
    """Why OpenSSL refuses this chain (DER, the leaf first) in a context of ours; None: it accepts.

    `lent` is a program's context, with what it was given, in which the chain is verified instead.
    """
    incoming = MemoryBIO()
    incoming.write(_records(_hello(terms) + _certificate_message(chain) + _TOO_EARLY))
    connection = context._wrap_bio(incoming, MemoryBIO(), terms.from_client, name)
    try:
        if lent is not None:
            program, given = lent
            lent_contexts[id(connection)] = program
            if given.loading:  # only now: whoever loads a certificate from here on waits for us
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
    return "OpenSSL came to no verdict"


def _hello(terms: Terms) -> bytes:
    """What the other side says before it shows its certificates."""
    # Of the two that Suite B has, each of its kinds allows one of these.
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
        + cipher  # judged after the chain, so any leaf key will do
        + b"\x00"  # no compression
        + b"\x00\x05\xff\x01\x00\x01\x00",  # renegotiation_info, which OpenSSL 3 insists on
    )


def flight(chain: Sequence[bytes]) -> bytes:
    """The records with which a TLS 1.2 server sends this chain (DER, the leaf first), and then a message too early."""
    return _records(_hello(Terms(0, None, "SUITEB128ONLY")) + _certificate_message(chain) + _TOO_EARLY)


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
