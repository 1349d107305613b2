"""Fetch one caIssuers URL, under a policy at least as strict as the strictest browser's.

Only plain http is allowed, also after a redirect, and only to public addresses. We check each address and then connect
to that very address, so a name cannot resolve differently in between. The size and the time have limits, even if the
server sends slowly or the name takes long to look up. The request reveals neither the program nor the host that it
visits, and uses no proxy, cookie or credential.
"""

from __future__ import annotations

import _socket
import _thread
import errno
import http.client
import io
import ipaddress
import time
import zlib
from urllib.parse import SplitResult, urljoin, urlsplit

from .locks import as_built, new_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from _typeshed import WriteableBuffer

    T = TypeVar("T")

MOST_BYTES = 65_536  # of the body, after decoding
MOST_HEADER_BYTES = 16_384  # of everything before the body
MOST_REDIRECTS = 3
LONGEST_URL = 2_048
_PORTS = (80, 443, 8080)
_REDIRECTS = (301, 302, 303, 307, 308)
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": "aia-store"}
_GZIP = b"\x1f\x8b\x08"  # RFC 1952, 2.3.1
_SPECIAL = ipaddress.ip_network("192.0.0.0/24")  # RFC 6890; up to Python 3.12, parts of it count as global
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# From RFC 5737 and RFC 3849. They belong to nobody, so only the default route leads there.
_NOBODYS = (_socket.AF_INET, ("192.0.2.1", 80)), (_socket.AF_INET6, ("2001:db8::1", 80))
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
_NO_ANSWER = (None, errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT)  # None: our own time limit

_start_thread: Callable[[Callable[[], None], tuple[()]], int] = as_built(_thread, "start_new_thread")


class FetchError(Exception):
    """A fetch that failed. The message says why; the attributes say what is to blame besides the URL.

    `dead_url`: the host of this URL could not be found or connected to. `is_ours`: not even the URL is to blame: our
    policy refuses it, or this machine has no network or lacks resources.
    """

    def __init__(self, reason: str, *, dead_url: str | None = None, is_ours: bool = False) -> None:
        super().__init__(reason)
        self.dead_url = dead_url
        self.is_ours = is_ours


class RefusedError(FetchError):
    """Our policy refuses this URL."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, is_ours=True)


class _TimedOutError(FetchError):
    pass


class UnansweredError(Exception):
    """None of a host's addresses could be connected to; `errors` says why, one for each."""

    def __init__(self, errors: list[OSError]) -> None:
        super().__init__(errors)
        self.errors = errors


def get(url: str, allowed_networks: list[str], deadline: float, most: int = MOST_BYTES) -> bytes:
    """Return the body behind a URL, of at most `most` bytes. `deadline` is on the monotonic clock.

    Raises FetchError, and nothing else except what a signal handler raises meanwhile.
    """
    one = _Fetch(url, allowed_networks, deadline, most)
    try:
        return done_by(deadline, one.body)
    except _TimedOutError as error:
        if one.is_connected or not one.host_had_time:
            raise
        raise _unreachable(one.url, str(error)) from error


def done_by(deadline: float, work: Callable[[], T]) -> T:
    """Return what the work returns, if it ends by the deadline (on the monotonic clock).

    The work runs in a thread, since looking up a name may exceed any time limit; then the thread is abandoned. Raises
    FetchError, and nothing else except what a signal handler raises meanwhile.
    """
    outcome: list[T] = []
    failure: list[FetchError] = []
    done = new_lock()
    done.acquire()

    def run() -> None:
        try:
            outcome.append(work())
        except FetchError as error:
            failure.append(error)
        except Exception as error:
            is_ours = isinstance(error, (ImportError, MemoryError))
            failure.append(FetchError(f"it cannot be fetched ({type(error).__name__})", is_ours=is_ours))
        finally:
            done.release()

    try:
        _start_thread(run, ())
    except RuntimeError as error:
        raise FetchError("no thread can be started to fetch it", is_ours=True) from error
    done.acquire(timeout=max(0.0, deadline - time.monotonic()))
    if outcome:
        return outcome[0]
    raise failure[0] if failure else _TimedOutError("timed out")


