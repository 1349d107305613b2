"""`selftest` passes if all is well, and fails if something is wrong."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.manager.machine import COMMAND, Machine


def fake(folder: Path, name: str, script: str) -> str:
    """A folder for PATH that holds one program."""
    folder.mkdir()
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return str(folder)


def test_it_passes_here(machine: Machine) -> None:
    shown = machine.says("selftest")
    assert shown.count("\nok ") + shown.startswith("ok ") >= 3
    assert "\nfailed" not in shown
    assert shown.endswith("It works here.\n")
    assert not machine.store.exists(), "it leaves the user's own store alone"


def test_json(machine: Machine) -> None:
    steps = machine.json("selftest")
    assert len(steps) == 4
    assert all(step.keys() == {"title", "passed", "detail"} for step in steps)
    assert [step["passed"] for step in steps] == [True, True, True, True if shutil.which("curl") else None]


def test_settings_of_the_user_do_not_disturb_it(machine: Machine) -> None:
    machine.config.parent.mkdir(parents=True)
    machine.config.write_text("offline = true\ndisable = true\n")
    (Path(machine.environment["HOME"]) / ".curlrc").write_text("insecure\nmax-time = 0.001\n")
    nowhere = "/nowhere.pem"
    machine.says(
        "selftest",
        AIA_STORE_OFFLINE="1",
        AIA_STORE_DISABLE="1",
        SSL_CERT_FILE=nowhere,
        CURL_CA_BUNDLE=nowhere,
        https_proxy="http://127.0.0.1:9",
        HTTP_PROXY="http://127.0.0.1:9",
    )


def test_without_curl_that_step_is_skipped(machine: Machine) -> None:
    shown = machine.says("selftest", PATH=str(machine.folder))
    assert "skipped" in shown
    assert "curl is not installed" in shown


@pytest.mark.parametrize("script", ["echo broken >&2; exit 7", "printf ok"])
def test_a_curl_that_cannot_fails_the_selftest(machine: Machine, script: str) -> None:
    path = fake(machine.folder / "bin", "curl", script)
    shown = machine.says("selftest", status=1, PATH=path)
    assert "failed" in shown
    assert "wrong" in shown.splitlines()[-1]


def test_a_hook_that_cannot_attach_fails_the_selftest(machine: Machine) -> None:
    sabotage = machine.folder / "sabotage"
    sabotage.mkdir()
    (sabotage / "sitecustomize.py").write_text("import sys\nsys.modules['aia_store.inside.patch'] = None\n")
    path = ":".join(filter(None, [str(sabotage), machine.environment.get("PYTHONPATH")]))
    steps = machine.json("selftest", status=1, PYTHONPATH=path)
    assert [step["passed"] for step in steps][:3] == [True, False, False]
    assert "CERTIFICATE_VERIFY_FAILED" in steps[1]["detail"]


def test_a_hook_that_is_everywhere_already_is_no_obstacle(machine: Machine) -> None:
    start = machine.folder / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text("from aia_store.inside.startup import attach\nattach()\n")
    path = ":".join(filter(None, [str(start), machine.environment.get("PYTHONPATH")]))
    machine.says("selftest", PYTHONPATH=path)


def test_nothing_is_left_behind(machine: Machine) -> None:
    scratch = machine.folder / "scratch"
    scratch.mkdir()
    machine.says("selftest", TMPDIR=str(scratch))
    assert list(scratch.iterdir()) == []


# Minimal machines

_BARE = """
set -e
mount -t tmpfs none /etc/ssl 2>/dev/null || true
for file in /etc/hosts /etc/resolv.conf /etc/nsswitch.conf; do
    [ ! -e "$file" ] || mount --bind /dev/null "$file"
done
[ "$LOOPBACK" = down ] || ip link set lo up
exec "$@"
"""


def on_a_bare_machine(machine: Machine, loopback: str) -> tuple[int, str, str]:
    """The self-test without any host names, and without a network, perhaps even without loopback."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "ip"))):
        pytest.skip("no namespaces can be had here")
    script = ["unshare", "--mount", "--net", "sh", "-c", _BARE, "sh"]
    done = machine.execute(*script, *COMMAND, "selftest", LOOPBACK=loopback)
    return done.returncode, done.stdout, done.stderr


def test_it_needs_no_names(machine: Machine) -> None:
    status, output, errors = on_a_bare_machine(machine, "up")
    assert (status, errors) == (0, ""), output


def test_without_a_loopback_interface_it_says_so_and_ends(machine: Machine) -> None:
    status, output, errors = on_a_bare_machine(machine, "down")
    assert (status, errors) == (1, "")
    assert "ip link set lo up" in output
    assert len(output.splitlines()) == 3


def test_each_complaint_is_one_clean_line(machine: Machine) -> None:
    script = "printf 'curl: (60) a problem\\nMore details: \\033[31m\\377\\n\\nand advice\\n' >&2; exit 60"
    steps = machine.json("selftest", status=1, PATH=fake(machine.folder / "bin", "curl", script))
    assert steps[-1]["detail"] == "curl: (60) a problem"
