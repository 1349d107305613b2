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
    """The folder already holds as many files as programs read. The message, one line, says what to do."""


class Admission:
    """Decides which of the offered certificates are kept: those for TLS servers that lead to a trust anchor.

    The paths may use the certificates in the store and in `beside`. `store` must have a folder that can be written.
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
        """Keep a certificate, or return why it is refused. Raises CrowdedError, and OSError if it cannot be written."""
        refusal = unfitness(certificate) or self._verifier.refusal(certificate)
        if refusal is None:
            if len(self._stored) >= MOST_FILES:
                raise CrowdedError(f"{crowded_note(self.home)}; run `aia-store clear`")
            self.home.keep(certificate)
            self._stored.add(certificate.fingerprint)
        return refusal

    def save(self) -> None:
        """Write down which paths OpenSSL accepted, so that they are not verified again."""
        self._verified.save()


def is_parsed(certificate: Certificate) -> bool:
    """Whether `cryptography`, which later checks the signatures, can parse the certificate. OpenSSL is less strict."""
    try:
        with quietly():
            x509.load_der_x509_certificate(certificate.der)
    except UnreadableError:
        return False
    return True
