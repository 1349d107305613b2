"""One Certificate message: whether it is complete, what completes it, and in which context it is verified.

`context_for` returns a context of ours, or None: then the connection is verified in the program's own context, as it
would be without us. A decision holds for equal questions, until the first certificate of the path expires.
"""

from __future__ import annotations

import os
import time

from . import PARTIAL_CHAIN, importing, remember
from .certificate import Certificate, DERError, MessageError, readable, sent_in
from .rehearsal import (
    CRL_CHECK_ALL,
    CRL_CHECKS,
    Chain,
    LentError,
    Rehearsal,
    Terms,
    kept,
    refusal_by_the_program,
)
from .settings import debug, load
from .trusted import Trusted

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _ssl
    from collections.abc import Iterable
    from typing import Any

    from .search import Findings, Path
    from .trusted import Given

SETTLED_FOR, FAILED_FOR = 3600.0, 60.0  # seconds for which a decision holds
MOST_DECISIONS, LARGEST_KEY = 256, 32_768  # remembered decisions; bytes of a message in their keys


class Question(Chain):
    """What was sent to a program's connection, and the program's own context, which is asked if only it knows."""

    trusted: Trusted
    findings: Findings | None = None  # of a search that found no path

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

    def whole_chain(self) -> Rehearsal | None:
        """If OpenSSL accepts what was sent, as it was sent: a context of ours with what OpenSSL looks up for it."""
        if self._given.directories:
            ours = Rehearsal(self.terms, self._look_up, directories=self._given.directories)
        elif self._look_up:
            ours = kept(self.terms, self._look_up)
        else:
            return None
        return ours if ours.refusal(self.ders) is None else None

    def settled_for(self, path: Iterable[Certificate] = ()) -> float:
        """The seconds until the first certificate of the chain or of a path expires; at most SETTLED_FOR."""
        at_hand = (self.leaf, *self.sent, *readable(self._look_up), *path)
        left = (certificate.validity[1] - self.now for certificate in at_hand)
        return min([SETTLED_FOR, *(seconds for seconds in left if seconds > 0)])

    def may_be_judged_otherwise(self) -> bool:
        """Whether the program's own context may judge differently: it does not hold everything, or it has a choice.

        If several trusted certificates have the same name, OpenSSL may take another of them first.
        """
        if self._given.deferred:
            return True
        names = [certificate.subject_key for certificate in readable(self._look_up)]
        return not self._asks_the_program() and len(set(names)) < len(names)

    def is_accepted_as_sent(self) -> bool:
        """Whether the program's own context, with what only it knows, accepts what was sent."""
        return not self._is_plain() and self._own_refusal(self.ders) is None

    def may_be_completed(self) -> bool:
        """Whether a context of ours can replace the program's own."""
        if self.terms.flags & CRL_CHECK_ALL and self.terms.flags & PARTIAL_CHAIN:
            # OpenSSL would then need a CRL for the intermediate at which the path ends, and the key of its issuer.
            debug("a chain under VERIFY_CRL_CHECK_CHAIN and VERIFY_X509_PARTIAL_CHAIN is not completed")
            return False
        # Otherwise the files with its CRLs must be known, so that a context of ours can load them.
        return self._given.is_complete or not self.terms.flags & CRL_CHECKS

    def refusal(self, path: list[Certificate]) -> str | None:
        # If a certificate is an anchor by its own trust settings, only the program's own context can tell.
        is_common = path[-1].is_self_signed or bool(self.terms.flags & PARTIAL_CHAIN)
        refusal = super().refusal(path) if is_common else None
        if refusal is None and self._asks_the_program():
            refusal = self._own_refusal([certificate.der for certificate in path[:-1]])
        return refusal

    def context_of(self, path: list[Certificate]) -> Rehearsal:
        """A context of ours for this path, which was accepted just before. The path begins with the leaf.

        The context holds all intermediates, so that OpenSSL, which looks there first, takes this very path. It also
        loads the files that hold trust settings and CRLs.
        """
        if not self._asks_the_program() or not self._given.is_complete:
            return kept(self.terms, [certificate.der for certificate in path[1:]])
        return Rehearsal(
            self.terms,
            [*self._given.loaded.ders, *(certificate.der for certificate in path[1:-1])],
            self._given.files,
            self._given.directories,
            checks_crls=True,
        )

    def refusing_context(self) -> Any:
        """A context of ours with everything that the program trusts, which refuses what was sent as its own would.

        It is needed only for what was deferred, which the program's own context does not have; otherwise None. It is
        shared by all contexts that trust the same, unless OpenSSL could find a certificate in a directory: OpenSSL
        would keep it for the others.
        """
        given = self._given
        if not given.deferred:
            return None
        ders = [der for listed in given.lists for der in listed.ders]
        if not self.trusted.looks_up_files([self.leaf, *self.sent]):
            return kept(self.terms, ders).context
        return Rehearsal(
            self.terms, ders, directories=given.directories, defaults=_finds_the_defaults_as_before(given)
        ).context

    def _is_plain(self) -> bool:
        return self._given.is_plain and self.trusted.is_plain

    def _asks_the_program(self) -> bool:
        return not self._is_plain() or bool(self.terms.flags & CRL_CHECKS)

    def _own_refusal(self, ders: list[bytes]) -> str | None:
        try:
            return refusal_by_the_program(self._context, self._given, self.terms, ders)
        except LentError as error:
            return f"the program's own context cannot be asked: {error}"


