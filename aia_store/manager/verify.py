"""Does an intermediate lead to a trust anchor of this machine? The manager's question, where there is no leaf.

OpenSSL judges here too, but it judges leaves. So the path is rehearsed under a leaf made for the purpose, which names
the intermediate as its issuer and bears a garbage signature. OpenSSL looks at signatures last, from the anchor
downwards: if the leaf's signature is what it complains of, it had no complaint about anything else but perhaps a
signature further up. Those, `cryptography` checks, one by one.
"""

from __future__ import annotations

import time
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from ..inside.certificate import BIT_STRING, INTEGER, OID, SEQUENCE, SET, UTC_TIME, Certificate, encode
from ..inside.rehearsal import Rehearsal, Terms
from ..inside.search import Budget, Walk, likeliest_first
from ..inside.trusted import Trusted
from .old_cryptography import check_issued
from .quiet import quietly
from .roots import distrust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    #: Says by whom a certificate is revoked, given it and its issuer; None if it is not, as far as is known.
    Reason = Callable[[Certificate, Certificate], str | None]

SECURITY_LEVEL = 2  # 112 bits: no SHA-1, no RSA key under 2048 bits
MOST_PATHS = 16  # of one intermediate

_EXPECTED = "certificate signature failure"  # X509_V_ERR_CERT_SIGNATURE_FAILURE, in OpenSSL's words
_RSA = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"
# The key algorithm of the issuer, and a signature algorithm that suits it: OpenSSL compares the two.
_SIGNATURES = {
    _RSA: b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b",  # sha256WithRSAEncryption
    b"\x2a\x86\x48\xce\x3d\x02\x01": b"\x2a\x86\x48\xce\x3d\x04\x03\x02",  # ecdsa-with-SHA256
    b"\x2b\x65\x70": b"\x2b\x65\x70",  # Ed25519
    b"\x2b\x65\x71": b"\x2b\x65\x71",  # Ed448
}
# The generator of P-256: a public key that is valid and nobody's.
_PUBLIC_KEY = bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


class Verifier:
    """Verifies intermediates to the given trust anchors, through whatever `issuers_of` offers in between.

    What the system distrusts leads nowhere, and nothing leads through it. Of each it remembers what was said: one
    verifier is for one round, not for a day. `revoked` says by whom an intermediate that this issuer signed is
    revoked, None if it is not; a path over a revoked one is none. It may be set later: what was verified before is
    held against it again.
    """

    def __init__(
        self,
        roots: list[Certificate],
        issuers_of: Callable[[Certificate], Iterable[Certificate]],
        revoked: Reason = lambda certificate, issuer: None,
    ) -> None:
        self.roots = roots
        self.revoked = revoked
        self._trusted = Trusted.of(root.der for root in roots)
        self._issuers_of = issuers_of
        self._distrust = distrust()
        self._rehearsals: dict[bytes, Rehearsal] = {}
        self._verdicts: dict[Certificate, list[Certificate] | VerifyError] = {}

    def path(self, certificate: Certificate) -> list[Certificate]:
        """The path from an intermediate to its anchor, both included, as OpenSSL accepts it now.

        Raises VerifyError, which says in words why there is none.
        """
        verdict = self._verdicts.get(certificate)
        if verdict is None or (isinstance(verdict, list) and self._revoked_link(verdict) is not None):
            try:
                verdict = self._found(certificate)
            except VerifyError as error:
                verdict = error
            self._verdicts[certificate] = verdict
        if isinstance(verdict, VerifyError):
            raise verdict.with_traceback(None)
        return verdict

    def _found(self, certificate: Certificate) -> list[Certificate]:
        if certificate.is_self_signed:
            raise VerifyError("it is self-signed: a trust anchor or nothing, never an intermediate")
        if not certificate.basic_constraints[0]:
            raise VerifyError("it is no CA")
        if self._distrust.names(certificate):
            raise VerifyError("this system distrusts it")
        not_before, not_after = certificate.validity
        if not_after < time.time():
            raise VerifyError("it has expired")
        if time.time() < not_before:
            raise NotYetValidError("it is not yet valid")
        reason = "it leads to no trust anchor of this machine"
        leaf = Certificate(leaf_under(certificate))
        for _, (_, *path) in zip(range(MOST_PATHS), self._paths(leaf, certificate), strict=False):
            revoked = self._revoked_link(path)
            if revoked is not None:
                reason = revoked
                continue
            refusal = self._refusal(leaf, path)
            if refusal is None:
                return path
            reason = f"OpenSSL says: {refusal}"
        raise VerifyError(reason)

    def _revoked_link(self, path: list[Certificate]) -> str | None:
        """Why a path is none because a certificate of it is revoked; None if none is."""
        for certificate, issuer in pairwise(path):
            reason = self.revoked(certificate, issuer)
            if reason is not None:
                is_first = certificate is path[0]
                return (
                    f"it is revoked {reason}"
                    if is_first
                    else "it leads to a trust anchor only by a certificate that is revoked"
                )
        return None

    def _paths(self, leaf: Certificate, certificate: Certificate) -> Iterable[list[Certificate]]:
        def issuers_of(subject: Certificate) -> Iterable[Certificate]:
            if subject is leaf:
                return [certificate]
            offered = likeliest_first(subject, self._issuers_of(subject))
            offered = [issuer for issuer in offered if not self._distrust.names(issuer)]
            return [*self._trusted.issuers_of(subject), *offered]

        return Walk(issuers_of, self._trusted.is_anchor, time.time(), Budget()).paths(leaf)

    def _refusal(self, leaf: Certificate, path: list[Certificate]) -> str | None:
        for subject, issuer in pairwise(path):
            if not _is_signed_by(subject.der, issuer.der):
                return "a signature does not hold"
        anchor = path[-1].der
        if anchor not in self._rehearsals:
            self._rehearsals[anchor] = Rehearsal(Terms(0, SECURITY_LEVEL), [anchor])
        refusal = self._rehearsals[anchor].refusal([leaf.der, *(certificate.der for certificate in path[:-1])])
        return None if refusal == _EXPECTED else refusal or "no verdict"


