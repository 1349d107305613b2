"""The command `aia-store`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and end the process. An error is one line on standard error."""
    _open_what_was_closed()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the shell closed it
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # it lives as long as we do
        getattr(sys, name).reconfigure(errors="replace")  # a terminal without Unicode
    from .errors import INTERRUPTED, report, say, stopped_by_system, what_is_lacking

    try:
        status = _run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        say("stopped")
        status = INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough
        _drop_output()
        status = stopped_by_system(sys.argv[1:])
    except Exception as error:
        lack = what_is_lacking(error)
        if lack is None:
            status = report(error)
        else:
            _drop_output()
            say(f"cannot go on: {lack}")
            status = stopped_by_system(sys.argv[1:])
    sys.exit(status)


def _open_what_was_closed() -> None:
    """Open each standard descriptor that is closed. Otherwise the next file that we open would get its number."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:  # that of standard error
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


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
    """Discard the remaining output; otherwise Python would report the error again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