# The decisions that hold for all contexts with the same certificates: see `trusted.Given.decisions`.
_decisions: dict[object, tuple[float, Any, Findings | None]] = {}


def context_for(message: bytes, version: int, context: _ssl._SSLContext, given: Given, terms: Terms) -> Any:
    """The context of ours in which to verify a connection; None if the program's own suffices, or nothing helps.

    `message` is the peer's Certificate message in this TLS version, header included. `context` is the program's, and
    `given` is what was loaded into it. May raise any exception.
    """
    for_all = message, version, terms.key, given.lists
    for_this = message, version, terms.key, given.loads
    now = time.time()
    for known in (given.decisions.get(for_this), _decisions.get(for_all) if _is_shared(given) else None):
        if known is not None and now < known[0] <= now + SETTLED_FOR:
            return known[1]
    seconds, decided, findings = _decide(message, version, context, given, terms)
    # A failure does not hold for other contexts: they may search at once.
    is_for_all = _is_shared(given) and seconds > FAILED_FOR
    decisions = _decisions if is_for_all else given.decisions
    if len(message) <= LARGEST_KEY:
        remember(decisions, for_all if is_for_all else for_this, (now + seconds, decided, findings), MOST_DECISIONS)
    return decided


def findings_for(message: bytes, version: int, given: Given, terms: Terms) -> Findings | None:
    """What `context_for` found out when it found no path for this message; None if it did not search."""
    known = given.decisions.get((message, version, terms.key, given.loads))
    return None if known is None else known[2]


def _is_shared(given: Given) -> bool:
    """Whether a decision for this context holds for every context with the same certificates."""
    return given.is_plain and not given.directories


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_decisions.clear)  # which hold contexts of ours: see `rehearsal`


def _finds_the_defaults_as_before(given: Given) -> bool:
    """Whether OpenSSL's default paths are used, and have not changed since their file was deferred."""
    with importing:
        from . import cafile

    if not given.defaults or given.defaults != cafile.default_paths():
        return False
    try:
        return cafile.of(given.defaults[0]) in given.deferred
    except OSError:
        return False


def _decide(
    message: bytes, version: int, context: _ssl._SSLContext, given: Given, terms: Terms
) -> tuple[float, Any, Findings | None]:
    """The decision: for how many seconds it holds, which context of ours it is, and why no path was found."""
    try:
        sent = sent_in(message, version)
        if not sent:
            return FAILED_FOR, None, None  # a client without a certificate
        question = Question(sent, terms, context, given)
        answer = None if question.is_hopeless() else _answer(question)
    except (MessageError, DERError) as error:
        debug(f"left the chain to OpenSSL: {error}")
        given.load_deferred(context)
        return FAILED_FOR, None, None
    if answer is not None:
        return (*answer, None)
    return FAILED_FOR, question.refusing_context(), question.findings


def _answer(question: Question) -> tuple[float, Any] | None:
    """For how many seconds the decision holds, and which context it is; None if OpenSSL is to refuse what was sent."""
    whole = question.whole_chain()
    if whole is not None:
        return question.settled_for(), whole.context if question.may_be_judged_otherwise() else None
    if not question.may_be_completed():
        return None
    if question.is_accepted_as_sent():
        return SETTLED_FOR, None
    path = _path(question)
    if path is None:
        return None
    return question.settled_for(path.certificates), question.context_of(path.certificates).context


def _path(question: Question) -> Path | None:
    """A path that OpenSSL accepts, which is kept in the store."""
    settings = load()
    if settings.disable:
        return None
    with importing:
        from .search import Findings, search_for

    search = search_for(question, settings)
    path = search.path(settings)
    if path is None:
        debug("no path to a trust anchor was found")
        question.findings = Findings(search, settings)
    return path
