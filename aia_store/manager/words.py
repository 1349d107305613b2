"""How things are said: counted, and without what would steer a terminal or break a line."""

from __future__ import annotations

import time


def counted(count: int, noun: str) -> str:
    """How many of something: "1 root", "2 roots"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def day(seconds: float) -> str:
    """A time (seconds since 1970) as a date (UTC)."""
    return shown_time(seconds, "%Y-%m-%d")


def shown_time(seconds: float, form: str) -> str:
    """A time (seconds since 1970) in a form of strftime(3), in UTC."""
    try:
        return time.strftime(form, time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "beyond the calendar"


def harmless(text: str) -> str:
    """Text that came from a certificate, a server or a file's name, without what would steer a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def one_line(text: str) -> str:
    """Text from anywhere as one harmless line."""
    return harmless(" ".join(text.split()))
