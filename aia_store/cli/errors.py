"""Turns errors into one clear line on standard error and an exit status."""

from __future__ import annotations

import sys

from ..inside import settings as config
from ..manager.words import one_line

NO, WRONG_USE = 1, 2
INTERRUPTED = 130  # 128, and the number of SIGINT, as in a shell


class WrongUseError(Exception):
    """The command was used wrongly. The message is one line that says how, and what is right."""


def report(error: Exception) -> int:
    """Print an error of ours; returns the exit status: 2 for wrong use, otherwise 1. Raises any other exception."""
    if type(error).__module__.split(".")[0] != "aia_store":
        raise error
    say(str(error))
    return WRONG_USE if isinstance(error, (config.ConfigError, WrongUseError)) else NO


def say(message: str) -> None:
    """Print one line on standard error."""
    sys.stderr.write(f"aia-store: {one_line(message)}\n")
