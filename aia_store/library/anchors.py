"""The trust anchors at which the library's paths end: this machine's, loaded once per process.

OpenSSL takes 36 ms to load 145 certificates at once, and meanwhile no other thread runs, so an event loop stands still.
So they are loaded one by one, and other threads may run in between.
"""

from __future__ import annotations

import os
import ssl
import threading
from typing import TYPE_CHECKING, NamedTuple

from ..inside import PARTIAL_CHAIN
from ..inside import settings as config
from ..inside.certificate import readable
from ..inside.rehearsal import Terms
from ..inside.trusted import Trusted
from ..manager import roots
from .aia_errors import AIAError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..inside.certificate import Certificate
    from ..inside.settings import Settings


class Anchors(NamedTuple):
    """Trust anchors, as a context that trusts only them, and as the ends of paths.

    The context is like Python's default one, but requires whole chains: an intermediate in it is no trust anchor.
    """

    certificates: list[Certificate]
    context: ssl.SSLContext
    trusted: Trusted
    terms: Terms


def of(certificates: Iterable[bytes]) -> Anchors:
    """Use these certificates (DER) as trust anchors. Raises AIAError if none of them is self-signed."""
    found = [certificate for certificate in readable(certificates) if certificate.is_self_signed]
    if not found:
        raise AIAError("there is no trust anchor: none of the given certificates is readable and self-signed")
    first, *others = found
    context = ssl.create_default_context(cadata=first.pem)
    for certificate in others:
        context.load_verify_locations(cadata=certificate.pem)
    context.verify_flags &= ~PARTIAL_CHAIN
    terms = Terms(int(context.verify_flags), context.security_level)
    return Anchors(found, context, Trusted.of((certificate.der for certificate in found), terms.flags), terms)


_loading = threading.Lock()
_loaded: tuple[object, Anchors] | None = None  # the state of the files, and the anchors in them


def of_this_machine() -> Anchors:
    """The anchors in the file of AIA_STORE_ROOTS, else of SSL_CERT_FILE, else the system's; read again after changes.

    Raises AIAError.
    """
    global _loaded
    try:
        source = _source(config.load())
        with _loading:
            state = source, [roots.identity(path) for path in roots.watched(source)]
            if _loaded is None or _loaded[0] != state:
                _loaded = state, of(certificate.der for certificate in roots.load(source))
            return _loaded[1]
    except (config.ConfigError, roots.RootsError) as error:
        raise AIAError(str(error)) from error


def _source(settings: Settings) -> roots.Source:
    # A program whose anchors are set by this variable must not get the system's from us.
    path = os.environ.get("SSL_CERT_FILE")
    if path and settings.roots is None and not roots.is_our_bundle(path):
        return roots.Source(path, "SSL_CERT_FILE names it")
    return roots.source(settings)
