"""Completions that are wrong on purpose, each by one mistake that DESIGN.md warns of.

A trial that cannot tell them from the hook proves nothing.
"""

from __future__ import annotations

import _ssl
import ssl
from collections.abc import Callable
from typing import Any

from tests.support.pki import pem

from .judge import is_self_signed
from .model import Made, World
from .trial import Attach

HANDSHAKE, CERTIFICATE = 22, 11


def adding(wanted: Callable[[Made], bool]) -> Attach:
    """A completion that adds whatever is wanted of what it finds, and leaves X509_V_FLAG_PARTIAL_CHAIN as it is."""

    def attach(context: ssl.SSLContext, world: World) -> None:
        bare: Any = _ssl._SSLContext
        found = [made.der for made in world.certificates if wanted(made)]

        def callback(_: Any, direction: str, __: int, content_type: int, message_type: int, ___: bytes) -> None:
            if direction == "read" and content_type == HANDSHAKE and message_type == CERTIFICATE and found:
                bare.load_verify_locations(context, cadata=pem(*found))

        bare._msg_callback.__set__(context, callback)

    return attach


#: Every intermediate becomes a trust anchor, where the flag is set.
intermediates = adding(lambda made: made.is_authority and not is_self_signed(made.der))
#: What the server, the cache or the network call a root becomes one, with any flags.
roots_too = adding(lambda made: made.is_authority)
