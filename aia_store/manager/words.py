"""Text for messages: plurals, dates, errors, and text that is harmless for a terminal."""

from __future__ import annotations

import time


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 root", "2 roots"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def day(seconds: float) -> str:
    """The date (UTC) of a time that is given in seconds since 1970."""
    return shown_time(seconds, "%Y-%m-%d")


def shown_time(seconds: float, form: str) -> str:
    """A time (seconds since 1970) as text in UTC, in a format of strftime(3)."""
    try:
        return time.strftime(form, time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "a time beyond the calendar"


def reason_of(error: object) -> str:
    """An error in words. For an error from the system, the number is left out."""
    return str(getattr(error, "strerror", None) or error)


def harmless(text: str) -> str:
    """Text from outside, in which characters that control a terminal are replaced."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def shortened(text: str, most: int) -> str:
    """The text as `harmless` returns it, cut after `most` characters."""
    return harmless(text if len(text) <= most else f"{text[:most]}…")


def one_line(text: str) -> str:
    """Any text as one line, in which characters that control a terminal are replaced."""
    return harmless(" ".join(text.split()))
