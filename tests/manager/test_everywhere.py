"""`hook install --python`: an interpreter and all virtual environments made from it, with nothing installed there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import aia_store
from tests.conftest import CONNECT_ONCE, MakeHierarchy
from tests.manager.copies import OLDEST, Copy, Environment, Installation, run, tree
from tests.manager.machine import Machine
from tests.support.servers import AIAHost, TLSServer

FINDER, SITECUSTOMIZE = "aia_store_finder", "sitecustomize"
USES_SSL = "import ssl; ssl.create_default_context(); print(ssl.SSLContext.__name__)"
LOCAL_ISSUER = "unable to get local issuer certificate"
#: As apport's hook is set up by Debian.
APPORT = (
    b"try:\n    import apport_python_hook\nexcept ImportError:\n    pass\nelse:\n    apport_python_hook.install()\n"
)
COMPILED = f"sitecustomize.{sys.implementation.cache_tag}.pyc"

pytestmark = pytest.mark.skipif(
    os.name != "posix" or not (Path(sys.base_prefix) / "lib" / f"python{sysconfig.get_python_version()}").is_dir(),
    reason="interpreters are copied as POSIX systems lay them out",
)


@pytest.fixture
def base(tmp_path: Path, machine: Machine) -> Copy:
    """An interpreter without a hook."""
    return Copy(tmp_path / "base", machine)


@pytest.fixture
def ours(tmp_path: Path, machine: Machine) -> Installation:
    """The package, in no environment of its own."""
    return Installation(tmp_path / "ours", machine)


@pytest.fixture
def hooked(base: Copy, ours: Installation) -> Copy:
    """The interpreter with the hook."""
    ours.does("install", "--python", base.python)
    return base


@pytest.fixture
def venv(tmp_path: Path, hooked: Copy) -> Environment:
    """A virtual environment with nothing in it, made from the interpreter with the hook."""
    return hooked.venv(tmp_path / "venv")


@pytest.fixture
def broken(machine: Machine, hierarchy: MakeHierarchy) -> Iterator[tuple[int, Path]]:
    """A server that forgets its intermediate: its port, and a file with its root."""
    pki = hierarchy()
    with TLSServer(pki.leaf) as server:
        yield server.port, pki.cafile


def completes(where: Copy | Environment, broken: tuple[int, Path], *options: str, **variables: str) -> bool:
    done = where.run(*options, "-c", CONNECT_ONCE, *broken, **variables)
    if done.returncode == 0:
        assert (done.stdout, done.stderr) == ("ok\n", "")
        return True
    assert LOCAL_ISSUER in done.stderr.splitlines()[-1]
    return False


def starts_silently(where: Copy | Environment, *options: str, **variables: str) -> None:
    for code in ("pass", USES_SSL):
        done = where.run(*options, "-c", code, **variables)
        assert (done.returncode, done.stderr) == (0, ""), code
        assert done.stdout in ("", "SSLContext\n")


def test_an_environment_with_nothing_installed_completes_a_chain(
    tmp_path: Path, base: Copy, ours: Installation, broken: tuple[int, Path], aia: AIAHost
) -> None:
    earlier = base.venv(tmp_path / "earlier")
    assert not completes(earlier, broken)
    assert "reached: with its virtual environments" in ours.does("install", "--python", base.python)
    later = base.venv(tmp_path / "later")
    assert completes(earlier, broken)
    assert completes(later, broken, AIA_STORE_OFFLINE="1")
    assert completes(base, broken, AIA_STORE_OFFLINE="1")
    assert aia.count() == 1
    assert not completes(later, broken, AIA_STORE_DISABLE="1")
    ours.does("remove", "--python", base.python)
    assert not completes(later, broken)


@pytest.mark.parametrize(("option", "expected"), [("-I", True), ("-E", True), ("-S", False)])
def test_options_of_the_interpreter(venv: Environment, broken: tuple[int, Path], option: str, expected: bool) -> None:
    assert completes(venv, broken, option) is expected
    starts_silently(venv, option)


def test_nothing_of_ours_is_on_the_path_of_the_program(tmp_path: Path, base: Copy, ours: Installation) -> None:
    venv = base.venv(tmp_path / "venv")
    path = "import ssl, sys; print(sys.path)"
    before = venv.run("-c", path).stdout
    ours.does("install", "--python", base.python)
    assert venv.run("-c", path).stdout == before
    for name in ("aia_store", "click", "cryptography"):
        done = venv.run("-c", f"import ssl, {name}")
        assert f"No module named '{name}'" in done.stderr


def test_a_program_that_does_not_use_ssl_loads_nothing_but_the_finder(venv: Environment, hooked: Copy) -> None:
    for where in (venv, hooked):
        done = where.run("-X", "importtime", "-c", "pass")
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert {name for name in loaded if "aia_store" in name} == {FINDER}
        assert "ssl" not in loaded
        assert not {"importlib.util", "json", "typing"} & loaded


#: The wrappers are loaded with the first context.
MAKES_A_CONTEXT = "import ssl; ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)"


def test_what_programs_load_is_compiled(base: Copy, ours: Installation) -> None:
    for folder in list(ours.package.rglob("__pycache__")):
        shutil.rmtree(folder)
    ours.does("install", "--python", base.python)
    for module in (FINDER, SITECUSTOMIZE):
        assert (base.cache / f"{module}.{sys.implementation.cache_tag}.pyc").stat().st_mode & 0o777 == 0o644
    for source in (base.library / f"{FINDER}.py", base.sitecustomize, ours.package / "inside" / "patch.py"):
        assert f"matches {source}\n" in base.run("-v", "-c", MAKES_A_CONTEXT).stderr
    (ours.package / "inside" / "patch.py").touch()  # as an upgrade does
    assert f"matches {source}\n" not in base.run("-v", "-c", MAKES_A_CONTEXT).stderr
    ours.does("install", "--python", base.python)
    assert f"matches {source}\n" in base.run("-v", "-c", MAKES_A_CONTEXT).stderr
    inside = [path for folder in (".", "pyopenssl") for path in (ours.package / "inside" / folder).glob("*.py")]
    assert {path.parent.parent / f"{path.name.split('.')[0]}.py" for path in ours.package.rglob("*.pyc")} == set(inside)
    ours.does("remove", "--python", base.python)
    assert not list(ours.package.rglob("*.pyc"))


def test_it_works_where_the_path_is_cut_after_the_start(venv: Environment, broken: tuple[int, Path]) -> None:
    cut = f"import sys; sys.path[:] = [path for path in sys.path if path != {str(venv.site)!r}]\n"
    done = venv.run("-c", cut + CONNECT_ONCE, *broken)
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_a_package_of_the_same_name_is_the_programs_own(venv: Environment, broken: tuple[int, Path]) -> None:
    (venv.site / "aia_store").mkdir()
    (venv.site / "aia_store" / "__init__.py").write_text("print('loaded')\n")
    assert completes(venv, broken)
    assert venv.run("-c", "import ssl, aia_store").stdout == "loaded\n"


def test_the_hook_of_an_environment_and_that_of_the_machine_do_not_meet(
    tmp_path: Path, venv: Environment, machine: Machine, broken: tuple[int, Path]
) -> None:
    own = Installation(tmp_path / "own", machine)
    shutil.copytree(own.package, venv.site / "aia_store")
    shutil.rmtree(venv.site / "aia_store" / "__pycache__")
    install = "from aia_store.install import hook; hook.install()"
    assert venv.run("-c", install).returncode == 0
    assert completes(venv, broken)
    shutil.rmtree(venv.site / "aia_store")  # what it leaves behind does not keep the machine's from working
    assert completes(venv, broken, AIA_STORE_OFFLINE="1")


def test_a_program_that_finds_our_package_later_can_use_it(
    tmp_path: Path, venv: Environment, machine: Machine, broken: tuple[int, Path]
) -> None:
    later = Installation(tmp_path / "later", machine)
    use = f"import ssl, sys; sys.path.append({str(later.folder)!r}); import aia_store; "
    where = venv.run("-c", use + "print(aia_store.__file__)")
    assert where.stdout == f"{later.package / '__init__.py'}\n"
    for call, completed in (("enable()", True), ("disable()", False)):
        done = venv.run("-c", f"{use}aia_store.{call}\n{CONNECT_ONCE}", *broken)
        assert (done.stdout == "ok\n") is completed, done


def test_subinterpreters_start_and_use_ssl(venv: Environment) -> None:
    run = "try:\n    import _interpreters as i\nexcept ImportError:\n    import _xxsubinterpreters as i\n"
    program = run + f"print(i.run_string(i.create(), {USES_SSL!r}))"
    if subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode != 0:
        pytest.skip("this Python crashes by itself: 3.12.1 does")
    done = venv.run("-c", program)
    assert done.stderr == ""
    assert "SSLContext" in done.stdout.splitlines()


# What is changed, and put back.


def no_sitecustomize(base: Copy) -> None:
    pass


def one_of_the_distribution(base: Copy) -> None:
    base.sitecustomize.write_bytes(APPORT)
    base.compile(base.sitecustomize)


def one_that_was_never_compiled(base: Copy) -> None:
    base.sitecustomize.write_bytes(APPORT)
    base.sitecustomize.chmod(0o640)


def a_conffile_behind_a_link(base: Copy) -> None:
    (base.folder / "etc").mkdir()
    (base.folder / "etc" / "sitecustomize.py").write_bytes(APPORT)
    base.sitecustomize.symlink_to("../../etc/sitecustomize.py")
    base.compile(base.sitecustomize)


def an_empty_one(base: Copy) -> None:
    base.sitecustomize.touch()


def one_without_a_last_newline(base: Copy) -> None:
    base.sitecustomize.write_bytes(b"# -*- coding: latin-1 -*-\r\nname = '\xe4'\r\nif name:\r\n    pass")


def one_with_a_docstring_and_a_future(base: Copy) -> None:
    base.sitecustomize.write_text('"""Ours."""\nfrom __future__ import annotations\n')


@pytest.mark.parametrize(
    "prepare",
    [
        no_sitecustomize,
        one_of_the_distribution,
        one_that_was_never_compiled,
        a_conffile_behind_a_link,
        an_empty_one,
        one_without_a_last_newline,
        one_with_a_docstring_and_a_future,
    ],
)
def test_remove_leaves_every_file_as_it_was(
    tmp_path: Path, base: Copy, ours: Installation, broken: tuple[int, Path], prepare: Callable[[Copy], None]
) -> None:
    prepare(base)
    venv = base.venv(tmp_path / "venv")
    before = tree(base.folder, ours.folder, venv.folder)
    times = {path: path.stat().st_mtime_ns for path in (base.sitecustomize, base.python) if path.exists()}
    for _ in range(2):  # installed twice is installed once
        ours.does("install", "--python", base.python)
        starts_silently(venv)
    assert completes(venv, broken)
    ours.does("status", "--python", base.python)
    ours.does("remove", "--python", base.python)
    assert tree(base.folder, ours.folder, venv.folder) == before
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert "no hook" in ours.does("remove", "--python", base.python)


def test_remove_leaves_no_folder_of_a_package_that_was_never_compiled(base: Copy, ours: Installation) -> None:
    """uv compiles nothing, nor does pip with --no-compile."""
    for folder in list(ours.package.rglob("__pycache__")):
        shutil.rmtree(folder)
    before = tree(base.folder, ours.folder)
    for _ in range(2):
        ours.does("install", "--python", base.python)
    ours.does("remove", "--python", base.python)
    assert tree(base.folder, ours.folder) == before


@pytest.mark.skipif(os.name != "posix", reason="a umask is POSIX's")
def test_what_is_compiled_every_user_can_read_whatever_the_umask(base: Copy, ours: Installation) -> None:
    """Otherwise each start of another user's program would compile it again."""
    for folder in [*ours.package.rglob("__pycache__"), base.cache]:
        shutil.rmtree(folder)
    before = os.umask(0o077)
    try:
        ours.does("install", "--python", base.python)
    finally:
        os.umask(before)
    for folder in (ours.package / "inside" / "__pycache__", base.cache):
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
        assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("compiled_before", [False, True], ids=["never compiled", "compiled"])
