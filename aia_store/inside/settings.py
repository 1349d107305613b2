"""The settings: environment variables, and before them the keys of the site's and the user's config.toml."""

from __future__ import annotations

import os

from . import folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "config.toml"
_PREFIX = "AIA_STORE_"
_PATHS = ("dir", "roots")
_MOST = 36_500  # days or hours
_MOST_SECONDS = 10.0  # that a handshake may fetch
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


class ConfigError(Exception):
    """A setting that cannot be used; the message is one line that names it and the remedy."""


class Settings:
    """What the user has set; each attribute is a key of config.toml and, in capitals, an AIA_STORE_ variable."""

    def __init__(self) -> None:
        self.dir: str | None = None  # the store's folder
        self.roots: str | None = None  # a PEM file of trust anchors to use as the machine's
        self.allowed_networks: list[str] = []  # networks (CIDR) that a fetch may reach besides public addresses
        self.offline = False  # fetch nothing
        self.disable = False  # the hook does nothing
        self.async_budget = 2.0  # seconds that the fetches of a handshake may take under a running event loop
        self.trust_on_demand = True  # of a large CA file, the hook loads what a chain names
        self.unused_days = 90  # an intermediate that nobody used for so long is dropped
        self.refresh_hours = 24  # between two refreshes of the daemon
        self.revocation_lists: list[str] = []  # files or URLs: OneCRL as JSON, the CCADB's revoked report as CSV
        self.log = ""  # "debug": the hook says on standard error what it does

    def set(self, key: str, value: object, source: str) -> None:
        """Take one value, as TOML has it or as the text of a variable. Raises ConfigError."""
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
            raise ConfigError(f"{source} must be a text, not {value!r}; put it in quotes")
        elif key in _PATHS:
            path = os.path.expanduser(value)
            if value and not os.path.isabs(path) and not source.startswith(_PREFIX):
                raise ConfigError(f"{source} must be an absolute path, not {value!r}")
            setattr(self, key, os.path.abspath(path) if value else None)
        else:
            setattr(self, key, value)


KEYS = tuple(vars(Settings()))


def files() -> list[str]:
    """The configuration files that could be read, the weakest first."""
    return [os.path.join(folder, FILE) for folder in (folders.site_config(), folders.user_config()) if folder]


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings as they stand now. Raises ConfigError."""
    settings = Settings()
    for path in files():
        _read_file(settings, path)
    for key in KEYS:
        variable = _PREFIX + key.upper()
        if variable in environ:
            settings.set(key, environ[variable], variable)
    return settings


def _read_file(settings: Settings, path: str) -> None:
    try:
        with open(path, "rb") as file:
            text = file.read()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); mend its permissions or remove it") from error
    import tomllib

    try:
        table = tomllib.loads(text.decode("utf-8"))
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


def _texts(value: object, source: str, of: str = "files or URLs") -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise ConfigError(f"{source} must be a list of {of}, not {value!r}")
    return [part.strip() for part in parts if part.strip()]


def _networks(value: object, source: str) -> list[str]:
    import ipaddress

    networks = _texts(value, source, "networks such as 10.0.0.0/8")
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ConfigError(f"{source} has no network in {network!r}: {error}") from error
    return networks
