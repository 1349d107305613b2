"""Turns errors into one clear line on standard error and an exit status."""

from __future__ import annotations

import sys

from ..inside import settings as config
from ..manager.words import one_line, reason_of

NO, WRONG_USE = 1, 2
_NO_THREAD = "can't start new thread"  # the RuntimeError of `threading`
INTERRUPTED = 130  # 128, and the number of SIGINT, as in a shell


class WrongUseError(Exception):
    """The command was used wrongly. The message is one line that says how, and what is right."""


class OutputError(Exception):
    """A file cannot be written. The message is one line that says why."""


def report(error: Exception) -> int:
    """Print an error of ours; returns the exit status. Any other exception is raised again.

    The status is 2 if the command was used wrongly or a file cannot be written, otherwise 1.
    """
    if type(error).__module__.split(".")[0] != "aia_store":
        raise error
    say(str(error))
    return WRONG_USE if isinstance(error, (config.ConfigError, WrongUseError, OutputError)) else NO


def what_is_lacking(error: Exception) -> str | None:
    """Why the system does not let the command go on: a full disk, no more threads; None for any other error."""
    if isinstance(error, OSError):
        return reason_of(error)
    if isinstance(error, MemoryError):
        return "there is no more memory"
    return _NO_THREAD if isinstance(error, RuntimeError) and str(error) == _NO_THREAD else None


def stopped_by_system(arguments: list[str]) -> int:
    """The exit status of a command that cannot go on. For `check` it is 2, because 1 would say that a host is wrong."""
    return WRONG_USE if arguments[:1] == ["check"] else NO


def say(message: str) -> None:
    """Print one line on standard error."""
    sys.stderr.write(f"aia-store: {one_line(message)}\n")
