"""How many intermediates each user has recently brought into the machine's store, so that no user can fill it.

Each intermediate may enter the bundle, and then costs half a millisecond in each program that loads the bundle. Only
the store's owner may read the file with the numbers.
"""

from __future__ import annotations

import json
import os
import time

from ..inside.store import SHARES, Folder, read_regular_file

MOST = 128  # in one period; a machine needs a few dozen in all
PERIOD = 30 * 86_400  # seconds
_LARGEST_FILE = 4 << 20


class Shares:
    """How many intermediates each user has brought in during the current period. They are counted in a file."""

    def __init__(self, site: Folder) -> None:
        self._site = site
        self._now = time.time()
        self._taken = self._read()

    def take(self, user: int) -> bool:
        """Count one more intermediate for this user id. Returns False if the user has reached the limit."""
        since, count = self._taken.get(str(user), (self._now, 0))
        self._taken[str(user)] = since, min(count + 1, MOST)
        return count < MOST

    def save(self) -> None:
        """Write the counts to the file, if they have changed. Raises OSError."""
        if self._taken != self._read():
            self._site.write(json.dumps(self._taken).encode(), SHARES, mode=0o600)

    def _read(self) -> dict[str, tuple[float, int]]:
        try:
            noted = json.loads(read_regular_file(os.path.join(self._site.path, SHARES), _LARGEST_FILE))
            shares = {str(user): (float(since), int(count)) for user, (since, count) in noted.items()}
        except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return {}
        return {user: share for user, share in shares.items() if 0 <= self._now - share[0] < PERIOD}
