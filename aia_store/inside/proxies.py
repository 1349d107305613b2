"""Which proxy a connection goes through: the one that the setting `proxy` names, or else the environment.

The environment variables are those that curl and urllib read. These programs differ, so each rule names its source.
"""

from __future__ import annotations

import binascii
import ipaddress
import os
from urllib.parse import unquote, unquote_to_bytes

from . import believes_environment, environ
from .settings import DIRECT, FROM_ENVIRONMENT, PROXY_VARIABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_SETTING = "AIA_STORE_PROXY"
DEFAULT_PORT = 80  # the default port of http, as in urllib; curl takes 1080


class ProxyError(OSError):
    """The named proxy cannot be used. The message says which variable or setting names it, but not the proxy's URL."""


class Proxy:
    """An HTTP proxy. `str` returns its host:port, without the credentials."""

    def __init__(self, host: str, port: int, authorization: str | None, source: str) -> None:
        self.host = host
        self.port = port
        self.authorization = authorization  # the value of Proxy-Authorization, which only the proxy may see
        self.source = source  # the variable that names it

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def proxy_for(scheme: str, host: str, port: int, setting: str, environ: Mapping[str, str] = environ) -> Proxy | None:
    """The proxy for an http or https connection to this host; None if the connection is to be direct.

    `setting` is "environment", "none" or a proxy's URL. `no_proxy` always applies, as in curl. Raises ProxyError if the
    proxy that is named cannot be used.
    """
    source, url = _named(scheme, setting, environ)
    if not url or is_exempt(host, port, exempting(environ)[1]):
        return None
    return _parsed(url, source)


def unused(scheme: str, host: str, port: int, setting: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Say which proxies are named but not used for this host ("": any), and why; None if one is used or none named."""
    is_set = setting not in (FROM_ENVIRONMENT, DIRECT)
    present = [_SETTING] if is_set else [name for name in PROXY_VARIABLES if environ.get(name)]
    if not present:
        return None
    source, url = _named(scheme, setting, environ)
    if setting == DIRECT:
        why = f"{_SETTING} is none"
    elif not believes_environment:
        why = "this program has more rights than the user who started it"
    elif url:
        variable, no_proxy = exempting(environ)
        if not is_exempt(host, port, no_proxy):
            return None
        present, why = [source], f"{variable} exempts {host or 'every host'}"
    elif source:
        why = f"{source} is empty"
    elif "HTTP_PROXY" in present and "REQUEST_METHOD" in environ:
        why = "in CGI it comes from a request"
    else:
        why = f"it is not for {scheme}"
    return f"{', '.join(present)} is not used, as {why}"


def exempting(environ: Mapping[str, str] = environ) -> tuple[str, str]:
    """The variable that lists the hosts without a proxy, and its value; both empty if no such variable is set."""
    return _first(("no_proxy", "NO_PROXY"), environ)


def _named(scheme: str, setting: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The variable or setting that names the proxy for a scheme, and the proxy's URL; each empty if there is none."""
    if setting != FROM_ENVIRONMENT:
        return _SETTING, "" if setting == DIRECT else setting
    names = [f"{scheme}_proxy", f"{scheme}_proxy".upper()]
    if scheme == "http" and "REQUEST_METHOD" in environ:
        # In CGI, HTTP_PROXY is the client's header `Proxy:` (CVE-2016-5385). Windows does not tell the two names apart.
        names = [] if os.name == "nt" else names[:1]
    # urllib knows no ALL_PROXY, but curl and requests do.
    return _first((*names, "all_proxy", "ALL_PROXY"), environ)


def _first(names: tuple[str, ...], environ: Mapping[str, str]) -> tuple[str, str]:
    """The first of these variables that is set, even to an empty value, and its value; both empty if none is set."""
    # Another thread may delete a variable meanwhile, so none is looked up twice.
    values = ((name, environ.get(name)) for name in names)
    return next(((name, value.strip()) for name, value in values if value is not None), ("", ""))


def _parsed(url: str, source: str) -> Proxy:
    """Parse [http://][user:password@]host[:port], or raise ProxyError. The password may contain any character."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "http", url
    if scheme.lower().startswith("socks"):
        raise ProxyError(f"{source} names a SOCKS proxy; name an HTTP proxy in AIA_STORE_PROXY, or `none`")
    if scheme.lower() != "http":
        raise ProxyError(
            f"{source} names a proxy that is not reached by plain http; name another in AIA_STORE_PROXY, or `none`"
        )
    credentials, _, place = rest.rpartition("@")
    for end in "/?#":
        place = place.partition(end)[0]
    host, port = _split(place)
    host = unquote(host)  # in a URL, the % before an IPv6 zone is %25
    number = DEFAULT_PORT if port is None else int(port[:6]) if port.isascii() and port.isdigit() else 0
    if not host or not host.isascii() or not host.isprintable() or " " in host or not 0 < number < 65_536:
        raise ProxyError(f"{source} names no proxy; write http://HOST:PORT")
    return Proxy(host, number, _authorization(credentials), source)


def _authorization(credentials: str) -> str | None:
    """The value of Proxy-Authorization (RFC 7617), or None. Percent-escapes are decoded, as in curl and urllib."""
    if not credentials:
        return None
    pair = credentials if ":" in credentials else f"{credentials}:"
    raw = unquote_to_bytes(pair.encode("utf-8", "surrogateescape"))
    return f"Basic {binascii.b2a_base64(raw, newline=False).decode('ascii')}"


def is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Whether the value of `no_proxy` exempts this host from the proxy.

    curl, urllib and Go have different rules. If one of them exempts the host, so do we. This is the safer mistake: a
    direct connection is under our own policy, but a proxy would learn the name of an internal host. In parentheses are
    the programs that have the rule. Entries are separated by commas (all) or spaces (curl). Each entry is

    - `*`: every host (all);
    - a name: itself and all names below it (curl, urllib); leading dots and `*.` change nothing (curl; Go);
    - an address, in any spelling that `ipaddress` reads; an IPv6 address may be in brackets (curl);
    - a network, such as 10.0.0.0/8: all its addresses; names are not looked up for this (curl 7.86, Go);
    - a name or address with a port: that port only (urllib, Go).
    """
    name = host.lower().rstrip(".")
    return any(_exempts(entry.lower(), name, port) for entry in no_proxy.replace(",", " ").split())


def _exempts(entry: str, host: str, port: int) -> bool:
    address = _address(host)
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    named, only_port = _split(entry)
    if only_port is not None and only_port != str(port):
        return False
    if address is not None:
        return named == "*" or _address(named) == address
    suffix = named.lstrip("*").strip(".")
    return host == suffix or host.endswith(f".{suffix}") if suffix else named == "*"


def _split(place: str) -> tuple[str, str | None]:
    """The host and port in HOST, HOST:PORT, IPV6, [IPV6] or [IPV6]:PORT; None for no port."""
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        return host, port[1:] or None
    if place.count(":") == 1:
        host, _, port = place.partition(":")
        return host, port or None
    return place, None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
