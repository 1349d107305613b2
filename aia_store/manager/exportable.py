"""What may be exported: the seven rules by which an intermediate may stand beside the trust anchors.

To most programs an intermediate in a CA file or folder is a trust anchor: Python from 3.13 on, curl, Go, GnuTLS, Java
and pyca accept a leaf under it with its root absent. So it may stand there only where nothing changes by that: neither
is anything accepted that its whole path would have refused, nor is a right server refused because of it.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING

from ..inside.certificate import NAME_CONSTRAINTS, DERError
from .constraints import carries_all
from .fitness import unfitness
from .published import REBUILT_EVERY
from .revocation.record import reader
from .roots import distrust
from .verify import Verifier, VerifyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..inside.certificate import Certificate
    from ..inside.store import Store
    from .verified import Verified

    Progress = Callable[[int, int], None]


class Export:
    """One export beside these trust anchors: it knows what may be in it. For one round, not for a day.

    Of what was preloaded nothing may be in it, or what the other rules allow `with_preloaded`. `verifier` has these
    anchors, and has perhaps just verified what was needed; `verified` is what was before.
    """

    def __init__(
        self,
        anchors: list[Certificate],
        store: Store,
        verifier: Verifier | None = None,
        verified: Verified | None = None,
        *,
        with_preloaded: bool = False,
    ) -> None:
        self.store = store
        self.anchors = anchors
        self.distrust = distrust()
        self._revoked = reader(store.folders)
        self._verified = verified
        self._rules = RULES_OF_A_FOLDER if with_preloaded else RULES
        self.verifier = verifier or (self.widely if with_preloaded else self._through(store.needed))
        self._objections: dict[Certificate, str | None] = {}
        self._above: dict[Certificate, list[Certificate]] = {}

    @cached_property
    def widely(self) -> Verifier:
        """Verifies through what was preloaded, too."""
        return self._through(self.store.find)

    def _through(self, find: Callable[[bytes], list[Certificate]]) -> Verifier:
        return Verifier(self.anchors, lambda subject: find(subject.issuer_key), self._revoked, self._verified)

    def objection(self, certificate: Certificate) -> str | None:
        """Why this intermediate may not be exported, in words; None if it may."""
        if certificate not in self._objections:
            self._objections[certificate] = "it leads in a circle"  # as long as what is above it is asked
            try:
                objections = (rule(certificate, self) for rule in self._rules)
                self._objections[certificate] = next(filter(None, objections), None)
            except DERError:
                self._objections[certificate] = "its extensions cannot be read"
        return self._objections[certificate]

    def among(self, certificates: Iterable[Certificate], progress: Progress) -> list[Certificate]:
        """Those that may be exported, sorted by fingerprint; `progress` is told how many of how many are done."""
        asked = list(certificates)
        found = []
        for done, certificate in enumerate(asked):
            progress(done, len(asked))
            if self.objection(certificate) is None:
                found.append(certificate)
        return sorted(found, key=lambda certificate: certificate.fingerprint)

    def above(self, certificate: Certificate) -> list[Certificate]:
        """What is above it on its path, its issuer first, the trust anchor last. Raises VerifyError."""
        if certificate not in self._above:
            self._above[certificate] = self.verifier.path(certificate)[1:]
        return self._above[certificate]


def leads_to_an_exported_anchor(certificate: Certificate, export: Export) -> str | None:
    """Rule 1: its path, verified without partial chains, leads to an anchor there, over links that are there too.

    Without X509_V_FLAG_PARTIAL_CHAIN, OpenSSL goes on from an intermediate in a CA file to what issued it. The path
    must pass X509_V_FLAG_X509_STRICT, too: Python from 3.13 on sets both flags, and would look at nothing above.
    """
    if certificate in export.anchors:
        return "it is a trust anchor itself"
    try:
        *links, _ = export.above(certificate)
        refusal = export.verifier.strict_refusal(certificate)
    except VerifyError as error:
        return str(error)
    if refusal is not None:
        return f"OpenSSL refuses its path where it is strict: {refusal}"
    objection = next(filter(None, map(export.objection, links)), None)
    return objection and f"a certificate above it may not be exported: {objection}"


def outlasts_the_export(certificate: Certificate, export: Export) -> str | None:
    """Rule 2: it and its anchor are valid now and until after the next rebuild, one of which may fail.

    An expired certificate in the CA file stands in the way of a valid one that the server sends (Python, curl, Node).
    """
    for one in (certificate, export.above(certificate)[-1]):
        not_before, not_after = one.validity
        if not not_before <= time.time() < not_after - 2 * REBUILT_EVERY:
            return "its time is over before the next but one rebuild"
    return None


def is_a_ca_for_servers(certificate: Certificate, export: Export) -> str | None:
    """Rule 3: a CA that may sign certificates of TLS servers, with a sound key and signature.

    Of an anchor OpenSSL looks at none of these (RFC 5280, 6.1 takes a name and a key). Key and signature were judged
    by OpenSSL at security level 2, with the path of rule 1.
    """
    return unfitness(certificate)


def is_not_withdrawn(certificate: Certificate, export: Export) -> str | None:
    """Rule 4: it is not revoked, and nothing above it is distrusted, not even from some date on.

    What is revoked or distrusted altogether has no path by rule 1, nor has what leads over it. What is left is a date
    (CKA_NSS_SERVER_DISTRUST_AFTER), which a CA file cannot say.
    """
    if any(map(export.distrust.limits, export.above(certificate))):
        return "newer certificates of what it leads to are distrusted, which a CA file cannot say"
    return None


def carries_all_constraints(certificate: Certificate, export: Export) -> str | None:
    """Rule 5: it repeats each constraint of what is above it, which nobody looks at, and has no name constraints.

    Java does not apply the name constraints of an anchor (its PKIX validator takes them from the TrustAnchor object
    only, where its key stores put none).
    """
    above = export.above(certificate)
    if any(NAME_CONSTRAINTS in one.extensions for one in (certificate, *above)):
        return "its names are constrained, which Java does not heed in a CA file"
    return None if carries_all(certificate, above) else "it does not repeat each constraint of what is above it"


def is_no_rival(certificate: Certificate, export: Export) -> str | None:
    """Rule 6: nothing exported or known here has its canonical name and another key, or closes a ring with it.

    Of certificates of one name OpenSSL takes the first, from the CA file before what was sent, and does not go back: a
    right server under another key would be refused (curl, Node, Python), and in a ring of CAs that certified each
    other, it may go round until the chain is too long. Only what leads to an anchor counts.
    """
    namesakes = [*export.anchors, *export.store.find(certificate.subject_key)]
    for other in namesakes:
        is_rival = other.subject_key == certificate.subject_key and other.public_key != certificate.public_key
        if is_rival and (other in export.anchors or _leads_on(other, export)):
            return "another CA of its name and another key is known here"
    if certificate.subject_key in _names_above(certificate, export):
        return "it is in a ring of CAs that certified each other"
    return None


def _names_above(certificate: Certificate, export: Export) -> set[bytes]:
    """The canonical names that OpenSSL may come by on its way up, whichever certificate it takes of each name."""
    found: set[bytes] = set()
    queue = [certificate.issuer_key]
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += [other.issuer_key for other in export.store.find(name) if _leads_on(other, export)]
    return found


def _leads_on(other: Certificate, export: Export) -> bool:
    """Whether a certificate that is known here leads to an anchor."""
    try:
        return bool(export.widely.path(other))
    except VerifyError:
        return False


def was_needed(certificate: Certificate, export: Export) -> str | None:
    """Rule 7: it was needed on this machine.

    All that could be known would cost each program a second for each context (2,308 intermediates: 1.1 s), in a file.
    Of a hashed folder OpenSSL opens what a chain names, so there this is no rule.
    """
    if certificate in export.store.needed(certificate.subject_key):
        return None
    return "it was never needed on this machine"


RULES: tuple[Callable[[Certificate, Export], str | None], ...] = (
    leads_to_an_exported_anchor,
    outlasts_the_export,
    is_a_ca_for_servers,
    is_not_withdrawn,
    carries_all_constraints,
    is_no_rival,
    was_needed,
)
RULES_OF_A_FOLDER = RULES[:-1]
