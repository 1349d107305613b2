"""Ask OpenSSL whether it accepts a certification path, before anything is added or kept.

OpenSSL can judge a chain without a key and without a socket: in memory, a client of its own meets a few bytes that a
TLS 1.2 server would send: ServerHello, Certificate, and then at once ServerHelloDone, which is one message too early.
A chain that is refused ends in SSLCertVerificationError. One that is accepted lets OpenSSL go on, to a leaf key that
does not suit the cipher or to the message that comes too early; those two errors, and no others, mean "accepted". The
intermediates come in the Certificate message, untrusted, and the one trusted certificate is the anchor, so the
verdict is that of plain OpenSSL for a server that sends all.
"""

from __future__ import annotations

import _ssl
import time
from _ssl import MemoryBIO, SSLCertVerificationError, SSLError

from .certificate import to_pem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CRL_CHECKS = 0x4 | 0x8  # X509_V_FLAG_CRL_CHECK, X509_V_FLAG_CRL_CHECK_ALL


def handshake_message(kind: int, body: bytes) -> bytes:
    """A handshake message of this type (RFC 5246, 7.4)."""
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


_CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256:@SECLEVEL={}"
_SERVER_HELLO = handshake_message(
    2,
    b"\x03\x03"
    + bytes(32)  # random
    + b"\x00"  # no session
    + b"\xc0\x2b"  # ECDHE-ECDSA-AES128-GCM-SHA256; judged after the chain, so any leaf key will do
    + b"\x00"  # no compression
    + b"\x00\x05\xff\x01\x00\x01\x00",  # renegotiation_info, which OpenSSL 3 insists on
)
_TOO_EARLY = handshake_message(14, b"")  # ServerHelloDone, which no server is sent either
# What OpenSSL meets only after it has accepted the chain.
_AFTER_THE_VERDICT = ("UNEXPECTED_MESSAGE", "WRONG_CERTIFICATE_TYPE", "UNKNOWN_CERTIFICATE_TYPE")


REMEMBERED_FOR, MOST_REMEMBERED = 3600.0, 1024  # seconds, chains
_accepted: dict[int, float] = {}  # what OpenSSL accepted, and until when no process-mate asks again


def accepts(
    chain: tuple[bytes, ...], anchor: bytes, flags: int, security_level: int, rehearsal: type[Rehearsal]
) -> bool:
    """Whether OpenSSL accepts this chain; remembered for the process, as many a program has a context a request."""
    key, now = hash((chain, anchor, flags, security_level, rehearsal)), time.time()
    if _accepted.get(key, 0.0) > now:
        return True
    if rehearsal(anchor, flags, security_level).refusal(list(chain)) is not None:
        return False
    if len(_accepted) >= MOST_REMEMBERED:
        _accepted.clear()
    _accepted[key] = now + REMEMBERED_FOR
    return True


class Rehearsal:
    """A trust anchor (DER), or several, under the flags and level of a program's context, for a server's chains.

    The flags are X509_V_FLAG_ bits; CRL checks are left out, as they need the program's own CRLs: the real handshake
    makes them. A rehearsal can judge any number of chains.
    """

    _is_server = False  # the side that OpenSSL plays
    _hello = _SERVER_HELLO  # what it is sent before the certificates

    def __init__(self, anchor: bytes, flags: int, security_level: int, *others: bytes) -> None:
        # The bare class of _ssl: a rehearsal must not walk through our own doors.
        context: Any = _ssl._SSLContext(_ssl.PROTOCOL_TLS_SERVER if self._is_server else _ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.minimum_version = context.maximum_version = _ssl.PROTO_TLSv1_2
        context.set_ciphers(_CIPHERS.format(security_level))
        context.verify_flags = flags & ~CRL_CHECKS
        context.load_verify_locations(cadata="".join(map(to_pem, (anchor, *others))))
        self._context = context

    def refusal(self, chain: list[bytes], name: str | None = None) -> str | None:
        """Why OpenSSL refuses this chain (DER, the leaf first), in its words; None: it accepts.

        With a name (a host's, in ASCII, or an IP address) the leaf must be good for it too.
        """
        incoming = MemoryBIO()
        incoming.write(flight(chain, self._hello))
        self._context.check_hostname = name is not None
        connection = self._context._wrap_bio(incoming, MemoryBIO(), self._is_server, name)
        try:
            connection.do_handshake()
        except SSLCertVerificationError as error:
            return error.verify_message
        except SSLError as error:
            if error.reason in _AFTER_THE_VERDICT:
                return None
            return f"OpenSSL cannot read it ({error.reason})"
        return "OpenSSL came to no verdict"


def flight(chain: list[bytes], hello: bytes = _SERVER_HELLO) -> bytes:
    """The records with which a TLS 1.2 peer sends this chain (DER, the leaf first), and then a message too early."""
    return _records(hello + _certificate_message(chain) + _TOO_EARLY)


def _certificate_message(chain: list[bytes]) -> bytes:
    certificates = b"".join(len(der).to_bytes(3, "big") + der for der in chain)
    return handshake_message(11, len(certificates).to_bytes(3, "big") + certificates)


def _records(messages: bytes) -> bytes:
    most = 1 << 14  # bytes a record
    return b"".join(
        b"\x16\x03\x03" + len(part).to_bytes(2, "big") + part
        for part in (messages[at : at + most] for at in range(0, len(messages), most))
    )
