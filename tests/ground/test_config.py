"""Settings: variables override files; a setting that cannot be used is reported in one line that names it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aia_store.inside import settings as config
from aia_store.inside.settings import ConfigError, load

READS_ALL_OF_TOML = sys.version_info >= (3, 11)


class Files:
    """The site's and the user's config.toml."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CONFIG_DIRS", str(folder / "site"))
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "user"))
        self.site, self.user = (folder / which / "aia-store" / "config.toml" for which in ("site", "user"))
        for file in (self.site, self.user):
            file.parent.mkdir(parents=True)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    return Files(tmp_path, monkeypatch)


def refusal(environ: dict[str, str] | None = None) -> str:
    """The message, which is one line."""
    with pytest.raises(ConfigError) as raised:
        load(environ or {})
    said = str(raised.value)
    assert said.isprintable(), "one line, and nothing that a terminal would obey"
    assert len(said) < 500
    return said


def test_without_any_setting_there_are_defaults(files: Files) -> None:
    assert vars(load({})) == {
        "dir": None,
        "roots": None,
        "extra_roots": None,
        "allowed_networks": [],
        "proxy": "environment",
        "offline": False,
        "disable": False,
        "async_budget": 2.0,
        "trust_on_demand": True,
        "explain": True,
        "unused_days": 90,
        "refresh_hours": 24,
        "revocation_lists": [],
        "share": "",
        "share_publish": False,
        "share_private": False,
        "share_notify": "",
        "log": "",
    }


@pytest.mark.parametrize(
    ("toml", "variable", "value"),
    [
        ('dir = "/a b"', "/a b", "/a b"),
        ('roots = "/r.pem"', "/r.pem", "/r.pem"),
        ('allowed_networks = ["10.0.0.0/8", "fd00::/8"]', "10.0.0.0/8, fd00::/8", ["10.0.0.0/8", "fd00::/8"]),
        ('allowed_networks = "10.0.0.0/255.0.0.0"', "10.0.0.0/255.0.0.0", ["10.0.0.0/255.0.0.0"]),
        ('allowed_networks = "10.0.0.1"', "10.0.0.1,", ["10.0.0.1"]),
        ("allowed_networks = []", "", []),
        ('proxy = "http://me:p@proxy:3128"', "http://me:p@proxy:3128", "http://me:p@proxy:3128"),
        ('proxy = "none"', "None", "none"),
        ('proxy = "environment"', "", "environment"),
        ("offline = true", "1", True),
        ("offline = false", "0", False),
        ('offline = "yes"', "YES", True),
        ("disable = true", "On", True),
        ("disable = false", "", False),
        ("async_budget = 0.5", "0.5", 0.5),
        ("async_budget = 0", "0", 0.0),
        ("trust_on_demand = false", "0", False),
        ("explain = false", "0", False),
        ("unused_days = 30", "30", 30),
        ("refresh_hours = 1", "1", 1),
        ('revocation_lists = ["/a.csv", "https://b/c"]', "/a.csv, https://b/c", ["/a.csv", "https://b/c"]),
        ('share = "s3://bucket"', "s3://bucket", "s3://bucket"),
        ("share_publish = true", "1", True),
        ('log = "debug"', "debug", "debug"),
        ('dir = ""', "", None),
    ],
)
def test_a_file_and_a_variable_say_the_same(files: Files, toml: str, variable: str, value: object) -> None:
    key = toml.split()[0]
    assert getattr(load({f"AIA_STORE_{key.upper()}": variable}), key) == value
    files.user.write_text(toml + "\n")
    assert getattr(load({}), key) == value


def test_the_user_overrides_the_site_and_a_variable_both(files: Files) -> None:
    files.site.write_text('dir = "/site"\nroots = "/site.pem"\nlog = "site"\noffline = true\n')
    files.user.write_text('dir = "/user"\nroots = "/user.pem"\n')
    settings = load({"AIA_STORE_DIR": "/variable", "AIA_STORE_OFFLINE": "0"})
    assert (settings.dir, settings.roots, settings.log, settings.offline) == ("/variable", "/user.pem", "site", False)


