"""The seven rules of export: which intermediates may be in a CA file or folder beside the trust anchors.

Most programs treat such an intermediate as a trust anchor: Python from 3.13 on, curl, Go, GnuTLS, Java and pyca accept
a leaf under it even if its root is missing. So an intermediate is only exported if this changes no verdict: programs
accept no server that they would refuse with the whole path, and refuse no server that has a good path.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cached_property

from ..inside.certificate import NAME_CONSTRAINTS, Certificate, DERError
from ..inside.store import IntermediateStore
from .accepted_paths import Verified
from .constraints import carries_all
from .fitness import unfitness
from .published import REBUILT_EVERY
from .revocation.record import reader
from .roots import distrust
from .verify import Verifier, VerifyError

Progress = Callable[[int, int], None]


class Export:
    """Decides which intermediates one export may contain beside these trust anchors. Use it for one run only.

    If `with_preloaded`, preloaded intermediates may be exported. `verifier` must have the same trust anchors; its
    earlier verdicts are used. `verified` has the paths that earlier processes verified.
    """

    def __init__(
        self,
        anchors: list[Certificate],
        store: IntermediateStore,
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
        """A verifier whose paths may contain preloaded intermediates, not only needed ones."""
        return self._through(self.store.find)

    def _through(self, find: Callable[[bytes], list[Certificate]]) -> Verifier:
        return Verifier(self.anchors, find, self._revoked, verified=self._verified)

    def objection(self, certificate: Certificate) -> str | None:
        """Why this intermediate may not be exported, in words; None if it may."""
        if certificate not in self._objections:
            self._objections[certificate] = "it leads in a circle"  # holds while the certificates above it are examined
            try:
                objections = (rule(certificate, self) for rule in self._rules)
                self._objections[certificate] = next(filter(None, objections), None)
            except DERError:
                self._objections[certificate] = "its extensions cannot be read"
        return self._objections[certificate]

    def among(self, certificates: Iterable[Certificate], progress: Progress) -> list[Certificate]:
        """The certificates that may be exported, by fingerprint. `progress` gets the number done and the total."""
        asked = list(certificates)
        found = []
        for done, certificate in enumerate(asked):
            progress(done, len(asked))
            if self.objection(certificate) is None:
                found.append(certificate)
        return sorted(found, key=lambda certificate: certificate.fingerprint)

    def above(self, certificate: Certificate) -> list[Certificate]:
        """The certificates above this one in its path: its issuer first, the trust anchor last. Raises VerifyError."""
        if certificate not in self._above:
            self._above[certificate] = self.verifier.path(certificate)[1:]
        return self._above[certificate]


def leads_to_an_exported_anchor(certificate: Certificate, export: Export) -> str | None:
    """Rule 1: its path, verified without partial chains, leads over exported intermediates to an exported anchor.

    If X509_V_FLAG_PARTIAL_CHAIN is not set, OpenSSL continues from an intermediate in a CA file to its issuer. The path
    must also pass X509_V_FLAG_X509_STRICT: Python from 3.13 on sets both, so it checks nothing above an intermediate.
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
    """Rule 2: it and its anchor are valid now and until after the next rebuild, even if one rebuild fails.

    An expired certificate in the CA file hides a valid one that the server sends (Python, curl, Node).
    """
    for one in (certificate, export.above(certificate)[-1]):
        not_before, not_after = one.validity
        if not not_before <= time.time() < not_after - 2 * REBUILT_EVERY:
            return "it expires before the next but one rebuild"
    return None


def is_a_ca_for_servers(certificate: Certificate, export: Export) -> str | None:
    """Rule 3: it is a CA that may sign certificates of TLS servers, with a sound key and signature.

    OpenSSL checks none of this for an anchor, which is only a name and a key (RFC 5280, 6.1). Rule 1 has verified the
    path, and with it the key and the signature, at security level 2.
    """
    return unfitness(certificate)


def is_not_withdrawn(certificate: Certificate, export: Export) -> str | None:
    """Rule 4: it is not revoked, and everything above it is trusted, without an end date.

    Certificates that are revoked or wholly distrusted, and all below them, already fail rule 1. So this function only
    looks for distrust from a date on (CKA_NSS_SERVER_DISTRUST_AFTER), which a CA file cannot express.
    """
    if any(map(export.distrust.limits, export.above(certificate))):
        return "its trust anchor's newer certificates are distrusted, which a CA file cannot express"
    return None


def carries_all_constraints(certificate: Certificate, export: Export) -> str | None:
    """Rule 5: it repeats each constraint of the certificates above it, and neither it nor they have name constraints.

    Programs look at nothing above an anchor. Java ignores the name constraints in an anchor's certificate: its PKIX
    validator takes them from the TrustAnchor object, and Java's key stores set none there.
    """
    above = export.above(certificate)
    if any(NAME_CONSTRAINTS in one.extensions for one in (certificate, *above)):
        return "it has name constraints, which Java ignores in a CA file"
    return None if carries_all(certificate, above) else "it does not repeat every constraint from above"


def is_no_rival(certificate: Certificate, export: Export) -> str | None:
    """Rule 6: no other known CA has its name with another key, and no CAs above it lead back to its name.

    If certificates share a name, OpenSSL takes the first and tries no other. It searches the CA file before the sent
    certificates, so curl, Node and Python would refuse a server below the other CA. If CAs certified each other in a
    ring, OpenSSL may go round until the chain is too long. Only CAs that lead to an anchor matter.
    """
    namesakes = [*export.anchors, *export.store.find(certificate.subject_key)]
    for other in namesakes:
        is_namesake = other.subject_key == certificate.subject_key and other.public_key != certificate.public_key
        if is_namesake and (other in export.anchors or export.widely.refusal(other) is None):
            return "another CA of its name and another key is known here"
    if certificate.subject_key in _names_above(certificate, export):
        return "it is in a ring of CAs that certified each other"
    return None


def _names_above(certificate: Certificate, export: Export) -> set[bytes]:
    """All canonical names above a certificate, through every issuer that OpenSSL may choose."""
    found: set[bytes] = set()
    queue = [certificate.issuer_key]
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += [other.issuer_key for other in export.store.find(name) if export.widely.refusal(other) is None]
    return found


def was_needed(certificate: Certificate, export: Export) -> str | None:
    """Rule 7: a handshake on this machine needed it.

    A file with all known intermediates (2,308) would cost each program 1.1 s per context. In a hashed folder, OpenSSL
    opens only the files that a chain names, so this rule does not apply there.
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
