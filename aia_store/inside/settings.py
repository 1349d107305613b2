"""The settings, the folders of the user and of the site (the whole machine), and the debug log.

A setting comes from an environment variable, else from the user's config.toml, else from the site's. Programs load this
module with their first context, so it imports only what they already have.
"""

from __future__ import annotations

import os
import sys
from errno import EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ESTALE

from . import believes_environment, environ, importing, unless_interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NAME = "aia-store"
FILE = "config.toml"
_PREFIX = "AIA_STORE_"
_PATHS = ("dir", "roots", "extra_roots")
FROM_ENVIRONMENT, DIRECT = "environment", "none"  # values of `proxy`
PROXY_VARIABLES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_MOST = 36_500  # days or hours
_MOST_SECONDS = 10.0  # for the fetches of a handshake
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
#: The errors for a file that does not exist. Then those for a user's file that is out of reach, because of
#: ProtectHome=yes, or a HOME that was kept when privileges were dropped, or a stale NFS mount.
_ABSENT = (ENOENT, ENOTDIR, ENAMETOOLONG)
_OUT_OF_REACH = (*_ABSENT, EACCES, ELOOP, ESTALE)
_MISSING = tuple((error,) for error in _ABSENT)  # the identities of a file that does not exist


class ConfigError(Exception):
    """A setting cannot be used. The message is one line that names the setting and says what to do."""


class Settings:
    """The settings. Each attribute is a key in config.toml and, in capitals, an AIA_STORE_ variable."""

    def __init__(self) -> None:
        self.dir: str | None = None  # the store's folder
        self.roots: str | None = None  # a PEM file of trust anchors to use as the machine's
        self.extra_roots: str | None = None  # trust anchors to add to the machine's: a PEM file or a folder of them
        self.allowed_networks: list[str] = []  # networks (CIDR) that a fetch may reach besides public addresses
        self.proxy = FROM_ENVIRONMENT  # the proxy for fetches: the one in the environment, none, or a URL
        self.offline = False  # fetch nothing
        self.disable = False  # the hook does nothing
        self.async_budget = 2.0  # seconds that the fetches of a handshake may take under a running event loop
        self.trust_on_demand = True  # from a large CA file, the hook loads only what a chain names
        self.explain = True  # the error of a refused chain carries a note that explains it
        self.unused_days = 90  # an intermediate that no program has used for so long is dropped
        self.refresh_hours = 24  # hours between two refreshes of the daemon
        self.revocation_lists: list[str] = []  # files or URLs: OneCRL (JSON), the CCADB's revoked report (CSV)
        self.share = ""  # the URL of the shelf, the place where machines share intermediates
        self.share_publish = False  # this machine publishes what other machines hand in
        self.share_private = False  # intermediates that lead only to roots of this machine are shared, too
        self.share_notify = ""  # the URL of the stream that carries what is new
        self.log = ""  # "debug": the hook says on standard error what it does

    def set(self, key: str, value: object, source: str) -> None:
        """Set a value from TOML or from a variable's text. Raises ConfigError, which names `source`, if it is wrong."""
        current = getattr(self, key)
        if isinstance(current, bool):
            setattr(self, key, _boolean(value, source))
        elif isinstance(current, int):
            setattr(self, key, _count(value, source))
        elif isinstance(current, float):
            setattr(self, key, _seconds(value, source))
        elif isinstance(current, list):
            read = _networks if key == "allowed_networks" else _texts
            setattr(self, key, read(value, source))
        elif not isinstance(value, str):
            # The value is not shown, because it may be a URL with a password.
            raise ConfigError(f"{source} must be a text in quotes")
        elif key in _PATHS:
            path = os.path.expanduser(value) if believes_environment else value
            # A variable's path may be relative to the working folder. If a ~ is left, this user has no home.
            if value and not os.path.isabs(path) and (path.startswith("~") or not source.startswith(_PREFIX)):
                raise ConfigError(f"{source} must be an absolute path, not {value!r}")
            setattr(self, key, os.path.abspath(path) if value else None)
        elif key == "proxy":
            self.proxy = _proxy(value, source)
        else:
            setattr(self, key, value)


KEYS = tuple(vars(Settings()))
_VARIABLES = {_PREFIX + key.upper(): key for key in KEYS}

