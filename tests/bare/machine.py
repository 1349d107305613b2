"""A Debian as debootstrap leaves it, for one reader: thrown away afterwards, and with no network but loopback."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.docs.reader import Machine
from tests.support.holder import started

if TYPE_CHECKING:
    from typing import Self  # Python 3.11

_HOLD = """
set -e
base=$1 given=$2 place=$3
mount -t tmpfs none "$place"
mkdir "$place/upper" "$place/work" "$place/merged"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$place/upper,workdir=$place/work" "$place/merged"
mkdir "$place/merged/given"
mount --bind "$given" "$place/merged/given"
mount -t proc proc "$place/merged/proc"
mount --rbind /dev "$place/merged/dev"
ip link set lo up
echo ready
read -r end || true
"""


class Who(NamedTuple):
    """A reader of the documents."""

    name: str
    user: int
    home: str  #: the folder with the checkout
    variables: dict[str, str]  #: of the environment that the shell starts with

    @property
    def checkout(self) -> str:
        return f"{self.home}/aia-store"


USER = 1000  #: the user that `run` makes

READERS = [
    Who("root", 0, "/root", {"HOME": "/root"}),
    Who("user", USER, "/home/reader", {"HOME": "/home/reader"}),
    Who("root without HOME", 0, "/root", {}),
    Who("user without HOME", USER, "/home/reader", {}),
]

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Bare(Machine):
    """The machine, which exists within the `with`."""

    python = ".venv/bin/python"
    seconds = 900

    def __init__(self, base: Path, given: Path, place: Path, who: Who) -> None:
        """`base` has the prepared Debian, `given` what it is given: the checkout (`source`) and the wheels for pip."""
        self._who, self._root = who, place / "merged"
        place.mkdir()
        command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", _HOLD, "sh"]
        self._holder = started([*command, base, given, place])
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self._first = int(children.read_text())

    def __enter__(self) -> Self:
        checkout = self._who.checkout
        self._call("cp", "-r", "/given/source", checkout)
        self._call("chown", "-R", f"{self._who.user}:{self._who.user}", checkout)
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.communicate()

    def start(self, *command: object) -> subprocess.Popen[str]:
        """With a HOME, in a new login shell, which finds what pipx puts into ~/.local/bin. Otherwise like cron."""
        who = self._who
        path = _PATH if "HOME" in who.variables else f"{_PATH}:{who.home}/.local/bin"
        shell = ["sh", "-l"] if "HOME" in who.variables else ["sh"]
        return subprocess.Popen(
            [
                *self._inside(f"--userspec={who.user}:{who.user}"),
                *("env", "-i", f"PATH={path}", *(f"{name}={value}" for name, value in who.variables.items())),
                *(*shell, "-c", 'cd "$0" && exec "$@"', who.checkout, *map(str, command)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def pipx(self) -> tuple[int, ...]:
        """The version of its pipx."""
        return tuple(map(int, self._call("pipx", "--version").split(".")))

    def of_the_package(self) -> list[str]:
        """The files and folders outside the checkout that have the package's name."""
        elsewhere = ["find", "/", "-xdev", "-path", self._who.checkout, "-prune", "-o"]
        return self._call(*elsewhere, "-iname", "*aia[-_]store*", "-print").splitlines()

    def _call(self, *command: str) -> str:
        """Run a command as root; returns its output."""
        done = subprocess.run([*self._inside(), *command], capture_output=True, text=True, check=True)
        return done.stdout

    def _inside(self, *options: str) -> list[str]:
        namespaces = ["nsenter", f"--target={self._first}", "--mount", "--net", "--pid"]
        return [*namespaces, "chroot", *options, str(self._root)]
