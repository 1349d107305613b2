"""The chain in a Certificate message: whether it is complete, what completes it, and the context that verifies it.

A chain is first verified in memory (a rehearsal). This is left out if every link of the sent chain is certain, up to
one anchor of the program. A link is certain if names, key identifiers, dates, purposes and signature algorithms are
right. OpenSSL can then refuse the chain only for a forged signature or a weak key. If it does, the chain is rehearsed
at the next handshake.
"""

from __future__ import annotations

import time

from . import PARTIAL_CHAIN, STRICT, importing, memory_of_contexts, remember
from .certificate import DERError, MessageError, readable, sent_in
from .contexts import kept
from .settings import debug, load
from .trusted import Trusted

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _ssl
    from typing import Any

    from .certificate import Certificate
    from .contexts import Terms
    from .rehearsal import Question
    from .search import Findings, Path
    from .trusted import Given

SETTLED_FOR, FAILED_FOR = 3600.0, 60.0  # seconds for which a decision holds
MOST_DECISIONS, LARGEST_KEY = 256, 32_768  # remembered decisions; bytes of a message in their keys

# A chain may be certain under these flags (0x8000: X509_V_FLAG_TRUSTED_FIRST) and up to this security level.
_USUAL_FLAGS = 0x8000 | STRICT | PARTIAL_CHAIN
_HIGHEST_LEVEL = 2


class Decision:
    """The context in which connections are verified if they get the same Certificate message."""

    __slots__ = ("context", "findings", "until", "was_refused", "was_rehearsed")

    def __init__(
        self, context: Any, until: float, *, was_rehearsed: bool = True, findings: Findings | None = None
    ) -> None:
        self.context = context  # a context of ours; None if the program's own suffices, or nothing helps
        self.until = until  # seconds since 1970
        self.was_rehearsed = was_rehearsed
        self.was_refused = False  # set by the handshake if there was no rehearsal
        self.findings = findings  # of a search that found no path


_decisions: dict[object, Decision] = memory_of_contexts()  # those that hold for all contexts with the same certificates


def decision_for(message: bytes, version: int, context: _ssl._SSLContext, given: Given, terms: Terms) -> Decision:
    """The decision for a connection. It also holds for later connections with the same message: see `Decision.until`.

    `message` is the peer's Certificate message in this TLS version, header included. `context` is the program's, and
    `given` is what was loaded into it. May raise any exception.
    """
    for_all = message, version, terms.key, given.lists
    for_this = message, version, terms.key, given.loads
    now = time.time()
    is_doubtful = False
    for known in (given.decisions.get(for_this), _decisions.get(for_all) if _is_shared(given) else None):
        if known is not None and now < known.until <= now + SETTLED_FOR:
            if not known.was_refused:
                return known
            is_doubtful = True
    decision = _decide(message, version, context, given, terms, now, is_doubtful)
    # A failure does not hold for other contexts: they may search at once.
    is_for_all = _is_shared(given) and decision.until > now + FAILED_FOR
    decisions = _decisions if is_for_all else given.decisions
    if len(message) <= LARGEST_KEY:
        remember(decisions, for_all if is_for_all else for_this, decision, MOST_DECISIONS)
    return decision


def _is_shared(given: Given) -> bool:
    """Whether a decision for this context also holds for every other context with the same certificates."""
    return given.is_plain and not given.directories


def _decide(
    message: bytes, version: int, context: _ssl._SSLContext, given: Given, terms: Terms, now: float, is_doubtful: bool
) -> Decision:
    failed_until = now + FAILED_FOR
    try:
        sent = sent_in(message, version)
        if not sent:
            return Decision(None, failed_until)  # a client without a certificate
        decision = None if is_doubtful else _if_certain(sent, given, terms, now)
        if decision is not None:
            return decision
        with importing:
            from .rehearsal import Question

        question = Question(sent, terms, context, given)
        answer = None if question.is_hopeless() else _answer(question)
    except (MessageError, DERError) as error:
        debug(f"left the chain to OpenSSL: {error}")
        given.load_deferred(context)
        return Decision(None, failed_until)
    if answer is None:
        return Decision(question.refusing_context(), failed_until, findings=question.findings)
    seconds, ours = answer
    return Decision(ours, now + min(SETTLED_FOR, seconds))


def _if_certain(sent: list[bytes], given: Given, terms: Terms, now: float) -> Decision | None:
    """The decision for the sent chain (DER) if every link is certain, up to an anchor; None if any link is not."""
    if not given.is_plain or terms.flags & ~_USUAL_FLAGS or (terms.level or 0) > _HIGHEST_LEVEL:
        return None
    if terms.suite_b or terms.from_client:
        return None
    certificates = list(readable(sent))
    trusted = Trusted(given.lists, given.directories, terms.flags)
    path = _certain_path(certificates, trusted) if len(certificates) == len(sent) else None
    if path is None or not trusted.is_plain or not all(certificate.is_valid_at(now) for certificate in path):
        return None
    ours, anchor = None, [path[-1].der]
    if given.deferred:
        ours = kept(terms, anchor, given.directories)
    until = min(now + SETTLED_FOR, *(certificate.validity[1] for certificate in path))
    return Decision(ours, until, was_rehearsed=False)


def _certain_path(sent: list[Certificate], trusted: Trusted) -> list[Certificate] | None:
    """The sent chain, in its order, and the anchor above it; None if a link is not certain.

    The anchor is the only trusted certificate that OpenSSL could look up, so OpenSSL has no choice.
    """
    anchor = trusted.only_one_for(sent)
    if anchor is None or not anchor.is_self_signed:
        return None
    path = sent if sent[-1] == anchor else [*sent, anchor]
    leaf = path[0]
    if leaf.basic_constraints[0] or not leaf.is_for_servers or len({c.subject_key for c in path}) < len(path):
        return None
    is_certain = all(
        issuer.is_sound_ca(below) and subject.was_surely_issued_by(issuer)
        for below, (subject, issuer) in enumerate(zip(path, path[1:]))
    )
    return path if is_certain else None


def _answer(question: Question) -> tuple[float, Any] | None:
    """How many seconds the decision holds, and its context (None: the program's); just None if nothing helps."""
    whole = question.whole_chain()
    if whole is not None:
        return question.seconds_left(), whole if question.may_be_judged_otherwise() else None
    if not question.may_be_completed():
        return None
    if question.is_accepted_as_sent():
        return SETTLED_FOR, None
    path = _path(question)
    if path is None:
        return None
    return question.seconds_left(path.certificates), question.context_of(path.certificates)


def _path(question: Question) -> Path | None:
    """Search for a path that OpenSSL accepts, and keep it in the store; None if there is no such path."""
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
