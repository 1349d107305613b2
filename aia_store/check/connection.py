"""What one connection to a host shows: what it sends, and whether the handshake succeeds.

These handshakes verify nothing, so if one fails, the chain is not the cause. OpenSSL verifies the chain afterwards,
in a simulated handshake (`inside/rehearsal.py`).
"""

from __future__ import annotations

import _ssl
import re
import socket
import time
from contextlib import closing
from typing import Any, NamedTuple

from ..inside.certificate import Certificate, readable
from ..inside.fetch import NO_ROUTE, UnansweredError, connected, has_network, uses_pysocks
from ..inside.proxies import Proxy, ProxyError, proxy_for
from ..inside.settings import Settings
from ..manager import tunnel
from ..manager.target import address, in_ascii
from ..manager.words import reason_of
from . import starttls
from .asked import Target
from .weakness import OF_SUITES, Weakness, of_handshake
from .witness import BROWSERS_SUITES, ECDSA_SUITES, RSA_SUITES, Witness, seeing_context, tolerant_context

SECONDS = 10.0  # to connect, and again for everything that follows
_NO_RFC_5746 = "UNSAFE_LEGACY_RENEGOTIATION_DISABLED"  # OpenSSL's reason
# OpenSSL's reasons when the other side does not speak TLS at all.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG")
_KEY_KINDS = {  # by the beginning of the algorithm's OID (RFC 8017, RFC 5480)
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x01": "RSA",
    b"\x2a\x86\x48\xce\x3d\x02\x01": "ECDSA",
}


class ProbeError(Exception):
    """The host cannot be checked. The message is one line that names it and says what to do."""


class Seen(NamedTuple):
    """What one connection showed, or what one file makes a server send."""

    certificates: list[bytes]  # DER, the leaf first
    address: str | None  # the IP address that answered; None through a proxy, and for a file
    proxy: str | None  # host and port
    failure: str | None = None  # why the handshake of today's clients fails, in OpenSSL's words
    weaknesses: tuple[Weakness, ...] = ()  # why only some clients refuse the handshake
    asks_client: bool = False  # whether the server asked for a client's certificate
    leaf_at: int = 0  # how many certificates stand before the leaf in a file


def looks(target: Target, settings: Settings) -> list[Seen]:
    """Make handshakes with a host for each kind of key (RSA, ECDSA). Returns one result for each certificate.

    A server that has a certificate of each kind sends the one that suits the client. Raises ProbeError.
    """
    first = _look_of_today(target, settings)
    leaf = next(readable(first.certificates[:1]), None)
    if leaf is None:
        raise ProbeError(f"{target.address} sent a certificate that cannot be read")
    other = _look_for_another_than(key_kind(leaf), target, settings)
    if other is None or other.certificates[0] == first.certificates[0]:
        return [first]
    # The server chose these cipher suites because this client offers no others.
    weaknesses = other.weaknesses if other.failure is not None else ()
    return [first, other._replace(asks_client=first.asks_client or other.asks_client, weaknesses=weaknesses)]


def _look_for_another_than(kind: str, target: Target, settings: Settings) -> Seen | None:
    """What a client sees if it does not accept this kind of key; None if it gets no readable certificate.

    In TLS 1.2, the cipher suites choose the kind. If the server does not speak TLS 1.2, try again with TLS 1.3.
    """
    try:
        seen = look(target, seeing_context(ECDSA_SUITES if kind == "RSA" else RSA_SUITES), settings)
    except (OSError, starttls.StartTLSError) as error:
        if "PROTOCOL_VERSION" not in (getattr(error, "reason", None) or ""):
            return None
        from . import signing  # imports `cryptography`, which takes a while

        algorithms = signing.ECDSA_SIGNATURES if kind == "RSA" else signing.RSA_SIGNATURES
        try:
            seen = look(target, signing.signing_context(algorithms), settings)
        except (OSError, starttls.StartTLSError):
            return None
    return seen if any(readable(seen.certificates[:1])) else None


def key_kind(certificate: Certificate) -> str:
    """The kind of a certificate's key: RSA, ECDSA or EdDSA."""
    algorithm = certificate.public_key[:24]  # the OID stands near the beginning
    return next((kind for oid, kind in _KEY_KINDS.items() if oid in algorithm), "EdDSA")


