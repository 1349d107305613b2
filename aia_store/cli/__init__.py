"""The command `aia-store`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ends the process."""
    if sys.argv[1:] == ["bundle"]:
        # Shells run this at their start, so it is spared the import of click.
        from .quick import print_bundle

        sys.exit(print_bundle())
    from .commands import run

    run()
