"""Fetch one caIssuers URL, under a policy as strict as the strictest browser's, or stricter.

Plain http only, at first and after every redirect; public addresses only, each checked before it is connected to, so
that a name cannot be resolved differently in between; bounded in bytes and in time, whatever the server drips. The
request says nothing of the program or of the host that it visits, and no proxy, cookie or credential is used.
"""

from __future__ import annotations

import _socket
import http.client
import io
import ipaddress
import time
import zlib
from urllib.parse import SplitResult, urljoin, urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MOST_BYTES = 65_536  # of the body, after decoding
MOST_HEADER_BYTES = 16_384  # and of all that is not the body
MOST_REDIRECTS = 3
LONGEST_URL = 2_048
SECONDS = 5.0
_PORTS = (80, 443, 8080)
_REDIRECTS = (301, 302, 303, 307, 308)
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": "aia-store"}
_SPECIAL = ipaddress.ip_network("192.0.0.0/24")  # RFC 6890; parts of it pass for global up to Python 3.12
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class FetchError(Exception):
    """A fetch that failed; the message says why. `dead_url`: the host of this URL could not be reached."""

    def __init__(self, reason: str, *, dead_url: str | None = None) -> None:
        super().__init__(reason)
        self.dead_url = dead_url


def fetch(url: str, allowed_networks: list[str], deadline: float, most: int = MOST_BYTES) -> bytes:
    """The body behind a URL, of at most so many bytes. `deadline` is on the monotonic clock. Raises FetchError."""
    for _ in range(MOST_REDIRECTS + 1):
        try:
            response = _get(checked_url(url), allowed_networks, deadline, most)
            if isinstance(response, bytes):
                return response
            url = urljoin(url, response.location)
        except _UnreachableError as error:
            raise FetchError(str(error), dead_url=url) from error
        except (http.client.HTTPException, ValueError) as error:
            raise FetchError(f"a reply that cannot be read ({type(error).__name__})") from error
    raise FetchError("too many redirects")


class _UnreachableError(Exception):
    """The host has no address, does not answer, or hangs up; the message says which."""


class _Redirect:
    def __init__(self, location: str) -> None:
        self.location = location


def checked_url(url: str) -> SplitResult:
    """The parts of a URL that may be fetched. Raises FetchError for every other."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise FetchError("a URL that is too long, or has characters that belong in none")
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError as error:
        raise FetchError("a URL that cannot be read") from error
    if parts.scheme != "http":
        raise FetchError("only plain http is fetched")
    if not parts.hostname or "@" in parts.netloc or "%" in parts.netloc:
        raise FetchError("a URL without a plain host")
    if port not in _PORTS and port < 1024:
        raise FetchError(f"port {port} is not allowed")
    return parts


def is_fetchable(url: str) -> bool:
    """Whether the policy allows a URL, as far as its text tells."""
    try:
        checked_url(url)
    except FetchError:
        return False
    return True


def is_allowed(address: str, allowed_networks: list[str]) -> bool:
    """Whether this IP address is public, or in one of the networks (CIDR) that the user allowed."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return is_allowed(str(inner), allowed_networks)
    networks = (ipaddress.ip_network(network) for network in allowed_networks)
    if any(ip in network for network in networks if network.version == ip.version):
        return True
    unusual = ip in _SPECIAL or ip.is_multicast or ip.is_reserved or getattr(ip, "is_site_local", False)
    return ip.is_global and not unusual


def _get(parts: SplitResult, allowed_networks: list[str], deadline: float, most: int) -> bytes | _Redirect:
    host = parts.hostname or ""
    connection = http.client.HTTPConnection(host, parts.port or 80)
    wire = _Wire(_connected(host, parts.port or 80, allowed_networks, deadline), deadline, most)
    try:
        connection.sock = wire  # http.client asks only for sendall, makefile and close
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers=_HEADERS)
        with connection.getresponse() as response:
            if response.status in _REDIRECTS:
                return _Redirect(response.headers.get("Location", ""))
            if response.status != 200:
                raise FetchError(f"status {response.status}")
            return _body(response, most)
    except OSError as error:
        raise _UnreachableError(f"{host} does not answer ({error.strerror or error})") from error
    finally:
        wire.hang_up()


def _body(response: http.client.HTTPResponse, most: int) -> bytes:
    body = response.read(most + 1)
    if response.length:  # what Content-Length promised and did not come, or more than we take
        raise FetchError("a reply that is too large" if len(body) > most else "a reply that is cut short")
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding in ("gzip", "deflate"):
        try:
            # 32: zlib tells gzip from zlib by itself.
            unpacker = zlib.decompressobj(32 + zlib.MAX_WBITS)
            body = unpacker.decompress(body, most + 1)
        except zlib.error as error:
            raise FetchError("a reply that is not in its own encoding") from error
        if len(body) <= most and not unpacker.eof:
            raise FetchError("a reply that is cut short")
    elif encoding != "identity":
        raise FetchError("a reply in an unknown encoding")
    if not 0 < len(body) <= most:
        raise FetchError("a reply that is too large" if body else "an empty reply")
    return body


class _Wire:
    """As much of a socket as http.client uses, with a deadline and a bound on what is read.

    Made of `_socket`, beneath what gevent and eventlet replace: within OpenSSL's callback nothing may switch away.
    """

    def __init__(self, connected: _socket.socket, deadline: float, most: int) -> None:
        self._socket = connected
        self._deadline = deadline
        self._most = most

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(_remaining(self._deadline))
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._socket, self._deadline, self._most))

    def close(self) -> None:
        """Nothing yet: http.client closes its socket before it reads the reply."""

    def hang_up(self) -> None:
        self._socket.close()


class _Reader(io.RawIOBase):
    def __init__(self, connected: _socket.socket, deadline: float, most: int) -> None:
        self._socket = connected
        self._deadline = deadline
        self._left = most + MOST_HEADER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._socket.settimeout(_remaining(self._deadline))
        count = self._socket.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise FetchError("a reply that is too large")
        return count


def _connected(host: str, port: int, allowed_networks: list[str], deadline: float) -> _socket.socket:
    """Connect to the first of the host's addresses that is allowed and answers."""
    try:
        answers = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _UnreachableError(f"{host} has no address") from error
    addresses = [(found[0], found[4]) for found in answers if is_allowed(str(found[4][0]), allowed_networks)]
    if not addresses:
        raise FetchError(f"{host} has no public address; AIA_STORE_ALLOWED_NETWORKS can allow others")
    reason, tried = "no answer", False
    for left, (family, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            connected = _socket.socket(family, _socket.SOCK_STREAM)
        except OSError as error:  # of this machine's making: no more descriptors, no IPv6
            reason = error.strerror or str(error)
            continue
        try:
            connected.settimeout(_remaining(deadline) / left)
            connected.connect(address)
            return connected
        except OSError as error:
            connected.close()
            reason, tried = error.strerror or str(error), True
    if tried:
        raise _UnreachableError(f"{host} cannot be reached ({reason})")
    raise FetchError(f"{host} was not tried ({reason})")


def _remaining(deadline: float) -> float:
    """The seconds left; raises TimeoutError when there are none."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("timed out")
    return remaining