class _Fetch:
    """One fetch and its progress: `url` is that of the current redirect."""

    def __init__(self, url: str, allowed_networks: list[str], deadline: float, most: int) -> None:
        self.url = url
        self.is_connected = False  # to the host of that URL
        self._began = self._turned_to_host = time.monotonic()
        self._allowed_networks = allowed_networks
        self._deadline = deadline
        self._most = most

    @property
    def host_had_time(self) -> bool:
        """Whether the present host had at least half of the time: one that redirects to it may have used up more."""
        return self._deadline - self._turned_to_host >= self._turned_to_host - self._began

    def body(self) -> bytes:
        """Return the body, after any redirects. Raises FetchError."""
        for hop in range(MOST_REDIRECTS + 1):
            try:
                response = self._response()
                if isinstance(response, bytes):
                    return response
                self.url, self.is_connected = urljoin(self.url, response.location), False
                self._turned_to_host = time.monotonic()
            except RefusedError as error:
                if hop == 0:
                    raise
                # The host was reached and redirects to a refused URL, so the URL is to blame.
                raise FetchError(f"a redirect to where nothing is fetched: {error}") from error
            except (http.client.HTTPException, ValueError) as error:
                raise FetchError(f"a reply that cannot be read ({type(error).__name__})") from error
        raise FetchError("too many redirects")

    def _response(self) -> bytes | _Redirect:
        parts = checked_url(self.url)
        host, port = parts.hostname or "", parts.port or 80
        wire = _Wire(self._connection(host, port), self._deadline, self._most)
        self.is_connected = True
        try:
            return _get(parts, wire, self._most)
        except OSError as error:
            reason = f"{host} does not answer ({error.strerror or error})"
            raise FetchError(reason, is_ours=error.errno in _NO_ROUTE and not has_network()) from error
        finally:
            wire.hang_up()

    def _connection(self, host: str, port: int) -> _socket.socket:
        """Connect to the first of the host's addresses that is allowed and answers."""
        try:
            # As bytes: for a str, even in ASCII, Python would import the codec for international names.
            answers = _socket.getaddrinfo(host.encode("ascii"), port, 0, _socket.SOCK_STREAM)
        except OSError as error:
            raise _unreachable(self.url, f"{host} has no address") from error
        addresses = [(found[0], found[4]) for found in answers if is_allowed(str(found[4][0]), self._allowed_networks)]
        if not addresses:
            raise RefusedError(f"{host} has no public address; AIA_STORE_ALLOWED_NETWORKS can allow others")
        try:
            return connected(addresses, self._deadline)
        except UnansweredError as failure:
            errors = failure.errors
            reason = f"{host} cannot be reached ({errors[-1].strerror or errors[-1]})"
            if any(error.errno in _NO_ANSWER for error in errors):
                is_dead = self.host_had_time or all(error.errno is not None for error in errors)
                raise FetchError(reason, dead_url=self.url if is_dead else None) from failure
            if any(error.errno in _NO_ROUTE for error in errors):
                raise _unreachable(self.url, reason) from failure
            raise FetchError(reason, is_ours=True) from failure


def connected(addresses: Sequence[tuple[int, Any]], deadline: float) -> _socket.socket:
    """Connect to the first of these (family, address) that answers; all share the time until the deadline.

    Raises UnansweredError.
    """
    errors: list[OSError] = []
    for at, (family, address) in enumerate(addresses):
        try:
            connection = _socket.socket(family, _socket.SOCK_STREAM)
        except OSError as error:  # this machine's fault: no more descriptors, no IPv6
            errors.append(error)
            continue
        try:
            connection.settimeout(_remaining(deadline) / (len(addresses) - at))
            connection.connect(address)
            return connection
        except OSError as error:
            connection.close()
            errors.append(error)
    raise UnansweredError(errors)