def remembered(find: Callable[[bytes], list[Certificate]]) -> Callable[[Certificate], list[Certificate]]:
    """What a verifier asks for the issuers of a certificate; each name is looked up on disk once."""
    find = lru_cache(maxsize=4096)(find)
    return lambda subject: find(subject.issuer_key)


class VerifyError(Exception):
    """An intermediate does not lead to a trust anchor; the message is the reason, in words."""


class NotYetValidError(VerifyError):
    """It may lead to one later; or the clock is behind."""


@lru_cache(maxsize=8192)
def _is_signed_by(subject: bytes, issuer: bytes) -> bool:
    """Whether the issuer's key made the signature of the subject (both DER)."""
    try:
        with quietly():
            check_issued(x509.load_der_x509_certificate(subject), x509.load_der_x509_certificate(issuer))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def leaf_under(issuer: Certificate) -> bytes:
    """The DER of a certificate that names this issuer, made for the rehearsal; nobody signed it."""
    algorithm = next(
        (signature for key, signature in _SIGNATURES.items() if encode(OID, key) in issuer.public_key[:32]), None
    )
    if algorithm is None:
        raise VerifyError("its key is of a kind that is not known here")
    parameters = b"\x05\x00" if encode(OID, _RSA) in issuer.public_key[:32] else b""
    signed_with = encode(SEQUENCE, encode(OID, algorithm) + parameters)
    name = encode(SEQUENCE, encode(OID, b"\x55\x04\x03") + encode(0x0C, b"rehearsal"))
    now = time.time()
    validity = b"".join(
        encode(UTC_TIME, time.strftime("%y%m%d%H%M%SZ", time.gmtime(now + offset)).encode())
        for offset in (-86_400, 86_400)
    )
    fields = (
        encode(0xA0, encode(INTEGER, b"\x02"))
        + encode(INTEGER, b"\x01")
        + signed_with
        + issuer.subject
        + encode(SEQUENCE, validity)
        + encode(SEQUENCE, encode(SET, name))
        + _PUBLIC_KEY
        + encode(0xA3, encode(SEQUENCE, b""))
    )
    return encode(SEQUENCE, encode(SEQUENCE, fields) + signed_with + encode(BIT_STRING, b"\x00" + bytes(64)))
