"""One CRL: which certificates it revokes. Its issuer, signature, scope and dates are checked first."""

from __future__ import annotations

import time

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ...inside import revoked
from ...inside.certificate import KEY_USAGE, Certificate, canonical_name
from ..old_cryptography import crl_updates
from ..parsing import UnreadableError, quietly

MOST_ENTRIES = 10_000  # a longer CRL is about leaves: its entries are only looked up one by one
LONGEST_TRUST = 30 * 86_400  # seconds; then a CRL is fetched again, even if the next is announced for later
WITHOUT_NEXT = 86_400  # seconds, for a CRL that announces no next one

_CRL_SIGN = 0x02  # in the first octet of the key usage bits
_KNOWN_EXTENSIONS = (x509.CRLNumber.oid, x509.AuthorityKeyIdentifier.oid, x509.IssuingDistributionPoint.oid)


class CRLError(Exception):
    """The contents are no CRL that is valid for these certificates. The message is the reason."""


class ExpiredError(CRLError):
    """The CRL is genuine, but it has expired: its issuer should have published the next one by now."""

    def __init__(self, crl: CRL) -> None:
        super().__init__("it has expired")
        self.crl = crl


class CRL:
    """A CRL that this issuer signed for all CA certificates that it issued. The CRL may have expired."""

    def __init__(self, content: bytes, issuer: Certificate, urls: list[str], *, of_leaf: bool = False) -> None:
        """Parse and check a CRL (DER or PEM), which certificates of this issuer name by `urls`. Raises CRLError.

        If `of_leaf`, the CRL must be about all end-entity certificates of this issuer instead.
        """
        self._issuer = issuer
        try:
            with quietly():
                self._crl = _parsed(content)
                self._check_issuer()
                self._check_scope(urls, of_leaf)
                this_update, next_update = crl_updates(self._crl)
                self.this_update = this_update.timestamp()
                self.next_update = None if next_update is None else next_update.timestamp()
                self._count = len(self._crl)
        except UnreadableError as error:
            raise CRLError("it cannot be read") from error

    def check_dates(self) -> None:
        """Raises ExpiredError if the CRL has expired, and another CRLError if it is not valid yet."""
        if time.time() < self.this_update:
            raise CRLError("it is not yet valid")
        if self.next_update is not None and self.next_update <= time.time():
            raise ExpiredError(self)

    def serves_until(self, fetched: float) -> float:
        """When a CRL that was fetched at the given time must be fetched again (both in seconds since 1970)."""
        return min(self.next_update or fetched + WITHOUT_NEXT, fetched + LONGEST_TRUST)

    def reason(self, certificate: Certificate) -> str | None:
        """Why the issuer revoked this certificate, in words; None if the CRL does not revoke it."""
        serial = int.from_bytes(certificate.serial, "big", signed=True)
        try:
            with quietly():
                entry = self._crl.get_revoked_certificate_by_serial_number(serial)
        except UnreadableError:
            return None
        if entry is None:
            return None
        try:
            with quietly():
                reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
        except (UnreadableError, x509.ExtensionNotFound):
            return "by its issuer"
        return f"by its issuer ({reason})"

    def digests(self) -> set[bytes]:
        """The digests of all certificates that the CRL revokes; empty for a long CRL, which is about leaves."""
        if self._count > MOST_ENTRIES:
            return set()
        try:
            with quietly():
                return {revoked.issued_digest(self._issuer, _integer(entry.serial_number)) for entry in self._crl}
        except UnreadableError:
            return set()

    def _check_issuer(self) -> None:
        if canonical_name(self._crl.issuer.public_bytes()) != self._issuer.subject_key:
            raise CRLError("it is by another issuer")
        usage = self._issuer.extensions.get(KEY_USAGE)
        if usage is not None and not int.from_bytes(usage[3:4], "big") & _CRL_SIGN:
            raise CRLError("its issuer may not sign CRLs")
        key = load_der_public_key(self._issuer.public_key)
        if not self._crl.is_signature_valid(key):  # type: ignore[arg-type]  # a TypeError is caught
            raise CRLError("its signature is not valid")

    def _check_scope(self, urls: list[str], of_leaf: bool) -> None:
        """Raises CRLError unless it is the issuer's complete CRL of all CAs, or leaves (RFC 5280, 5.2, 6.3.3 (b))."""
        for extension in self._crl.extensions:
            if isinstance(extension.value, x509.DeltaCRLIndicator):
                raise CRLError("it is a delta CRL")
            if extension.critical and extension.oid not in _KNOWN_EXTENSIONS:
                raise CRLError("it has an unknown critical extension")
            scope = extension.value
            if not isinstance(scope, x509.IssuingDistributionPoint):
                continue
            if scope.indirect_crl:
                raise CRLError("it is an indirect CRL")
            others_only = scope.only_contains_ca_certs if of_leaf else scope.only_contains_user_certs
            if others_only or scope.only_contains_attribute_certs or scope.only_some_reasons:
                raise CRLError(f"it is not about all {'end-entity' if of_leaf else 'CA'} certificates")
            names = [name.value for name in scope.full_name or () if isinstance(name, x509.UniformResourceIdentifier)]
            if names and not set(names) & set(urls):
                raise CRLError("it is the CRL of another distribution point")


def _parsed(content: bytes) -> x509.CertificateRevocationList:
    if content.lstrip()[:5] == b"-----":
        return x509.load_pem_x509_crl(content)
    return x509.load_der_x509_crl(content)


def _integer(value: int) -> bytes:
    """The contents of an INTEGER in DER, without tag and length."""
    return value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, "big", signed=True)
