"""A machine with several users: real user ids, and a /var/cache of its own, in a mount namespace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import aia_store
from tests.support import NO_HOOK
from tests.support.holder import started

if TYPE_CHECKING:
    from typing import Self

SITE = Path("/var/cache/aia-store")
_NEEDED = ("unshare", "nsenter", "setpriv", "mount")
_PASSED_ON = ("PATH", "LC_ALL")

# Each argument is a folder that all users must be able to reach; what stands closed above it is covered by another.
_ENTER = """
set -e
mount -t tmpfs -o mode=755 none /var/cache
for folder; do
    closed=$folder
    while [ "$closed" != / ]; do
        case $(stat -c %A "$closed") in *[xt]) ;; *) cover=$closed ;; esac
        closed=$(dirname "$closed")
    done
    [ -n "${cover:-}" ] || continue
    mkdir -p /var/cache/.reached
    mount --bind "$folder" /var/cache/.reached
    mount -t tmpfs -o mode=755 none "$cover"
    mkdir -p "$folder"
    mount --bind /var/cache/.reached "$folder"
    umount /var/cache/.reached
    cover=
done
echo ready
read -r end
"""


class Users:
    """The namespace, as long as the `with` lasts. `root` is where its files are seen from outside."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        reached = dict.fromkeys(str(path) for path in (sys.base_prefix, sys.prefix, _project()))
        self._environment = {**passed_on, "PYTHONPATH": f"{_project()}:{NO_HOOK}", **environment}
        try:
            self._holder = started(["unshare", "-m", "sh", "-c", _ENTER, "-", *reached])
        except OSError as error:
            pytest.skip(f"no mount namespace can be had here: {error}")
        self.root = Path(f"/proc/{self._holder.pid}/root")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.communicate("end\n", timeout=10)

    @property
    def site(self) -> Path:
        """The site's store, as it is seen from outside."""
        return self.root / SITE.relative_to("/")

    def folder(self, name: str, owner: int, mode: int, group: int | None = None) -> Path:
        """Make a folder in /var/cache, by default with the owner's own group; returns it as it is seen from outside."""
        path = self.root / "var/cache" / name
        path.mkdir()
        os.chown(path, owner, owner if group is None else group)
        path.chmod(mode)
        return path

    def cover(self, folder: str) -> Path:
        """Put an empty folder over one of the machine's, in the namespace; returns it as it is seen from outside."""
        if not os.path.isdir(folder):
            pytest.skip(f"{folder} is not here")
        inside = ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt"]
        subprocess.run([*inside, "mount", "-t", "tmpfs", "-o", "mode=755", "none", folder], check=True)
        return self.root / folder.lstrip("/")

    def start(self, user: int, code: str, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        """Start this Python program as this user, with a home of the user's own."""
        home = self.root / "var/cache" / f"home-{user}"
        if not home.exists():
            home.mkdir()
            os.chown(home, user, user)
        inside = f"/var/cache/{home.name}"
        become = [] if user == 0 else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return subprocess.Popen(
            [
                "nsenter",
                f"--mount=/proc/{self._holder.pid}/ns/mnt",
                *become,
                sys.executable,
                "-c",
                code,
                *map(str, arguments),
            ],
            env={**self._environment, "HOME": inside, "XDG_CONFIG_DIRS": "/var/cache/config", **variables},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, user: int, code: str, *arguments: object, **variables: str) -> str:
        """Run such a program to its end, which must be a good one; what it prints comes back."""
        with self.start(user, code, *arguments, **variables) as process:
            try:
                output, errors = process.communicate(timeout=60)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        assert process.returncode == 0, errors
        return output


def _project() -> Path:
    return Path(aia_store.__file__).parents[1]


def require_users() -> None:
    """Skip the test if other users cannot be used here."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root of a Linux can become several users")
    missing = [program for program in _NEEDED if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not here")