def test_remove_leaves_nothing_that_root_compiled_by_running_programs(
    tmp_path: Path, base: Copy, ours: Installation, compiled_before: bool
) -> None:
    """Each level of optimization has compiled files of its own (PEP 488). Only root can write them there."""
    if not compiled_before:
        for folder in list(ours.package.rglob("__pycache__")):
            shutil.rmtree(folder)

    def of_ours() -> dict[str, str]:
        library = {path: found for path, found in tree(base.folder).items() if FINDER in path or SITECUSTOMIZE in path}
        return library | tree(ours.folder)

    before = of_ours()
    ours.does("install", "--python", base.python)
    venv = base.venv(tmp_path / "venv")
    for level in ("-O", "-OO"):
        assert venv.run(level, "-c", MAKES_A_CONTEXT, PYTHONDONTWRITEBYTECODE=None).returncode == 0
    assert list(ours.package.rglob("*.opt-2.pyc"))
    ours.does("remove", "--python", base.python)
    assert of_ours() == before


def test_remove_keeps_optimized_files_that_the_package_came_with(base: Copy, ours: Installation) -> None:
    """RPMs bring them."""
    cache = ours.package / "inside" / "__pycache__"
    brought = cache / f"patch.{sys.implementation.cache_tag}.opt-1.pyc"
    brought.write_bytes((cache / f"patch.{sys.implementation.cache_tag}.pyc").read_bytes())
    for action in ("install", "install", "remove"):
        ours.does(action, "--python", base.python)
    assert brought.exists()