def test_the_user_can_clear_what_the_site_set(files: Files) -> None:
    files.site.write_text('allowed_networks = ["10.0.0.0/8"]\ndir = "/site"\n')
    files.user.write_text('allowed_networks = []\ndir = ""\n')
    settings = load({})
    assert (settings.allowed_networks, settings.dir) == ([], None)


def test_every_key_is_a_variable_and_other_variables_are_ignored(files: Files) -> None:
    assert config.KEYS == (
        "dir",
        "roots",
        "extra_roots",
        "allowed_networks",
        "proxy",
        "offline",
        "disable",
        "async_budget",
        "trust_on_demand",
        "explain",
        "unused_days",
        "refresh_hours",
        "revocation_lists",
        "share",
        "share_publish",
        "share_private",
        "share_notify",
        "log",
    )
    load({"AIA_STORE_UNKNOWN": "x", "AIA_STORE": "x", "aia_store_offline": "maybe"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dir", "5"),
        ("dir", "true"),
        ("dir", '["a"]'),
        ("roots", "1.5"),
        ("log", "1"),
        ("async_budget", "-1"),
        ("async_budget", "10.5"),
        ("async_budget", "nan"),
        ("async_budget", "9" * 310),
        ("async_budget", "true"),
        ("async_budget", '"soon"'),
        ("async_budget", "[1]"),
        ("unused_days", "0"),
        ("unused_days", "1.5"),
        ("unused_days", '"many"'),
        ("refresh_hours", "true"),
        ("refresh_hours", "40000"),
        ("revocation_lists", "1"),
        ("revocation_lists", "[1]"),
        ("log", "{ level = 1 }"),
        ("offline", "1"),
        ("offline", '"maybe"'),
        ("disable", "[]"),
        ("disable", "2024-01-01"),
        ("proxy", "5"),
        ("proxy", '"proxy.example:3128"'),
        ("proxy", '"off"'),
        ("allowed_networks", "10"),
        ("allowed_networks", "[10]"),
        ("allowed_networks", "true"),
        ("allowed_networks", '[["10.0.0.0/8"]]'),
        ("allowed_networks", '["10.0.0.0/33"]'),
        ("allowed_networks", '["10.0.0.1/8"]'),
        ("allowed_networks", '["localhost"]'),
        ("allowed_networks", '["fd00::1/8"]'),
        ("allowed_networks", '["10.0.0.0/-1"]'),
        ("allowed_networks", '["10.0.0/24"]'),
        ("allowed_networks", '["010.0.0.0/8"]'),
        ("allowed_networks", '["*"]'),
        ("allowed_networks", '["\\u001b[2J\\nnew line"]'),
    ],
)
def test_a_wrong_type_or_value_names_its_key_and_its_file(files: Files, key: str, value: str) -> None:
    files.user.write_text(f"{key} = {value}\n")
    said = refusal()
    assert key in said
    assert str(files.user) in said


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AIA_STORE_OFFLINE", "maybe"),
        ("AIA_STORE_OFFLINE", "2"),
        ("AIA_STORE_DISABLE", "yes please"),
        ("AIA_STORE_ALLOWED_NETWORKS", "10.0.0.0/8;192.168.0.0/16"),
        ("AIA_STORE_ALLOWED_NETWORKS", "10.0.0.0/8 192.168.0.0/16"),
        ("AIA_STORE_ALLOWED_NETWORKS", "::/129"),
        ("AIA_STORE_ALLOWED_NETWORKS", "\x1b[2J"),
    ],
)
def test_a_bad_variable_is_named(files: Files, variable: str, value: str) -> None:
    assert variable in refusal({variable: value})


QUOTED = pytest.param('"a\\nb"', marks=pytest.mark.skipif(not READS_ALL_OF_TOML, reason="read from Python 3.11 on"))


