"""The SSL contexts that aia-store makes ("ours", not the program's), and the terms under which they judge a chain.

Such a context is complete before its first use, and is never changed. So any number of threads may share it.
"""

from __future__ import annotations

import _ssl

from . import importing, memory_of_contexts, remember
from .certificate import to_cadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from .trusted import PathLike

CRL_CHECK, CRL_CHECK_ALL = 0x4, 0x8  # X509_V_FLAG_
NO_CHECK_TIME = 0x200000
CRL_CHECKS = CRL_CHECK | CRL_CHECK_ALL
MOST_KEPT = 64  # contexts


class Terms:
    """What OpenSSL's verdict on a chain depends on, besides the trusted certificates."""

    __slots__ = ("flags", "from_client", "level", "suite_b")

    def __init__(self, flags: int, level: int | None, suite_b: str = "", *, from_client: bool = False) -> None:
        self.flags = flags  # the SSL object's X509_V_FLAG_ bits
        self.level = level  # OpenSSL's security level; None for its default
        self.suite_b = suite_b  # the keyword for Suite B that the cipher list begins with, or empty
        self.from_client = from_client  # whether the chain is a client's

    @property
    def key(self) -> tuple[int, int | None, str, bool]:
        """A key for dictionaries. It is equal for two `Terms` that have the same values."""
        return self.flags, self.level, self.suite_b, self.from_client


class Context(_ssl._SSLContext):
    """An SSL context without our wrappers of `ssl.SSLContext`. PyPy cannot make instances of the base class itself."""


def made(
    terms: Terms,
    ders: Iterable[bytes],
    files: Iterable[PathLike] = (),
    directories: Sequence[str] = (),
    *,
    defaults: bool = False,
    checks_crls: bool = False,
) -> Any:
    """Make an SSL context that trusts these certificates (DER), and those in these files and hashed directories.

    With `defaults`, it also trusts what OpenSSL finds in its default paths. There, OpenSSL also finds files in DER, and
    files after a gap in the numbering (`.0`, `.2`). In `directories`, it does not. CRL checks need the program's own
    CRLs, so their flags are set only with `checks_crls`.
    """
    # Without a level, OpenSSL's default is used: Python 3.9 cannot read the level.
    level = "" if terms.level is None else f":@SECLEVEL={terms.level}"
    context: Any = Context(_ssl.PROTOCOL_TLS_SERVER if terms.from_client else _ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version = context.maximum_version = _ssl.PROTO_TLSv1_2
    context.set_ciphers(f"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384{level}")
    if terms.suite_b:
        context.set_ciphers(terms.suite_b)
    context.verify_flags = terms.flags if checks_crls else terms.flags & ~CRL_CHECKS
    for file in files:
        context.load_verify_locations(cafile=file)
    if cadata := to_cadata(ders):
        context.load_verify_locations(cadata=cadata)
    for directory in directories:
        context.load_verify_locations(capath=directory)
    if defaults:
        context.set_default_verify_paths()
    if terms.from_client:
        with importing:
            from .client_certificates import prepare_server

        prepare_server(context)
    return context


_kept: dict[object, Any] = memory_of_contexts()


def kept(terms: Terms, ders: Sequence[bytes], directories: Sequence[str] = ()) -> Any:
    """Like `made`, but without `directories`, calls with the same terms and certificates share one context."""
    if directories:
        return made(terms, ders, directories=directories)  # OpenSSL adds certificates from there
    key = terms.key, tuple(ders)
    found = _kept.get(key)
    if found is None:
        found = made(terms, ders)
        remember(_kept, key, found, MOST_KEPT)
    return found
