"""`status`: every aspect right and wrong, each with its remedy."""

from __future__ import annotations

import re
import shlex
import sys

import pytest

from tests.cli.terminal import on_terminal
from tests.manager.machine import Machine
from tests.support.pki import Authority

ASPECTS = ["hook", "store", "roots", "bundle", "environment", "trust on demand", "daemon"]


def aspect(machine: Machine, name: str, **variables: str | None) -> tuple[str, str | None]:
    """The state of one aspect, and its remedy."""
    found = {item["name"]: item for item in machine.json("status", status=1, **variables)}
    assert list(found) == ASPECTS
    return found[name]["state"], found[name]["remedy"]


def test_a_new_machine(machine: Machine, root: Authority) -> None:
    shown = machine.says("status", status=1)
    for part in (*ASPECTS, sys.executable, str(machine.store), str(machine.roots), "aia-store bundle", "aia-store env"):
        assert part in shown
    assert not machine.bundle_file.exists()


def test_the_bundle_is_missing_fresh_and_stale(machine: Machine, root: Authority) -> None:
    assert aspect(machine, "bundle") == ("not built", "run `aia-store bundle`")
    machine.build()
    state, remedy = aspect(machine, "bundle")
    assert remedy is None
    assert str(machine.bundle_file) in state
    assert "1 root and 0 intermediates" in state
    machine.plant(root.intermediate())
    assert "aia-store bundle" in str(aspect(machine, "bundle")[1])
    machine.build()
    assert "1 root and 1 intermediate " in aspect(machine, "bundle")[0]


def test_the_store_is_usable_or_not(machine: Machine, root: Authority) -> None:
    machine.plant(root.intermediate("One"), root.intermediate("Two"))
    assert aspect(machine, "store") == (f"2 intermediates in {machine.store}", None)
    machine.store.chmod(0o777)
    state, remedy = aspect(machine, "store")
    assert f"{machine.store} can be written by everyone" in state
    assert "permissions" in str(remedy)


def test_a_store_that_is_no_folder(machine: Machine, root: Authority) -> None:
    file = machine.folder / "file"
    file.write_text("")
    for folder in (file, file / "below"):
        state, remedy = aspect(machine, "store", AIA_STORE_DIR=str(folder))
        assert str(folder) in state
        assert "AIA_STORE_DIR" in str(remedy)
        assert "AIA_STORE_DIR" in str(aspect(machine, "bundle", AIA_STORE_DIR=str(folder))[1])


def test_the_roots_are_there_or_not(machine: Machine, root: Authority) -> None:
    state, remedy = aspect(machine, "roots")
    assert (f"1 in {machine.roots}" in state, remedy) == (True, None)
    machine.roots.write_text("")
    state, remedy = aspect(machine, "roots")
    assert str(machine.roots) in str(remedy)
    machine.roots.unlink()
    assert str(machine.roots) in str(aspect(machine, "roots")[1])


def test_the_environment_uses_the_bundle_or_not(machine: Machine, root: Authority) -> None:
    assert "aia-store env" in str(aspect(machine, "environment")[1])
    bundle = str(machine.bundle_file)
    assert aspect(machine, "environment", SSL_CERT_FILE=bundle)[1] is None
    state, remedy = aspect(machine, "environment", SSL_CERT_FILE=bundle, CURL_CA_BUNDLE="/elsewhere.pem")
    assert "CURL_CA_BUNDLE" in state
    assert remedy is not None


def test_the_hook_is_disabled(machine: Machine, root: Authority) -> None:
    assert "AIA_STORE_DISABLE" in str(aspect(machine, "hook", AIA_STORE_DISABLE="1")[1])


def test_all_is_well_once_every_remedy_was_taken(machine: Machine, root: Authority) -> None:
    """The hook's own tests install it; here it is enough that it attaches."""
    start = machine.folder / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text("from aia_store.inside.startup import attach\nattach()\n")
    path = ":".join(filter(None, [str(start), machine.environment.get("PYTHONPATH")]))
    quoted = " ".join(map(shlex.quote, [sys.executable, "-m", "aia_store"]))
    script = f'eval "$({quoted} env --shell sh)" && {quoted} status && {quoted} status --json'
    done = machine.execute("sh", "-c", script, PYTHONPATH=path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "!" not in done.stdout
    assert done.stdout.count('"remedy": null') == len(ASPECTS)


@pytest.mark.parametrize("columns", [60, 200])
def test_no_line_is_wider_than_the_terminal(machine: Machine, root: Authority, columns: int) -> None:
    status, shown = on_terminal(machine, "status", columns=columns)
    assert status == 1
    assert all(len(line) <= columns for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines())
