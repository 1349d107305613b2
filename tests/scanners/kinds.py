"""The kinds of faults, and the words by which a scanner names their cause and a remedy.

The names are those of `tests.cli.check.street`. A cause counts as named wherever a scanner prints it, even if it does
not say which certificate is meant; a remedy, if it says what to change.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Words(NamedTuple):
    """How scanners name the cause of one kind of fault, and how they say what to do; `aia-store check` aside."""

    cause: str
    remedy: str = r"\Z\A"  # nobody else says it

    def named_in(self, said: str) -> list[str]:
        """Which of the two a scanner has named."""
        remedies = f"{_OUR_REMEDY}|{self.remedy}"
        return [
            word for word, pattern in (("cause", self.cause), ("remedy", remedies)) if re.search(pattern, said, re.M)
        ]


_OUR_REMEDY = r"Its owner (should|needs)|^Advice: |^Remove it from"

KINDS = {
    "leaf only": Words(r"NOT SENT|chain incomplete"),
    "one missing": Words(r"NOT SENT|chain incomplete"),
    "a wrong one": Words(r"NOT SENT|chain incomplete"),
    "an expired one before the good one": Words(r"no part of the path: expired"),
    "in the wrong order": Words(r"the wrong order|chain out of order|ordering problem"),
    "with the root": Words(r"a root, which clients|contains the anchor certificate"),
    "one certificate twice": Words(r"only once"),
    "expired": Words(r"certificate has expired|NOT ok \(expired\)|not valid at validation time"),
    "another name": Words(r"Hostname mismatch|no matching subjectAltName|does not match supplied URI"),
    "unknown root": Words(r"a root that is not trusted here|self signed CA in chain"),
    "an expired intermediate": Words(r"certificate has expired|NOT ok \(expired\)|not valid at validation time"),
    "an expired anchor that is cross-signed": Words(r"The trust anchor Aged Root|NOT ok \(expired\)"),
    "a weak digest": Words(
        r"digest algorithm too weak|certificate signatures are \{'ecdsa-with-SHA1'\}|ECDSA with SHA1",
        r"certificate_signatures: .* should have at least one of",
    ),
    "a small key": Words(r"key too weak|RSA key size is 1024|RSA 1024 bits", r"minimum allowed is 2048"),
    "TLS 1.0 only": Words(
        r"no TLS newer than 1\.1|TLS 1\.2 Cipher Suites:\s+.*rejected all|TLS 1\.2 +not offered and downgraded"
    ),
    "static RSA only": Words(r"by static RSA only|Forward Secrecy +INSECURE|No ciphers supporting Forward Secrecy"),
    "SHA-1 signatures only": Words(r"signs the handshake with SHA-1 only"),
    "a small DH group": Words(
        r"group is too small|DH parameter size is 1024|DH group offered: .*\(1024 bits\)|DH \(1024 bits\)"
    ),
    "another key": Words(r"not that of its certificate|does not suit the cipher suite"),
    "two kinds of keys": Words(
        r"RSA key\n[^:]*NOT SENT|chain incomplete|detected: +2 \([\s\S]*Supplied CA file[^\n]*NOT Trusted"
    ),
}
