"""Fetch one caIssuers URL, under a policy at least as strict as the strictest browser's.

Only plain http to public addresses is allowed, also after a redirect. We connect to the very address that we checked,
so a name cannot resolve differently in between. The size and the time have limits, even if the server sends slowly or
the name takes long to look up. The request reveals neither the program nor the host that the program visits. It has no
cookie or credential.

If a proxy is set, the proxy connects in our place. We do not ask it for an address that is not public, nor for a name
that this machine resolves to such an address. If this machine cannot resolve a name, the proxy decides where the name
leads. The proxy's own address need not be public, because only the environment or the administrator can set a proxy.
"""

from __future__ import annotations

import _socket
import _thread
import errno
import http.client
import io
import ipaddress
import os
import socket  # which http.client imports anyway
import time
import zlib
from urllib.parse import SplitResult, urljoin, urlsplit

from . import environ, importing
from .locks import as_built, new_lock
from .settings import DIRECT, FROM_ENVIRONMENT, PROXY_VARIABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeVar

    from _typeshed import WriteableBuffer

    from .proxies import Proxy

    T = TypeVar("T")

MOST_BYTES = 65_536  # of the body, after decoding
MOST_HEADER_BYTES = 16_384  # of everything before the body
MOST_REDIRECTS = 3
LONGEST_URL = 2_048
_PORTS = (80, 443, 8080)
_REDIRECTS = (301, 302, 303, 307, 308)
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": "aia-store"}
_PROXY_ASKS_FOR_PASSWORD = 407  # RFC 9110, 15.5.8
_LOOKUP_SHARE = 1 / 3  # of the time left, for a name that the proxy can look up if we cannot
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
_GZIP = b"\x1f\x8b\x08"  # RFC 1952, 2.3.1
_SPECIAL = ipaddress.ip_network("192.0.0.0/24")  # RFC 6890; up to Python 3.12, parts of it count as global
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Addresses for documentation (RFC 5737, RFC 3849). They belong to nobody, so only the default route leads there.
_NOBODYS = (_socket.AF_INET, ("192.0.2.1", 80)), (_socket.AF_INET6, ("2001:db8::1", 80))
# If a program lets SIGPIPE end it, as commands for pipes do, a host that hangs up at once would otherwise end it.
_NO_SIGPIPE = getattr(_socket, "MSG_NOSIGNAL", 0)
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
_NO_ANSWER = (None, errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT)  # None: our own time limit

_start_thread: Callable[[Callable[[], None], tuple[()]], int] = as_built(_thread, "start_new_thread")


class FetchError(Exception):
    """A fetch failed. The message says why. The attributes say what is to blame besides the URL."""

    def __init__(
        self,
        reason: str,
        *,
        dead_url: str | None = None,
        is_ours: bool = False,
        proxy: str | None = None,
        is_proxy_dead: bool = False,
    ) -> None:
        super().__init__(reason)
        self.dead_url = dead_url  # the host of this URL could not be found or connected to
        # Not even the URL is to blame: our policy refuses it, or this machine has no network or lacks resources.
        self.is_ours = is_ours
        self.proxy = proxy  # host:port; the fetch went through this proxy, so an error page may be the proxy's own
        self.is_proxy_dead = is_proxy_dead  # the proxy could not be found or connected to, so nothing else is to blame


