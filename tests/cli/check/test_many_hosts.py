"""Many hosts in one run: each gets its right verdict, in order, once; a host that fails does not affect the others."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cli.check.fleet import Fleet
from tests.cli.terminal import on_terminal
from tests.conftest import Hierarchy, MakeHierarchy, wait_until
from tests.manager.machine import COMMAND, SECONDS, Machine, fingerprint
from tests.support.pki import Authority, Leaf
from tests.support.servers import AIAHost, BlackHole

EACH = 42  # hosts of a kind; 504 in all


@pytest.fixture
def pki(machine: Machine, hierarchy: MakeHierarchy) -> Hierarchy:
    """Two intermediates under the machine's trust anchor."""
    made = hierarchy({}, {})
    machine.trust(made.root)
    return made


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with Fleet() as hosts:
        yield hosts


def listed(machine: Machine, *lines: str) -> Path:
    file = machine.folder / "hosts.txt"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_five_hundred_hosts_of_twelve_kinds(machine: Machine, pki: Hierarchy, aia: AIAHost, fleet: Fleet) -> None:
    lower, upper = pki.intermediates
    url = pki.urls(aia)[:1]
    stranger = Authority.root("Strange Root")
    strange = stranger.intermediate("Strange CA")
    self_signed = Leaf._make("localhost", None, {"san": ["localhost"]})
    kinds: list[tuple[list[str], str, list[str], list[Authority]]] = [
        (fleet.tls(EACH, pki.leaf, [lower, upper]), "complete", [], []),
        (fleet.tls(EACH, pki.leaf, [upper, lower, pki.root]), "complete", [], []),
        (fleet.tls(EACH, pki.leaf), "incomplete", ["incomplete"], [lower, upper]),
        (fleet.tls(EACH, pki.leaf, [lower]), "incomplete", ["incomplete"], [upper]),
        (fleet.tls(EACH, pki.leaf, [strange]), "incomplete", ["incomplete"], [lower, upper]),
        (fleet.tls(EACH, lower.leaf(not_after=timedelta(days=-3)), [lower, upper]), "broken", ["expired"], []),
        (fleet.tls(EACH, self_signed), "broken", ["self-signed"], []),
        (fleet.tls(EACH, lower.leaf("www.example.com"), [lower, upper]), "broken", ["wrong-name"], []),
        (
            fleet.tls(EACH, lower.leaf("www.example.com", aia=url), [lower]),
            "broken",
            ["wrong-name", "incomplete"],
            [upper],
        ),
        (fleet.tls(EACH, strange.leaf(), [strange]), "broken", ["no-path"], []),
        (fleet.plain(EACH), "could-not-tell", [], []),
        (fleet.deaf(EACH), "could-not-tell", [], []),
    ]
    # The kinds take turns, so that what one host teaches comes in time for some hosts and too late for others.
    rows = [
        (hosts[number], result, faults, missing) for number in range(EACH) for hosts, result, faults, missing in kinds
    ]
    answers = machine.json("check", "--file", listed(machine, *(host for host, *_ in rows)), status=1)
    found = [
        (f"{a['host']}:{a['port']}", a["result"], a.get("faults", []), a.get("missing", []), "error" in a)
        for a in answers
    ]
    assert found == [
        (host, result, faults, list(map(fingerprint, missing)), result == "could-not-tell")
        for host, result, faults, missing in rows
    ]
    assert set(fleet.connections.values()) == {1}, "every host is asked once"
    # What one host sends may be stored before another host needs it.
    assert 1 <= aia.count() <= 2, "and no intermediate is fetched twice"


def test_a_file_of_hosts(machine: Machine, pki: Hierarchy, fleet: Fleet) -> None:
    """Comments, empty lines and repeated hosts are skipped; a line that is not a host is reported with its number."""
    one, two = fleet.tls(2, pki.leaf, pki.intermediates)
    (wrong,) = fleet.tls(1, pki.leaf)
    file = listed(
        machine, "\ufeff# ours", one, "", f"  {two}  # the spare", "two words", f"https://{wrong}/x", one, ":0"
    )
    done = machine.run("check", "--file", file, two)
    assert done.returncode == 1
    assert done.stdout.index(two) < done.stdout.index(one) < done.stdout.index(wrong)
    assert "5 hosts: 2 complete, 1 incomplete, 2 could not be checked." in done.stdout
    first, second = done.stderr.splitlines()
    assert first.startswith(f"aia-store: {file}, line 5: 'two words' is not a host")
    assert second.startswith(f"aia-store: {file}, line 8: ':0' is not a host")
    assert set(fleet.connections.values()) == {1}


