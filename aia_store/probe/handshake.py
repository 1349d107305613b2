"""One verified handshake with a host, for what it sends and what OpenSSL says to that."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Any

from ..der import to_pem
from ..handshake import PARTIAL_CHAIN, message
from .target import address

if TYPE_CHECKING:
    from ..der import Certificate

CONNECT_SECONDS = 10.0


class ProbeError(Exception):
    """The host cannot be asked at all; the message is one line that names it and says what to do."""


def handshake(
    host: str, port: int, anchors: list[Certificate], added: list[Certificate]
) -> tuple[list[bytes], str | None]:
    """One verified handshake: what the server sent (DER, the leaf first), and why OpenSSL refused it, if it did."""
    context = context_of(anchors, added)
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


def context_of(anchors: list[Certificate], added: list[Certificate]) -> ssl.SSLContext:
    """A context as Python's default one, but with these anchors alone, and whole chains asked for."""
    context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags &= ~PARTIAL_CHAIN
    context.load_verify_locations(cadata="".join(to_pem(certificate.der) for certificate in [*anchors, *added]))
    return context  # type: ignore[no-any-return]
