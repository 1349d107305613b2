"""The command `aia-store`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and end the process. An error is one line on standard error."""
    if sys.stdout is None:  # the shell closed it
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # it lives as long as we do
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without Unicode
    from .errors import INTERRUPTED, NO, report, say

    try:
        status = _run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        say("stopped")
        status = INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough
        _drop_output()
        status = NO
    except OSError as error:
        _drop_output()
        say(f"cannot go on: {error.strerror or error}")
        status = NO
    except Exception as error:
        status = report(error)
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    from .owner import become_owner, say_what_is_ignored

    say_what_is_ignored()
    become_owner(arguments)
    if arguments in (["bundle"], ["bundle", "--folder"]):
        # Shells run this at their start, so do not import click for it.
        from ..manager.published import FILE, FOLDER
        from .quick import print_bundle

        return print_bundle(FOLDER if arguments[1:] else FILE)
    from .commands import run

    return run()


def _drop_output() -> None:
    """Close the output, or Python complains about it again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
