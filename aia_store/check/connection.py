"""One verified handshake with a host, to see what it sends and what OpenSSL says about that."""

from __future__ import annotations

import _ssl
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from ..inside.fetch import UnansweredError, connected
from ..manager.target import address, in_ascii
from . import starttls
from .asked import Target
from .witness import Witness

if TYPE_CHECKING:
    from .trust import TrustAnchors

SECONDS = 10.0  # to connect, and again for everything that follows


class ProbeError(Exception):
    """The host cannot be checked. The message is one line that names it and says what to do."""


class Sent(NamedTuple):
    """What a server sent (DER, the leaf first), and why OpenSSL refuses it, in its words; None if it accepts."""

    certificates: list[bytes]
    refusal: str | None


def handshake(target: Target, anchors: TrustAnchors) -> Sent:
    """Make a handshake with a host. Raises ProbeError if it presents no certificate."""
    place = address(*target.place)
    witness = Witness()
    refusal, is_judged = None, False
    try:
        name = in_ascii(target.name)
        with _connected(target) as connection:
            if target.starttls is not None:
                starttls.start(target.starttls, connection, name, time.monotonic() + SECONDS)
            connection.settimeout(SECONDS)
            witness.shake_hands(anchors.context, connection, name)
            is_judged = True
    except _ssl.SSLCertVerificationError as error:
        refusal, is_judged = error.verify_message.rstrip("."), True
    except starttls.StartTLSError as error:
        raise ProbeError(f"{place} {error}") from error
    except socket.gaierror as error:
        raise ProbeError(f"{target.place[0]} is not known ({error.strerror}); check its spelling") from error
    except (OSError, UnicodeError) as error:
        if not witness.sent:
            raise ProbeError(f"{place} {_complaint(error)}{_hint(target)}") from error
    if not witness.sent:
        raise ProbeError(f"{place} sent no certificate that can be read{_hint(target)}")
    if not is_judged:  # the server ended the handshake, for instance because it wants a client certificate
        refusal = anchors.rehearsal.refusal(witness.sent, name)
    return Sent(witness.sent, refusal.rstrip(".") if refusal else None)


def _connected(target: Target) -> socket.socket:
    """Connect to the first of the host's addresses that answers; one time limit for all. Raises OSError."""
    host, port = target.place
    deadline = time.monotonic() + SECONDS
    found = socket.getaddrinfo(in_ascii(host), port, type=socket.SOCK_STREAM)
    try:
        connection = connected([(family, address) for family, _, _, _, address in found], deadline)
    except UnansweredError as error:
        raise error.errors[-1] from error
    return socket.socket(fileno=connection.detach())


def _complaint(error: OSError | UnicodeError) -> str:
    """What went wrong before a certificate was seen."""
    if isinstance(error, TimeoutError):
        return "does not answer"
    if not isinstance(error, _ssl.SSLError):
        return f"cannot be reached ({getattr(error, 'strerror', None) or error})"
    reason = (error.reason or str(error)).lower().replace("_", " ")
    if "alert" in reason or reason.startswith("tlsv1"):
        return f"ends the handshake ({reason})"
    return f"does not speak TLS that we understand ({reason})"


def _hint(target: Target) -> str:
    """What to do about a host that presents no certificate."""
    protocol = starttls.usual_at(target.place[1])
    if target.starttls is None and protocol is not None:
        return f"; try --starttls {protocol}"
    return "; is the port right?"