@pytest.mark.parametrize("key", ["ofline", "Offline", "AIA_STORE_OFFLINE", "__class__", "set", QUOTED])
def test_an_unknown_key_is_named_with_those_that_are_known(files: Files, key: str) -> None:
    files.site.write_text(f"{key} = true\n")
    said = refusal()
    assert key.strip('"') in said
    assert str(files.site) in said
    assert all(known in said for known in config.KEYS)


def test_a_table_is_an_unknown_key(files: Files) -> None:
    files.user.write_text("[aia-store]\noffline = true\n")
    assert "aia-store" in refusal()


@pytest.mark.parametrize(
    "contents",
    [
        b"offline",
        b"offline = maybe",
        b"= 1",
        b"offline = true\noffline = false\n",
        b"\xff\xfe",
        b"\x00",
        b"\xef\xbb\xbfoffline = true\n",
        b"-----BEGIN CERTIFICATE-----",
        b"dir = " + b"[" * 20_000,
    ],
    ids=["bare", "no value", "no key", "twice", "no UTF-8", "NUL", "byte order mark", "PEM", "nesting bomb"],
)
def test_what_is_not_toml_names_the_file(files: Files, contents: bytes) -> None:
    files.user.write_bytes(contents)
    assert str(files.user) in refusal()


def test_what_cannot_be_read_names_the_file_and_the_remedy(files: Files) -> None:
    files.user.mkdir()
    said = refusal()
    assert str(files.user) in said
    assert "remove" in said


@pytest.mark.parametrize("home", ["/dev/null", "/" + "x" * 300, "/" + "x/" * 3_000, "a link to itself"])
def test_a_user_whose_home_cannot_exist_has_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str, files: Files
) -> None:
    if home == "a link to itself":
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        home = str(tmp_path / "loop")
    files.site.write_text("offline = true\n")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", home)
    assert load().offline is True


def test_something_in_place_of_the_users_folder_is_no_file(files: Files) -> None:
    files.user.parent.rmdir()
    files.user.parent.write_bytes(b"")
    assert load({}).offline is False


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_the_sites_file_must_be_readable(files: Files) -> None:
    files.site.write_bytes(b"")
    files.site.chmod(0)
    assert str(files.site) in refusal()


def test_the_sites_file_that_leads_nowhere_is_named(files: Files) -> None:
    files.site.symlink_to(files.site)
    assert str(files.site) in refusal()


