"""Read a list or a report from a file, or from an http or https URL."""

from __future__ import annotations

import os

from ..inside.settings import Settings
from .download import Downloader, UnavailableError
from .safe_reading import first_bytes


class DocumentError(Exception):
    """The document cannot be read. The message is the reason, and does not name the document."""


class MisnamedError(DocumentError):
    """The document cannot exist: there is no such file, or the URL's scheme is not http or https."""


def contents(source: str, settings: Settings, downloader: Downloader, most: int) -> bytes:
    """Return the contents of a file, or of an http or https URL. Raises DocumentError, also if too large."""
    scheme, separator, _ = source.partition("://")
    try:
        if separator and scheme == "http":
            return downloader.plain(source, most)
        if separator and scheme == "https":
            from .https import get  # its import costs more than everything else here

            return downloader.download(source, lambda deadline: get(source, settings, deadline, most))
    except UnavailableError as error:
        raise DocumentError(f"it cannot be fetched ({error})") from error
    if separator:
        raise MisnamedError("only files, http and https URLs can be read")
    path = os.path.expanduser(source)
    try:
        if not os.path.isfile(path):
            raise MisnamedError("there is no such file")
        content = first_bytes(path, most + 1)
    except OSError as error:
        raise DocumentError(f"it cannot be read ({error.strerror}); correct its permissions") from error
    if len(content) > most:
        raise DocumentError(f"it is larger than {most} bytes")
    return content
