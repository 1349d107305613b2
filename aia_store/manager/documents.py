"""A list or a report, whole: from a file, or over http or https."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .download import UnavailableError

if TYPE_CHECKING:
    from ..inside.settings import Settings
    from .download import Downloader


class DocumentError(Exception):
    """It cannot be had; the message is the reason, in words, and does not name it."""


class MisnamedError(DocumentError):
    """It cannot be meant: no such file, or a URL of another kind."""


def contents(source: str, settings: Settings, downloader: Downloader, most: int) -> bytes:
    """What is in a file or behind an http or https URL, at most so many bytes. Raises DocumentError."""
    scheme, separator, _ = source.partition("://")
    try:
        if separator and scheme == "http":
            return downloader.plain(source, most)
        if separator and scheme == "https":
            from .https import get  # it costs more to import than all the rest here

            return downloader.download(source, lambda deadline: get(source, settings, deadline, most))
    except UnavailableError as error:
        raise DocumentError(f"it cannot be had ({error})") from error
    if separator:
        raise MisnamedError("only files, http and https URLs can be read")
    path = os.path.expanduser(source)
    try:
        if not os.path.isfile(path):
            raise MisnamedError("there is no such file")
        with open(path, "rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise DocumentError(f"it cannot be read ({error.strerror}); correct its permissions") from error
    if len(content) > most:
        raise DocumentError(f"it is larger than {most} bytes")
    return content