def test_remove_keeps_what_somebody_else_changed_since(base: Copy, ours: Installation) -> None:
    base.sitecustomize.write_bytes(APPORT)
    ours.does("install", "--python", base.python)
    base.sitecustomize.write_bytes(b"# before\n" + base.sitecustomize.read_bytes() + b"# after\n")
    ours.does("remove", "--python", base.python)
    assert base.sitecustomize.read_bytes() == b"# before\n" + APPORT + b"# after\n"
    assert not (base.cache / COMPILED).exists()


def test_remove_keeps_what_somebody_else_added_to_our_file(hooked: Copy, ours: Installation) -> None:
    with hooked.sitecustomize.open("ab") as file:
        file.write(b"theirs = True\n")
    ours.does("install", "--python", hooked.python)
    ours.does("remove", "--python", hooked.python)
    assert hooked.sitecustomize.read_bytes() == b"theirs = True\n"


def test_remove_works_without_its_receipt(tmp_path: Path, base: Copy, ours: Installation) -> None:
    base.sitecustomize.write_bytes(APPORT)
    before = tree(base.folder)
    ours.does("install", "--python", base.python)
    (base.library / "aia_store_hook.json").unlink()
    ours.does("remove", "--python", base.python)
    assert tree(base.folder) == before


def test_a_receipt_names_only_compiled_files_of_the_package(tmp_path: Path, base: Copy, ours: Installation) -> None:
    """It may have come with the interpreter, from another machine."""
    elsewhere = ours.folder / "elsewhere.pyc"
    elsewhere.write_bytes(b"precious")
    ours.does("install", "--python", base.python)
    receipt = base.library / "aia_store_hook.json"
    noted = json.loads(receipt.read_text())
    noted["compiled"] += [f"{ours.package}/../elsewhere.pyc", f"{ours.package}/inside/../../elsewhere.pyc", "x.pyc", 7]
    receipt.write_text(json.dumps(noted))
    ours.does("remove", "--python", base.python)
    assert elsewhere.read_bytes() == b"precious"