def test_a_file_is_read_again_when_it_changes_and_not_before(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.user.write_text("unused_days = 30\n")
    assert load().unused_days == 30
    opened: list[object] = []
    is_over = False  # an audit hook is for ever
    sys.addaudithook(lambda event, arguments: opened.append(arguments[0]) if event == "open" and not is_over else None)
    load().unused_days = 31  # a caller's changes do not affect other callers
    assert load().unused_days == 30
    assert str(files.user) not in opened
    files.user.write_text("unused_days = 7\n")
    assert load().unused_days == 7
    assert str(files.user) in opened
    monkeypatch.setenv("AIA_STORE_UNUSED_DAYS", "5")
    assert load().unused_days == 5
    files.user.unlink()
    monkeypatch.delenv("AIA_STORE_UNUSED_DAYS")
    assert load().unused_days == 90
    is_over = True


# Root.

only_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
SOMEBODY = 65_534


def given_away(path: Path) -> None:
    os.chown(path, SOMEBODY, SOMEBODY)


def in_a_folder_given_away(path: Path) -> None:
    os.chown(path.parent, SOMEBODY, SOMEBODY)


def writable_by_a_group(path: Path) -> None:
    path.chmod(0o664)


def writable_by_all(path: Path) -> None:
    path.chmod(0o666)


def in_a_folder_that_all_may_write(path: Path) -> None:
    path.parent.chmod(0o777)


def behind_a_link_of_others(path: Path) -> None:
    real = path.with_name("real")
    path.rename(real)
    path.symlink_to(real)
    os.chown(path, SOMEBODY, SOMEBODY, follow_symlinks=False)


def behind_a_link_to_what_is_theirs(path: Path) -> None:
    real = path.parent.parent / "theirs"
    path.rename(real)
    path.symlink_to("../theirs")
    given_away(real)


CHANGEABLE = [
    given_away,
    in_a_folder_given_away,
    writable_by_a_group,
    writable_by_all,
    in_a_folder_that_all_may_write,
    behind_a_link_of_others,
    behind_a_link_to_what_is_theirs,
]


@only_root
@pytest.mark.parametrize("which", ["site", "user"])
@pytest.mark.parametrize("change", CHANGEABLE)
def test_root_ignores_a_configuration_that_others_can_change(
    files: Files, which: str, change: Callable[[Path], None]
) -> None:
    file: Path = getattr(files, which)
    file.write_text("offline = true\n")
    assert load().offline is True
    assert config.ignored() == []
    change(file)
    assert load().offline is False
    (line,) = config.ignored()
    assert line.startswith(f"{file} is ignored, because users other than root can change ")


@only_root
@pytest.mark.parametrize("change", CHANGEABLE)
def test_root_ignores_trust_anchors_that_others_can_change(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    roots = tmp_path / "roots" / "roots.pem"
    roots.parent.mkdir()
    roots.touch()
    monkeypatch.setenv("AIA_STORE_ROOTS", str(roots))
    assert load().roots == str(roots)
    change(roots)
    assert load().roots is None
    assert str(roots) in config.ignored()[0]


@only_root
def test_root_believes_what_is_roots_in_a_sticky_folder(files: Files) -> None:
    """Like /tmp: nobody else can rename or remove what root put there."""
    files.user.write_text("offline = true\n")
    files.user.parent.parent.chmod(0o1777)
    assert load().offline is True


def test_a_dangling_link_is_an_absent_file(files: Files) -> None:
    files.user.symlink_to("/nowhere/at/all")
    assert load({}).offline is False


def test_the_strong_setting_does_not_hide_a_mistake_in_the_weak_one(files: Files) -> None:
    files.site.write_text("offline = 5\n")
    files.user.write_text("offline = true\n")
    assert str(files.site) in refusal({"AIA_STORE_OFFLINE": "1"})


def test_the_folder_of_the_store_does_not_depend_on_where_a_program_runs(files: Files, monkeypatch: Any) -> None:
    """A folder in a file is for every program of the user, whatever folder each was started in."""
    monkeypatch.setenv("HOME", "/home/someone")
    files.user.write_text('dir = "~/store"\n')
    assert load({}).dir == "/home/someone/store"
    files.user.write_text('dir = "store"\n')
    try:
        folder = load({}).dir
    except ConfigError as error:
        assert "dir" in str(error)
    else:
        assert folder and Path(folder).is_absolute()


@pytest.mark.parametrize("key", ["proxy", "share", "share_notify"])
def test_a_url_that_is_not_written_as_a_text_is_not_shown(files: Files, key: str) -> None:
    """It may hold a password."""
    files.user.write_text(f'{key} = ["http://me:s3cret@proxy.example:3128"]\n')
    said = refusal()
    assert f"{key} in {files.user} must be a text" in said
    assert "cret" not in said


@pytest.mark.parametrize("key", ["dir", "roots", "extra_roots"])
def test_a_relative_path_in_a_file_means_the_same_everywhere_or_is_refused(
    files: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str
) -> None:
    """The file is for every program of the user, and each was started somewhere else."""
    files.user.write_text(f'{key} = "somewhere"\n')
    said = set()
    for folder in (tmp_path, tmp_path.parent):
        monkeypatch.chdir(folder)
        try:
            said.add(getattr(load({}), key))
        except ConfigError as error:
            assert key in str(error)
            said.add(None)
    assert len(said) == 1
