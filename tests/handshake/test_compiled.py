"""The watcher loads compiled modules of `inside` itself. If anything is odd about one, the ordinary import loads it."""

from __future__ import annotations

import json
import os
import py_compile
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from aia_store.install.watcher import HOOKS, PACKAGE
from tests.conftest import run_python
from tests.support import NO_HOOK

#: Says which module the watcher loaded by itself, and the value and the files that `settings` then has.
LOAD = textwrap.dedent("""
    import json, ssl, sys
    watcher = sys.modules["aia_store_finder"]
    is_ours = watcher.find_spec("_aia_store.settings") is not None
    from _aia_store import settings
    import inspect, _aia_store.pyopenssl
    print(json.dumps([is_ours, settings.NAME, settings.__file__, settings.__cached__, inspect.getsource(settings)[:3]]))
""")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package as the hook finds it, compiled."""
    inside, hooks = tmp_path / "aia_store" / "inside", tmp_path / "aia_store" / "install" / "hooks"
    shutil.copytree(Path(PACKAGE, "inside"), inside, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HOOKS, hooks, ignore=shutil.ignore_patterns("__pycache__"))
    py_compile.compile(str(inside / "settings.py"), doraise=True)
    return tmp_path / "aia_store"


def run_watched(package: Path, code: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a program with the hook of this copy."""
    path = f"{package / 'install' / 'hooks'}{os.pathsep}{NO_HOOK}"
    return run_python(code, hook=False, env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **more})


def settings_of(package: Path, **more: str) -> tuple[bool, str, Path]:
    """Whether a program's watcher loads `settings` by itself; then that module's NAME and compiled file."""
    done = run_watched(package, LOAD, **more)
    assert done.stderr == ""
    is_ours, name, source, compiled, begins = json.loads(done.stdout)
    assert (source, begins) == (str(package / "inside" / "settings.py"), '"""')
    return is_ours, name, Path(compiled)


def compiled_settings(package: Path) -> Path:
    tag = sys.implementation.cache_tag
    return package / "inside" / "__pycache__" / f"settings.{tag}.pyc"


def test_a_compiled_module_is_loaded(package: Path) -> None:
    assert settings_of(package) == (True, "aia-store", compiled_settings(package))


def test_the_source_has_changed(package: Path) -> None:
    source = package / "inside" / "settings.py"
    source.write_text(source.read_text(encoding="utf-8").replace('"aia-store"', '"other"'), encoding="utf-8")
    assert settings_of(package)[:2] == (False, "other")


def test_the_source_has_another_time(package: Path) -> None:
    os.utime(package / "inside" / "settings.py", (1, 1))
    assert settings_of(package)[:2] == (False, "aia-store")


def test_the_source_is_gone(package: Path) -> None:
    """As in the ordinary import, a compiled file without its source counts for nothing."""
    (package / "inside" / "settings.py").unlink()
    code = "import ssl, sys; print(sys.modules['aia_store_finder'].find_spec('_aia_store.settings'))"
    done = run_watched(package, code)
    assert (done.stdout, done.stderr) == ("None\n", "")


@pytest.mark.parametrize("contents", [b"", b"\0" * 40], ids=["empty", "of another Python"])
def test_a_compiled_file_that_is_none(package: Path, contents: bytes) -> None:
    compiled_settings(package).write_bytes(contents)
    assert settings_of(package)[:2] == (False, "aia-store")


def test_a_compiled_file_that_is_cut_short(package: Path) -> None:
    """The ordinary import has an error for this, which the program must not see."""
    compiled = compiled_settings(package)
    compiled.write_bytes(compiled.read_bytes()[:2000])
    done = run_watched(package, "import ssl; ssl.create_default_context(); print('ok')")
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_a_compiled_file_that_is_checked_by_its_hash(package: Path) -> None:
    """PEP 552: it says nothing of the source's time, so the ordinary import has to check it."""
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    py_compile.compile(str(package / "inside" / "settings.py"), doraise=True, invalidation_mode=mode)
    assert settings_of(package) == (False, "aia-store", compiled_settings(package))


def test_other_places_and_levels(package: Path, tmp_path: Path) -> None:
    for more in ({"PYTHONPYCACHEPREFIX": str(tmp_path / "elsewhere")}, {"PYTHONOPTIMIZE": "1"}):
        is_ours, name, compiled = settings_of(package, **more)
        assert (is_ours, name) == (False, "aia-store")
        assert compiled != compiled_settings(package)
