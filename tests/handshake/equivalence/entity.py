"""The issuers and subjects of certificates, and the pool of all keys."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.support.issue import key_id_of
from tests.support.keys import private_key

KEYS = [private_key() for _ in range(32)]
KEY_IDS = [key_id_of(key.public_key()) or b"" for key in KEYS]


@dataclass(frozen=True)
class Entity:
    """A name with a key, which issues certificates, or to which they are issued."""

    organization: str
    name: str
    key: int
    is_root: bool = False

    @property
    def folded(self) -> str:
        return f"{self.organization} / {self.name}".lower()

    @property
    def subject(self) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.organization),
                x509.NameAttribute(NameOID.COMMON_NAME, self.name),
            ]
        )
