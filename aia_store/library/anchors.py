"""The trust anchors that the library builds paths to: this machine's, loaded once for the process.

They are loaded one at a time. OpenSSL takes 36 ms for a text of 145, during which no other thread runs, an event loop
neither; between two of them any other may.
"""

from __future__ import annotations

import os
import ssl
import threading
from typing import TYPE_CHECKING, NamedTuple

from ..inside import PARTIAL_CHAIN
from ..inside import settings as config
from ..inside.certificate import readable
from ..inside.contexts import Terms
from ..inside.trusted import Trusted
from ..manager import roots
from .aia_errors import AIAError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..inside.certificate import Certificate
    from ..inside.settings import Settings


class Anchors(NamedTuple):
    """Trust anchors: as a context that trusts them alone, and as what paths are built to.

    The context is as Python's default one, but asks for whole chains: an intermediate in it is no trust anchor.
    """

    certificates: list[Certificate]
    context: ssl.SSLContext
    trusted: Trusted
    terms: Terms


def of(certificates: Iterable[bytes]) -> Anchors:
    """These certificates (DER) as trust anchors. Raises AIAError where none of them is self-signed."""
    found = [certificate for certificate in readable(certificates) if certificate.is_self_signed]
    if not found:
        raise AIAError("there is no trust anchor: none of the certificates given is a readable, self-signed one")
    first, *others = found
    context = ssl.create_default_context(cadata=first.pem)
    for certificate in others:
        context.load_verify_locations(cadata=certificate.pem)
    context.verify_flags &= ~PARTIAL_CHAIN
    terms = Terms(int(context.verify_flags), context.security_level)
    return Anchors(found, context, Trusted.of((certificate.der for certificate in found), terms.flags), terms)


_loading = threading.Lock()
_loaded: tuple[object, Anchors] | None = None  # for which state of which files, and what


def of_this_machine() -> Anchors:
    """What AIA_STORE_ROOTS names, else SSL_CERT_FILE, else what the system trusts; read again when it changes.

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
    # A program that was given other anchors by this variable must not be given the system's by us.
    path = os.environ.get("SSL_CERT_FILE")
    if path and settings.roots is None and not roots.is_our_bundle(path):
        return roots.Source(path, "SSL_CERT_FILE names it")
    return roots.source(settings)
