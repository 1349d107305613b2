"""What the installed package does with an interpreter: the hook, the store, the bundle, the settings, the selftest.

For the scripts that try other platforms: it installs the hook into the very interpreter that runs it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aia_store.inside.settings import user_config

from ..conftest import CONNECT_ONCE, MakeHierarchy, run_python
from .pki import pem_blocks
from .servers import AIAHost, TLSServer

NO_ISSUER = "unable to get local issuer certificate"


def command(*arguments: str) -> str:
    """What the command prints; it must succeed."""
    line = [sys.executable, "-m", "aia_store", *arguments]
    done = subprocess.run(line, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def installed(store: Path) -> Iterator[Path]:
    """The hook is installed in this interpreter; the path of the store folder."""
    command("hook", "install")
    yield store
    command("hook", "remove")


def test_a_program_completes_a_chain_until_the_hook_is_removed(
    installed: Path, aia: AIAHost, hierarchy: MakeHierarchy
) -> None:
    members = hierarchy()
    with TLSServer(members.leaf) as server:
        once = CONNECT_ONCE, server.port, members.cafile
        assert run_python(*once, hook=False).stdout == "ok\n"
        assert run_python(*once, hook=False, env={"AIA_STORE_OFFLINE": "1"}).stdout == "ok\n"
        assert aia.count() == 1
        command("hook", "remove")
        assert NO_ISSUER in run_python(*once, hook=False).stderr


def test_a_program_without_the_hook_connects_with_the_bundle(
    installed: Path, hierarchy: MakeHierarchy, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = hierarchy()
    with TLSServer(members.leaf) as server:
        assert run_python(CONNECT_ONCE, server.port, members.cafile, hook=False).stdout == "ok\n"
        command("hook", "remove")
        monkeypatch.setenv("AIA_STORE_ROOTS", str(members.cafile))
        bundle = command("bundle").rstrip("\n")
        assert pem_blocks(Path(bundle).read_text()) == [members.root.der, members.intermediates[0].der]
        assert run_python(CONNECT_ONCE, server.port, bundle, hook=False).stdout == "ok\n"


def test_a_setting_in_the_users_file_holds_in_programs(
    installed: Path, hierarchy: MakeHierarchy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    members, folder = hierarchy(), user_config()
    assert folder is not None
    Path(folder).mkdir(parents=True)
    Path(folder, "config.toml").write_text("disable = true\n")
    with TLSServer(members.leaf) as server:
        assert NO_ISSUER in run_python(CONNECT_ONCE, server.port, members.cafile, hook=False).stderr


def test_the_machine_tests_itself(installed: Path) -> None:
    assert "It works here." in command("selftest")
