"""What does a server send, and what would complete it? The command line's view of one host."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

from .der import Certificate, to_pem
from .failures import Failures
from .handshake import PARTIAL_CHAIN, message
from .handshake.aia import AIA
from .handshake.chain import Chain
from .handshake.completion import Builder, Path, needs
from .handshake.sources import Sources
from .handshake.trusted import Trusted
from .pki.revocation.record import reader
from .store import open_store
from .target import TargetError as TargetError
from .target import address as address
from .target import parse_target as parse_target

if TYPE_CHECKING:
    from .config import Settings

CONNECT_SECONDS = 10.0
FETCH_SECONDS = 30.0  # the manager may wait longer than a program


class ProbeError(Exception):
    """The host cannot be asked at all; the message is one line that names it and says what to do."""


class Finding(NamedTuple):
    """What was seen of one host."""

    host: str
    port: int
    chain: Chain
    refusal: str | None  # why plain OpenSSL refuses what was sent, in its words; None: it accepts
    path: Path | None  # the path to a trust anchor, where one was found
    stored: set[Certificate]  # what the store knew of it
    learned: list[Certificate]  # what was not in the store before
    missing: list[Certificate]  # what of the path the server should send and does not
    completed_refusal: str | None  # what OpenSSL still says when the missing ones are there; None: it accepts
    failed: dict[str, str]  # URLs that could not be fetched, and why
    revoked: dict[Certificate, str]  # intermediates that were passed over because they are revoked, and why

    @property
    def address(self) -> str:
        """Host and port as one writes them."""
        return address(self.host, self.port)

    @property
    def hangs_on_revoked(self) -> bool:
        """Whether there is no path but over an intermediate that is revoked, which plain OpenSSL does not know."""
        return self.path is None and bool(self.revoked)

    @property
    def fullchain(self) -> str:
        """What the server's owner should install: the leaf and all intermediates, as PEM."""
        certificates = self.path.certificates[:-1] if self.path else [self.chain.leaf]
        return "".join(to_pem(certificate.der) for certificate in certificates)


def probe(host: str, port: int, settings: Settings, anchors: list[Certificate]) -> Finding:
    """Ask a host for its chain, and look for what is missing. What completes it is kept. Raises ProbeError."""
    sent, refusal = _handshake(host, port, anchors, [])
    trusted = Trusted(_context(anchors, []), Sources(complete=True), (), partial_chains=False)
    chain = Chain(sent, trusted)
    store = open_store(settings)
    builder = Builder(chain, store)
    path = None if chain.is_hopeless() else builder.path_at_hand()
    failed: dict[str, str] = {}
    if path is None and not chain.is_hopeless() and not settings.offline:
        failures = Failures(store.home, patient=False)
        with AIA(settings, store, failures, trusted.digest, FETCH_SECONDS) as aia:
            path = aia.path(builder, chain.leaf)
        failed = aia.failed
    needed = needs(chain, path) if path is not None else []
    learned = [c for c in path.intermediates if c not in builder.stored] if path is not None and needed else []
    if path is not None:
        builder.keep(path)
    completed = _handshake(host, port, anchors, needed)[1] if needed else refusal
    missing = [certificate for certificate in needed if certificate not in chain.sent]
    why = reader(store.folders)
    revoked = {certificate: why(certificate) or "" for certificate in builder.revoked}
    return Finding(host, port, chain, refusal, path, builder.stored, learned, missing, completed, failed, revoked)


def _handshake(
    host: str, port: int, anchors: list[Certificate], added: list[Certificate]
) -> tuple[list[bytes], str | None]:
    """One verified handshake: what the server sent (DER, the leaf first), and why OpenSSL refused it, if it did."""
    context = _context(anchors, added)
    sent: list[bytes] = []

    def see(_: object, direction: str, version: int, __: object, kind: int, data: bytes) -> None:
        if direction == "read" and kind in (message.CERTIFICATE, message.COMPRESSED_CERTIFICATE) and not sent:
            sent.extend(message.certificates(data, version))

    context._msg_callback = see  # type: ignore[attr-defined]
    refusal = None
    try:
        with socket.create_connection((host, port), timeout=CONNECT_SECONDS) as connection:
            context.wrap_socket(connection, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        refusal = error.verify_message.rstrip(".")
    except ssl.SSLError as error:
        if not sent:
            reason = (error.reason or str(error)).lower().replace("_", " ")
            raise ProbeError(
                f"{address(host, port)} does not speak TLS that we understand ({reason}); is the port right?"
            ) from error
    except socket.gaierror as error:
        raise ProbeError(f"{host} is not known ({error.strerror}); check its spelling") from error
    except TimeoutError as error:
        raise ProbeError(f"{address(host, port)} does not answer; is the port right?") from error
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ProbeError(f"{address(host, port)} cannot be reached ({reason}); is the port right?") from error
    if not sent:
        raise ProbeError(f"{address(host, port)} sent no certificate; is the port right?")
    return sent, refusal


def _context(anchors: list[Certificate], added: list[Certificate]) -> ssl.SSLContext:
    """A context as Python's default one, but with these anchors alone, and whole chains asked for."""
    context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags &= ~PARTIAL_CHAIN
    context.load_verify_locations(cadata="".join(to_pem(certificate.der) for certificate in [*anchors, *added]))
    return context  # type: ignore[no-any-return]
