"""What one generated world consists of."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.pki import pem
from tests.support.trusted import crl_pem, trusted_pem

TRUSTED_FIRST = ssl.VERIFY_X509_TRUSTED_FIRST
STRICT = ssl.VERIFY_X509_STRICT
NO_ALT_CHAINS = 0x100000
NO_CHECK_TIME = 0x200000
CRL_CHECK_LEAF = ssl.VERIFY_CRL_CHECK_LEAF
CRL_CHECK_CHAIN = ssl.VERIFY_CRL_CHECK_CHAIN
EXPLICIT_POLICY = 0x80 | 0x100  # X509_V_FLAG_POLICY_CHECK, X509_V_FLAG_EXPLICIT_POLICY

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True, eq=False)
class Made:
    """A certificate, and what its maker knows of it."""

    label: str
    der: bytes = field(repr=False)
    subject: str  #: names, folded as OpenSSL folds them before it compares
    issuer: str
    key: int  #: whose key is certified, and whose key signed: numbers in the generator's pool
    signer: int
    url: str | None  #: its caIssuers
    is_authority: bool  #: not a leaf


@dataclass(frozen=True)
class Settings:
    """What a program sets on its context."""

    flags: int = TRUSTED_FIRST
    security_level: int = 2


@dataclass(frozen=True)
class TrustSettings:
    """The settings of an anchor in a `TRUSTED CERTIFICATE` block."""

    trusts: Sequence[x509.ObjectIdentifier] = ()
    rejects: Sequence[x509.ObjectIdentifier] = ()

    @property
    def is_for_servers(self) -> bool:
        """Whether it is an anchor for a server's certificate."""
        return SERVER_AUTH in self.trusts or not (self.trusts or SERVER_AUTH in self.rejects)


@dataclass(frozen=True)
class Server:
    """What one server sends, and the name it is called by."""

    leaf: Made
    sends: Sequence[Made]
    host: str

    @property
    def message(self) -> list[bytes]:
        """The certificates of its Certificate message."""
        return [self.leaf.der, *(made.der for made in self.sends)]


@dataclass(frozen=True)
class Step:
    """One handshake, and what the program changes on its context before it."""

    server: Server
    tls_1_2: bool
    load: Sequence[Made] = ()  #: further anchors
    settings: Settings | None = None
    early: bool = False  #: the connection's SSL object was made before the hook was there


@dataclass(frozen=True)
class World:
    """A PKI, the places of its certificates, and a program that connects to its servers, one after the other."""

    seed: int
    certificates: Sequence[Made]
    planted: Sequence[Made]  #: in the store, from the start
    misplaced: Sequence[tuple[Made, Made]]  #: in the store too, the first under the second's name
    published: dict[str, tuple[str, Sequence[Made]]]  #: URL: in which form, and what
    anchors: Sequence[Made]  #: what the program trusts
    in_directory: Sequence[Made]  #: and what it trusts in a hashed directory
    settings: Settings
    process_wide: bool  #: enable(), not complete(context)
    attached_late: bool  #: the hook comes when the context is set up
    steps: Sequence[Step]
    crls: Sequence[tuple[str, bytes]] = ()  #: what is worth saying of them, and DER; the program loads them all
    trust: Mapping[Made, TrustSettings] = field(default_factory=dict)  #: of those anchors that have any

    def text(self, certificates: Sequence[Made]) -> str:
        """PEM of these certificates, with the trust settings that the program has for them."""
        return "".join(
            trusted_pem(made.der, self.trust[made].trusts, self.trust[made].rejects)
            if made in self.trust
            else pem(made.der)
            for made in certificates
        )

    @property
    def crl_text(self) -> str:
        """PEM of all CRLs."""
        return "".join(crl_pem(der) for _, der in self.crls)

    @property
    def is_special(self) -> bool:
        """Whether the program's context holds more than plain certificates, so that only the context knows all."""
        return bool(self.crls or self.trust)

    def __str__(self) -> str:
        numbers = {made.label: str(number) for number, made in enumerate(self.certificates)}

        def listed(some: Sequence[Made]) -> str:
            return " ".join(numbers[made.label] for made in some) or "-"

        lines = [f"seed {self.seed}"]
        lines += [f"  {number:>2} {made.label}" for number, made in enumerate(self.certificates)]
        for made in self.certificates:
            if made.url in self.published:
                form, content = self.published[made.url]
                lines.append(f"  the URL in {numbers[made.label]} has {listed(content)} as {form}")
        lines.append(f"  in the store: {listed(self.planted)}")
        lines += [f"  and there {listed([made])} under the name of {listed([name])}" for made, name in self.misplaced]
        lines.append(f"  trusted: {listed(self.anchors)}; in a directory: {listed(self.in_directory)}")
        lines += [f"  trust of {listed([made])}: {trust}" for made, trust in self.trust.items()]
        lines += [f"  CRL of {note}" for note, _ in self.crls]
        lines.append(f"  {self.settings}, process wide: {self.process_wide}, attached late: {self.attached_late}")
        for number, step in enumerate(self.steps):
            sent = listed([step.server.leaf, *step.server.sends])
            lines.append(f"  step {number}: {step.server.host} sends {sent}; TLS 1.{2 if step.tls_1_2 else 3}")
            if step.load or step.settings or step.early:
                lines.append(f"    before it: load {listed(step.load)}, {step.settings}, early: {step.early}")
        return "\n".join(lines)
