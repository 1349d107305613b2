"""What is known of one context, and what happens when one of its connections meets a Certificate message."""

from __future__ import annotations

import _ssl
import sys
import time
from _weakref import ref

from .. import handshake
from . import PARTIAL_CHAIN
from .sources import Sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

MOST_SETTLED = 256
SETTLED_FOR, FAILED_FOR = 3600.0, 60.0  # seconds until a chain that was seen is looked at again
_ATTRIBUTE = "_aia_store"

_context: Any = _ssl._SSLContext


class Attachment:
    """The state of one context; it lives on the context itself and holds it by a weak reference."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = ref(context)
        self.is_explicit = False  # by aia_store.complete(context), whether or not the hook is enabled
        # Intermediates (DER), and under which settings each is safe as an anchor of its own: None for none.
        self.added: dict[bytes, tuple[int, int] | None] = {}
        self.sources = Sources()
        self.has_bare_connections = False  # made by a door while we were disabled
        self._settled: dict[int, float] = {}  # what was looked at, and until when that holds
        self._only_self_signed: tuple[int, bool] = (-1, False)

    @property
    def is_active(self) -> bool:
        return callbacks_are_safe and bool(handshake.enabled or self.is_explicit)

    def see_certificates(self, data: bytes, version: int) -> None:
        """The server's Certificate message, before OpenSSL acts on it: the one guard around all that follows."""
        try:
            context = self._context()
            if context is not None and self.is_active:
                self._complete(context, data, version)
        except Exception as error:
            from ..log import debug

            debug(f"left the handshake as it was: {type(error).__name__}: {error}")
        except handshake.Interrupted:
            raise
        except BaseException as error:
            raise handshake.Interrupted(error) from None

    def needs_whole_chains(self) -> bool:
        """Whether X509_V_FLAG_PARTIAL_CHAIN is to be kept from an SSL object of this context.

        The flag means nothing where all of the program's anchors are self-signed, and then it must not make anchors
        of what we add. Where the program pinned an anchor that is not, the flag stays, unless what was added before
        would then widen what the program trusts.
        """
        context = self._context()
        if context is None or any(settings != _settings(context) for settings in self.added.values()):
            return True
        return self._has_only_self_signed(context)

    def _has_only_self_signed(self, context: ssl.SSLContext) -> bool:
        """Whether all that the program trusts here is self-signed; looked at again when there is more of it."""
        count = _context.cert_store_stats(context)["x509"]
        if self._only_self_signed[0] != count:
            from .trusted import only_self_signed

            self._only_self_signed = count, only_self_signed(context, self.sources, self.added)
        return self._only_self_signed[1]

    def _may_be_bare(self, context: ssl.SSLContext) -> bool:
        """Whether a connection may still be under way for which what we add would be an anchor: one begun before us,
        with X509_V_FLAG_PARTIAL_CHAIN in its own copy of the flags."""
        began = self.has_bare_connections or not self.sources.are_certain
        return began and bool(_context.verify_flags.__get__(context) & PARTIAL_CHAIN)

    def _complete(self, context: ssl.SSLContext, data: bytes, version: int) -> None:
        now = time.time()
        key = hash((data, _context.cert_store_stats(context)["x509"]))
        if self._settled.get(key, 0.0) > now:
            return
        from . import chain, message, trusted

        holds_for = SETTLED_FOR
        has_flag = bool(_context.verify_flags.__get__(context) & PARTIAL_CHAIN)
        partial_chains = has_flag and not self._has_only_self_signed(context)
        trusts = trusted.Trusted(context, self.sources, self.added, partial_chains=partial_chains)
        seen = chain.Chain(message.certificates(data, version), trusts)
        if not (seen.is_hopeless() or seen.stands()):
            from . import completion

            answer = completion.missing(seen, must_be_safe=self._may_be_bare(context))
            if answer is None:
                holds_for = FAILED_FOR
            elif answer[0]:
                # As PEM, because PyPy raises from DER, though it has added the certificate.
                settings = _settings(context) if answer[1] else None
                self.added.update((certificate.der, settings) for certificate in answer[0])
                _context.load_verify_locations(context, cadata="".join(c.pem for c in answer[0]))
                key = hash((data, _context.cert_store_stats(context)["x509"]))
                holds_for = min(holds_for, *(certificate.validity[1] - now for certificate in answer[0]))
        if len(self._settled) >= MOST_SETTLED:
            self._settled.clear()
        self._settled[key] = now + holds_for


def _settings(context: ssl.SSLContext) -> tuple[int, int]:
    """What OpenSSL judges by: the verification flags and the security level."""
    return _context.verify_flags.__get__(context), _context.security_level.__get__(context)


def attachment_of(context: ssl.SSLContext) -> Attachment:
    """The attachment of a context, made if there is none."""
    state = context.__dict__
    found: Attachment | None = state.get(_ATTRIBUTE)
    if found is None:
        found = state[_ATTRIBUTE] = Attachment(context)
    return found


def _callbacks_are_safe() -> bool:
    """Up to Python 3.11, OpenSSL's callbacks run in the main interpreter, whichever one set them."""
    if sys.version_info >= (3, 12):
        return True
    try:
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]
    except ImportError:
        return True
    return bool(interpreters.get_current() == interpreters.get_main())


callbacks_are_safe = _callbacks_are_safe()
