"""The folders are those of platformdirs, found without it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest
from platformdirs import macos, unix, windows
from platformdirs.api import PlatformDirsABC

from aia_store.inside import settings as folders
from tests.conftest import whole_package

pytestmark = whole_package  # its platformdirs: the last for Python 3.9 knows other folders

OURS = {
    "user_cache_dir": folders.user_cache,
    "site_cache_dir": folders.site_cache,
    "user_config_dir": folders.user_config,
    "site_config_dir": folders.site_config,
}
HOME = "/home/someone"

each = pytest.mark.parametrize(("theirs", "ours"), OURS.items(), ids=OURS)
not_on_windows = pytest.mark.skipif(os.name != "posix", reason="POSIX paths")


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("XDG_", "WIN_PD_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", HOME)


def theirs_of(kind: type[PlatformDirsABC], name: str) -> str:
    return str(getattr(kind(appname="aia-store", appauthor=False), name))


def on(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)


XDG = [
    {},
    {"XDG_CACHE_HOME": "/c", "XDG_CONFIG_HOME": "/d e"},
    {"XDG_CACHE_HOME": "/c/", "XDG_CONFIG_HOME": "/d//"},
    {"XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "XDG_CONFIG_DIRS": ""},
    {"XDG_CACHE_HOME": "relative", "XDG_CONFIG_HOME": "./relative", "XDG_CONFIG_DIRS": "relative"},
    {"XDG_CACHE_HOME": "~/c", "XDG_CONFIG_HOME": "~", "XDG_CONFIG_DIRS": "~/d"},
    {"XDG_CACHE_HOME": " ", "XDG_CONFIG_HOME": " ", "XDG_CONFIG_DIRS": " "},
    {"XDG_CONFIG_DIRS": "/first:/second"},
    {"XDG_CONFIG_DIRS": ":/second"},
    {"XDG_CONFIG_DIRS": "relative:/second"},
    {"XDG_CONFIG_DIRS": "/first/:"},
]


@not_on_windows
@each
@pytest.mark.parametrize("variables", XDG, ids=str)
def test_on_linux(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], theirs: str, ours: Callable[[], str | None]
) -> None:
    on("linux", monkeypatch)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ours() == theirs_of(unix.Unix, theirs)


@not_on_windows
@each
@pytest.mark.parametrize("variables", XDG, ids=str)
def test_on_macos(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], theirs: str, ours: Callable[[], str | None]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    expected = theirs_of(macos.MacOS, theirs)  # before the platform changes: what it imports looks there too
    on("darwin", monkeypatch)
    assert ours() == expected


@each
def test_on_windows(monkeypatch: pytest.MonkeyPatch, theirs: str, ours: Callable[[], str | None]) -> None:
    """The values that Windows gives every program; asked of the shell or of the environment, they are the same."""
    for name, value in {
        "LOCALAPPDATA": r"C:\Users\someone\AppData\Local",
        "APPDATA": r"C:\Users\someone\AppData\Roaming",
        "PROGRAMDATA": r"C:\ProgramData",
        "ALLUSERSPROFILE": r"C:\ProgramData",
    }.items():
        monkeypatch.setenv(name, value)
    from_variables = getattr(windows, "get_win_folder_from_env_vars", None)
    if from_variables is None:
        pytest.skip("this platformdirs has no way to name Windows' folders elsewhere")
    monkeypatch.setattr(windows, "get_win_folder", from_variables)
    expected = theirs_of(windows.Windows, theirs)
    on("win32", monkeypatch)
    assert ours() == expected


@not_on_windows
@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("ours", [folders.user_cache, folders.user_config])
@pytest.mark.parametrize("home", ["", "relative", "."])
def test_a_home_that_is_no_path_never_leads_to_where_the_program_runs(
    monkeypatch: pytest.MonkeyPatch, platform: str, ours: Callable[[], str | None], home: str
) -> None:
    monkeypatch.setenv("HOME", home)
    on(platform, monkeypatch)
    path = ours()
    assert path is None or os.path.isabs(path)
    assert path is None or not path.startswith(os.getcwd() + os.sep)
    if platform == "linux":
        name = "user_cache_dir" if ours is folders.user_cache else "user_config_dir"
        assert path in (None, theirs_of(unix.Unix, name))


@pytest.mark.parametrize("ours", OURS.values(), ids=OURS)
def test_on_windows_without_its_variables_there_is_none(
    monkeypatch: pytest.MonkeyPatch, ours: Callable[[], str | None]
) -> None:
    for name in ("LOCALAPPDATA", "PROGRAMDATA"):
        monkeypatch.delenv(name, raising=False)
    on("win32", monkeypatch)
    assert ours() is None


@not_on_windows
def test_without_a_home_or_an_entry_for_the_user_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def nobody(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    on("linux", monkeypatch)
    assert (folders.user_cache(), folders.user_config()) == (None, None)
    assert folders.site_cache() == "/var/cache/aia-store"
