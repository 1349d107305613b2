"""A shelf in a folder of a web server. It can only be read, and needs only the standard library.

No redirect is followed, because it may lead to hosts that only this machine can reach.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import time
import urllib.error
import urllib.request
from email.message import Message
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit, urlunsplit

from ...inside.fetch import FetchError, done_by
from ...inside.settings import Settings
from .. import https
from ..tunnel import ProxyHandler
from ..words import one_line, reason_of
from .shelf import (
    AbsentError,
    DeniedError,
    Found,
    MisnamedShelfError,
    ShelfError,
    UnfitFileError,
    error_of,
    without_secrets,
)

_SECONDS = 20.0  # for one file, even if the server sends it byte by byte
_SETTLED_AFTER = 60.0  # seconds
_SINCE = "since "  # begins a mark that is a date
_LONGEST_MARK = _LONGEST_REASON = 200
_KINDS = {401: DeniedError, 403: DeniedError, 404: AbsentError, 410: AbsentError}


class WebShelf:
    """A shelf on a web server. The setting `proxy` applies. https is verified with this machine's trust anchors."""

    def __init__(self, url: str, settings: Settings) -> None:
        """Raises ShelfError if the URL is not valid; for https, also RootsError if no trust anchors can be read."""
        self._shown = without_secrets(url).rstrip("/")
        try:
            parts = urlsplit(url)
            if not parts.hostname or parts.port == 0:
                raise ValueError
        except ValueError as error:  # it may show a part of a password
            raise MisnamedShelfError(f"{self._shown} is no URL of a web server's folder") from error
        user, separator, host = parts.netloc.rpartition("@")
        self._url = parts._replace(netloc=host, path=parts.path.rstrip("/"), fragment="")
        self._headers = {"User-Agent": "aia-store"}
        if separator:
            encoded = base64.b64encode(unquote(user).encode()).decode("ascii")
            self._headers["Authorization"] = f"Basic {encoded}"
        self._opener = urllib.request.OpenerDirector()  # without handlers of redirects, files and FTP
        self._proxies = ProxyHandler(settings)
        web: urllib.request.BaseHandler = urllib.request.HTTPHandler()
        if parts.scheme == "https":
            web = urllib.request.HTTPSHandler(context=https.context(settings))
        errors = urllib.request.HTTPErrorProcessor(), urllib.request.HTTPDefaultErrorHandler()
        for handler in (self._proxies, web, *errors):
            self._opener.add_handler(handler)

    def is_read_only(self, folder: str) -> bool:
        return True

    def get(self, name: str, most: int, mark: str = "") -> Found | None:
        deadline = time.monotonic() + _SECONDS
        try:
            found = done_by(deadline, lambda: self._asked(name, most, mark, deadline))
        except FetchError as error:
            raise self._failure(name, str(error)) from error
        if isinstance(found, ShelfError):
            raise found
        return found

    def put(self, name: str, content: bytes) -> None:
        raise ShelfError(f"{self._shown} is a web server, and can only be read")

    def names(self, folder: str, most: int) -> list[str]:
        raise ShelfError(f"{self._shown} is a web server, and cannot be listed")

    def _asked(self, name: str, most: int, mark: str, deadline: float) -> Found | ShelfError | None:
        """What `get` returns; if the request fails, the ShelfError that `get` will raise."""
        url = urlunsplit(self._url._replace(path=f"{self._url.path}/{name}"))
        headers = dict(self._headers)
        if mark.startswith(_SINCE):
            headers["If-Modified-Since"] = mark.removeprefix(_SINCE)
        elif mark:
            headers["If-None-Match"] = mark
        request = urllib.request.Request(url, headers=headers)
        try:
            with self._opener.open(request, timeout=_SECONDS) as response:
                return Found(https.body(response, most, deadline), _mark(response.headers))
        except https.TooLargeError:
            return UnfitFileError(f"{self._shown}/{name} is larger than {most} bytes")
        except urllib.error.HTTPError as error:
            error.close()
            return None if error.code == 304 else self._refusal(name, error)
        except urllib.error.URLError as error:
            proxy = self._proxies.proxy
            through = f", through the proxy {proxy}" if proxy is not None else ""
            return self._failure(name, f"{reason_of(error.reason)}{through}")
        except (FetchError, OSError, ValueError, http.client.HTTPException) as error:
            return self._failure(name, reason_of(error))

    def _refusal(self, name: str, error: urllib.error.HTTPError) -> ShelfError:
        said = f"status {error.code}"
        if error.code // 100 == 3:
            said += f", a redirect to {without_secrets(error.headers.get('Location', 'nowhere'))}, is not followed"
        return self._failure(name, said, _KINDS.get(error.code) or error_of(error.code))

    def _failure(self, name: str, reason: str, kind: type[ShelfError] = ShelfError) -> ShelfError:
        return kind(f"{self._shown}/{name} cannot be read ({one_line(reason)[:_LONGEST_REASON]})")


def _mark(headers: Message) -> str:
    """The ETag; if there is none, the date of the last change, which every web server sends for a file.

    If that date is less than a minute old, the mark is empty: the file may change again within the same second, without
    a new date (RFC 9110, 8.8.2.2).
    """
    tag, changed = str(headers.get("ETag", "")), str(headers.get("Last-Modified", ""))
    if not tag and changed:
        with contextlib.suppress(ValueError, OverflowError):
            if time.time() - parsedate_to_datetime(changed).timestamp() > _SETTLED_AFTER:
                tag = f"{_SINCE}{changed}"
    return tag if len(tag) <= _LONGEST_MARK else ""