def test_a_hard_link_of_the_file_elsewhere_is_not_written_through(
    tmp_path: Path, base: Copy, ours: Installation
) -> None:
    base.sitecustomize.write_bytes(APPORT)
    in_a_cache = tmp_path / "cached.py"
    os.link(base.sitecustomize, in_a_cache)
    ours.does("install", "--python", base.python)
    assert in_a_cache.read_bytes() == APPORT


def test_status_notices_that_an_upgrade_replaced_the_conffile(base: Copy, ours: Installation) -> None:
    a_conffile_behind_a_link(base)
    ours.does("install", "--python", base.python)
    conffile = base.sitecustomize.resolve()
    conffile.with_suffix(".dpkg-new").write_bytes(APPORT + b"# the next release\n")
    conffile.with_suffix(".dpkg-new").rename(conffile)
    done = ours.hook("status", "--python", base.python, "--json")
    [found] = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["obstacles"] == [f"{conffile} was replaced; run `aia-store hook install --all` again"]
    ours.does("install", "--python", base.python)
    ours.does("status", "--python", base.python)
    ours.does("remove", "--python", base.python)
    assert conffile.read_bytes() == APPORT + b"# the next release\n"


# Others that customize the site.


def test_the_sitecustomize_of_the_distribution_still_runs(base: Copy, ours: Installation, venv: Environment) -> None:
    ours.does("remove", "--python", base.python)
    base.sitecustomize.write_bytes(APPORT)
    (venv.site / "apport_python_hook.py").write_text("def install(): print('apport')\n")
    ours.does("install", "--python", base.python)
    assert venv.run("-c", USES_SSL).stdout == "apport\nSSLContext\n"


def test_a_sitecustomize_behind_ours_still_runs(venv: Environment, broken: tuple[int, Path]) -> None:
    theirs = venv.site / "sitecustomize.py"
    theirs.write_text("import sys; theirs = 1; where = sys.modules[__name__].__file__\n")
    done = venv.run("-c", "import sitecustomize; print(sitecustomize.theirs, sitecustomize.where)")
    assert (done.stdout, done.stderr) == (f"1 {theirs}\n", "")
    assert completes(venv, broken)


def test_the_error_of_one_behind_ours_is_shown_unchanged(tmp_path: Path, base: Copy, ours: Installation) -> None:
    venv = base.venv(tmp_path / "venv")
    (venv.site / "sitecustomize.py").write_text("raise ValueError('theirs')\n")
    before = venv.run("-c", USES_SSL)
    assert "theirs" in before.stderr
    ours.does("install", "--python", base.python)
    after = venv.run("-c", USES_SSL)
    assert (after.stdout, after.stderr) == (before.stdout, before.stderr)


