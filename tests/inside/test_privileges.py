"""Programs with more rights than the user who started them, dropped privileges, and a HOME that is out of reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import whole_package
from tests.support.users import Users, require_users

SOMEBODY, ANOTHER = 1_234, 4_321
#: What the environment can decide.
SHOW = """
from aia_store.inside import settings, startup
loaded = settings.load()
folders = settings.user_cache(), settings.user_config(), settings.site_config()
print(loaded.dir, loaded.offline, *folders, startup._is_wanted())
"""
BELIEVED = "/theirs True /home/theirs/.cache/aia-store /home/theirs/.config/aia-store /theirs/aia-store False\n"
NOT_BELIEVED = "/sites False None None /etc/xdg/aia-store True\n"
VARIABLES = {
    "AIA_STORE_DIR": "/theirs",
    "AIA_STORE_OFFLINE": "1",
    "AIA_STORE_DISABLE": "1",
    "HOME": "/home/theirs",
    "XDG_CONFIG_DIRS": "/theirs",
}


@pytest.fixture
def users() -> Iterator[Users]:
    """A machine whose site has a configuration."""
    require_users()
    with Users({}) as users:
        folder = users.cover("/etc/xdg") / "aia-store"
        folder.mkdir()
        (folder / "config.toml").write_text('dir = "/sites"\n')
        yield users


class Privileged:
    """A copy of this interpreter that everybody can run."""

    def __init__(self, users: Users) -> None:
        self.users = users
        self.file = users.root / "var/cache/privileged/bin/python"
        self.file.parent.mkdir(parents=True)
        shutil.copy(Path(sys.executable).resolve(), self.file)
        home = Path(sys.executable).resolve().parent
        (self.file.parents[1] / "pyvenv.cfg").write_text(f"home = {home}\n")
        self.file.chmod(0o755)

    def says(self, user: int, **variables: str) -> str:
        run = "import os, sys; os.execv(sys.argv[1], [*sys.argv[1:]])"
        return self.users.run(user, run, "/var/cache/privileged/bin/python", "-S", "-c", SHOW, **variables)


def set_user_id(file: Path) -> None:
    file.chmod(0o4755)


def set_another_user_id(file: Path) -> None:
    os.chown(file, ANOTHER, ANOTHER)
    file.chmod(0o4755)


def set_group_id(file: Path) -> None:
    os.chown(file, ANOTHER, ANOTHER)
    file.chmod(0o2755)


def capability(file: Path) -> None:
    if shutil.which("setcap") is None:
        pytest.skip("setcap is not here")
    done = subprocess.run(["setcap", "cap_net_bind_service+ep", file], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no capabilities here: {done.stderr.strip()}")


@pytest.mark.parametrize("grant", [set_user_id, set_another_user_id, set_group_id, capability])
def test_a_program_with_special_rights_ignores_all_variables(users: Users, grant: Callable[[Path], None]) -> None:
    program = Privileged(users)
    assert program.says(SOMEBODY, **VARIABLES) == BELIEVED
    grant(program.file)
    assert program.says(SOMEBODY, **VARIABLES) == NOT_BELIEVED


def test_the_sites_configuration_cannot_mean_the_home_of_whoever_started_it(users: Users) -> None:
    (users.root / "etc/xdg/aia-store/config.toml").write_text('dir = "~/store"\n')
    program = Privileged(users)
    set_user_id(program.file)
    with pytest.raises(AssertionError, match="must be an absolute path"):
        program.says(SOMEBODY, **VARIABLES)


DROP = f"import os; os.setgroups([]); os.setgid({SOMEBODY}); os.setuid({SOMEBODY})\n"


def test_a_service_that_dropped_its_rights_uses_its_environment(users: Users) -> None:
    assert users.run(0, DROP + SHOW, **VARIABLES) == BELIEVED


@whole_package
def test_a_home_out_of_reach_is_no_obstacle(users: Users) -> None:
    """As after privileges were dropped with root's HOME kept, or under systemd's ProtectHome=yes."""
    closed = users.root / "var/cache/closed"
    closed.mkdir(mode=0o700)
    show = "from aia_store.inside import settings; print(settings.load().dir)"
    variables = {"HOME": "/var/cache/closed", "XDG_CONFIG_DIRS": "/etc/xdg"}
    assert users.run(SOMEBODY, show, **variables) == "/sites\n"
    variables["AIA_STORE_DIR"] = store = f"/var/cache/home-{SOMEBODY}/store"
    assert users.run(SOMEBODY, show, **variables) == f"{store}\n"
    users.run(SOMEBODY, "import sys; sys.argv[1:] = ['list']; from aia_store.cli import main; main()", **variables)


@whole_package
def test_root_is_told_once_what_is_ignored_and_roots_programs_say_nothing(users: Users) -> None:
    """As under `sudo -E`, which keeps HOME."""
    folder = users.root / "var/cache/theirs/.config/aia-store"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('dir = "/theirs"\n')
    os.chown(folder, SOMEBODY, SOMEBODY)
    variables = {"HOME": "/var/cache/theirs", "XDG_CONFIG_DIRS": "/etc/xdg"}
    command = "import sys; sys.argv[1:] = ['list']; sys.stderr = sys.stdout; from aia_store.cli import main; main()"
    said = users.run(0, command, AIA_STORE_DIR="/var/cache/store", **variables)
    inside = "/var/cache/theirs/.config/aia-store"
    line = f"aia-store: {inside}/config.toml is ignored, because users other than root can change {inside}\n"
    assert said.startswith(line)
    assert said.count("ignored") == 1
    program = "import sys; sys.stderr = sys.stdout; from aia_store.inside import settings; print(settings.load().dir)"
    assert users.run(0, program, **variables) == "/sites\n"
