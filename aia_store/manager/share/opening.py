"""Opens the shelf and the stream that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...inside.settings import Settings
from .folder_shelf import FolderShelf
from .shelf import ENGINES, MisnamedShelfError, ShareError, Shelf, ShelfError, without_secrets

if TYPE_CHECKING:
    from .stream import Stream

_WEB = ("http", "https")
_KINDS = "file:///…, s3://…, gs://…, az://… or https://…"


def open_shelf(settings: Settings) -> Shelf:
    """The shelf that the setting `share` names. Raises ShelfError; for a web server, also RootsError."""
    shown = without_secrets(settings.share)
    scheme, separator, rest = settings.share.partition("://")
    if separator and scheme == "file" and rest.startswith("/"):
        return FolderShelf(rest)
    if not separator or scheme not in (*_WEB, *ENGINES):
        raise MisnamedShelfError(f"{shown} names no shelf; set `share` to {_KINDS}")
    if settings.offline:
        raise ShelfError(f"{shown} is not used, because AIA_STORE_OFFLINE is set")
    if scheme in _WEB:
        from .web_shelf import WebShelf

        return WebShelf(settings.share, settings)
    try:
        from .engine_shelf import EngineShelf
    except ImportError as error:
        raise ShelfError(f"{shown} needs {error.name}; install `aia-store[fleet]`") from error
    return EngineShelf(settings.share, settings.proxy)


def open_stream(settings: Settings) -> Stream:
    """A connection to the stream that the setting `share_notify` names. Raises ShareError."""
    shown = without_secrets(settings.share_notify)
    if settings.offline:
        raise ShareError(f"{shown} is not used, because AIA_STORE_OFFLINE is set")
    try:
        from .stream import Stream
    except ImportError as error:
        raise ShareError(f"{shown} needs {error.name}; install `aia-store[valkey]`") from error
    return Stream(settings.share_notify)
