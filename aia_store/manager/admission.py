"""Admit certificates from reports and other machines: keep those that lead to a trust anchor of this machine.

No report and no other machine is believed. What is kept is *preloaded*: handshakes can use it, and it enters the bundle
once a handshake has needed it (see `inside/store.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cryptography import x509

from ..inside.certificate import Certificate
from ..inside.store import MOST_FILES, IntermediateStore, crowded_note
from .accepted_paths import Verified
from .fitness import unfitness
from .parsing import UnreadableError, quietly
from .revocation.record import Reason
from .snapshot import fingerprints
from .verify import Verifier, remembered


class CrowdedError(Exception):
    """The folder is full: more files would not be read. The message, one line, names the folder and says what to do."""


class Admission:
    """Decides about certificates that were offered together, and keeps those that are fit and lead to an anchor.

    Paths may contain the certificates in the store and in `beside`. The store needs a writable folder (`sound_store`).
    """

    def __init__(
        self, store: IntermediateStore, anchors: Sequence[Certificate], revoked: Reason, beside: Iterable[Certificate]
    ) -> None:
        home = store.home
        assert home is not None
        self.home = home.preloaded
        self._verified = Verified(home, anchors)
        self._verifier = Verifier(anchors, remembered(store.find), revoked, self._verified)
        self._verifier.offer(beside)
        self._stored = fingerprints(store.preloaded)

    def refusal(self, certificate: Certificate) -> str | None:
        """Keep a certificate, or return why it is refused. Raises CrowdedError, and OSError if writing fails."""
        refusal = unfitness(certificate) or self._verifier.refusal(certificate)
        if refusal is None:
            if len(self._stored) >= MOST_FILES:
                raise CrowdedError(f"{crowded_note(self.home)}; run `aia-store clear`")
            self.home.keep(certificate)
            self._stored.add(certificate.fingerprint)
        return refusal

    def save(self) -> None:
        """Remember which paths OpenSSL accepted."""
        self._verified.save()


def is_parsed(certificate: Certificate) -> bool:
    """Whether `cryptography` can read it. It checks the signatures, and is stricter than OpenSSL."""
    try:
        with quietly():
            x509.load_der_x509_certificate(certificate.der)
    except UnreadableError:
        return False
    return True
