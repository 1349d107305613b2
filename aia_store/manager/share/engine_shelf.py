"""A shelf in an object store (S3, GCS, Azure). It needs the package obstore.

Credentials and endpoints come from the usual environment variables, such as AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import contextlib
import random
import re
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, NotModifiedError, PermissionDeniedError, UnauthenticatedError
from obstore.store import from_url

from ...inside.fetch import FetchError, done_by
from ...inside.proxies import exempting
from ...inside.settings import DIRECT, FROM_ENVIRONMENT
from ..words import harmless
from .shelf import AbsentError, DeniedError, Found, ShelfError, UnfitFileError, error_of, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore import GetResult
    from obstore.store import ClientConfig, RetryConfig

_SECONDS, _CONNECT_SECONDS = "20s", "5s"  # for one request
_RETRIED_FOR = timedelta(seconds=20)
_LISTS_FOR = 60.0  # seconds; each request gets a thousand names, and an engine may pretend that there are always more
_LONGEST_REASON = 200
_NO_BUCKET = re.compile("<Code>(NoSuchBucket|ContainerNotFound)</Code>")  # of S3 and GCS, of Azure
_STATUS = re.compile(r"status code: (\d{3})")
_CAUSE = re.compile(r'"([^"\n]*)",?$|([A-Z]\w+),$', re.MULTILINE)  # the innermost reason why a connection failed
_CODE = re.compile(r"<Code>(\w+)</Code>")  # of an error, in a reply of any object store
_EVERY_HOST = "*,0.0.0.0/0,::/0"  # of `proxy_excludes`: all names, all addresses


class EngineShelf:
    """A shelf in an object store."""

    def __init__(self, url: str, proxy: str) -> None:
        """`proxy` is the setting of that name. Raises ShelfError if obstore does not accept the URL or the proxy."""
        self._shown = without_secrets(url).rstrip("/")
        try:
            # http is allowed, because nothing depends on the connection: every file is verified.
            options: ClientConfig = {"allow_http": True, "timeout": _SECONDS, "connect_timeout": _CONNECT_SECONDS}
            retries: RetryConfig = {"max_retries": 1, "retry_timeout": _RETRIED_FOR}
            self._store = from_url(url, client_options={**options, **_through(proxy)}, retry_config=retries)
        except (BaseError, ValueError, OSError) as error:
            raise ShelfError(f"{self._shown} cannot be used: {_reason(error)}") from error

    def is_read_only(self, folder: str) -> bool:
        return False

    def get(self, name: str, most: int, mark: str = "") -> Found | None:
        try:
            with _panics_as_errors():
                result = obstore.get(self._store, name, options={"if_none_match": mark} if mark else None)
                return Found(self._bounded(result, name, most), result.meta["e_tag"] or "")
        except NotModifiedError:
            return None
        except FileNotFoundError as error:
            if _NO_BUCKET.search(str(error)):
                raise self._failure("read", name, error) from error
            raise AbsentError(f"{self._shown}/{name} is not there") from error
        except (BaseError, OSError) as error:
            raise self._failure("read", name, error) from error

    def put(self, name: str, content: bytes) -> None:
        try:
            with _panics_as_errors():
                obstore.put(self._store, name, content, use_multipart=False)
        except (BaseError, OSError) as error:
            raise self._failure("written", name, error) from error

    def names(self, folder: str, most: int) -> list[str]:
        first = self._names(folder, most, None)
        if len(first) < most:
            return first
        found = self._names(folder, most, f"{folder}/{random.getrandbits(256):064x}")
        return found + first[: most - len(found)]

    def _names(self, folder: str, most: int, after: str | None) -> list[str]:
        """At most `most` file names in a folder, sorted by bytes; only those after the path `after`, if it is given."""
        try:
            # Without asyncio: obstore's threads would call back into it, and abort a process that ends meanwhile.
            found = done_by(time.monotonic() + _LISTS_FOR, lambda: self._listed(folder, most, after))
        except FetchError as error:
            raise ShelfError(f"{self._shown}/{folder} cannot be listed ({error})") from error
        if isinstance(found, ShelfError):
            raise found
        return found

    def _listed(self, folder: str, most: int, after: str | None) -> list[str] | ShelfError:
        """What `_names` returns; if the listing fails, the ShelfError that `_names` will raise."""
        found: list[str] = []
        try:
            with _panics_as_errors():
                for page in obstore.list(self._store, folder, offset=after, chunk_size=1_000):
                    found += (entry["path"].rpartition("/")[2] for entry in page)
                    if len(found) >= most:
                        break
        except FileNotFoundError:
            return []
        except (BaseError, OSError) as error:
            return self._failure("listed", folder, error)
        return found[:most]

    def _bounded(self, result: GetResult, name: str, most: int) -> bytes:
        """The content of the file `name`. Raises UnfitFileError if it is larger than `most` bytes."""
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
        status = None if isinstance(error, FileNotFoundError) else _STATUS.search(message)
        return error_of(int(status[1]))(message) if status is not None else ShelfError(message)


@contextlib.contextmanager
def _panics_as_errors() -> Iterator[None]:
    """Turn panics of obstore, which are no Exceptions, into BaseError. One cause is an endpoint without a scheme."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise BaseError(f"obstore failed: {error}; check its endpoint and credentials") from error


def _through(proxy: str) -> ClientConfig:
    """Turn the setting `proxy` into options of obstore's HTTP client. The value `environment` needs no options."""
    if proxy == FROM_ENVIRONMENT:
        return {}
    if proxy == DIRECT:
        return {"proxy_url": "http://localhost", "proxy_excludes": _EVERY_HOST}
    # obstore's list is separated by commas alone, and knows no ports.
    exempt = exempting()[1].replace(",", " ").split()
    return {"proxy_url": proxy, "proxy_excludes": ",".join(_EVERY_HOST if one == "*" else one for one in exempt)}


def _reason(error: Exception) -> str:
    """The reason of an obstore error in one line, without durations, and without secrets in URLs."""
    text = str(error)
    line = (text.splitlines() or [""])[0].partition(": <")[0]
    if code := _CODE.search(text):
        line = f"{line}: {code[1]}"
    elif "HTTP error" in line and (causes := _CAUSE.findall(text)):
        line = f"{line}: {''.join(causes[-1])}"
    line = re.sub(r"^.*? in [\d.]+[nµm]?s\b.*? - ", "", line)
    line = re.sub(r"(?<=://)[^/@\s]*@|\?\S+", "", line)
    return harmless(line)[:_LONGEST_REASON].strip() or type(error).__name__
