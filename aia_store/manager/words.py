"""Words for messages: plurals, errors, and text that is harmless for a terminal."""

from __future__ import annotations

import time


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 root", "2 roots"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def day(seconds: float) -> str:
    """A time (seconds since 1970) as a date (UTC)."""
    return shown_time(seconds, "%Y-%m-%d")


def shown_time(seconds: float, form: str) -> str:
    """A time (seconds since 1970) in a form of strftime(3), in UTC."""
    try:
        return time.strftime(form, time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "a time beyond the calendar"


def reason_of(error: object) -> str:
    """What went wrong: an error in words, without its number if it comes from the system."""
    return str(getattr(error, "strerror", None) or error)


def harmless(text: str) -> str:
    """Text from a certificate, a server or a file's name, without characters that control a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def shortened(text: str, most: int) -> str:
    """Like `harmless`, cut after `most` characters."""
    return harmless(text if len(text) <= most else f"{text[:most]}…")


def one_line(text: str) -> str:
    """Any text as one line that is harmless for a terminal."""
    return harmless(" ".join(text.split()))
