"""What is known of one context of pyOpenSSL, and what happens when a connection of it meets a Certificate message."""

from __future__ import annotations

import time

from .. import PARTIAL_CHAIN, is_enabled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .store import Store

    Settings = tuple[int, int, int]

TRUSTED_FIRST = 0x8000  # X509_V_FLAG_TRUSTED_FIRST, which OpenSSL always sets
USUAL_LEVEL = 2  # OpenSSL's security level, as it is from 3.2 on; before, and so too strict at worst, 1
NO_DEPTH = -1  # what SSL_CTX_get_verify_depth says where none is set
MOST_SETTLED = 256
SETTLED_FOR, FAILED_FOR = 3600.0, 60.0  # seconds until a chain that was seen is looked at again


class Attachment:
    """The state of one context, whose whole life the doors have seen; it lives on the context."""

    def __init__(self) -> None:
        self.flags = 0  # X509_V_FLAG_ bits that the program set in the store
        self.security_level = USUAL_LEVEL
        self.judges_otherwise = False  # at another time than now: then nothing is completed
        self.sources: list[str] = []  # what the program trusts, as texts that differ where that differs
        # Intermediates (DER), and under which settings each is safe as an anchor of its own: None for none.
        self.added: dict[bytes, Settings | None] = {}
        self._settled: dict[int, float] = {}  # what was looked at, and until when that holds

    def see_certificates(
        self, data: bytes, version: int, store: Store, verify_depth: int, refuse: Callable[[], None]
    ) -> None:
        """The server's Certificate message, before OpenSSL acts on it.

        `refuse` makes OpenSSL refuse whatever was sent. Raises Interrupted, and anything.
        """
        if not (is_enabled() or self.added):
            return
        now = time.time()
        settings = self.flags, self.security_level, verify_depth
        key = hash((data, store.count(), settings, is_enabled()))
        if self._settled.get(key, 0.0) > now:
            return
        from .. import message

        sent = message.certificates(data, version)
        error, chain = store.verify(sent)
        holds_for = SETTLED_FOR
        if error and is_enabled() and not self.judges_otherwise:
            holds_for = self._complete(sent, store, settings, now)
            error, chain = store.verify(sent)
            key = hash((data, store.count(), settings, is_enabled()))
        if not error and chain[-1] in self.added and self.added[chain[-1]] != settings:
            refuse()  # partial chains are accepted, and one would end where nothing proves it safe
            return
        if len(self._settled) >= MOST_SETTLED:
            self._settled.clear()
        self._settled[key] = now + holds_for

    def _complete(self, sent: list[bytes], store: Store, settings: Settings, now: float) -> float:
        """Add what is missing, if it can be found; returns for how many seconds the answer holds."""
        flags, security_level, verify_depth = settings
        if flags & PARTIAL_CHAIN and verify_depth != NO_DEPTH:
            return FAILED_FOR  # an anchor further down would make long chains shorter
        from .. import chain, completion
        from .trusted import StoreTrusted

        trusted = StoreTrusted(store, self.added, flags | TRUSTED_FIRST, security_level, self.sources)
        seen = chain.Chain(sent, trusted)
        if seen.is_hopeless():
            return SETTLED_FOR
        answer = completion.missing(seen, must_be_safe=False)
        if answer is None:
            return FAILED_FOR
        needed, safe = answer
        if safe and store.verify([*sent, *(certificate.der for certificate in needed)])[0]:
            return FAILED_FOR  # the program's OpenSSL is another than ours, and would not look above an anchor
        for certificate in needed:
            self.added[certificate.der] = settings if safe else None
            store.add(certificate.der)
        return min([SETTLED_FOR, *(certificate.validity[1] - now for certificate in needed)])


def attachment_of(context: Any) -> Attachment | None:
    """The attachment of a context; None where it was made before the doors were there."""
    found: Attachment | None = vars(context).get("_aia_store")
    return found