def _look_of_today(target: Target, settings: Settings) -> Seen:
    """What today's clients see. If they get no certificate, what a client that accepts old and weak TLS sees."""
    place = address(*target.place)
    try:
        seen = look(target, seeing_context(), settings)
    except starttls.StartTLSError as error:
        raise ProbeError(f"{place} {error}") from error
    except ProxyError as error:
        raise ProbeError(str(error)) from error
    except socket.gaierror as error:
        raise ProbeError(_unknown(target, error, settings)) from error
    except (OSError, UnicodeError) as error:
        tolerated = _tolerant_look(target, error, settings)
        if tolerated is None:
            raise ProbeError(f"{place} {_complaint(error, target, settings)}") from error
        seen = tolerated
    if not seen.certificates:
        raise ProbeError(f"{place} sent no certificate that can be read{_hint(target)}")
    return _without_preferences(seen, target, settings)


def _without_preferences(seen: Seen, target: Target, settings: Settings) -> Seen:
    """Returns `seen` without the weaknesses of its cipher suite if the server also accepts a suite of browsers."""
    if OF_SUITES.isdisjoint(seen.weaknesses):
        return seen
    try:
        usual = look(target, seeing_context(BROWSERS_SUITES), settings)
    except (OSError, starttls.StartTLSError):
        return seen
    # If the handshake of today's clients failed, even the suites that browsers offer show weaknesses.
    others = [weakness for weakness in seen.weaknesses if weakness not in OF_SUITES]
    return seen._replace(weaknesses=(*others, *(usual.weaknesses if seen.failure is not None else ())))


def _tolerant_look(target: Target, refusal: Exception, settings: Settings) -> Seen | None:
    """What a client that accepts old and weak TLS sees; None if that client gets no certificate either."""
    if not isinstance(refusal, (_ssl.SSLError, ConnectionResetError, BrokenPipeError)):
        return None
    if getattr(refusal, "reason", None) in _NO_TLS:
        return None
    try:
        seen = look(target, tolerant_context(), settings)
    except (OSError, starttls.StartTLSError):
        return None
    if not seen.certificates:
        return None
    of_refusal = (Weakness.OLD_RENEGOTIATION,) if getattr(refusal, "reason", None) == _NO_RFC_5746 else ()
    return seen._replace(failure=_reason(refusal), weaknesses=(*of_refusal, *seen.weaknesses))


def look(target: Target, context: Any, settings: Settings, seconds: float = SECONDS) -> Seen:
    """Make a handshake with a host, in a context from `witness` or `signing`; `seconds` is the limit for each step.

    The result may hold no certificate. Raises StartTLSError and UnicodeError, and OSError if the handshake fails before
    the server has sent its certificates.
    """
    name = in_ascii(target.name)
    witness = Witness()
    failure: str | None = None
    weaknesses: tuple[Weakness, ...] = ()
    proxy = _proxy(target, settings)
    opened = _directly(target.place, seconds) if proxy is None else _through_proxy(proxy, target.place, seconds)
    with closing(opened) as connection:
        peer = None if proxy is not None else str(connection.getpeername()[0])
        if target.starttls is not None:
            starttls.start(target.starttls, connection, name, time.monotonic() + seconds)
        connection.settimeout(seconds)
        try:
            tls = witness.shake_hands(context, connection, name)
            weaknesses = of_handshake(witness.version, tls.cipher()[0], witness.server_key_exchange)
        except OSError as error:
            if target.starttls is not None and isinstance(error, TimeoutError) and not witness.sent:
                raise starttls.StartTLSError("agrees to TLS, but then does not go on") from error
            if not witness.sent:
                raise
            # A server that has asked for a client's certificate may end the handshake when it gets none.
            if not witness.has_answered:
                failure = _reason(error)
                weaknesses = (Weakness.SMALL_DH,) if "DH_KEY_TOO_SMALL" in str(error) else ()
    return Seen(witness.sent, peer, None if proxy is None else str(proxy), failure, weaknesses, witness.asks_client)


def addresses(target: Target, settings: Settings) -> list[Target]:
    """One target for each address of the host; only one if a proxy chooses the address. Raises ProbeError."""
    host, port = target.place
    try:
        if _proxy(target, settings) is not None:
            return [target]
        found = socket.getaddrinfo(in_ascii(host), port, type=socket.SOCK_STREAM)
    except ProxyError as error:
        raise ProbeError(str(error)) from error
    except OSError as error:
        raise ProbeError(_unknown(target, error, settings)) from error
    return [target._replace(connect=(address, port)) for address in dict.fromkeys(str(one[4][0]) for one in found)]


