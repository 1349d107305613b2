"""Builds images from Dockerfiles, and runs containers, without Docker: for the instructions and options that we use.

An image is a stack of folders for overlayfs. Mounts are made in the caller's own mount namespace, and never undone.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import string
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

#: Makes /proc and /dev in the present folder, as a container has them.
_DEVICES = """
mount -t proc proc proc
mount -t tmpfs -o mode=755 none dev
for one in null zero full random urandom; do touch "dev/$one"; mount --bind "/dev/$one" "dev/$one"; done
"""

_BUILD = f"""
set -e
cd "$1"
mkdir given
mount --bind "$2" given
{_DEVICES}
shift 2
exec chroot . env -i "$@"
"""

_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """A file system, and how a container of it is run."""

    layers: tuple[Path, ...]  #: the folders, the uppermost first
    variables: dict[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    user: int = 0
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


class Builder:
    """Builds images; `base` is what every FROM of a name that is no stage means, and `context` what COPY copies."""

    def __init__(self, base: Image, context: Path, given: Path, place: Path) -> None:
        """`given` is mounted at /given while commands run; `place` is an empty folder for the images."""
        self._base, self._context, self._given, self._place = base, context, given, place
        self._count = 0

    def build(self, dockerfile: str) -> Image:
        """The image of the last stage. Raises CalledProcessError, with its output, if a RUN fails."""
        stages: dict[str, tuple[Image, Path]] = {}
        image = root = None
        for line in dockerfile.replace("\\\n", "").splitlines():
            instruction, _, rest = line.partition(" ")
            if instruction == "FROM":
                image, root = self._stage(rest)
                stages[rest.rpartition(" AS ")[2]] = image, root
            elif instruction and instruction != "#":
                assert image is not None
                assert root is not None
                image = self._follow(instruction, rest, image, root, {name: at for name, (_, at) in stages.items()})
        assert image is not None
        return image

    def _stage(self, rest: str) -> tuple[Image, Path]:
        """A new layer over the base; the image, and where it can be written."""
        assert rest.partition(" AS ")[0].startswith("python:"), rest
        self._count += 1
        place = self._place / f"stage-{self._count}"
        upper, work, root = (place / name for name in ("upper", "work", "root"))
        for folder in (upper, work, root):
            folder.mkdir(parents=True)
        layers = ":".join(map(str, self._base.layers))
        _mount("-t", "overlay", "-o", f"lowerdir={layers},upperdir={upper},workdir={work}", "overlay", root)
        return replace(self._base, layers=(upper, *self._base.layers)), root

    def _follow(self, instruction: str, rest: str, image: Image, root: Path, stages: dict[str, Path]) -> Image:
        """Follow one instruction; returns the image after it. `stages` are the roots of the stages so far."""
        if instruction == "RUN":
            self._run(rest, image, root)
        elif instruction == "COPY":
            self._copy(rest.split(), root, stages)
        elif instruction == "ENV":
            filled = string.Template(rest).substitute(image.variables)
            return replace(image, variables=image.variables | dict(pair.split("=", 1) for pair in shlex.split(filled)))
        elif instruction == "USER":
            return replace(image, user=int(rest))
        elif instruction == "ENTRYPOINT":
            return replace(image, entrypoint=tuple(json.loads(rest)))
        elif instruction == "CMD":
            return replace(image, command=tuple(json.loads(rest)))
        else:
            raise ValueError(instruction)
        return image

    def _run(self, command: str, image: Image, root: Path) -> None:
        """Run a shell command as root, with `given` at /given."""
        variables = [f"{name}={value}" for name, value in {**image.variables, "HOME": "/root"}.items()]
        script = ["unshare", "--mount", "--pid", "--fork", "bash", "-c", _BUILD, "bash"]
        subprocess.run(
            [*script, root, self._given, *variables, "sh", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=True,
        )
        (root / "given").rmdir()

    def _copy(self, words: list[str], root: Path, stages: dict[str, Path]) -> None:
        """Copy into the image. As Docker does, of a folder what is in it."""
        source_root = self._context
        if words[0].startswith("--from="):
            source_root = stages[words.pop(0).removeprefix("--from=")]
        *patterns, target = words
        destination = root / target.lstrip("/")
        for pattern in patterns:
            found = sorted(source_root.glob(pattern.lstrip("/")))
            assert found, pattern
            for source in found:
                if source.is_dir():
                    shutil.copytree(source, destination, symlinks=True, dirs_exist_ok=True)
                else:
                    shutil.copy2(source, destination / source.name if target.endswith("/") else destination)


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


_OPTIONS = argparse.ArgumentParser(exit_on_error=False)
_OPTIONS.add_argument("--read-only", action="store_true")
_OPTIONS.add_argument("--tmpfs", action="append", default=[])
_OPTIONS.add_argument("--volume", action="append", default=[])
_OPTIONS.add_argument("--env", action="append", default=[])
_OPTIONS.add_argument("--user", type=int)
_OPTIONS.add_argument("image")
_OPTIONS.add_argument("command", nargs=argparse.REMAINDER)

_START = f"""
set -e
root=$1 layers=$2 mode=$3 user=$4 tmpfs=$5 volumes=$6
shift 6
mount -t tmpfs -o mode=755 none "$root"
mkdir "$root/upper" "$root/work" "$root/merged"
mount -t overlay -o "lowerdir=$layers,upperdir=$root/upper,workdir=$root/work" none "$root/merged"
cd "$root/merged"
for one in $tmpfs; do mkdir -p ".${{one%%:*}}"; done
for pair in $volumes; do mkdir -p ".${{pair#*:}}"; done
[ "$mode" = rw ] || mount -o remount,ro none "$root/merged"
{_DEVICES}
for one in $tmpfs; do
    options=${{one#*:}}
    [ "$options" != "$one" ] || options=mode=1777
    mount -t tmpfs -o "$options" none ".${{one%%:*}}"
done
for pair in $volumes; do
    mount --bind "${{pair%%:*}}" ".${{pair#*:}}"
    mount -o remount,bind,ro ".${{pair#*:}}"
done
exec chroot --userspec="$user:$user" --groups= . env -i "$@"
"""


def run(
    image: Image, line: str, *command: str, context: Path, place: Path, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a container as a `docker run` line says, with these arguments and more variables; volumes are read-only.

    There is no HOME unless a variable says so, and no network that the caller does not have.
    """
    words = shlex.split(line)
    assert words[:2] == ["docker", "run"], line
    options = _OPTIONS.parse_args(words[2:])
    volumes = [volume.removesuffix(":ro").split(":") for volume in options.volume]
    environment = {**image.variables, **dict(pair.split("=", 1) for pair in options.env), **(variables or {})}
    place.mkdir(exist_ok=True)
    return subprocess.run(
        [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", _START, "bash"),
            *(str(place), ":".join(map(str, image.layers)), "ro" if options.read_only else "rw"),
            str(image.user if options.user is None else options.user),
            " ".join(options.tmpfs),
            " ".join(f"{(context / source).resolve()}:{target}" for source, target in volumes),
            *(f"{name}={value}" for name, value in environment.items()),
            *image.entrypoint,
            *(options.command or command or image.command),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
