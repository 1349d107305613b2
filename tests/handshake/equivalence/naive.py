"""Completions that are wrong on purpose, each by one mistake.

Each verifies in a context of its own, as the hook does, and rehearses nothing. A trial that cannot tell them from the
hook proves nothing.
"""

from __future__ import annotations

import _ssl
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support.pki import pem

from .judge import is_self_signed
from .model import Made, World
from .trial import Attach

HANDSHAKE, CERTIFICATE = 22, 11


def another_context(found: Callable[[Made], bool], text: Callable[[World, Sequence[Made]], str]) -> Attach:
    """A completion in a context with the program's anchors, as `text` has them, and whatever is wanted of the rest."""

    def attach(context: ssl.SSLContext, world: World, folder: Path) -> None:
        anchors = [*world.anchors, *world.in_directory]
        trust = text(world, anchors) + pem(*(made.der for made in world.certificates if found(made)))
        file = folder / "naive.pem"
        file.write_text(trust, encoding="ascii")

        def callback(connection: Any, direction: str, _: int, content_type: int, message_type: int, __: bytes) -> None:
            is_certificate = (direction, content_type, message_type) == ("read", HANDSHAKE, CERTIFICATE)
            connection._sslobj.context = another() if is_certificate else context

        def another() -> Any:
            made: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            made.set_ciphers(f"DEFAULT:@SECLEVEL={context.security_level}")
            _ssl._SSLContext.load_verify_locations(made, cafile=file)
            _ssl._SSLContext._msg_callback.__set__(made, callback)
            return made

        _ssl._SSLContext._msg_callback.__set__(context, callback)

    return attach


def _is_intermediate(made: Made) -> bool:
    return made.is_authority and not is_self_signed(made.der)


def _all(world: World, anchors: Sequence[Made]) -> str:
    return world.text(anchors) + world.crl_text


def _certificates_only(world: World, anchors: Sequence[Made]) -> str:
    return pem(*(made.der for made in anchors)) + world.crl_text


#: Every intermediate becomes a trust anchor, where the flag is set.
intermediates = another_context(_is_intermediate, _all)
#: A self-signed certificate from the server, the cache or the network becomes a root, with any flags.
roots_too = another_context(lambda made: made.is_authority, _all)
#: Anchors that the program rejects are treated like all others.
without_trust_settings = another_context(_is_intermediate, _certificates_only)