def _directly(place: tuple[str, int], seconds: float) -> socket.socket:
    """Connect to the first of the host's addresses that answers, in this many seconds altogether. Raises OSError."""
    host = in_ascii(place[0])
    if uses_pysocks():  # all connections of this program go through PySocks' proxy
        return socket.create_connection((host, place[1]), seconds)
    deadline = time.monotonic() + seconds
    found = socket.getaddrinfo(host, place[1], type=socket.SOCK_STREAM)
    try:
        connection = connected([(family, address) for family, _, _, _, address in found], deadline)
    except UnansweredError as error:
        raise error.errors[-1] from error
    return socket.socket(fileno=connection.detach())


def _proxy(target: Target, settings: Settings) -> Proxy | None:
    """The proxy to a host; None for a direct connection. STARTTLS never uses a proxy. Raises ProxyError."""
    return None if target.starttls is not None else proxy_for("https", *target.place, settings.proxy)


def _through_proxy(proxy: Proxy, place: tuple[str, int], seconds: float) -> socket.socket:
    """Connect through a proxy, in this many seconds altogether. Raises OSError."""
    deadline = time.monotonic() + seconds
    connection = _directly((proxy.host, proxy.port), seconds)
    try:
        tunnel.connect(connection, proxy, in_ascii(place[0]), place[1], deadline)
    except BaseException:
        connection.close()
        raise
    return connection


def _unknown(target: Target, error: OSError, settings: Settings) -> str:
    """The message for a name that has no address."""
    proxy = _proxy(target, settings)
    who = target.place[0] if proxy is None else f"the proxy {proxy}"
    remedy = "check its spelling" if has_network() else "is there a network?"
    return f"{who} is not known ({error.strerror}); {remedy}"


def _reason(error: Exception) -> str:
    """Why a handshake failed, in OpenSSL's words."""
    if isinstance(error, TimeoutError):
        return "the server does not go on"
    if isinstance(error, (ConnectionError, _ssl.SSLEOFError, _ssl.SSLZeroReturnError)):
        return "the server closes the connection"
    said = re.sub(r"^\[SSL\] | \(_ssl\.c:\d+\)$", "", str(error))  # Python's text for a reason that it does not know
    return (getattr(error, "reason", None) or said).lower().replace("_", " ")


def _is_alert(reason: str) -> bool:
    """Whether OpenSSL's reason is an alert of the server, which shows that the server speaks TLS."""
    return "alert" in reason or reason.startswith("tlsv1")


def _complaint(error: OSError | UnicodeError, target: Target, settings: Settings) -> str:
    """What went wrong before a certificate was seen, and what to do."""
    if getattr(error, "reason", None) == "EXCESSIVE_MESSAGE_SIZE":
        remedy = "it should send its certificate and the intermediates, and nothing else"
        return f"sends more than OpenSSL takes ({_reason(error)}): {remedy}"
    return f"{_what_went_wrong(error, target, settings)}{_hint(target, error)}"


def _what_went_wrong(error: OSError | UnicodeError, target: Target, settings: Settings) -> str:
    proxy = _proxy(target, settings)
    through = "" if proxy is None else f" through the proxy {proxy}"
    if isinstance(error, TimeoutError):
        return f"does not answer{through}"
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return f"resets the connection{through}"
    if not isinstance(error, _ssl.SSLError):
        return f"cannot be reached{through} ({reason_of(error)})"
    reason = _reason(error)
    if _is_alert(reason) or reason.startswith("the server"):
        return f"ends the handshake ({reason})"
    return f"does not speak TLS that we understand ({reason})"


def _hint(target: Target, error: Exception | None = None) -> str:
    """What to do about a host that presents no certificate."""
    if isinstance(error, OSError) and error.errno in NO_ROUTE and not has_network():
        return "; is there a network?"
    if isinstance(error, tunnel.NotConnectedError):
        return ""
    reason = _reason(error) if isinstance(error, _ssl.SSLError) else ""
    if "unrecognized name" in reason:
        return "; it may know another name: try --servername NAME"
    if "handshake failure" in reason:
        return "; it has no TLS version, cipher suite or curve in common with clients of today"
    if _is_alert(reason):
        return "; its log may say more"
    protocol = starttls.usual_at(target.place[1])
    if target.starttls is None and protocol is not None:
        return f"; try --starttls {protocol}"
    return "; is the port right?"
