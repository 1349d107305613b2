"""The files for systemd, cron and the trust managers, judged by the programs that read them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SYSTEMD = REPOSITORY / "packaging" / "systemd"
HOOKS = REPOSITORY / "hooks"
MOST_EXPOSURE = 2.0


def needs(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not here")
    return path


def units(folder: Path) -> list[Path]:
    """A copy of the units, whose command is a file that exists."""
    command = folder / "aia-store"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    found = []
    for unit in sorted(SYSTEMD.iterdir()):
        copy = folder / unit.name
        copy.write_text(unit.read_text().replace("ExecStart=aia-store", f"ExecStart={command}"))
        found.append(copy)
    return found


def test_systemd_has_nothing_to_say(tmp_path: Path) -> None:
    found = units(tmp_path)
    assert len(found) == 3
    done = subprocess.run(
        [needs("systemd-analyze"), "verify", *found],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_command_is_found_wherever_it_was_installed() -> None:
    """Without a path, systemd looks in /usr/local/bin and /usr/bin; `tests/systemd/run` starts it for real."""
    started = [line for unit in SYSTEMD.iterdir() for line in unit.read_text().splitlines() if "ExecStart=" in line]
    assert sorted(started) == ["ExecStart=aia-store daemon", "ExecStart=aia-store refresh"]


def test_systemd_would_say_something(tmp_path: Path) -> None:
    """Otherwise the test above proves nothing."""
    unit = units(tmp_path)[0]
    unit.write_text(unit.read_text().replace("ProtectSystem=", "ProtektSystem="))
    done = subprocess.run([needs("systemd-analyze"), "verify", unit], capture_output=True, text=True, check=False)
    assert "ProtektSystem" in done.stderr


@pytest.mark.parametrize("unit", ["aia-store.service", "aia-store-refresh.service"])
def test_the_services_are_locked_in(unit: str) -> None:
    done = subprocess.run(
        [needs("systemd-analyze"), "security", "--offline=true", SYSTEMD / unit],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= MOST_EXPOSURE


def test_what_the_daemon_and_the_timer_start_is_confined_alike() -> None:
    """From the user on, both units say the same."""
    one, other = ((SYSTEMD / name).read_text() for name in ("aia-store.service", "aia-store-refresh.service"))
    confined = one[one.index("User=") : one.index("[Install]")]
    assert confined.strip() == other[other.index("User=") :].strip()


def test_the_user_and_the_folders(tmp_path: Path) -> None:
    """As systemd-sysusers and systemd-tmpfiles make them, in a root of the test's own."""
    if os.geteuid() != 0:
        pytest.skip("only root can make users and give folders away")
    for name in ("sysusers.d", "tmpfiles.d"):
        (tmp_path / "usr" / "lib" / name).mkdir(parents=True)
        shutil.copy(REPOSITORY / "packaging" / name / "aia-store.conf", tmp_path / "usr" / "lib" / name)
    (tmp_path / "etc").mkdir()
    subprocess.run([needs("systemd-sysusers"), f"--root={tmp_path}"], check=True, capture_output=True)
    name, _, uid, gid, _, home, shell = (tmp_path / "etc" / "passwd").read_text().strip().split(":")
    assert (name, home) == ("aia-store", "/var/cache/aia-store")
    assert shell.endswith("nologin")
    subprocess.run(
        [needs("systemd-tmpfiles"), f"--root={tmp_path}", "--create", "aia-store.conf"], check=True, capture_output=True
    )
    store = tmp_path / "var" / "cache" / "aia-store"
    for folder, mode in ((store, 0o755), (store / "hand-in", 0o1733)):
        status = folder.stat()
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (mode, int(uid), int(gid))


def test_the_hook_is_one_that_run_parts_runs(tmp_path: Path) -> None:
    """update-ca-certificates has its hooks found by run-parts, which passes over a name with a dot."""
    folder = HOOKS / "update-ca-certificates"
    found = subprocess.run([needs("run-parts"), "--test", "--", folder], capture_output=True, text=True, check=True)
    assert found.stdout.split() == [str(folder / "aia-store")]


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "busybox"])
def test_the_hook_is_read_by_every_shell(shell: str) -> None:
    applet = ["sh"] if shell == "busybox" else []
    command = [needs(shell), *applet, "-n", HOOKS / "update-ca-certificates" / "aia-store"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_hook_of_libalpm_names_what_it_runs_and_when() -> None:
    """libalpm itself is not here; its format is that of an INI file."""
    import configparser

    parser = configparser.ConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(HOOKS / "libalpm" / "aia-store.hook")
    assert parser.sections() == ["Trigger", "Action"]
    assert parser["Trigger"]["Type"] == "Path"
    assert parser["Action"]["When"] == "PostTransaction"
    assert parser["Action"]["Exec"].startswith("/usr/")


def test_the_line_for_cron_runs(tmp_path: Path) -> None:
    """Its command, as cron hands it to the shell: an escaped percent sign is one, and no other is in it."""
    lines = (REPOSITORY / "packaging" / "cron.d" / "aia-store").read_text().splitlines()
    (line,) = [line for line in lines if line and not line.startswith("#") and "=" not in line.split(" ", 1)[0]]
    minute, hour, *rest, user, command = line.split(None, 6)
    assert (minute.isdecimal(), hour.isdecimal(), rest, user) == (True, True, ["*", "*", "*"], "root")
    assert not re.search(r"(?<!\\)%", command)
    command = command.replace("\\%", "%").replace("/run/systemd/system", str(tmp_path / "no-systemd"))
    programs = {"sleep": 'test "$1" -ge 0 && test "$1" -lt 3600', "aia-store": f'echo "$@" > {tmp_path}/ran'}
    for name, text in programs.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-e", "-c", command], check=True, env=environment)
    assert (tmp_path / "ran").read_text() == "refresh\n"
