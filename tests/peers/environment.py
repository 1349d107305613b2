"""A virtual environment with the hook or without it, as users have it, and what is run in it on loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

SECONDS = 900  # for one run of one suite

_UNSHARE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
#: A network namespace that has nothing but loopback. CPython's certificates name an AIA host that exists.
_ON_LOOPBACK = [*_UNSHARE, "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


class PeersError(Exception):
    """The tests cannot be run."""


class Environment:
    """One of the two environments of a Python."""

    def __init__(self, base: str, folder: Path, requirements: Iterable[object]) -> None:
        run(base, "-m", "venv", folder)
        self.folder = str(folder)
        self.python = str(folder / "bin" / "python")
        self._hook: dict[str, str] = {}
        self._pip("install", *requirements)
        #: Where the files of the tests that pytest runs are, by project.
        self.sources = {"trio": self.ask("import sysconfig; print(sysconfig.get_path('purelib'))")}

    def add_source(self, project: str, folder: Path, archive: Path) -> None:
        """Install a project from its source archive, unpacked there, and keep that for its tests."""
        self._pip("install", archive)
        self.sources[project] = str(folder)

    def add_hook(self, command: Path) -> None:
        """As users do it whose `aia-store` is elsewhere, and who change no file: it needs a newer Python than the hook.

        `hook install --python` would reach the environment without the hook, too: it has the same standard library.
        """
        self._hook = {"PYTHONPATH": run(command, "hook", "path", environment=self.variables).strip()}
        if self.ask("import sys; print(sum(hasattr(one, 'is_aia_store_watcher') for one in sys.meta_path))") != "1":
            raise PeersError(f"the hook does not reach {self.python}")

    def ask(self, program: str) -> str:
        """What a small program prints."""
        return run(self.python, "-c", program, environment=self.variables).strip()

    def has_module(self, name: str) -> bool:
        """Whether a module can be found."""
        package = name.rpartition(".")[0]
        found = f"find_spec({package!r}) and find_spec({name!r})"
        return self.ask(f"from importlib.util import find_spec; print(bool({found}))") == "True"

    @cached_property
    def versions(self) -> dict[str, str]:
        """Of Python, of its OpenSSL, and of the projects whose tests are run."""
        names = "platform.python_version(), ssl.OPENSSL_VERSION.split()[1], version('trio'), version('urllib3')"
        answer = self.ask(f"import platform, ssl; from importlib.metadata import version; print({names})")
        return dict(zip(("python", "openssl", "trio", "urllib3"), answer.split(), strict=True))

    @property
    def variables(self) -> dict[str, str]:
        """The variables for a program: the search path of this machine, and a store of the environment's own."""
        home = Path(self.folder, "home")
        home.mkdir(exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(home),
            "AIA_STORE_DIR": str(home / "store"),
            **self._hook,
        }

    def run_on_loopback(self, command: list[str], folder: str) -> tuple[int | None, str]:
        """Run it to its end: its exit status (None if it takes longer than `SECONDS`), and what it printed."""
        process = subprocess.Popen(
            [*_ON_LOOPBACK, *command],
            cwd=folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            with contextlib.suppress(ProcessLookupError):  # what it left running goes too
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return process.returncode, output

    def _pip(self, *arguments: object) -> None:
        run(self.python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments)


def install_command(project: Path, folder: Path) -> Path:
    """Install aia-store from its checkout, for this Python: the path of the command."""
    environment = Environment(sys.executable, folder, [project])
    return Path(environment.folder, "bin", "aia-store")


def download_source(python: str, project: str, folder: Path) -> tuple[Path, Path]:
    """The newest source archive that this Python takes: the folder where it is unpacked, and the archive."""
    run(python, "-m", "pip", "--quiet", "download", "--no-deps", "--no-binary", project, "--dest", folder, project)
    archive = next(folder.glob(f"{project}-*.tar.gz"))
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz"), archive


def run(*command: object, environment: dict[str, str] | None = None) -> str:
    """Run a program to its end, and return what it prints. Raises PeersError if it fails."""
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeersError(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
