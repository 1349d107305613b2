"""The seven rules of export: which intermediates may be in a CA file or folder beside the trust anchors.

Most programs treat an intermediate there as a trust anchor: Python from 3.13 on, curl, Go, GnuTLS, Java and pyca accept
a leaf under it even if its root is missing. So it may be there only if it changes no verdict: no server is accepted
that would be refused with the whole path, and no server with a good path is refused.
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
    """Decides what may be in one export beside these trust anchors. Use it for one run only.

    `with_preloaded` admits preloaded intermediates. `verifier` has these anchors, and may have just verified the needed
    intermediates. `verified` are the paths that were verified earlier.
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
        """A verifier whose paths may contain preloaded intermediates too."""
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
        """Those that may be exported, by fingerprint. `progress` gets the number of finished ones and the total."""
        asked = list(certificates)
        found = []
        for done, certificate in enumerate(asked):
            progress(done, len(asked))
            if self.objection(certificate) is None:
                found.append(certificate)
        return sorted(found, key=lambda certificate: certificate.fingerprint)

    def above(self, certificate: Certificate) -> list[Certificate]:
        """The certificates above it in its path, its issuer first, the trust anchor last. Raises VerifyError."""
        if certificate not in self._above:
            self._above[certificate] = self.verifier.path(certificate)[1:]
        return self._above[certificate]


def leads_to_an_exported_anchor(certificate: Certificate, export: Export) -> str | None:
    """Rule 1: its path, verified without partial chains, leads to an exported anchor, over exported intermediates.

    Without X509_V_FLAG_PARTIAL_CHAIN, OpenSSL continues from an intermediate in a CA file to its issuer. The path must
    also pass X509_V_FLAG_X509_STRICT: Python from 3.13 on sets both flags, so it checks nothing above an intermediate.
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
    """Rule 3: a CA that may sign certificates of TLS servers, with a sound key and signature.

    OpenSSL checks none of this for an anchor, which is only a name and a key (RFC 5280, 6.1). The key and the signature
    were checked with the path of rule 1, at security level 2.
    """
    return unfitness(certificate)


def is_not_withdrawn(certificate: Certificate, export: Export) -> str | None:
    """Rule 4: it is not revoked, and everything above it is trusted, without an end date.

    Certificates that are revoked or wholly distrusted, and all below them, already fail rule 1. What remains is
    distrust from a date on (CKA_NSS_SERVER_DISTRUST_AFTER), which a CA file cannot express.
    """
    if any(map(export.distrust.limits, export.above(certificate))):
        return "its trust anchor's newer certificates are distrusted, which a CA file cannot express"
    return None


def carries_all_constraints(certificate: Certificate, export: Export) -> str | None:
    """Rule 5: it repeats each constraint from above, and has no name constraints.

    Programs look at nothing above an anchor. Java does not apply the name constraints in an anchor's certificate: its
    PKIX validator takes them from the TrustAnchor object, and Java's key stores set none there.
    """
    above = export.above(certificate)
    if any(NAME_CONSTRAINTS in one.extensions for one in (certificate, *above)):
        return "it has name constraints, which Java ignores in a CA file"
    return None if carries_all(certificate, above) else "it does not repeat every constraint from above"


def is_no_rival(certificate: Certificate, export: Export) -> str | None:
    """Rule 6: no other CA that is exported or known here has its name with another key, or forms a ring with it.

    If certificates share a name, OpenSSL takes the first and tries no other. The CA file comes before what was sent. So
    a server under the other key would be refused (curl, Node, Python). In a ring of CAs that certified each other,
    OpenSSL may go round until the chain is too long. Only CAs that lead to an anchor matter.
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
    """The canonical names that OpenSSL may meet above a certificate, whichever issuer of each name it takes."""
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

    A file with all known intermediates would cost each program a second per context (2,308 intermediates: 1.1 s). In a
    hashed folder, OpenSSL opens only what a chain names, so this rule does not apply there.
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
