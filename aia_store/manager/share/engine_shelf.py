"""A shelf in an object store (S3, GCS, Azure) or on a web server, which is only read. It needs obstore.

Credentials and endpoints come from the engine's ordinary environment, such as AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, NotModifiedError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from ...inside.proxies import exempting
from ...inside.settings import DIRECT, FROM_ENVIRONMENT
from .shelf import AbsentError, DeniedError, Found, ShelfError, UnfitFileError, without_secrets

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult
    from obstore.store import ClientConfig

_SECONDS, _CONNECT_SECONDS = "20s", "5s"  # for one request
_RETRIED_FOR = timedelta(seconds=20)
_LONGEST_REASON = 200
_EVERY_HOST = "*,0.0.0.0/0,::/0"  # of `proxy_excludes`: all names, all addresses
_SETTLED_AFTER = timedelta(minutes=1)
_SINCE = "since "  # begins a mark that is a date


class EngineShelf:
    """A place in an object store, or a web server's folder."""

    def __init__(self, url: str, proxy: str) -> None:
        """`proxy` is the setting of that name. Raises ShelfError."""
        self.is_read_only = url.startswith("http")
        self._shown = without_secrets(url).rstrip("/")
        try:
            # http is allowed, because nothing depends on the connection: every file is verified.
            self._store = from_url(
                url,
                client_options={
                    "allow_http": True,
                    "timeout": _SECONDS,
                    "connect_timeout": _CONNECT_SECONDS,
                    **_through(proxy),
                },
                retry_config={"max_retries": 1, "retry_timeout": _RETRIED_FOR},
            )
        except (BaseError, ValueError, OSError) as error:
            raise ShelfError(f"{self._shown} cannot be used: {_reason(error)}") from error

    def get(self, name: str, most: int, mark: str = "") -> Found | None:
        try:
            result = obstore.get(self._store, name, options=_unless(mark))
            return Found(self._bounded(result, name, most), _mark(result))
        except NotModifiedError:
            return None
        except FileNotFoundError as error:
            raise AbsentError(f"{self._shown}/{name} is not there") from error
        except (BaseError, OSError) as error:
            raise self._failure("read", name, error) from error

    def put(self, name: str, content: bytes) -> None:
        if self.is_read_only:
            raise ShelfError(f"{self._shown} is a web server, and can only be read")
        try:
            obstore.put(self._store, name, content, use_multipart=False)
        except (BaseError, OSError) as error:
            raise self._failure("written", name, error) from error

    def names(self, folder: str, most: int, after: str = "") -> list[str]:
        found: list[str] = []
        offset = f"{folder}/{after}" if after else None
        try:
            for page in obstore.list(self._store, folder, offset=offset, chunk_size=1_000):
                found += (entry["path"].rpartition("/")[2] for entry in page)
                if len(found) >= most:
                    break
        except FileNotFoundError:
            return []
        except (BaseError, OSError) as error:
            raise self._failure("listed", folder, error) from error
        return found[:most]

    def _bounded(self, result: GetResult, name: str, most: int) -> bytes:
        """The content, read only as far as allowed. Raises ShelfError if there is more."""
        content = b""
        if result.meta["size"] <= most:
            for piece in result.stream(min_chunk_size=1):
                content += bytes(piece)
                if len(content) > most:
                    break
            else:
                return content
        raise UnfitFileError(f"{self._shown}/{name} is larger than {most} bytes")

    def _failure(self, verb: str, name: str, error: Exception) -> ShelfError:
        message = f"{self._shown}/{name} cannot be {verb} ({_reason(error)})"
        if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
            return DeniedError(f"{message}; check its credentials and rights")
        return ShelfError(message)


def _through(proxy: str) -> ClientConfig:
    """The options of a client for the setting `proxy`; by default, it uses what the environment says."""
    if proxy == FROM_ENVIRONMENT:
        return {}
    if proxy == DIRECT:
        return {"proxy_url": "http://localhost", "proxy_excludes": _EVERY_HOST}
    # The engine separates by commas alone, and knows no ports.
    exempt = exempting()[1].replace(",", " ").split()
    return {"proxy_url": proxy, "proxy_excludes": ",".join(_EVERY_HOST if one == "*" else one for one in exempt)}


def _unless(mark: str) -> GetOptions | None:
    if mark.startswith(_SINCE):
        return {"if_modified_since": datetime.fromisoformat(mark.removeprefix(_SINCE))}
    return {"if_none_match": mark} if mark else None


def _mark(result: GetResult) -> str:
    """The ETag, else the date of the last change, which every web server sends for a file; else nothing.

    A date has no fractions of a second, so it tells two contents apart only once it is past (RFC 9110, 8.8.2.2).
    """
    tag, changed = result.meta["e_tag"], result.meta["last_modified"]
    if tag is not None or datetime.now(timezone.utc) - changed < _SETTLED_AFTER:
        return tag or ""
    return f"{_SINCE}{changed.isoformat()}"


def _reason(error: Exception) -> str:
    """What obstore says, in one line, without what differs each time, and without secrets that a URL may hold."""
    line = (str(error).splitlines() or [""])[0]
    line = re.sub(r"^.*? in [\d.]+[nµm]?s\b.*? - ", "", line)
    line = re.sub(r"(?<=://)[^/@\s]*@|\?\S+", "", line)
    return line[:_LONGEST_REASON].strip() or type(error).__name__
