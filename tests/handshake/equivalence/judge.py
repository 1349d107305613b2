"""Plain OpenSSL as the judge: whether it would accept a leaf if the server had sent the intermediates itself.

It is asked in real handshakes, by contexts of the bare class of `_ssl`, which the hook does not reach. Their anchors
are those that the program loaded itself, and nothing else is ever added to them.
"""

from __future__ import annotations

import _ssl
import itertools
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509

from aia_store.inside.certificate import Certificate

from .memory import Outcome, Servers
from .model import Made, Settings

LONGEST_PATH = 12
MOST_PATHS = 3000  # with more of them, a world is too dense to decide


class TooDense(Exception):
    """There are more paths than can be tried."""


def apply(settings: Settings, context: Any) -> None:
    """Give a context, bare or not, these settings."""
    context.verify_flags = settings.flags
    context.set_ciphers(f"DEFAULT:@SECLEVEL={settings.security_level}")


class Judge:
    """A program's trust anchors and settings, without the hook, before one host.

    `anchors` is PEM: certificates, with trust settings or without, and CRLs.
    """

    def __init__(
        self, servers: Servers, settings: Settings, anchors: str, directory: Path | None, host: str | None
    ) -> None:
        self._servers = servers
        self._context: Any = _ssl._SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if host is None:
            self._context.check_hostname = False
        apply(settings, self._context)
        if anchors:
            self._context.load_verify_locations(cafile=servers.file(anchors))
        if directory is not None:
            self._context.load_verify_locations(capath=directory)
        self._host = host
        self._known: dict[tuple[bytes, ...], Outcome] = {}

    def verdict(self, message: Sequence[bytes]) -> Outcome:
        """The verdict of plain OpenSSL on a server that sends these certificates (DER, the leaf first)."""
        key = tuple(message)
        if key not in self._known:
            self._known[key] = self._servers.meet(
                lambda reads, writes: self._context._wrap_bio(reads, writes, False, self._host), message
            )
        return self._known[key]

    def accepts(self, message: Sequence[bytes]) -> bool:
        """Whether it accepts them."""
        return self.verdict(message).accepted


def is_self_signed(der: bytes) -> bool:
    """Whether OpenSSL takes a certificate for self-signed, and so for an anchor: by its names and key identifiers."""
    certificate = x509.load_der_x509_certificate(der)
    if Certificate(der).issuer_key != Certificate(der).subject_key:
        return False
    if certificate.version is x509.Version.v1:
        return True
    own = theirs = None
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.SubjectKeyIdentifier):
            own = extension.value.digest
        elif isinstance(extension.value, x509.AuthorityKeyIdentifier):
            theirs = extension.value
    if theirs is None:
        return True
    if theirs.key_identifier is not None:
        return own is None or own == theirs.key_identifier
    return theirs.authority_cert_serial_number in (None, certificate.serial_number)


def paths(
    leaf: Made,
    anchors: Iterable[Made],
    issuers_of: Callable[[Made], Iterable[Made]],
    *,
    no_name_twice: bool = False,
) -> Iterator[list[Made]]:
    """Every path from a leaf to one of the anchors, both included, whose signatures are true, shortest first.

    No certificate is in a path twice; with `no_name_twice` no name either. Raises TooDense.
    """
    by_name: dict[str, list[Made]] = {}
    for anchor in anchors:
        by_name.setdefault(anchor.subject, []).append(anchor)
    level = [[leaf]]
    count = 0
    if leaf in by_name.get(leaf.subject, ()):
        yield [leaf]

    def is_there_already(issuer: Made, path: list[Made]) -> bool:
        return issuer in path or (no_name_twice and any(other.subject == issuer.subject for other in path))

    for _ in range(LONGEST_PATH):
        longer = []
        for path in level:
            below = path[-1]
            for anchor in by_name.get(below.issuer, ()):
                if anchor.key == below.signer and not is_there_already(anchor, path):
                    yield [*path, anchor]
            for issuer in issuers_of(below):
                if issuer.subject != below.issuer or issuer.key != below.signer or is_there_already(issuer, path):
                    continue
                longer.append([*path, issuer])
                count += 1
                if count > MOST_PATHS:
                    raise TooDense
        level = longer


def orders(path: Sequence[Made]) -> Iterator[list[bytes]]:
    """The leaf first, then the others in several orders, without the anchor, and with it."""
    leaf, *above = (made.der for made in path)
    for some in (above[:-1], above):
        yield [leaf, *some]
    for order in itertools.islice(itertools.permutations(above), 1, 24):
        yield [leaf, *order]
