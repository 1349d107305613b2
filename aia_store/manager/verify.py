"""Whether an intermediate leads to a trust anchor of this machine. No handshake and no leaf is needed to decide this.

OpenSSL decides here too, but it only verifies leaves. So we rehearse: we make a leaf that names the intermediate as its
issuer and has a garbage signature, and let OpenSSL verify its path. OpenSSL checks signatures last, beginning with the
anchor's. If it refuses the leaf's signature, it has accepted everything else, except perhaps other signatures.
`cryptography` checks those, one by one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from ..inside import STRICT
from ..inside.certificate import (
    AUTHORITY_KEY_IDENTIFIER,
    BIT_STRING,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    UTC_TIME,
    Certificate,
    encode,
)
from ..inside.contexts import Terms
from ..inside.rehearsal import Rehearsal
from ..inside.search import Budget, Walk, likeliest_first
from ..inside.store import MOST_OF_ONE_NAME
from ..inside.trusted import Trusted
from .accepted_paths import Verified
from .fitness import SECURITY_LEVEL
from .parsing import UnreadableError, quietly
from .revocation.record import Reason
from .roots import distrust

MOST_PATHS = 16  # tried for one intermediate
NOT_YET_VALID = "it is not yet valid"

_EXPECTED = "certificate signature failure"  # X509_V_ERR_CERT_SIGNATURE_FAILURE, in OpenSSL's words
_SHA256_WITH_RSA = encode(OID, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b") + b"\x05\x00"  # NULL
# The issuer's key algorithm, and the AlgorithmIdentifier of a signature that fits it: OpenSSL compares the two.
_SIGNATURES = {
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01": _SHA256_WITH_RSA,
    b"\x2a\x86\x48\xce\x3d\x02\x01": encode(OID, b"\x2a\x86\x48\xce\x3d\x04\x03\x02"),  # ecdsa-with-SHA256
    b"\x2b\x65\x70": encode(OID, b"\x2b\x65\x70"),  # Ed25519
    b"\x2b\x65\x71": encode(OID, b"\x2b\x65\x71"),  # Ed448
}
# The generator of P-256: a valid public key that belongs to nobody.
_PUBLIC_KEY = bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


class Verifier:
    """Verifies intermediates up to the given trust anchors. It remembers verdicts, so use it for one run only.

    Paths may contain what was given to `offer`, and what `find` (such as `IntermediateStore.find`) returns for a
    canonical subject name. They contain nothing that the system distrusts and nothing that is `revoked`. If `revoked`
    is set later, it also applies to paths that were accepted earlier. OpenSSL does not verify paths in `verified`
    again.
    """

    def __init__(
        self,
        roots: Sequence[Certificate],
        find: Callable[[bytes], Iterable[Certificate]],
        revoked: Reason = lambda certificate, issuer: None,
        verified: Verified | None = None,
    ) -> None:
        self.roots = roots
        self.revoked = revoked
        self.verified = verified or Verified(None, roots)
        self._trusted = Trusted.of(root.der for root in roots)
        self._find = find
        self._distrust = distrust()
        self._rehearsals: dict[tuple[bytes, int], Rehearsal] = {}
        self._offered: dict[bytes, list[Certificate]] = {}  # by canonical subject name
        self._verdicts: dict[Certificate, list[Certificate] | VerifyError] = {}

    def offer(self, certificates: Iterable[Certificate]) -> None:
        """Let paths contain these certificates, in place of those from the last call.

        Intermediates without a path are examined again. Only the first `MOST_OF_ONE_NAME` of each name are used.
        """
        self._offered = {}
        for certificate in certificates:
            namesakes = self._offered.setdefault(certificate.subject_key, [])
            if len(namesakes) < MOST_OF_ONE_NAME:
                namesakes.append(certificate)
        self._verdicts = {one: verdict for one, verdict in self._verdicts.items() if isinstance(verdict, list)}

    def path(self, certificate: Certificate) -> list[Certificate]:
        """A path from an intermediate to an anchor, both included, that OpenSSL accepts. Raises VerifyError."""
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

    def refusal(self, certificate: Certificate) -> str | None:
        """Why the intermediate does not lead to a trust anchor, in words; None if it does."""
        try:
            self.path(certificate)
        except VerifyError as error:
            return str(error)
        return None

    def _found(self, certificate: Certificate) -> list[Certificate]:
        if certificate.is_self_signed:
            raise VerifyError("it is self-signed, so it cannot be an intermediate")
        if not certificate.basic_constraints[0]:
            raise VerifyError("it is not a CA")
        if self._distrust.names(certificate):
            raise VerifyError("this system distrusts it")
        not_before, not_after = certificate.validity
        if not_after < time.time():
            raise VerifyError("it has expired")
        if time.time() < not_before:
            raise NotYetValidError(NOT_YET_VALID)
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
        """Why a path may not be used, in words, if one of its certificates is revoked; None if none is."""
        for certificate, issuer in pairwise(path):
            reason = self.revoked(certificate, issuer)
            if reason is not None and certificate is path[0]:
                return f"it is revoked {reason}"
            if reason is not None:
                return "it leads to a trust anchor only over a certificate that is revoked"
        return None

    def _paths(self, leaf: Certificate, certificate: Certificate) -> Iterable[list[Certificate]]:
        def issuers_of(subject: Certificate) -> Iterable[Certificate]:
            if subject is leaf:
                return [certificate]
            offered = [*self._offered.get(subject.issuer_key, ()), *self._find(subject.issuer_key)]
            candidates = [one for one in likeliest_first(subject, offered) if not self._distrust.names(one)]
            return [*self._trusted.issuers_of(subject), *candidates]

        return Walk(issuers_of, self._trusted.is_anchor, time.time(), Budget()).paths(leaf)

    def _refusal(self, leaf: Certificate, path: list[Certificate]) -> str | None:
        now = time.time()
        if self.verified.holds(path) and all(certificate.is_valid_at(now) for certificate in path):
            return None
        for subject, issuer in pairwise(path):
            if not _is_signed_by(subject.der, issuer.der):
                return "a signature is not valid"
        if self._rehearsed(leaf, path, STRICT) is None:  # this flag only adds checks
            self.verified.add(path, strict=True)
            return None
        refusal = self._rehearsed(leaf, path, 0)
        if refusal is None:
            self.verified.add(path)
        return refusal

    def strict_refusal(self, certificate: Certificate) -> str | None:
        """Why OpenSSL refuses the path of a certificate under X509_V_FLAG_X509_STRICT; None if it accepts the path.

        Raises VerifyError if there is no path even without this flag.
        """
        path = self.path(certificate)
        if self.verified.holds(path, strict=True):
            return None
        return self._rehearsed(Certificate(leaf_under(certificate)), path, STRICT)

    def _rehearsed(self, leaf: Certificate, path: list[Certificate], flags: int) -> str | None:
        """Why OpenSSL refuses a path under these flags, apart from signatures; None if it has no other reason."""
        anchor = path[-1].der
        if (anchor, flags) not in self._rehearsals:
            self._rehearsals[anchor, flags] = Rehearsal(Terms(flags, SECURITY_LEVEL), [anchor])
        rehearsal = self._rehearsals[anchor, flags]
        refusal = rehearsal.refusal([leaf.der, *(certificate.der for certificate in path[:-1])])
        return None if refusal == _EXPECTED else refusal or "no verdict"


def remembered(find: Callable[[bytes], list[Certificate]]) -> Callable[[bytes], list[Certificate]]:
    """A function that returns what `find` returns, but calls it only once for each name."""
    return lru_cache(maxsize=4096)(find)


class VerifyError(Exception):
    """An intermediate does not lead to a trust anchor. The message is the reason."""


class NotYetValidError(VerifyError):
    """The intermediate is not valid yet, or the clock is slow."""


@lru_cache(maxsize=8192)
def _is_signed_by(subject: bytes, issuer: bytes) -> bool:
    """Whether the issuer's key made the subject's signature. Both certificates are given as DER."""
    from cryptography import x509  # the import takes 66 ms, and only new paths need it
    from cryptography.exceptions import InvalidSignature

    from .old_cryptography import check_issued

    try:
        with quietly():
            check_issued(x509.load_der_x509_certificate(subject), x509.load_der_x509_certificate(issuer))
    except (InvalidSignature, UnreadableError):
        return False
    return True


def leaf_under(issuer: Certificate) -> bytes:
    """The DER of the leaf for a rehearsal (see the module), which names this issuer and has a garbage signature."""
    kind = issuer.public_key[:32]
    algorithm = next((signature for key, signature in _SIGNATURES.items() if encode(OID, key) in kind), None)
    if algorithm is None:
        raise VerifyError("its key is of a kind that is not known here")
    signed_with = encode(SEQUENCE, algorithm)
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
        + encode(0xA3, encode(SEQUENCE, _authority_key_id(issuer)))
    )
    return encode(SEQUENCE, encode(SEQUENCE, fields) + signed_with + encode(BIT_STRING, b"\x00" + bytes(64)))


def _authority_key_id(issuer: Certificate) -> bytes:
    """The AKID extension of certificates from this issuer (RFC 5280, 4.2.1.1); empty if the issuer has no SKID."""
    if issuer.subject_key_id is None:
        return b""
    value = encode(SEQUENCE, encode(0x80, issuer.subject_key_id))
    return encode(SEQUENCE, encode(OID, AUTHORITY_KEY_IDENTIFIER) + encode(OCTET_STRING, value))