#: Forms of what a tool puts into a folder and names in PYTHONPATH. Each prints `theirs`.
THEIRS = {
    "takes its folder away and imports again": (
        "import os, sys\nprint('theirs')\nsys.path.remove(os.path.dirname(os.path.abspath(__file__)))\n"
        "del sys.modules['sitecustomize']\nimport sitecustomize\n"
    ),
    "looks for the next on the path": (
        "import importlib.machinery as m, importlib.util as u, os, sys\nprint('theirs')\n"
        "rest = [p for p in sys.path if p != os.path.dirname(os.path.abspath(__file__))]\n"
        "spec = m.PathFinder.find_spec('sitecustomize', rest)\n"
        "if spec: spec.loader.exec_module(u.module_from_spec(spec))\n"
    ),
    "cares for no other": "import os\nprint('theirs')\nos.environ.pop('PYTHONPATH', None)\n",
}


@pytest.mark.parametrize("form", THEIRS)
def test_a_sitecustomize_before_ours_runs_and_so_does_ours(
    tmp_path: Path, hooked: Copy, venv: Environment, form: str, broken: tuple[int, Path]
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text(THEIRS[form])
    for where in (hooked, venv):
        done = where.run("-c", CONNECT_ONCE, *broken, PYTHONPATH=str(theirs))
        assert done.stdout.startswith("theirs\n")
        if form == "cares for no other" and where is venv:
            assert LOCAL_ISSUER in done.stderr  # nothing is read there before it: `hook status` says so
        else:
            assert (done.stdout, done.stderr) == ("theirs\nok\n", "")


@pytest.mark.parametrize("form", THEIRS)
def test_each_of_them_runs_behind_ours_once_or_as_often_as_it_asks(
    hooked: Copy, venv: Environment, form: str, broken: tuple[int, Path]
) -> None:
    (venv.site / "sitecustomize.py").write_text(THEIRS[form])
    done = venv.run("-c", CONNECT_ONCE, *broken)
    assert (done.stdout, done.stderr) == ("theirs\nok\n", "")


def test_status_names_what_may_hide_the_hook(tmp_path: Path, hooked: Copy, ours: Installation) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text("pass\n")
    path = os.pathsep.join([str(ours.folder), *filter(None, sys.path), str(theirs)])
    done = ours.machine.execute(
        sys.executable, "-m", "aia_store", "hook", "status", "--python", hooked.python, PYTHONPATH=path
    )
    assert f"PYTHONPATH names {theirs}" in done.stderr


# Broken installations.


def deleted(base: Copy, ours: Installation) -> None:
    shutil.rmtree(ours.package)


def half_deleted(base: Copy, ours: Installation) -> None:
    shutil.rmtree(ours.package / "inside")


def without_its_start(base: Copy, ours: Installation) -> None:
    (ours.package / "inside" / "startup.py").unlink()


def cut_short(base: Copy, ours: Installation) -> None:
    for path in ours.package.rglob("*.py"):
        text = path.read_text()
        path.write_text(text[: len(text) // 2] + "\n((")


def emptied(base: Copy, ours: Installation) -> None:
    for path in ours.package.rglob("*.py"):
        path.write_text("")


def compiled_files_of_rubbish(base: Copy, ours: Installation) -> None:
    for path in [*ours.package.rglob("*.pyc"), *base.cache.glob("aia_store*")]:
        path.write_bytes(path.read_bytes()[:16] + b"rubbish")


def compiled_files_cut_short(base: Copy, ours: Installation) -> None:
    for path in [*ours.package.rglob("*.pyc"), *base.cache.glob("aia_store*")]:
        path.write_bytes(path.read_bytes()[:-40])


def without_the_finder(base: Copy, ours: Installation) -> None:
    (base.library / f"{FINDER}.py").unlink()


def with_half_a_finder(base: Copy, ours: Installation) -> None:
    (base.library / f"{FINDER}.py").write_text("import sys\n((")


def with_a_finder_of_zeros(base: Copy, ours: Installation) -> None:
    (base.library / f"{FINDER}.py").write_bytes(bytes(512))  # as a power failure leaves a file


@pytest.mark.parametrize(
    "ruin",
    [
        deleted,
        half_deleted,
        without_its_start,
        cut_short,
        emptied,
        compiled_files_of_rubbish,
        compiled_files_cut_short,
        without_the_finder,
        with_half_a_finder,
        with_a_finder_of_zeros,
    ],
)
def test_interpreters_outlive_the_package(
    hooked: Copy,
    venv: Environment,
    ours: Installation,
    broken: tuple[int, Path],
    ruin: Callable[[Copy, Installation], None],
) -> None:
    ruin(hooked, ours)
    for where in (hooked, venv):
        starts_silently(where)
        assert not completes(where, broken)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_root_tries_no_environment_where_another_user_could_change_it(
    tmp_path: Path, base: Copy, ours: Installation
) -> None:
    """A folder of root's in another user's can be moved away, and its interpreter replaced before root runs it."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 12_001, 12_001)
    done = ours.hook("status", "--python", base.python, TMPDIR=str(theirs))
    assert f"users other than root can change {theirs}; set TMPDIR to another folder" in done.stderr
    assert "reached" not in done.stdout.lower()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_root_has_no_site_packages_in_the_home_of_another_user(tmp_path: Path, machine: Machine) -> None:
    """As under `sudo -E`, which keeps HOME: a link there could lead root's files, and their removal, anywhere."""
    home = tmp_path / "home"
    home.mkdir()
    code = "from aia_store.install import hook; print(hook.folders())"
    package = os.pathsep.join([str(Path(aia_store.__file__).parents[1]), *filter(None, sys.path)])
    base_python = Path(sys.base_prefix, "bin", "python3")

    def folders() -> str:
        return run(machine, base_python, "-c", code, HOME=str(home), PYTHONPATH=package).stdout

    assert str(home) in folders()
    os.chown(home, 12_001, 12_001)
    assert str(home) not in folders()
    assert "site-packages" in folders()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be another user, too")
def test_interpreters_start_for_a_user_who_may_read_nothing_of_ours() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        machine = Machine(folder / "machine")
        base, ours = Copy(folder / "base", machine), Installation(folder / "ours", machine)
        if not all(part.stat().st_mode & 0o001 for part in Path(sys.base_prefix).parents):
            pytest.skip("another user cannot reach the libraries of this Python")
        ours.does("install", "--python", base.python)
        for path in [*ours.package.rglob("*"), ours.package, *base.library.glob("*aia_store*")]:
            path.chmod(0)
        for code in ("pass", USES_SSL):
            done = subprocess.run([base.python, "-c", code], capture_output=True, text=True, user=65_534, check=False)
            assert (done.returncode, done.stderr) == (0, "")


# Bad input.


def test_one_bad_interpreter_does_not_keep_the_hook_from_the_others(
    tmp_path: Path, base: Copy, ours: Installation
) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexit 3\n")
    silent.chmod(0o755)
    gone = base.venv(tmp_path / "gone")
    gone.python.unlink()
    gone.python.symlink_to(tmp_path / "no such base" / "python")
    bad = [silent, tmp_path / "missing", gone.python, tmp_path]
    done = ours.hook("install", *(f"--python={path}" for path in [*bad, base.python]))
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == len(bad)
    for line, path in zip(lines, bad, strict=True):
        assert line.startswith(f"aia-store: {path} cannot be run (")
    assert "reached: with its virtual environments" in done.stdout


def test_a_sitecustomize_that_raises_is_named(base: Copy, ours: Installation) -> None:
    base.sitecustomize.write_text("raise ValueError('theirs')\n")
    done = ours.hook("install", "--python", base.python)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "says at its start: ValueError: theirs" in done.stderr
    ours.does("remove", "--python", base.python)
    assert base.sitecustomize.read_text() == "raise ValueError('theirs')\n"


def test_a_sitecustomize_that_cannot_be_read_is_left_alone(base: Copy, ours: Installation) -> None:
    base.sitecustomize.mkdir()  # what root cannot read either
    before = tree(base.folder)
    done = ours.hook("install", "--python", base.python)
    assert done.returncode == 1
    assert done.stderr.startswith(f"aia-store: {base.python}: {base.library} cannot be written (Is a directory)")
    assert done.stderr.count("\n") == 1
    assert tree(base.folder) == before


def test_nothing_is_put_into_the_site_packages_of_an_externally_managed_interpreter(
    base: Copy, ours: Installation, tmp_path: Path, broken: tuple[int, Path]
) -> None:
    (base.library / "EXTERNALLY-MANAGED").touch()
    assert "externally managed" in ours.does("install", "--python", base.python)
    assert list(base.site.iterdir()) == []
    assert completes(base, broken)
    assert completes(base.venv(tmp_path / "venv"), broken)


def test_root_refuses_a_package_that_others_can_change(base: Copy, ours: Installation) -> None:
    if os.geteuid() != 0:
        pytest.skip("this is not root")
    before = tree(base.folder)
    ours.package.chmod(0o777)
    done = ours.hook("install", "--python", base.python)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"aia-store: {ours.package} can be changed by users other than root")
    ours.package.chmod(0o755)
    os.chown(ours.folder, 65_534, 65_534)
    assert "can be changed by users other than root" in ours.hook("install", "--python", base.python).stderr
    assert tree(base.folder) == before


def test_root_does_not_run_the_interpreter_of_another_user(base: Copy, ours: Installation) -> None:
    if os.geteuid() != 0:
        pytest.skip("this is not root")
    os.chown(base.python, 65_534, 65_534)
    done = ours.hook("install", "--python", base.python)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"aia-store: {base.python} is left alone, because users other than root can change {base.python}; "
    )


# Each makes of an environment what another user could: its Python would run what is in `marker`, and write a file.


def named_by_pyvenv_cfg(venv: Environment, home: Path) -> None:
    (venv.folder / "pyvenv.cfg").write_text(f"home = {home / 'bin'}\n")


def with_a_pyvenv_cfg_of_theirs(venv: Environment, home: Path) -> None:
    os.chown(venv.folder / "pyvenv.cfg", 65_534, 65_534)


def in_a_folder_of_theirs(venv: Environment, home: Path) -> None:
    os.chown(venv.folder, 65_534, 65_534)


def in_a_folder_that_all_may_write(venv: Environment, home: Path) -> None:
    venv.python.parent.chmod(0o777)


def behind_a_link_of_theirs(venv: Environment, home: Path) -> None:
    os.chown(venv.python, 65_534, 65_534, follow_symlinks=False)


def with_a_library_that_all_may_write(venv: Environment, home: Path) -> None:
    named_by_pyvenv_cfg(venv, home)
    os.chown(home, 0, 0)
    os.chown(home / "bin", 0, 0)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("command", ["status", "install", "remove"])
@pytest.mark.parametrize(
    "make",
    [
        named_by_pyvenv_cfg,
        with_a_pyvenv_cfg_of_theirs,
        in_a_folder_of_theirs,
        in_a_folder_that_all_may_write,
        behind_a_link_of_theirs,
        with_a_library_that_all_may_write,
    ],
)
def test_root_runs_nothing_that_another_user_can_change(
    tmp_path: Path,
    base: Copy,
    ours: Installation,
    make: Callable[[Environment, Path], None],
    command: str,
) -> None:
    home, venv, marker = tmp_path / "home", base.venv(tmp_path / "venv"), tmp_path / "marker"
    theirs = home / "lib" / base.library.name
    theirs.mkdir(parents=True)
    (home / "bin").mkdir()
    (theirs / "os.py").touch()  # the landmark of a standard library
    (theirs / "encodings.py").write_text(f"open({str(marker)!r}, 'w')\n")
    for path in (home, home / "bin", home / "lib", theirs):
        os.chown(path, 65_534, 65_534)
    make(venv, home)
    before = tree(base.folder, venv.folder)
    done = ours.hook(command, "--python", venv.python)
    assert done.returncode == 1
    assert done.stderr.startswith(f"aia-store: {venv.python} is left alone, because users other than root can change ")
    assert done.stderr.count("\n") == 1
    assert not marker.exists()
    assert tree(base.folder, venv.folder) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_root_runs_no_interpreter_whose_site_packages_are_anothers(base: Copy, ours: Installation) -> None:
    (base.site / "theirs.pth").write_text("import sys; sys.stderr.write('theirs')\n")
    os.chown(base.site, 65_534, 65_534)
    done = ours.hook("install", "--python", base.python)
    assert done.stderr.startswith(
        f"aia-store: {base.python} is left alone, because users other than root can change {base.site}"
    )
    assert done.stderr.count("\n") == 1


def test_a_lock_that_anybody_can_hold_blocks_nobody(base: Copy, ours: Installation) -> None:
    import fcntl

    for path in (base.library, base.site):
        fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX)
    ours.does("install", "--python", base.python)
    ours.does("remove", "--python", base.python)


