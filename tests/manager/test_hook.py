"""The hook in real virtual environments: programs there know nothing of us."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import CONNECT_ONCE, MakeHierarchy
from tests.manager.machine import Machine
from tests.manager.venvs import Venv, make_wheel, pip
from tests.support.servers import AIAHost, TLSServer

PTH, START, WATCHER = "aia_store.pth", "aia_store.start", "aia_store_watcher.py"
READS_START_FILES = sys.version_info >= (3, 15)
USES_SSL = "import ssl; ssl.create_default_context(); print(ssl.SSLContext.__name__)"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site-packages of an environment into which pip installed a wheel of ours."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("pip is not here")
    folder = tmp_path_factory.mktemp("installed")
    template = Venv(folder / "venv", Machine(folder / "machine"), None)
    pip(template.python, "install", "--no-deps", "--no-index", "--no-compile", make_wheel(folder))
    return template.site


@pytest.fixture
def venv(tmp_path: Path, machine: Machine, installed: Path) -> Venv:
    """An environment with aia-store in it and no hook."""
    return Venv(tmp_path / "venv", machine, installed)


@pytest.fixture
def hooked(venv: Venv) -> Venv:
    """An environment with the hook."""
    done = venv.hook("install")
    assert (done.returncode, done.stderr) == (0, "")
    return venv


@pytest.fixture
def broken(machine: Machine, hierarchy: MakeHierarchy) -> Iterator[tuple[int, Path]]:
    """A server that forgets its intermediate: its port, and a file with its root."""
    pki = hierarchy()
    with TLSServer(pki.leaf) as server:
        yield server.port, pki.cafile


def starts_silently(venv: Venv, *options: str) -> None:
    """Any program starts and uses ssl, with nothing printed."""
    for code in ("pass", USES_SSL):
        done = venv.run(*options, "-c", code)
        assert (done.returncode, done.stderr) == (0, ""), code
        assert done.stdout in ("", "SSLContext\n")


def test_a_plain_program_completes_a_chain(venv: Venv, broken: tuple[int, Path], aia: AIAHost) -> None:
    before = venv.run("-c", CONNECT_ONCE, *broken)
    assert "unable to get local issuer certificate" in before.stderr
    assert venv.hook("install").returncode == 0
    after = venv.run("-c", CONNECT_ONCE, *broken)
    assert (after.stdout, after.stderr) == ("ok\n", "")
    again = venv.run("-c", CONNECT_ONCE, *broken, AIA_STORE_OFFLINE="1")
    assert (again.stdout, again.stderr) == ("ok\n", "")
    assert aia.count() == 1
    disabled = venv.run("-c", CONNECT_ONCE, *broken, AIA_STORE_DISABLE="1")
    assert "unable to get local issuer certificate" in disabled.stderr


def test_it_works_where_the_path_is_cut_after_the_start(hooked: Venv, broken: tuple[int, Path]) -> None:
    """As pip does it for isolated builds, and pex."""
    cut = "import sys; sys.path[:] = [path for path in sys.path if 'site-packages' not in path]\n"
    done = hooked.run("-c", cut + CONNECT_ONCE, *broken)
    assert (done.stdout, done.stderr) == ("ok\n", "")


@pytest.mark.parametrize("option", ["-c", "-m"])
def test_a_folder_of_the_same_name_is_the_programs_own(hooked: Venv, broken: tuple[int, Path], option: str) -> None:
    """Where a program is started by -c or -m, what lies there comes first on its path."""
    for name in ("aia_store", "_aia_store"):
        folder = hooked.machine.folder / name
        folder.mkdir()
        (folder / "__init__.py").write_text("print('loaded')\n")
    (hooked.machine.folder / "program.py").write_text(CONNECT_ONCE)
    program = CONNECT_ONCE if option == "-c" else "program"
    done = hooked.run(option, program, *broken)
    assert (done.stdout, done.stderr) == ("ok\n", "")
    assert hooked.run("-c", "import ssl, aia_store").stdout == "loaded\n"


def test_install_says_what_it_wrote(venv: Venv) -> None:
    before = venv.contents()
    done = venv.hook("install")
    new = venv.contents().keys() - before.keys()
    assert {PTH, START} <= new
    for name in new:
        assert f"wrote {venv.site / name}\n" in done.stdout
    assert (venv.site / START).read_text() == "aia_store_watcher:attach\n"
    assert (venv.site / PTH).read_text().startswith("import ")
    assert (venv.site / PTH).read_text().count("\n") == 1


def test_remove_leaves_everything_as_it_was(venv: Venv) -> None:
    before = venv.contents()
    assert venv.hook("install").returncode == 0
    new = venv.contents().keys() - before.keys()
    assert all(name.startswith("aia_store") for name in new)
    done = venv.hook("remove")
    assert (done.returncode, done.stderr) == (0, "")
    for name in new:
        assert f"removed {venv.site / name}\n" in done.stdout
    assert venv.contents() == before
    assert "no hook" in venv.hook("remove").stdout


def test_remove_leaves_nothing_that_programs_compiled(hooked: Venv) -> None:
    for level in ("-O", "-OO"):
        assert hooked.run(level, "-c", USES_SSL, PYTHONDONTWRITEBYTECODE=None).returncode == 0
    assert len(list(hooked.site.glob("__pycache__/aia_store_watcher.*"))) == 3
    assert hooked.hook("remove").returncode == 0
    assert not (hooked.site / "__pycache__").exists()


def test_install_twice_is_install_once(hooked: Venv) -> None:
    before = hooked.contents()
    assert hooked.hook("install").returncode == 0
    assert hooked.contents() == before


def test_install_repairs_a_file_that_was_changed(hooked: Venv) -> None:
    before = hooked.contents()
    (hooked.site / PTH).write_text("# nothing\n")
    status = hooked.hook("status", "--json")
    assert status.returncode == 1
    assert json.loads(status.stdout)["broken"] == [str(hooked.site / PTH)]
    assert hooked.hook("install").returncode == 0
    assert hooked.contents() == before
    assert hooked.hook("status").returncode == 0


def test_status_says_whether_it_works(venv: Venv) -> None:
    before = venv.hook("status")
    assert before.returncode == 1
    assert "not active" in before.stdout
    assert "aia-store hook install" in before.stdout
    assert venv.hook("install").returncode == 0
    after = venv.hook("status")
    assert after.returncode == 0
    assert "active" in after.stdout
    assert "not active" not in after.stdout
    found = json.loads(venv.hook("status", "--json").stdout)
    assert found["is_active"] is True
    assert found["remedy"] is None
    assert found["python"] == str(venv.python)
    assert {Path(file).name for file in found["files"]} >= {PTH, START}
    assert venv.hook("remove").returncode == 0
    assert json.loads(venv.hook("status", "--json").stdout)["is_active"] is False


def test_status_is_not_fooled_by_a_setting_of_this_shell(hooked: Venv) -> None:
    assert json.loads(hooked.hook("status", "--json", AIA_STORE_LOG="debug").stdout)["is_active"] is True


def test_interpreters_start_with_any_option(hooked: Venv) -> None:
    since_3_11 = ["-P"] if sys.version_info >= (3, 11) else []
    for option in ("-I", "-E", "-s", "-S", "-OO", "-Xdev", "-Wdefault", *since_3_11):
        starts_silently(hooked, option)


@pytest.mark.parametrize(("option", "completes"), [("-I", True), ("-E", True), ("-S", False)])
def test_options_that_keep_the_hook_and_one_that_does_not(
    hooked: Venv, broken: tuple[int, Path], option: str, completes: bool
) -> None:
    # -I and -E ignore PYTHON variables, not ours.
    done = hooked.run(option, "-c", CONNECT_ONCE, *broken)
    assert (done.stdout == "ok\n") is completes
    assert completes or "unable to get local issuer certificate" in done.stderr


def uninstalled(venv: Venv) -> None:
    pip(venv.python, "uninstall", "--yes", "aia-store")


def deleted(venv: Venv) -> None:
    shutil.rmtree(venv.site / "aia_store")


def half_deleted(venv: Venv) -> None:
    shutil.rmtree(venv.site / "aia_store" / "inside")


def without_its_start(venv: Venv) -> None:
    (venv.site / "aia_store" / "inside" / "startup.py").unlink()


def without_the_store(venv: Venv) -> None:
    (venv.site / "aia_store" / "inside" / "store.py").unlink()


def cut_short(venv: Venv) -> None:
    for path in (venv.site / "aia_store").rglob("*.py"):
        text = path.read_text()
        path.write_text(text[: len(text) // 2] + "\n((")


def emptied(venv: Venv) -> None:
    for path in (venv.site / "aia_store").rglob("*.py"):
        path.write_text("")


def replaced_by_a_file(venv: Venv) -> None:
    shutil.rmtree(venv.site / "aia_store")
    (venv.site / "aia_store.py").write_text("raise RuntimeError('another package of that name')")


def compiled_files_of_rubbish(venv: Venv) -> None:
    for path in venv.site.rglob("aia_store*.pyc"):
        path.write_bytes(path.read_bytes()[:16] + b"rubbish")


def compiled_files_cut_short(venv: Venv) -> None:
    for path in venv.site.rglob("aia_store*.pyc"):
        path.write_bytes(path.read_bytes()[:-40])


def without_its_watcher(venv: Venv) -> None:
    (venv.site / WATCHER).unlink()


def with_half_a_watcher(venv: Venv) -> None:
    (venv.site / WATCHER).write_text("import sys\n((")


def with_a_watcher_of_zeros(venv: Venv) -> None:
    (venv.site / WATCHER).write_bytes(bytes(512))  # as a power failure leaves a file


def with_a_folder_for_a_watcher(venv: Venv) -> None:
    (venv.site / WATCHER).unlink()
    (venv.site / WATCHER).mkdir()


@pytest.mark.parametrize(
    "ruin",
    [
        uninstalled,
        deleted,
        half_deleted,
        without_its_start,
        without_the_store,
        cut_short,
        emptied,
        replaced_by_a_file,
    ],
)
def test_interpreters_outlive_the_package(hooked: Venv, broken: tuple[int, Path], ruin: Callable[[Venv], None]) -> None:
    ruin(hooked)
    starts_silently(hooked)
    done = hooked.run("-c", CONNECT_ONCE, *broken)
    assert done.stderr.count("Error") == 1
    assert "unable to get local issuer certificate" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "ruin",
    [
        compiled_files_of_rubbish,
        compiled_files_cut_short,
        without_its_watcher,
        with_half_a_watcher,
        with_a_watcher_of_zeros,
        with_a_folder_for_a_watcher,
    ],
)
def test_interpreters_outlive_the_watcher(hooked: Venv, ruin: Callable[[Venv], None]) -> None:
    ruin(hooked)
    if READS_START_FILES:
        (hooked.site / START).unlink()  # which nothing can guard: site says itself what is wrong
    starts_silently(hooked)


@pytest.mark.skipif(not READS_START_FILES, reason="site reads .start files from Python 3.15 on")
def test_a_start_file_is_enough(hooked: Venv, broken: tuple[int, Path]) -> None:
    (hooked.site / PTH).unlink()
    done = hooked.run("-c", CONNECT_ONCE, *broken)
    assert (done.stdout, done.stderr) == ("ok\n", "")
    (hooked.site / START).unlink()
    assert "unable to get local issuer certificate" in hooked.run("-c", CONNECT_ONCE, *broken).stderr


def test_a_corrupt_compiled_file_is_noticed_and_repaired(hooked: Venv) -> None:
    compiled_files_of_rubbish(hooked)
    status = hooked.hook("status", "--json")
    assert (status.returncode, json.loads(status.stdout)["is_active"]) == (1, False)
    assert hooked.hook("install").returncode == 0
    assert hooked.hook("status").returncode == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sitecustomize.py", "import ssl\n"),
        ("zzz.pth", "import ssl\n"),
        ("_first.pth", "import ssl\n"),
        ("_first.pth", "import ssl; from ssl import create_default_context; create_default_context()\n"),
    ],
)
def test_it_works_where_the_start_of_the_interpreter_imports_ssl(
    hooked: Venv, broken: tuple[int, Path], name: str, text: str
) -> None:
    (hooked.site / name).write_text(text)
    done = hooked.run("-c", CONNECT_ONCE, *broken)
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_it_works_in_a_folder_with_an_odd_name(
    tmp_path: Path, machine: Machine, installed: Path, broken: tuple[int, Path]
) -> None:
    odd = Venv(tmp_path / 'it\'s "ünï" $HOME', machine, installed)
    assert odd.hook("install").returncode == 0
    done = odd.run("-c", CONNECT_ONCE, *broken)
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_it_works_in_child_processes(hooked: Venv, broken: tuple[int, Path]) -> None:
    code = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', *sys.argv[1:]]))"
    done = hooked.run("-c", code, CONNECT_ONCE, *broken)
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_a_folder_that_cannot_be_written_is_named_in_one_line(venv: Venv) -> None:
    (venv.site / PTH).mkdir()  # for root too, nothing can be put there
    before = venv.contents()
    done = venv.hook("install")
    assert done.returncode == 1
    assert done.stderr.startswith(f"aia-store: nowhere to put the hook: {venv.site}")
    assert done.stderr.count("\n") == 1
    assert venv.contents() == before


def test_a_user_who_may_not_write_is_told_so_in_one_line(venv: Venv) -> None:
    somebody = 65_534 if os.geteuid() == 0 else None
    if somebody is not None:
        for folder in venv.site.parents[2:]:
            if not folder.stat().st_mode & 0o001:
                pytest.skip("this is root, and another user cannot reach the environment")
    venv.site.chmod(0o555)
    environment = venv.machine.with_variables({"PYTHONPATH": os.pathsep.join([str(venv.site), *sys.path[1:]])})
    command = [str(venv.python), "-m", "aia_store", "hook", "install"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, user=somebody)
    venv.site.chmod(0o755)
    assert done.returncode == 1
    assert done.stderr.startswith(f"aia-store: nowhere to put the hook: {venv.site}")
    assert done.stderr.count("\n") == 1
