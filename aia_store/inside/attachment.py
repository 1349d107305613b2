"""What is known of one context, and what happens when one of its connections meets a Certificate message."""

from __future__ import annotations

import _ssl
import os
import time
from _thread import get_ident
from _weakref import ref

from . import PARTIAL_CHAIN, Interrupted, completing_threads, is_enabled
from .settings import debug
from .sources import Sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

    from .cafile import CAFile
    from .chain import Chain
    from .on_demand import PathLike

SMALLEST = 16_384  # bytes of a CA file; OpenSSL parses a smaller one in no time
MOST_SETTLED = 256
SETTLED_FOR, FAILED_FOR = 3600.0, 60.0  # seconds until a chain that was seen is looked at again
_ATTRIBUTE = "_aia_store"

_context: Any = _ssl._SSLContext


class Attachment:
    """The state of one context; it lives on the context itself and holds it by a weak reference."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = ref(context)
        self.is_explicit = False  # by aia_store.complete(context), whether or not the hook is enabled
        self.completes_clients = False  # the chains of a server's clients too: by that call only
        # Intermediates (DER), and under which settings each is safe as an anchor of its own: None for none.
        self.added: dict[bytes, tuple[int, int] | None] = {}
        self.sources = Sources()
        self.has_bare_connections = False  # made by a door while we were disabled
        self._sees_all = False  # whether every connection of the context, since it was made, calls us
        self._settled: dict[int, float] = {}  # what was looked at, and until when that holds
        self._only_self_signed: tuple[tuple[int, int], bool] = ((-1, 0), False)

    @property
    def is_active(self) -> bool:
        return is_enabled() or self.is_explicit

    def note_birth(self) -> None:
        """The context was just made."""
        self._sees_all = True
        self.is_explicit |= get_ident() in completing_threads

    def note_bare_connection(self) -> None:
        """A connection was made that verifies and does not call us."""
        self.has_bare_connections |= not self.added
        self._sees_all = False

    def put_off(self, cafile: PathLike) -> CAFile | None:
        """What this context may load on demand instead of parsing this file now. Raises anything."""
        context = self._context()
        if context is None or not (self.is_active and self._sees_all) or os.stat(cafile).st_size < SMALLEST:
            return None
        from . import on_demand

        return on_demand.put_off(context, cafile)

    def put_off_defaults(self) -> CAFile | None:
        """The same instead of `set_default_verify_paths`, whose directory is then in use."""
        from . import cafile

        path, directories = cafile.default_paths()
        file = self.put_off(path) if cafile.default_paths_are_certain() else None
        if file is not None and directories:
            _context.load_verify_locations(self._context(), None, directories)
        return file

    def load_all(self) -> None:
        """Load what was put off, as somebody looks who must find it."""
        context = self._context()
        if context is not None and (on_demand := self.sources.on_demand):
            on_demand.load_all(context)

    def see_certificates(self, data: bytes, version: int, from_client: bool) -> None:
        """The peer's Certificate message, before OpenSSL acts on it: the one guard around all that follows."""
        try:
            context = self._context()
            if context is not None:
                self._see(context, data, version, from_client)
        except Exception as error:
            debug(f"left the handshake as it was: {type(error).__name__}: {error}")
            try:
                self.load_all()
            except Exception:
                pass  # OpenSSL refuses a chain whose anchor is not there
        except Interrupted:
            raise
        except BaseException as error:
            raise Interrupted(error) from None

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
        given = self._given(context)
        if self._only_self_signed[0] != given:
            from .trusted import only_self_signed

            self._only_self_signed = given, only_self_signed(context, self.sources, self.added)
        return self._only_self_signed[1]

    def _given(self, context: ssl.SSLContext) -> tuple[int, int]:
        """What is another when the context has more certificates, loaded or put off."""
        return _context.cert_store_stats(context)["x509"], self.sources.count

    def _may_be_bare(self, context: ssl.SSLContext) -> bool:
        """Whether a connection may still be under way for which what we add would be an anchor: one begun before us,
        with X509_V_FLAG_PARTIAL_CHAIN in its own copy of the flags.

        To a server's context a connection may also come later, with the flags of another: by an SNI callback.
        """
        began = self.has_bare_connections or not self.sources.are_certain
        return self.completes_clients or (began and bool(_context.verify_flags.__get__(context) & PARTIAL_CHAIN))

    def _see(self, context: ssl.SSLContext, data: bytes, version: int, from_client: bool) -> None:
        now = time.time()
        key = hash((data, from_client, self._given(context)))
        if self._settled.get(key, 0.0) > now:
            return
        from . import message

        sent = message.certificates(data, version)
        if not sent:
            return  # a client that has none to show
        if on_demand := self.sources.on_demand:
            on_demand.load_for(context, sent)
        if self.is_active:
            holds_for = self._complete(context, sent, from_client, now)
            if len(self._settled) >= MOST_SETTLED:
                self._settled.clear()
            self._settled[hash((data, from_client, self._given(context)))] = now + holds_for

    def _complete(self, context: ssl.SSLContext, sent: list[bytes], from_client: bool, now: float) -> float:
        """Add what is missing, if anything is and it can be found; returns for how many seconds that holds."""
        from . import trusted

        has_flag = bool(_context.verify_flags.__get__(context) & PARTIAL_CHAIN)
        partial_chains = has_flag and not self._has_only_self_signed(context)
        trusts = trusted.Trusted(context, self.sources, self.added, partial_chains=partial_chains)
        seen = _kind_of_chain(from_client)(sent, trusts)
        if seen.is_hopeless():
            self.load_all()
            return SETTLED_FOR
        if seen.stands():
            return SETTLED_FOR
        from . import completion

        answer = completion.missing(seen, must_be_safe=self._may_be_bare(context))
        if answer is None:
            self.load_all()  # so that OpenSSL refuses as ever, if it does
            return FAILED_FOR
        certificates, are_safe = answer
        if not certificates:
            return SETTLED_FOR
        # As PEM, because PyPy raises from DER, though it has added the certificate.
        settings = _settings(context) if are_safe else None
        self.added.update((certificate.der, settings) for certificate in certificates)
        _context.load_verify_locations(context, cadata="".join(c.pem for c in certificates))
        return min(SETTLED_FOR, *(certificate.validity[1] - now for certificate in certificates))


def _kind_of_chain(from_client: bool) -> type[Chain]:
    if from_client:
        from .clientside import ClientChain

        return ClientChain
    from .chain import Chain

    return Chain


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
