"""A clock that is years off: nothing is dropped because of it, the bundle stays, and one line says so."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import timedelta

import pytest

from tests.manager.machine import COMMAND, HOOKED, Machine, snapshot
from tests.support.clocks import at
from tests.support.pki import Authority
from tests.support.servers import TLSServer

YEARS = timedelta(days=365 * 30)


def contents(machine: Machine) -> dict[str, str]:
    """The store, but for what is only the memory of a doubt."""
    return {name: digest for name, digest in snapshot(machine.store).items() if name != "doubted"}


@pytest.fixture
def long_lived(machine: Machine) -> Authority:
    """A trust anchor that is valid under every clock of these tests."""
    root = Authority.root("Long-lived", not_before=-YEARS, not_after=YEARS)
    machine.trust(root)
    return root


@pytest.mark.parametrize("offset", ["+10y", "-10y", "-50y"])
def test_years_off_under_anchors_of_our_time(machine: Machine, root: Authority, offset: str) -> None:
    machine.plant(root.intermediate())
    machine.build()
    check_that_nothing_happens(machine, offset)


@pytest.mark.parametrize("offset", ["+10y", "-10y"])
@pytest.mark.parametrize("refreshed", [False, True])
def test_years_off_under_anchors_of_all_times(
    machine: Machine, long_lived: Authority, offset: str, refreshed: bool
) -> None:
    machine.plant(long_lived.intermediate("Short"), long_lived.intermediate("Long", not_before=-YEARS, not_after=YEARS))
    machine.build()
    if refreshed:
        machine.says("refresh")
    check_that_nothing_happens(machine, offset)


def check_that_nothing_happens(machine: Machine, offset: str) -> None:
    before = contents(machine)
    for _ in range(2):
        done = machine.execute(*at(offset), *COMMAND, "refresh")
        assert (done.returncode, done.stdout) == (1, ""), done
        assert done.stderr.count("\n") == 1, done.stderr
        assert "the clock shows" in done.stderr
        assert "nothing was dropped" in done.stderr
        assert contents(machine) == before
        done = machine.execute(*at(offset), *COMMAND, "bundle")
        assert (done.returncode, done.stdout) == (0, f"{machine.bundle_file}\n")
        assert done.stderr.count("\n") == 1
        assert "the clock shows" in done.stderr
        assert contents(machine) == before
    done = machine.execute(*at(offset), *COMMAND, "status")
    assert "the clock shows" in " ".join(done.stdout.split())
    assert done.returncode == 1
    kept = machine.kept()
    assert machine.execute(*at(offset), *COMMAND, "list").returncode == 0
    machine.says("refresh")  # the clock is right again
    assert machine.kept() == kept
    assert not (machine.store / "doubted").exists()


@pytest.mark.parametrize("others", [0, 2])
def test_trust_anchors_that_have_ended_are_named_and_the_clock_is_not_blamed(machine: Machine, others: int) -> None:
    day, root = timedelta(days=1), Authority.root("Ends", not_before=-YEARS, not_after=timedelta(days=1))
    machine.trust(root, *(Authority.root(f"Ended {number}", not_after=-2 * day) for number in range(others)))
    machine.plant(root.intermediate())
    machine.build()
    before = contents(machine)
    machine.says("refresh")
    which = "the last trust anchor" if others else "the only trust anchor"
    ended = time.strftime("%Y-%m-%d", time.gmtime(time.time() + day.total_seconds()))
    state, remedy = f"{which}, CN=Ends, ended on {ended}", "bring the machine's trust anchors up to date"
    for command in ("refresh", "bundle"):
        done = machine.execute(*at("+3d"), *COMMAND, command)
        assert f"{state}; {remedy}" in done.stdout + done.stderr
        assert "the clock shows" not in done.stdout + done.stderr
    aspects = json.loads(machine.execute(*at("+3d"), *COMMAND, "status", "--json").stdout)
    (told,) = (aspect for aspect in aspects if aspect["name"] == "clock")
    assert (told["level"], told["state"]) == ("problem", state)
    assert told["remedy"] == f"{remedy}; until then nothing is refreshed"
    assert contents(machine).keys() >= before.keys(), "nothing was dropped"


@pytest.mark.parametrize("offset", ["+10y", "-10y"])
def test_where_there_is_no_bundle_one_is_still_built(machine: Machine, long_lived: Authority, offset: str) -> None:
    held = long_lived.intermediate()
    machine.plant(held)
    done = machine.execute(*at(offset), *COMMAND, "bundle")
    assert (done.returncode, done.stdout) == (0, f"{machine.bundle_file}\n")
    assert machine.bundled() == [long_lived.der]
    assert machine.build() == [long_lived.der, held.der], "and built anew once the clock is right"


def test_a_root_that_was_removed_leaves_the_bundle_under_any_clock(machine: Machine, long_lived: Authority) -> None:
    gone = Authority.root("Gone")
    machine.trust(long_lived, gone)
    machine.build()
    machine.trust(long_lived)
    machine.execute(*at("+10y"), *COMMAND, "refresh")
    assert machine.bundled() == [long_lived.der]


def test_a_clock_that_keeps_running_for_a_week_is_believed(machine: Machine, long_lived: Authority) -> None:
    machine.plant(long_lived.intermediate())
    for days, status in ((4000, 1), (4003, 1), (4006, 1), (4008, 0)):
        done = machine.execute(*at(f"+{days}d"), *COMMAND, "refresh")
        assert done.returncode == status, (days, done)
    assert machine.kept() == set()
    assert machine.execute(*at("+4009d"), *COMMAND, "refresh").returncode == 0


def test_a_handshake_is_a_sign_that_the_clock_is_right(machine: Machine, long_lived: Authority) -> None:
    used = long_lived.intermediate(not_after=YEARS)
    file = machine.plant(used)[0]
    two_years_ago = time.time() - 2 * 366 * 86_400
    os.utime(file, (two_years_ago,) * 2)
    os.utime(machine.store / "changed", (two_years_ago,) * 2)
    assert "the clock shows" in machine.run("refresh").stderr
    with TLSServer(used.leaf()) as server:
        machine.learn(server.port)
    machine.says("refresh")
    assert machine.kept() == {used.der}


@pytest.mark.parametrize("offset", ["+10y", "-10y"])
def test_a_program_fails_as_it_would_and_changes_nothing(machine: Machine, root: Authority, offset: str) -> None:
    held = root.intermediate()
    machine.plant(held)
    machine.build()
    before = snapshot(machine.store)
    with TLSServer(held.leaf()) as server:
        done = machine.execute(*at(offset), sys.executable, "-c", HOOKED, server.port, machine.roots)
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr
    assert snapshot(machine.store) == before
