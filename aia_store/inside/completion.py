"""What the attachments of today ask: which intermediates are to be added to a program's context.

Goes with them, once connections are verified in contexts of ours.
"""

from __future__ import annotations

from . import PARTIAL_CHAIN
from . import settings as config
from .log import debug
from .rehearsal import CRL_CHECKS
from .search import needs, path_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .certificate import Certificate
    from .chain import Chain
    from .search import Path

POLICY_CHECKS = 0x80 | 0x100 | 0x200 | 0x400  # X509_V_FLAG_POLICY_CHECK, EXPLICIT_POLICY, INHIBIT_ANY, INHIBIT_MAP


def missing(chain: Chain, *, must_be_safe: bool) -> tuple[list[Certificate], bool] | None:
    """What to add to the context, so that OpenSSL completes this chain by itself; None where nothing helps.

    Returns the intermediates, none if nothing is missing after all, and whether each is known to be safe even as a
    trust anchor of its own, which it must be in a context with partial chains, or where the caller says so. What was
    found is kept in the store.
    """
    settings = config.load()
    if settings.disable:
        return None
    path = path_for(chain, settings)
    if path is None:
        debug("no path to a trust anchor was found")
        return None
    needed = needs(chain, path)
    # Without partial chains nothing that is added can become an anchor, so nobody needs to know.
    safe = bool(must_be_safe or chain.trusted.flags & PARTIAL_CHAIN) and _are_safe(needed, path, chain.trusted.flags)
    if (must_be_safe or chain.trusted.partial_chains) and not safe:
        debug("an intermediate that would be a trust anchor of its own here is not added")
        return None
    debug(f"completing the chain with {len(needed)} of {len(path.intermediates)} intermediates")
    return needed, safe


def _are_safe(needed: list[Certificate], path: Path, flags: int) -> bool:
    from .constraints import carries_all, is_outlived_by

    return not flags & (CRL_CHECKS | POLICY_CHECKS) and all(
        carries_all(certificate, path.above(certificate)) and is_outlived_by(certificate, path.above(certificate))
        for certificate in needed
    )