def _unreachable(url: str, reason: str) -> FetchError:
    """The error for a host that could not be found or connected to, or for a machine without a network."""
    if has_network():
        return FetchError(reason, dead_url=url)
    return FetchError(f"{reason}; this machine has no network", is_ours=True)


def has_network() -> bool:
    """Whether this machine has a default route. Connecting a UDP socket sends nothing."""
    for family, address in _NOBODYS:
        try:
            probe = _socket.socket(family, _socket.SOCK_DGRAM)
        except OSError:
            continue
        try:
            probe.connect(address)
            return True
        except OSError:
            continue
        finally:
            probe.close()
    return False


class _Redirect:
    def __init__(self, location: str) -> None:
        self.location = location


def checked_url(url: str) -> SplitResult:
    """Return the parts of a URL that may be fetched. Raises RefusedError for any other URL."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise RefusedError("a URL that is too long, or has characters that belong in none")
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError as error:
        raise RefusedError("a URL that cannot be read") from error
    if parts.scheme != "http":
        raise RefusedError("only plain http is fetched")
    # Brackets are for IPv6 addresses; older Pythons accept any name in them.
    is_bracketed = "[" in parts.netloc
    if not parts.hostname or "@" in parts.netloc or "%" in parts.netloc or is_bracketed is not (":" in parts.hostname):
        raise RefusedError("a URL without a plain host")
    if port not in _PORTS and port < 1024:
        raise RefusedError(f"port {port} is not allowed")
    return parts


def is_fetchable(url: str) -> bool:
    """Whether the policy allows a URL, judging by its text alone."""
    try:
        checked_url(url)
    except RefusedError:
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


def _get(parts: SplitResult, wire: _Wire, most: int) -> bytes | _Redirect:
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80)
    connection.sock = wire  # http.client only uses sendall, makefile and close
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", target, headers=_HEADERS)
    with connection.getresponse() as response:
        if response.status in _REDIRECTS:
            return _Redirect(response.headers.get("Location", ""))
        if response.status not in (200, 203):  # 203: changed by a proxy, which may have unpacked it (RFC 9110, 15.3.4)
            raise FetchError(f"status {response.status}")
        return _body(response, most)


def _body(response: http.client.HTTPResponse, most: int) -> bytes:
    body = response.read(most + 1)
    if response.length:  # less came than Content-Length said, or it says more than we take
        raise FetchError("a reply that is too large" if len(body) > most else "a reply that is cut short")
    if len(body) <= most:
        body = _unpacked(body, response.headers.get("Content-Encoding", "").lower(), most)
    if not 0 < len(body) <= most:
        raise FetchError("a reply that is too large" if body else "an empty reply")
    return body


def _unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """Undo the content coding of a body, which its first bytes tell: real hosts name wrong ones. Raises FetchError."""
    is_gzip = body.startswith(_GZIP)
    is_zlib = encoding == "deflate" and body[:1] == b"\x78" and int.from_bytes(body[:2], "big") % 31 == 0  # RFC 1950
    if not (is_gzip or is_zlib):
        return body
    unpacker = zlib.decompressobj(32 + zlib.MAX_WBITS)  # 32: zlib tells gzip from zlib by itself
    try:
        body = unpacker.decompress(body, most + 1)
    except zlib.error as error:
        raise FetchError("a reply that is not in its own encoding") from error
    if len(body) <= most and not unpacker.eof:
        raise FetchError("a reply that is cut short")
    if body.startswith(_GZIP):
        raise FetchError("a reply in more than one encoding")
    return body


class _Wire:
    """The part of a socket that http.client uses, with a deadline and a limit on what is read.

    It uses `_socket`, which gevent and eventlet do not replace: no greenlet may switch within OpenSSL's callback.
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
        """Do nothing yet: http.client closes its socket before it reads the reply."""

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


def _remaining(deadline: float) -> float:
    """The seconds left. Raises TimeoutError if there are none."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("timed out")
    return remaining
