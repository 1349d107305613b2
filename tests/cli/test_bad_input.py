"""Bad input: one line on standard error that names the thing and the remedy, and nothing is changed."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import aia_store
from tests.manager.machine import COMMAND, Machine, fingerprint
from tests.support.pki import Authority
from tests.support.servers import BlackHole, refusing_port

COMMANDS = ("add", "bundle", "check", "clear", "env", "hook", "list", "refresh", "remove", "selftest", "show", "status")


@pytest.fixture
def web() -> Iterator[int]:
    """The port of a plain web server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("command", ["check", "add"])
def test_a_host_that_cannot_be_asked(machine: Machine, root: Authority, command: str, web: int) -> None:
    status = {"check": 2, "add": 1}[command]  # `check` could not tell; `add` did not do its work
    line = machine.complains(command, "no-such-host.invalid", status=status)
    assert "no-such-host.invalid" in line
    assert "spelling" in line
    refused = f"127.0.0.1:{refusing_port()}"
    line = machine.complains(command, refused, status=status)
    assert refused in line
    assert "port" in line
    line = machine.complains(command, f"localhost:{web}", status=status)
    assert f"localhost:{web} does not speak TLS" in line
    assert "port" in line


@pytest.mark.parametrize(
    "target", ["localhost:99999", "localhost:0", "localhost:x", "http://localhost", "", " ", "a b", ":1"]
)
def test_what_is_no_host_is_wrong_use(machine: Machine, root: Authority, target: str) -> None:
    assert repr(target) in machine.complains("check", target, status=2)


def test_a_host_that_says_nothing(machine: Machine, root: Authority) -> None:
    with BlackHole() as hole:
        started = time.monotonic()
        line = machine.complains("check", f"127.0.0.1:{hole.port}", status=2)
        assert time.monotonic() - started < 15
    assert f"127.0.0.1:{hole.port}" in line
    assert "_ssl.c" not in line, "a line of OpenSSL's source says nothing to anyone"


@pytest.mark.parametrize("content", [b"", b"hello", bytes(5000), b"\x30\x82\xff\xff" + bytes(100)])
def test_a_file_that_is_no_certificate(machine: Machine, root: Authority, content: bytes) -> None:
    file = machine.folder / "file"
    file.write_bytes(content)
    line = machine.complains("add", file)
    assert f"{file} holds no certificate" in line
    assert "PEM" in line


def test_files_that_cannot_be_read(machine: Machine, root: Authority) -> None:
    assert "is a folder" in machine.complains("add", machine.folder)
    assert "does not exist" in machine.complains("add", machine.folder / "none.pem")
    assert "does not exist" in machine.complains("add", "none.p7b")
    if os.geteuid() != 0:
        (machine.folder / "secret.pem").write_text(root.pem)
        (machine.folder / "secret.pem").chmod(0)
        assert "cannot be read" in machine.complains("add", machine.folder / "secret.pem")


@pytest.mark.parametrize(
    "command",
    [["bundle"], ["env"], ["refresh"], ["list"], ["clear", "--yes"], ["show", "012345"], ["remove", "012345"]],
)
def test_a_store_that_is_no_folder(machine: Machine, root: Authority, command: list[str]) -> None:
    file = machine.folder / "file"
    file.write_text("")
    for folder in (file, file / "below"):
        line = machine.complains(*command, AIA_STORE_DIR=str(folder))
        assert str(folder) in line
        assert "AIA_STORE_DIR" in line


def test_a_store_that_cannot_be_read(machine: Machine, root: Authority) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    machine.plant(root.intermediate())
    machine.store.chmod(0)
    assert str(machine.store) in machine.complains("bundle")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("colour = 1\n", "'colour'"),
        ("dir = 3\n", "dir"),
        ("roots = ['a']\n", "roots"),
        ("offline = 'perhaps'\n", "'perhaps'"),
        ("offline = 1\n", "offline"),
        ("allowed_networks = '10.0.0.0/99'\n", "10.0.0.0/99"),
        ("allowed_networks = [1]\n", "allowed_networks"),
        ("dir = = 1\n", "line 1"),
        ("[dir]\n", "dir" if sys.version_info >= (3, 11) else "line 1"),  # a table, which our own reader does not read
        ("\udcff\udcfe", "TOML"),
    ],
)
def test_a_configuration_that_cannot_be_used(machine: Machine, root: Authority, text: str, names: str) -> None:
    machine.config.parent.mkdir(parents=True)
    machine.config.write_bytes(text.encode("utf-8", "surrogateescape"))
    line = machine.complains("bundle", status=2)
    assert str(machine.config) in line
    assert names in line


def test_an_unknown_key_is_answered_with_the_known_ones(machine: Machine, root: Authority) -> None:
    machine.config.parent.mkdir(parents=True)
    machine.config.write_text("networks = []\n")
    line = machine.complains("status", status=2)
    for key in ("dir", "roots", "allowed_networks", "offline", "disable", "log"):
        assert key in line