_read_last: Any = None  # the variables and the state of the files that were read last
_latest = Settings()  # the settings from them
_ignored: list[str] = []


def files() -> list[str]:
    """The paths of all configuration files, existing or not. A later file overrides an earlier one."""
    return [path for path, _ in _files()]


def _files() -> list[tuple[str, tuple[int, ...]]]:
    """The path of each configuration file, and the error numbers (errno) that mean that it does not exist."""
    folders = (site_config(), _ABSENT), (user_config(), _OUT_OF_REACH)
    return [(os.path.join(folder, FILE), errors) for folder, errors in folders if folder]


def load(environ: Mapping[str, str] = environ) -> Settings:
    """The current settings. Files are read again only if they changed. Raises ConfigError if a setting is unusable."""
    global _read_last, _latest, _ignored
    ignored: list[str] = []
    found = [(path, _identity(path), errors) for path, errors in _files()]
    # A file found missing is not read, because another user may have made it since.
    sources = [one for one in found if one[1] not in _MISSING and _is_safe(one[0], ignored)]
    # Another thread may delete a variable meanwhile, so none is looked up twice.
    variables = {name: value for name in _VARIABLES if (value := environ.get(name)) is not None}
    state = variables, sources
    if state != _read_last:
        settings = Settings()
        for path, _, errors in sources:
            _read_file(settings, path, errors)
        for name, value in variables.items():
            settings.set(_VARIABLES[name], value, name)
        _read_last, _latest = state, settings
    settings = Settings()
    vars(settings).update(vars(_latest))
    if settings.roots is not None and not _is_safe(settings.roots, ignored):
        settings.roots = None
    _ignored = ignored
    return settings


def is_on(key: str) -> bool:
    """Whether a setting is on: by its environment variable, else by what the last `load` read. Never raises."""
    value = environ.get(_PREFIX + key.upper(), getattr(_latest, key))
    return value if isinstance(value, bool) else value.lower() not in _NO


def ignored() -> list[str]:
    """What the last `load` ignored, and why, as one line each."""
    return _ignored


def serves_others() -> bool:
    """Whether other users trust what this process writes, because its user is root or owns the site's store."""
    site = site_cache()
    if site is None or not hasattr(os, "geteuid"):
        return False
    user = os.geteuid()
    try:
        return user == 0 or os.stat(site).st_uid == user
    except unless_interrupted(OSError):
        return False


def _is_safe(path: str, ignored: list[str]) -> bool:
    """Whether a file may decide what is trusted. If we serve other users, they must not be able to change the file."""
    if not serves_others():
        return True
    with importing:
        from .ownership import changed_by_others

    weak = changed_by_others(path)
    if weak is not None:
        ignored.append(f"{path} is ignored, because users other than root can change {weak}")
    return weak is None