class RefusedError(FetchError):
    """Our policy refuses this URL."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, is_ours=True)


class _TimedOutError(FetchError):
    pass


class UnansweredError(Exception):
    """No address of a host accepted a connection; `errors` has one error for each address."""

    def __init__(self, errors: list[OSError]) -> None:
        super().__init__(errors)
        self.errors = errors


def get(
    url: str, allowed_networks: list[str], deadline: float, most: int = MOST_BYTES, proxy: str = FROM_ENVIRONMENT
) -> bytes:
    """Fetch a URL and return the body, of at most `most` bytes. `deadline` is a time of `time.monotonic()`.

    `proxy` is as in AIA_STORE_PROXY. Raises FetchError if the fetch fails. Exceptions of signal handlers pass through.
    """
    one = _Fetch(url, allowed_networks, deadline, most, proxy)
    try:
        return done_by(deadline, one.body)
    except _TimedOutError as error:
        raise one.timed_out(str(error)) from error


def proxy_name(url: str, setting: str) -> str | None:
    """The proxy (host:port) for a URL under this AIA_STORE_PROXY setting; None if there is no usable proxy."""
    try:
        parts = urlsplit(url)
        proxy = _proxy_for(parts, parts.port or (443 if parts.scheme == "https" else 80), setting)
    except (ValueError, FetchError):
        return None
    return str(proxy) if proxy is not None else None


def _proxy_for(parts: SplitResult, port: int, setting: str) -> Proxy | None:
    """The proxy for a URL; None for a direct connection. Raises FetchError if the named proxy cannot be used."""
    if setting == FROM_ENVIRONMENT and uses_pysocks():
        reason = "the program uses PySocks for all its connections; name an HTTP proxy in AIA_STORE_PROXY, or `none`"
        raise FetchError(reason, is_ours=True)
    if setting == DIRECT or (setting == FROM_ENVIRONMENT and not any(map(environ.get, PROXY_VARIABLES))):
        return None
    with importing:
        from .proxies import ProxyError, proxy_for
    try:
        return proxy_for(parts.scheme, parts.hostname or "", port, setting)
    except ProxyError as error:
        raise FetchError(str(error), is_ours=True) from None


def uses_pysocks() -> bool:
    """Whether PySocks replaces the program's `socket.socket`, so that all connections go through a SOCKS proxy.

    Programs do this to hide their address. We cannot use a SOCKS proxy, and must not connect without it.
    """
    default = getattr(socket.socket, "default_proxy", None)
    return bool(isinstance(default, tuple) and default and default[0])


def done_by(deadline: float, work: Callable[[], T]) -> T:
    """Call `work` in a thread, and return what it returns. `deadline` is a time of `time.monotonic()`.

    At the deadline, we abandon the thread, because the look-up of a name cannot be stopped. Raises FetchError if `work`
    fails or is late. Exceptions of signal handlers pass through.
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
    """One fetch and its progress. `url` is the present URL: after a redirect, the URL to which it leads."""

    def __init__(self, url: str, allowed_networks: list[str], deadline: float, most: int, proxy: str) -> None:
        self.url = url
        self._is_connected = False  # to the host of `url`, or to the proxy
        # The addresses of the host or proxy; until they are known, those that only a default route leads to.
        self._tried: Sequence[tuple[int, Any]] = _NOBODYS
        self._began = self._turned_to_host = time.monotonic()
        self._allowed_networks = allowed_networks
        self._deadline = deadline
        self._most = most
        self._setting = proxy
        self._proxy: Proxy | None = None  # for `url`

    @property
    def _had_time(self) -> bool:
        """Whether the present host or proxy had at least half of the time. Hosts that redirected used the rest."""
        return self._deadline - self._turned_to_host >= self._turned_to_host - self._began

    def body(self) -> bytes:
        """Follow the redirects, and return the body of the last reply. Raises FetchError if the fetch fails."""
        try:
            return self._followed()
        except FetchError as error:
            if self._proxy is None or error.is_ours or error.proxy is not None:
                raise
            raise self._failure(str(error)) from error

    def _followed(self) -> bytes:
        for hop in range(MOST_REDIRECTS + 1):
            try:
                response = self._response()
                if isinstance(response, bytes):
                    return response
                self.url, self._is_connected, self._tried = urljoin(self.url, response), False, _NOBODYS
                self._turned_to_host = time.monotonic()
            except RefusedError as error:
                if hop == 0:
                    raise
                # The host was reached and redirects to a refused URL, so the URL is to blame.
                raise FetchError(f"a redirect to where nothing is fetched: {error}") from error
            except (http.client.HTTPException, ValueError) as error:
                raise FetchError(f"a reply that cannot be read ({type(error).__name__})") from error
        raise FetchError("too many redirects")

    def timed_out(self, reason: str) -> FetchError:
        """The error for a fetch whose time is over."""
        if self._is_connected or not self._had_time:
            return self._failure(reason)
        return self._unreachable(reason) if self._proxy is None else self._dead(f"the proxy {self._proxy} {reason}")

    def _failure(self, reason: str) -> FetchError:
        """Make the error for a failure that cannot be blamed on an unreachable host or proxy."""
        if self._proxy is None:
            return FetchError(reason)
        return FetchError(f"{reason}, through the proxy {self._proxy}", proxy=str(self._proxy))

    def _unreachable(self, reason: str) -> FetchError:
        """Make the error if the host or proxy cannot be reached. If this machine has no network, the error says so."""
        if has_network(self._tried):
            return self._dead(reason)
        what = "route to it" if has_network() else "network"
        return FetchError(f"{reason}; this machine has no {what}{self._unused_proxies()}", is_ours=True)

    def _dead(self, reason: str) -> FetchError:
        """Make the error that blames the proxy, or if there is none, the host: it cannot be found or connected to."""
        if self._proxy is not None:
            return FetchError(reason, proxy=str(self._proxy), is_proxy_dead=True)
        return FetchError(reason + self._unused_proxies(), dead_url=self.url)

    def _unused_proxies(self) -> str:
        """Text for the error of a direct connection: which proxies are set but were not used, and why. May be empty."""
        is_set = self._setting not in (FROM_ENVIRONMENT, DIRECT)
        if self._proxy is not None or not (is_set or any(map(os.environ.get, PROXY_VARIABLES))):
            return ""
        with importing:
            from .proxies import unused
        parts = checked_url(self.url)
        why = unused(parts.scheme, parts.hostname or "", parts.port or 80, self._setting)
        return f"; {why}" if why else ""

    def _response(self) -> bytes | str:
        """Request `url`; return the body (bytes), or if the reply is a redirect, its Location (str)."""
        parts = checked_url(self.url)
        host, port = parts.hostname or "", parts.port or 80
        self._proxy = _proxy_for(parts, port, self._setting)
        if self._proxy is None:
            connection = self._connection(host, self._allowed_addresses(host, port))
        else:
            self._check_for_proxy(host, port)
            connection = self._connection(f"the proxy {self._proxy}", _addresses(self._proxy.host, self._proxy.port))
        wire = Wire(connection, self._deadline, self._most)
        self._is_connected = True
        try:
            return _get(parts, wire, self._most, self._proxy)
        except OSError as error:
            reason = f"{host} does not answer ({error.strerror or error})"
            raise FetchError(reason, is_ours=error.errno in NO_ROUTE and not has_network(self._tried)) from error
        finally:
            wire.hang_up()

    def _allowed_addresses(self, host: str, port: int) -> list[tuple[int, Any]]:
        """The host's addresses to which we may connect. Raises RefusedError if it has only other addresses."""
        found = _addresses(host, port)
        allowed = [one for one in found if is_allowed(str(one[1][0]), self._allowed_networks)]
        if found and not allowed:
            raise _no_public_address(host)
        return allowed

    def _check_for_proxy(self, host: str, port: int) -> None:
        """Raise RefusedError if any address of the host is not allowed: the proxy may choose any of them."""
        if not _is_name(host):
            found = [host]
        else:
            share = (self._deadline - time.monotonic()) * _LOOKUP_SHARE
            try:
                answers = done_by(time.monotonic() + share, lambda: _addresses(host, port))
            except _TimedOutError:
                answers = []
            found = [str(address[0]) for _, address in answers]
        if not all(is_allowed(address, self._allowed_networks) for address in found):
            raise _no_public_address(host)

    def _connection(self, whom: str, addresses: list[tuple[int, Any]]) -> _socket.socket:
        """Connect to the first of these addresses that answers. Raises FetchError, whose message names `whom`."""
        if not addresses:
            raise self._unreachable(f"{whom} has no address")
        self._tried = addresses
        try:
            return connected(addresses, self._deadline)
        except UnansweredError as failure:
            errors = failure.errors
            reason = f"{whom} cannot be reached ({errors[-1].strerror or errors[-1]})"
            if any(error.errno in _NO_ANSWER for error in errors):
                is_late = not self._had_time and any(error.errno is None for error in errors)
                raise (self._failure(reason) if is_late else self._dead(reason)) from failure
            if any(error.errno in NO_ROUTE for error in errors):
                raise self._unreachable(reason) from failure
            raise FetchError(reason, is_ours=True) from failure