def test_hosts_from_standard_input(machine: Machine, pki: Hierarchy, fleet: Fleet) -> None:
    hosts = fleet.tls(3, pki.leaf, pki.intermediates)
    done = subprocess.run(
        [*COMMAND, "check", "--file", "-", "--json"],
        env=machine.environment,
        input="\n".join(hosts),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [f"{answer['host']}:{answer['port']}" for answer in json.loads(done.stdout)] == hosts


@pytest.mark.parametrize(
    ("kinds", "status"),
    [("right", 0), ("right deaf", 2), ("wrong", 1), ("wrong deaf", 1), ("deaf", 2), ("right bad", 2), ("wrong bad", 1)],
)
def test_the_exit_status(machine: Machine, pki: Hierarchy, fleet: Fleet, kinds: str, status: int) -> None:
    """A definite no has priority over a doubt."""
    hosts = {
        "right": fleet.tls(1, pki.leaf, pki.intermediates),
        "wrong": fleet.tls(1, pki.leaf),
        "deaf": fleet.deaf(1),
        "bad": ["not a host"],
    }
    assert machine.run("check", *(hosts[kind][0] for kind in kinds.split())).returncode == status


def test_quiet_says_nothing_of_what_is_complete(machine: Machine, pki: Hierarchy, fleet: Fleet) -> None:
    (right,), (wrong,) = fleet.tls(1, pki.leaf, pki.intermediates), fleet.tls(1, pki.leaf)
    assert machine.says("check", "-q", right) == ""
    shown = machine.says("check", "-q", right, wrong, status=1)
    assert right not in shown
    assert wrong in shown


def test_many_hosts_get_a_line_each(machine: Machine, pki: Hierarchy, fleet: Fleet) -> None:
    right, wrong = fleet.tls(8, pki.leaf, pki.intermediates), fleet.tls(2, pki.leaf)
    shown = machine.says("check", *right, *wrong, status=1).splitlines()
    assert shown[0] == f"✓ {right[0]}  complete, for 89 more days"
    assert shown[9] == f"✗ {wrong[1]}  incomplete, not sent: Test Intermediate 0, Test Intermediate 1"
    assert shown[10] == "10 hosts: 8 complete, 2 incomplete."


def test_a_slow_host_does_not_hold_up_the_others(machine: Machine, pki: Hierarchy, fleet: Fleet) -> None:
    """All others are checked while the first one is slow, and it still comes first."""
    hosts = fleet.tls(100, pki.leaf, pki.intermediates)
    with BlackHole() as hole:
        slow = f"127.0.0.1:{hole.port}"
        with machine.start([*COMMAND, "check", "--json", "--jobs", "8", slow, *hosts]) as process:
            try:
                wait_until(lambda: len(fleet.connections) == len(hosts))
                hole.close()
                output, _ = process.communicate(timeout=SECONDS)
            finally:
                process.kill()
    answers = json.loads(output)
    assert [answer["result"] for answer in answers] == ["could-not-tell"] + ["complete"] * 100


def test_no_more_are_checked_at_once_than_allowed(machine: Machine, pki: Hierarchy, fleet: Fleet) -> None:
    assert machine.run("check", "--jobs", "3", *fleet.plain(20)).returncode == 2
    assert fleet.most_at_once == 3


def test_ten_thousand_hosts_with_few_descriptors(machine: Machine, pki: Hierarchy, fleet: Fleet) -> None:
    (right,) = fleet.tls(1, pki.leaf, pki.intermediates)
    port = fleet.deaf(1)[0].rpartition(":")[2]
    dead = [f"127.{number >> 8 & 255}.{number & 255}.9:{port}" for number in range(9_999)]
    file = listed(machine, *dead, right)
    command = ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh", *COMMAND, "check", "--jobs", "32", "--file", file]
    done = machine.execute(*command)
    assert done.returncode == 2
    assert done.stdout.splitlines()[:2] == [
        f"✓ {right}  complete, for 89 more days",
        "10,000 hosts: 1 complete, 9,999 could not be checked.",
    ]
    refused = [f"aia-store: {host} cannot be reached (Connection refused); is the port right?" for host in dead]
    assert done.stderr.splitlines() == refused


def test_an_interrupt_does_not_wait(machine: Machine, pki: Hierarchy, fleet: Fleet) -> None:
    """Even if many hosts are slow."""
    with BlackHole() as hole:
        silent = [f"127.0.{number}.1:{hole.port}" for number in range(9)]
        (right,) = fleet.tls(1, pki.leaf, pki.intermediates)
        with machine.start([*COMMAND, "check", f"127.0.0.1:{hole.port}", *silent, right]) as process:
            wait_until(lambda: bool(fleet.connections))
            process.send_signal(signal.SIGINT)
            interrupted = time.monotonic()
            output, errors = process.communicate(timeout=SECONDS)
    assert time.monotonic() - interrupted < 5, "less than the ten seconds that a silent host is given"
    assert (process.returncode, output, errors.strip()) == (130, "", "aia-store: stopped")


def test_progress_is_for_a_terminal(machine: Machine, pki: Hierarchy, fleet: Fleet) -> None:
    hosts = fleet.tls(12, pki.leaf, pki.intermediates)
    status, shown = on_terminal(machine, "check", *hosts, columns=120)
    assert status == 0
    assert "checking 12 hosts" in shown
    positions = [shown.index(f"{host}") for host in hosts]
    assert positions == sorted(positions)
    assert "12 hosts: 12 complete." in shown
    assert machine.run("check", *hosts).stderr == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "name a HOST or FILE, or a file of hosts by --file"),
        (["--file", "none.txt"], "none.txt cannot be read (No such file or directory)"),
        (["--file", "/"], "cannot be read (Is a directory)"),
        (["--file", "/dev/null"], "/dev/null names no host"),
        (["--starttls", "gopher", "localhost"], "gopher"),
        (["--connect", "a b", "localhost"], "'a b' is not a host"),
        (["--servername", "a b", "localhost"], "'a b' is not a host"),
        (["--jobs", "0", "localhost"], "--jobs"),
        (["--expiry-days", "-1", "localhost"], "--expiry-days"),
    ],
)
def test_wrong_use(machine: Machine, pki: Hierarchy, arguments: list[str], complaint: str) -> None:
    assert complaint in machine.complains("check", *arguments, status=2)
