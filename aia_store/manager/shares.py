"""How many intermediates each user brought into the site's store lately: whoever could fill it would slow all others.

Every one in the store may end in the bundle, and costs each program that loads it half a millisecond. Kept in a file
that only the store's owner reads, by user id.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from ..inside.store import SHARES, read_regular_file

if TYPE_CHECKING:
    from ..inside.store import Folder

MOST = 128  # in one period; a machine needs some dozens in its life
PERIOD = 30 * 86_400  # seconds
_LARGEST_FILE = 4 << 20


class Shares:
    """The shares as they stand now; what is taken is written by `save`."""

    def __init__(self, site: Folder) -> None:
        self._site = site
        self._now = time.time()
        self._taken = self._read()

    def take(self, user: int) -> bool:
        """One more for this user; False if he had his share in this period."""
        since, count = self._taken.get(str(user), (self._now, 0))
        self._taken[str(user)] = since, min(count + 1, MOST)
        return count < MOST

    def save(self) -> None:
        """Raises OSError."""
        if self._taken != self._read():
            self._site.write(json.dumps(self._taken).encode(), SHARES, mode=0o600)

    def _read(self) -> dict[str, tuple[float, int]]:
        try:
            noted = json.loads(read_regular_file(os.path.join(self._site.path, SHARES), _LARGEST_FILE))
            shares = {str(user): (float(since), int(count)) for user, (since, count) in noted.items()}
        except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return {}
        return {user: share for user, share in shares.items() if 0 <= self._now - share[0] < PERIOD}