def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    """The (family, address) pairs of a host; an empty list if the host's name cannot be resolved."""
    try:
        # In bytes, because for a str, even in ASCII, Python would import the codec for international names.
        answers = _socket.getaddrinfo(host.encode("ascii"), port, 0, _socket.SOCK_STREAM)
    except OSError:
        return []
    return [(found[0], found[4]) for found in answers]


def _no_public_address(host: str) -> RefusedError:
    return RefusedError(f"{host} has no public address; AIA_STORE_ALLOWED_NETWORKS can allow others")


def _is_name(host: str) -> bool:
    """Whether `host` (in lower case), for which we want to ask a proxy, is a name and not an IP address.

    A host is an address if its last label is a number (WHATWG URL, "ends in a number"). Raises RefusedError if a proxy
    may read it differently: to some programs 010.8.8.8 is 8.8.8.8, to others 10.8.8.8. So inet_pton(3) must accept the
    address. (Before Python 3.9.5, `ipaddress` accepts other forms: CVE-2021-29921.) `localhost` is refused, because it
    means the proxy's own machine (RFC 6761, 6.3).
    """
    last = host.rstrip(".").rpartition(".")[2]
    if ":" in host or last.isdigit() or last.startswith("0x"):
        try:
            _socket.inet_pton(_socket.AF_INET6 if ":" in host else _socket.AF_INET, host)
        except OSError as error:
            raise RefusedError(f"{host} is an address in an unusual form") from error
        return False
    if not last or last == "localhost" or not _HOST_CHARACTERS.issuperset(host):
        raise RefusedError(f"a proxy is not asked for the host {host}")
    return True


