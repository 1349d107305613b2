"""Words for messages: plurals, and text that is harmless for a terminal."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 root", "2 roots"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def harmless(text: str) -> str:
    """Text from a certificate, a server or a file's name, without characters that control a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def one_line(text: str) -> str:
    """Any text as one line that is harmless for a terminal."""
    return harmless(" ".join(text.split()))