def _identity(path: str) -> tuple[int, ...]:
    """A value that changes whenever the file or its permissions change, or another file replaces it."""
    try:
        status = os.stat(path)
    except unless_interrupted(OSError) as error:
        return (error.errno or 0,)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read_file(settings: Settings, path: str, absent: tuple[int, ...]) -> None:
    try:
        with open(path, "rb") as file:
            contents = file.read()
    except unless_interrupted(OSError) as error:
        if error.errno in absent:
            return
        raise ConfigError(f"{path} cannot be read ({error.strerror}); correct its permissions or remove it") from error
    with importing:
        from .toml import parse

    try:
        table = parse(contents.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    for key, value in table.items():
        if key not in KEYS:
            raise ConfigError(f"{path} has an unknown key {key!r}; known are {', '.join(KEYS)}")
        settings.set(key, value, f"{key} in {path}")


def _boolean(value: object, source: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _YES + _NO:
        return value.lower() in _YES
    raise ConfigError(f"{source} must be true or false, not {value!r}")


def _count(value: object, source: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MOST:
        raise ConfigError(f"{source} must be a whole number from 1 to {_MOST}, not {value!r}")
    return value


def _seconds(value: object, source: str) -> float:
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        seconds = -1.0
    if not 0 <= seconds <= _MOST_SECONDS:
        raise ConfigError(f"{source} must be seconds, from 0 to {_MOST_SECONDS:g}, not {value!r}")
    return seconds


def _proxy(value: str, source: str) -> str:
    known = value.lower() or FROM_ENVIRONMENT
    if known in (FROM_ENVIRONMENT, DIRECT):
        return known
    if "://" in value:
        return value
    # The value may be a password, so it is not shown.
    raise ConfigError(f"{source} must be {FROM_ENVIRONMENT}, {DIRECT} or a URL such as http://proxy.example:3128")


def _texts(value: object, source: str, of: str = "files or URLs") -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ConfigError(f"{source} must be a list of {of}, not {value!r}")
    return [part.strip() for part in parts if part.strip()]


def _networks(value: object, source: str) -> list[str]:
    networks = _texts(value, source, "networks such as 10.0.0.0/8")
    for network in networks:
        if not _is_plain_network(network):
            with importing:
                import ipaddress

            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ConfigError(f"{source} has no network in {network!r}: {error}") from error
    return networks


def _is_plain_network(text: str) -> bool:
    """Whether a text is a network: address/length. The check does not import ipaddress, which would take 2 ms."""
    from _socket import AF_INET, AF_INET6, inet_pton

    address, _, length = text.partition("/")
    if not (length.isascii() and length.isdigit() and len(length) <= 3):
        return False
    try:
        packed = inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except unless_interrupted(OSError, ValueError):
        return False
    host_bits = 8 * len(packed) - int(length)
    return host_bits >= 0 and int.from_bytes(packed, "big") % (1 << host_bits) == 0


# These folders are the same as in platformdirs, as a test verifies. Each is None if this user has no home, or if the
# environment cannot be believed.


def user_cache() -> str | None:
    """The path of the user's store."""
    if sys.platform == "win32":
        return _windows("LOCALAPPDATA", "Cache")
    mac = sys.platform == "darwin"
    return _first_of("XDG_CACHE_HOME") or _home(*(("Library", "Caches") if mac else (".cache",)))


def site_cache() -> str | None:
    """The path of the site's store, which is for the whole machine."""
    if sys.platform == "win32":
        return _windows("PROGRAMDATA", "Cache")
    return os.path.join("/Library/Caches" if sys.platform == "darwin" else "/var/cache", NAME)


def user_config() -> str | None:
    """The folder of the user's config.toml."""
    if sys.platform == "win32":
        return _windows("LOCALAPPDATA")
    mac = sys.platform == "darwin"
    return _first_of("XDG_CONFIG_HOME") or _home(*(("Library", "Application Support") if mac else (".config",)))


def site_config() -> str | None:
    """The folder of the machine's config.toml."""
    if sys.platform == "win32":
        return _windows("PROGRAMDATA")
    default = "/Library/Application Support" if sys.platform == "darwin" else "/etc/xdg"
    return _first_of("XDG_CONFIG_DIRS") or os.path.join(default, NAME)


def _first_of(variable: str) -> str | None:
    """Our folder in the first absolute path of an XDG variable. The specification says to ignore relative paths."""
    value = environ.get(variable, "")
    paths = value.split(os.pathsep) if variable.endswith("_DIRS") else [value]
    return next((os.path.join(path, NAME) for path in paths if os.path.isabs(path)), None)


def _home(*parts: str) -> str | None:
    if not believes_environment or environ.get("HOME", "/") == "":
        return None
    home = os.path.expanduser("~")
    return os.path.join(home, *parts, NAME) if os.path.isabs(home) else None


def _windows(variable: str, *parts: str) -> str | None:
    base = environ.get(variable, "")
    return os.path.join(base, NAME, *parts) if base else None


# The log: one line per event, on standard error, if AIA_STORE_LOG or `log` says "debug".


def debug(event: str) -> None:
    """Log what the hook did, if the settings ask for it. Never raises: a program may have closed its standard error."""
    if environ.get("AIA_STORE_LOG", _latest.log).lower() == "debug":
        try:
            sys.stderr.write(f"aia-store: {escaped(event)}\n")
        except unless_interrupted(AttributeError, OSError, ValueError):
            pass


def escaped(text: str) -> str:
    """Return the text as one line. Characters that control a terminal or break a line are escaped as Python does."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