def connected(addresses: Sequence[tuple[int, Any]], deadline: float) -> _socket.socket:
    """Connect to the first (family, address) that answers, by the deadline. Raises UnansweredError if none does."""
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


def has_network(addresses: Sequence[tuple[int, Any]] = _NOBODYS) -> bool:
    """Whether there is a route to any of these (family, address) pairs. Without an argument: to the internet."""
    for family, address in addresses:
        try:
            probe = _socket.socket(family, _socket.SOCK_DGRAM)
        except OSError:
            continue
        try:
            probe.connect(address)  # sends nothing, by UDP
            return True
        except OSError:
            continue
        finally:
            probe.close()
    return False


def checked_url(url: str) -> SplitResult:
    """Split a URL into its parts. Raises RefusedError if the text of the URL shows that it must not be fetched."""
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
    """Whether `checked_url` accepts this URL. The addresses of its host are not looked up."""
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


def _get(parts: SplitResult, wire: Wire, most: int, proxy: Proxy | None) -> bytes | str:
    wire.sendall(_request(parts, proxy))
    with http.client.HTTPResponse(wire, method="GET") as response:  # type: ignore[arg-type]  # it only uses makefile
        response.begin()
        if response.status in _REDIRECTS:
            return str(response.headers.get("Location", ""))
        if response.status == _PROXY_ASKS_FOR_PASSWORD and proxy is not None:
            raise FetchError("a password is asked for (status 407)")
        if response.status not in (200, 203):  # 203: changed by a proxy, which may have unpacked it (RFC 9110, 15.3.4)
            raise FetchError(f"status {response.status}")
        return _body(response, most)


def _request(parts: SplitResult, proxy: Proxy | None) -> bytes:
    """The HTTP request for a URL. For a proxy, the request names the whole URL (absolute form; RFC 9112, 3.2.2).

    We do not use HTTPConnection, because programs may have changed it: to print or record requests, or to add headers
    that say where requests come from.
    """
    host, port = parts.hostname or "", parts.port or 80
    place = (f"[{host}]" if ":" in host else host) + ("" if port == 80 else f":{port}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Host": place, **_HEADERS}
    if proxy is not None:
        target = f"http://{place}{target}"
        if proxy.authorization is not None:
            headers["Proxy-Authorization"] = proxy.authorization
    return request_head(f"GET {target} HTTP/1.1", headers)


def request_head(line: str, headers: Mapping[str, str]) -> bytes:
    """The bytes of an HTTP request that has no body: `line`, the request line, and the headers (RFC 9112, 2.1)."""
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode("ascii")


def _body(response: http.client.HTTPResponse, most: int) -> bytes:
    body = response.read(most + 1)
    if response.length:  # less came than Content-Length said, or Content-Length is more than we accept
        raise FetchError("a reply that is too large" if len(body) > most else "a reply that is cut short")
    if len(body) <= most:
        body = _unpacked(body, response.headers.get("Content-Encoding", "").lower(), most)
    if not 0 < len(body) <= most:
        raise FetchError("a reply that is too large" if body else "an empty reply")
    return body


def _unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """Undo the content coding of a body. Raises FetchError if that is impossible.

    Some hosts send a wrong Content-Encoding (`encoding`). So the first bytes of the body alone show gzip. For zlib, the
    header must agree.
    """
    is_gzip = body.startswith(_GZIP)
    is_zlib = encoding == "deflate" and body[:1] == b"\x78" and int.from_bytes(body[:2], "big") % 31 == 0  # RFC 1950
    if not (is_gzip or is_zlib):
        return body
    unpacker = zlib.decompressobj(32 + zlib.MAX_WBITS)  # 32: zlib recognizes both formats by itself
    try:
        body = unpacker.decompress(body, most + 1)
    except zlib.error as error:
        raise FetchError("a reply that is not in its own encoding") from error
    if len(body) <= most and not unpacker.eof:
        raise FetchError("a reply that is cut short")
    if body.startswith(_GZIP):
        raise FetchError("a reply in more than one encoding")
    return body


class Wire(io.RawIOBase):
    """The part of a socket that HTTPResponse uses, with a deadline and a limit on what is read.

    It uses `_socket`, which gevent and eventlet do not replace. Their sockets switch to other greenlets, which must not
    happen within OpenSSL's callback.
    """

    def __init__(self, connected: _socket.socket, deadline: float, most: int) -> None:
        self._socket = connected
        self._deadline = deadline
        self._left = most + MOST_HEADER_BYTES

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(_remaining(self._deadline))
        self._socket.sendall(data, _NO_SIGPIPE)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def hang_up(self) -> None:
        self._socket.close()

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
    """The seconds until the deadline (on the monotonic clock). Raises TimeoutError if it has passed."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("timed out")
    return remaining