def test_a_configuration_that_is_right(machine: Machine, root: Authority) -> None:
    machine.config.parent.mkdir(parents=True)
    machine.config.write_text(f"dir = '{machine.folder / 'elsewhere'}'\nroots = '{machine.roots}'\noffline = true\n")
    done = machine.says("bundle", AIA_STORE_DIR=None, AIA_STORE_ROOTS=None)
    assert done == f"{machine.folder / 'elsewhere' / 'bundle.pem'}\n"
    machine.complains("add", "http://127.0.0.1:1/x.cer")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AIA_STORE_ALLOWED_NETWORKS", "nonsense"),
        ("AIA_STORE_ALLOWED_NETWORKS", "10.0.0.0/8,10.0.0.1/8"),
        ("AIA_STORE_OFFLINE", "perhaps"),
        ("AIA_STORE_DISABLE", "2"),
        ("AIA_STORE_DIR", "~no-such-user/store"),
    ],
)
def test_a_variable_that_cannot_be_used(machine: Machine, root: Authority, variable: str, value: str) -> None:
    for command in ("bundle", "list"):
        assert variable in machine.complains(command, status=2, **{variable: value})


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["colour"], "'colour'"),
        (["hook", "colour"], "'colour'"),
        (["--colour"], "--colour"),
        (["check", "--colour", "x"], "--colour"),
        (["bundle", "--colour"], "--colour"),
        (["bundle", "x"], "(x)"),
        (["check"], "HOST"),
        (["add"], "HOST"),
        (["show"], "FINGERPRINT"),
        (["remove"], "FINGERPRINT"),
        (["env", "--shell", "colour"], "'colour'"),
        (["env", "--shell"], "--shell"),
        (["list", "x"], "(x)"),
    ],
)
def test_wrong_use(machine: Machine, arguments: list[str], names: str) -> None:
    line = machine.complains(*arguments, status=2)
    assert names in line
    assert line.endswith("--help`)")
    assert ". (" not in line


@pytest.mark.parametrize("arguments", [[], ["hook"]], ids=["aia-store", "aia-store hook"])
def test_without_a_command_there_is_help(machine: Machine, arguments: list[str]) -> None:
    done = machine.run(*arguments)
    shown = done.stdout + done.stderr
    assert done.returncode in (0, 2)
    assert shown.startswith("Usage: aia-store")
    assert "(see `" not in shown


def test_help_names_every_command_in_a_whole_sentence(machine: Machine) -> None:
    shown = machine.says("--help")
    for command in COMMANDS:
        assert f"\n  {command} " in shown
    assert "..." not in shown.partition("Commands:")[2]
    assert machine.says("check", "--help") == machine.says("check", "-h")
    assert aia_store.__version__ in machine.says("--version")


OUTPUT = [["bundle"], ["env"], ["list"], ["list", "--json"], ["--help"]]


@pytest.mark.parametrize("arguments", OUTPUT, ids=" ".join)
def test_a_reader_that_has_gone(machine: Machine, root: Authority, arguments: list[str]) -> None:
    machine.plant(root.intermediate())
    reading, writing = os.pipe()
    os.close(reading)
    script = f"exec {' '.join(COMMAND)} {' '.join(arguments)} >&{writing}"
    with os.fdopen(writing):
        done = run_with(machine, script, writing)
    assert "Traceback" not in done
    assert "Exception ignored" not in done
    assert done.count("\n") <= 1


@pytest.mark.parametrize("arguments", OUTPUT, ids=" ".join)
def test_an_output_that_was_closed(machine: Machine, root: Authority, arguments: list[str]) -> None:
    machine.plant(root.intermediate())
    assert "Traceback" not in run_with(machine, f"exec {' '.join(COMMAND)} {' '.join(arguments)} >&-")


@pytest.mark.parametrize("arguments", OUTPUT, ids=" ".join)
def test_a_full_disk_behind_the_output(machine: Machine, root: Authority, arguments: list[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    done = run_with(machine, f"{' '.join(COMMAND)} {' '.join(arguments)} >/dev/full; echo status $? >&2")
    assert "No space left" in done
    assert done.count("\n") == 2
    assert "status 0" not in done


def run_with(machine: Machine, script: str, *descriptors: int) -> str:
    """What a shell script prints on standard error; it inherits these descriptors."""
    done = subprocess.run(
        ["sh", "-c", script],
        env=machine.environment,
        cwd=machine.folder,
        pass_fds=descriptors,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("command", [["list"], ["show"]], ids=" ".join)
def test_a_terminal_without_unicode(machine: Machine, root: Authority, command: list[str], encoding: str) -> None:
    odd = root.intermediate("Größe 日本語 ✓")
    machine.plant(odd)
    if command == ["show"]:
        command = ["show", fingerprint(odd)]
    line = " ".join([*COMMAND, *command])
    done = machine.execute("sh", "-c", f"exec {line} | wc -l", PYTHONIOENCODING=encoding)
    assert done.stderr == ""
    assert int(done.stdout) >= 2


def test_the_installed_script(machine: Machine, root: Authority) -> None:
    script = shutil.which("aia-store", path=str(Path(sys.executable).parent))
    if script is None:
        pytest.skip("the package is not installed with its script")
    done = machine.execute(script, "bundle")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{machine.bundle_file}\n", "")
    done = machine.execute(script, "colour")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert machine.execute(script, "list").returncode == 0