@pytest.mark.skipif(not OLDEST, reason="no Python 3.9 or 3.10 is here")
@pytest.mark.parametrize("python", OLDEST, ids=lambda python: python.parents[1].name)
def test_the_oldest_pythons_are_reached(tmp_path: Path, machine: Machine, ours: Installation, python: Path) -> None:
    base = Copy(tmp_path / "base", machine, python.resolve())
    before = tree(base.folder)
    assert "reached: with its virtual environments" in ours.does("install", "--python", base.python)
    ours.does("remove", "--python", base.python)
    assert tree(base.folder) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be another user, too")
def test_a_user_reaches_what_a_user_may_write_to(hierarchy: MakeHierarchy) -> None:
    system = shutil.which("python3", path="/usr/bin")
    somebody = 65_534
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        machine = Machine(folder / "machine")
        ours = Installation(folder / "ours", machine)
        for path in (machine.folder, machine.folder / "home"):
            os.chown(path, somebody, somebody)

        def as_somebody(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
            environment = machine.with_variables({"PYTHONPATH": None, "PYTHONDONTWRITEBYTECODE": "1", **variables})
            command = [str(system), *map(str, arguments)]
            return subprocess.run(
                command,
                env=environment,
                cwd="/",
                capture_output=True,
                text=True,
                user=somebody,
                group=somebody,
                check=False,
            )

        usable = "import click, rich, site, sys; sys.exit(sys.version_info < (3, 11) or not site.ENABLE_USER_SITE)"
        if system is None or as_somebody("-c", usable, PYTHONPATH=ours.path).returncode != 0:
            pytest.skip("no Python 3.11 in /usr/bin that another user could run this with")
        before = tree(machine.folder / "home")
        done = as_somebody("-m", "aia_store", "hook", "install", "--python", system, PYTHONPATH=ours.path)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done
        assert (
            "cannot be written (Permission denied), so its environments are not reached; run this as root"
            in done.stderr
        )
        assert "reached: by itself only" in done.stdout
        pki = hierarchy()
        (folder / "root.pem").write_bytes(pki.cafile.read_bytes())
        with TLSServer(pki.leaf) as server:
            connected = as_somebody("-c", CONNECT_ONCE, server.port, folder / "root.pem")
        assert (connected.stdout, connected.stderr) == ("ok\n", "")
        os.chown(ours.folder, somebody, somebody)
        ours.folder.chmod(0o700)  # as homes are on Debian 13
        status = as_somebody("-m", "aia_store", "hook", "status", "--json", "--python", system, PYTHONPATH=ours.path)
        (found,) = json.loads(status.stdout)
        assert [line.partition(";")[0] for line in found["obstacles"]] == ["its virtual environments are not reached"]
        done = as_somebody("-m", "aia_store", "hook", "remove", "--python", system, PYTHONPATH=ours.path)
        assert (done.returncode, done.stderr) == (0, "")
        assert tree(machine.folder / "home") == before


def test_all_finds_what_the_usual_tools_install(machine: Machine, ours: Installation) -> None:
    home = machine.folder / "home"
    places = {
        "pyenv": home / ".pyenv" / "versions" / "3.x",
        "uv": home / ".local" / "share" / "uv" / "python" / "cpython-3.x",
        "pipx": home / ".local" / "share" / "pipx" / "py" / "3.x",
        "conda": home / "miniconda3",
        "environment of conda": home / "miniconda3" / "envs" / "work",
    }
    copies = {tool: Copy(folder, machine) for tool, folder in places.items()}
    (copies["pyenv"].python.parent / "python3").symlink_to(copies["pyenv"].python)  # the same once more
    found = {
        "uv tool": copies["uv"].venv(home / ".local" / "share" / "uv" / "tools" / "ruff"),
        "project": copies["uv"].venv(home / "project" / ".venv"),
    }
    orphan = copies["conda"].venv(home / "old" / "venv")
    orphan.python.unlink()
    done = ours.hook("status", "--all", "--json", PYENV_ROOT=None, UV_PYTHON_INSTALL_DIR=None)
    assert done.returncode == 1
    assert f"aia-store: {orphan.folder} has lost its interpreter ({copies['conda'].python.parent})" in done.stderr
    listed = {entry["standard_library"]: entry for entry in json.loads(done.stdout)}
    assert len(listed) == len(json.loads(done.stdout))
    assert {str(copy.library) for copy in copies.values()} <= listed.keys()
    assert set(listed[str(copies["uv"].library)]["environments"]) == {str(venv.folder) for venv in found.values()}


def test_status_is_a_table_and_json(tmp_path: Path, base: Copy, ours: Installation) -> None:
    venv = base.venv(ours.machine.folder / "home" / "project" / ".venv")
    before = ours.hook("status", "--python", base.python)
    assert before.returncode == 1
    assert "run `aia-store hook install --all`" in before.stdout
    ours.does("install", "--python", venv.python)  # an environment's means that of its base
    table = ours.does("status", "--python", base.python)
    assert "with its virtual environments" in table
    assert str(venv.folder) in _column(table, "Environments")
    [found] = json.loads(ours.does("status", "--json", "--python", base.python))
    assert found["environments"] == [str(venv.folder)]
    assert (found["reached"], found["is_fine"], found["obstacles"]) == ("with its virtual environments", True, [])
    assert found["by"] == [str(base.library / f"{FINDER}.py")]


def _column(table: str, heading: str) -> str:
    """What is in a column, its folded lines put together."""
    first, *rows = table.splitlines()
    start = first.index(heading)
    end = first.index("In the way")
    return "".join(row[start:end].strip() for row in rows)
