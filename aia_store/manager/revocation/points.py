"""The URLs of CRLs in a certificate."""

from __future__ import annotations

from collections.abc import Iterator

from ...inside.certificate import SEQUENCE, Certificate, DERError, elements, expect
from ...inside.fetch import is_fetchable
from ...inside.search import Budget

_CRL_DISTRIBUTION_POINTS = b"\x55\x1d\x1f"
_NAME, _REASONS, _CRL_ISSUER = 0xA0, 0x81, 0xA2
_FULL_NAME, _URI = 0xA0, 0x86


def crl_urls(certificate: Certificate) -> list[str]:
    """All URLs of complete CRLs by the certificate's own issuer (RFC 5280, 4.2.1.13); none if they cannot be read.

    We parse the extension ourselves: if any extension is broken, `cryptography` reads none of them.
    """
    try:
        value = certificate.extensions.get(_CRL_DISTRIBUTION_POINTS)
        return [] if value is None else list(dict.fromkeys(_urls(value)))
    except DERError:
        return []


def worth_fetching(urls: list[str]) -> list[str]:
    """The URLs that may be fetched, in the given order. The limits are those for URLs in AIA."""
    return [url for url in urls if is_fetchable(url)][: Budget.urls] if len(urls) < Budget.too_many_urls else []


def _urls(value: bytes) -> Iterator[str]:
    start, end = expect(value, 0, len(value), SEQUENCE)
    for _, _, point, point_end in elements(value, start, end):
        fields = {tag: (inner, stop) for tag, _, inner, stop in elements(value, point, point_end)}
        if _NAME not in fields or _REASONS in fields or _CRL_ISSUER in fields:
            continue  # a CRL for only some reasons, or by another issuer
        for kind, _, name, name_end in elements(value, *fields[_NAME]):
            if kind == _FULL_NAME:
                for tag, _, inner, stop in elements(value, name, name_end):
                    if tag == _URI:
                        yield value[inner:stop].decode("latin-1")
