"""The trust anchors at which the library's paths end: this machine's, loaded once per process."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterable

from ..check.trust import TrustAnchors
from ..inside import settings as config
from ..inside.certificate import readable
from ..inside.settings import Settings
from ..manager import roots
from ..manager.published import file_identity
from .aia_errors import AIAError


def of(certificates: Iterable[bytes]) -> TrustAnchors:
    """Use these certificates (DER) as trust anchors, in a context with the settings of Python's default one.

    Raises AIAError if none of them is self-signed.
    """
    found = [certificate for certificate in readable(certificates) if certificate.is_self_signed]
    if not found:
        raise AIAError("there is no trust anchor: none of the given certificates is readable and self-signed")
    return TrustAnchors(found, ssl.create_default_context(cadata=found[0].pem))


_loading = threading.Lock()
_loaded: tuple[object, TrustAnchors] | None = None  # the state of the files, and the anchors in them


def of_this_machine() -> TrustAnchors:
    """The trust anchors in the file that AIA_STORE_ROOTS or else SSL_CERT_FILE names, else the system's.

    AIA_STORE_EXTRA_ROOTS adds more. If a file changes, it is read again. Raises AIAError.
    """
    global _loaded
    try:
        source = _source(config.load())
        with _loading:
            state = source, [(path, file_identity(path)) for path in roots.watched(source)]
            if _loaded is None or _loaded[0] != state:
                _loaded = state, of(certificate.der for certificate in roots.load(source))
            return _loaded[1]
    except (config.ConfigError, roots.RootsError) as error:
        raise AIAError(str(error)) from error


def _source(settings: Settings) -> roots.Source:
    # If a user sets the anchors by this variable, we must not use the system's.
    path = os.environ.get("SSL_CERT_FILE")
    if path and settings.roots is None and not roots.is_our_bundle(path):
        return roots.Source(path, "SSL_CERT_FILE names it", extra=settings.extra_roots)
    return roots.source(settings)
