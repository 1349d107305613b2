"""Certification paths, the likeliest first (RFC 4158): found here by names and key identifiers, judged by OpenSSL."""

from __future__ import annotations

from .certificate import Certificate, DERError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_INTERMEDIATES = 10  # in one path; real ones have 1 to 3
MOST_STEPS = 200  # certificates tried as an issuer, in one search

NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME


class Search:
    """A depth-first search from a leaf to any trust anchor, with a bound on its steps.

    `issuers_of` gives the certificates that may have issued one, from wherever they come, best source first; it is
    asked lazily, so a source that costs much is asked only when the ones before it led nowhere.
    """

    def __init__(
        self,
        issuers_of: Callable[[Certificate], Iterable[Certificate]],
        is_anchor: Callable[[Certificate], bool],
        flags: int,
        now: float,
    ) -> None:
        self._issuers_of = issuers_of
        self._is_anchor = is_anchor
        self._now = None if flags & NO_CHECK_TIME else now
        self._steps = MOST_STEPS

    def paths(self, leaf: Certificate) -> Iterator[list[Certificate]]:
        """Every path found, from the leaf to the anchor, both included."""
        if self._is_anchor(leaf) or leaf.is_self_signed:
            return
        yield from self._extended([leaf])

    def _extended(self, path: list[Certificate]) -> Iterator[list[Certificate]]:
        for candidate in self._issuers_of(path[-1]):
            self._steps -= 1
            if self._steps < 0:
                return
            if not self.may_lead_on(candidate, path[-1]):
                continue
            if self._is_anchor(candidate):
                yield [*path, candidate]
            elif len(path) <= MOST_INTERMEDIATES and self._may_follow(candidate, path):
                yield from self._extended([*path, candidate])

    def may_lead_on(self, candidate: Certificate, subject: Certificate) -> bool:
        """Whether a candidate may have issued the subject, and is an anchor or an intermediate at this time."""
        if not may_have_issued(candidate, subject):
            return False
        return self._is_anchor(candidate) or self._is_intermediate(candidate)

    def _is_intermediate(self, candidate: Certificate) -> bool:
        return (
            candidate.basic_constraints[0]
            and not candidate.is_self_signed
            and (self._now is None or is_valid(candidate, self._now))
        )

    def _may_follow(self, candidate: Certificate, path: list[Certificate]) -> bool:
        """Whether an intermediate may stand above this path; OpenSSL looks closer, later."""
        _, path_length = candidate.basic_constraints
        below = sum(1 for certificate in path[1:] if not certificate.is_self_issued)
        return (path_length is None or path_length >= below) and all(
            # RFC 4158, 2.4.2: the same name and key never twice in one path.
            candidate.public_key != other.public_key or candidate.subject_key != other.subject_key
            for other in path
        )


def is_valid(certificate: Certificate, now: float) -> bool:
    """Whether the time, in seconds since 1970, lies within the validity of the certificate."""
    not_before, not_after = certificate.validity
    return not_before <= now <= not_after


def may_have_issued(issuer: Certificate, subject: Certificate) -> bool:
    """Whether names and key identifiers allow it; the signature is OpenSSL's to check."""
    try:
        return (
            issuer.subject == subject.issuer or issuer.subject_key == subject.issuer_key
        ) and subject.names_as_issuer(issuer)
    except DERError:
        return False


def surely_issued(issuer: Certificate, subject: Certificate) -> bool:
    """Whether the subject names this very key as its issuer's, by AKID and SKID."""
    if not may_have_issued(issuer, subject):
        return False
    akid = subject.authority_key_id
    return akid is not None and akid.key_id is not None and akid.key_id == issuer.subject_key_id


def likeliest_first(
    subject: Certificate,
    candidates: Iterable[Certificate],
    is_near: Callable[[Certificate], bool] = lambda _: False,
) -> list[Certificate]:
    """Candidates in the order to try them: those the AKID names, those near an anchor, those that live longest."""

    def rank(candidate: Certificate) -> tuple[bool, bool, int, bytes]:
        # Last their bytes: one store gives one path, in whatever order it lists its files.
        return not surely_issued(candidate, subject), not is_near(candidate), -candidate.validity[1], candidate.der

    found = list(candidates)
    return sorted(found, key=rank) if len(found) > 1 else found
