"""The daemon shares with other machines; without the setting, it has nothing of that."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from aia_store.manager.daemon.fleet import ROUND_EVERY
from aia_store.manager.daemon.schedule import jittered
from tests.daemon.conftest import Start
from tests.daemon.running import Daemon, wait_until
from tests.manager.machine import COMMAND, Machine
from tests.manager.share.engines import Engine
from tests.manager.share.test_bad_input import publish
from tests.manager.share.test_fleet import files, preloaded
from tests.support.pki import Authority

#: Starts the command after it, a daemon, in such a hurry that tests need not wait.
HASTY = """
import sys
from aia_store.manager.daemon import fleet
fleet.FIRST_ROUND_AFTER, fleet.ROUND_EVERY, fleet.FIRST_RETRY, fleet.LONGEST_RETRY = 0.1, 0.2, 0.1, 0.1
fleet.HANDED_IN_AFTER = fleet.HANDINS_APART = 0.1
sys.argv[1:] = sys.argv[4:]
from aia_store.cli import main
sys.exit(main())
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Engine:
    return Engine(tmp_path / "shelf")


def test_a_daemon_takes_and_hands_in(machine: Machine, root: Authority, start: Start, shelf: Engine) -> None:
    theirs, ours = root.intermediate("Theirs"), root.intermediate("Ours")
    publish(shelf, theirs)
    machine.plant(ours)
    daemon = start(sys.executable, "-c", HASTY, AIA_STORE_SHARE=shelf.url, AIA_STORE_SHARE_PRIVATE="1")
    daemon.wait_for("share", "1 taken, 0 refused, 1 handed in")
    assert shelf.names("in") == files(ours)
    assert len(preloaded(machine)) == 1
    published = root.intermediate("Published later")
    publish(shelf, theirs, ours, published)
    wait_until(lambda: len(preloaded(machine)) == 2)


def test_a_hub_publishes(machine: Machine, root: Authority, start: Start, shelf: Engine) -> None:
    ours = root.intermediate("Ours")
    machine.plant(ours)
    settings = {"AIA_STORE_SHARE": shelf.url, "AIA_STORE_SHARE_PRIVATE": "1", "AIA_STORE_SHARE_PUBLISH": "1"}
    daemon = start(sys.executable, "-c", HASTY, **settings)
    daemon.wait_for("share", "1 published (1 of them new)")
    assert shelf.names("out") == files(ours) | {"manifest"}


def test_an_engine_that_is_down_is_one_line_in_the_log(
    machine: Machine, root: Authority, start: Start, tmp_path: Path
) -> None:
    place = tmp_path / "mounted later"
    daemon = start(sys.executable, "-c", HASTY, AIA_STORE_SHARE=f"file://{place}")
    daemon.wait_for("share", "is no folder; mount or make it")
    noted = machine.store / "share.json"
    for _ in range(3):
        before = noted.stat().st_mtime_ns
        wait_until(lambda before=before: noted.stat().st_mtime_ns != before)  # type: ignore[misc]
    assert len(daemon.named("share")) == 1
    daemon_state = next(one for one in machine.json("status", status=1) if one["name"] == "daemon")
    assert daemon_state["level"] == "ok", "this is no failure of the daemon"
    publish(Engine(place), root.intermediate())
    daemon.wait_for("share", "1 taken")


def test_a_new_setting_takes_effect(machine: Machine, root: Authority, start: Start, shelf: Engine) -> None:
    publish(shelf, root.intermediate())
    daemon = start(sys.executable, "-c", HASTY)
    machine.config.parent.mkdir(parents=True)
    machine.config.write_text(f'share = "{shelf.url}"\n')
    daemon.send(signal.SIGHUP)
    daemon.wait_for("share", "1 taken")


def test_without_the_setting_nothing_is_handed_in_any_more(
    machine: Machine, root: Authority, start: Start, tmp_path: Path
) -> None:
    """Not even what could not be handed in before."""
    machine.config.parent.mkdir(parents=True)
    machine.config.write_text(f'share = "file://{tmp_path / "nowhere"}"\n')
    daemon = start(sys.executable, "-c", HASTY)
    machine.plant(root.intermediate())
    daemon.wait_for("hand-in", "is no folder")
    machine.config.write_text("")
    daemon.send(signal.SIGHUP)
    daemon.wait_for("reload", "were read again")
    handed_in = len(daemon.named("hand-in"))
    time.sleep(2)
    assert len(daemon.named("hand-in")) == handed_in


def imported(lines: list[str]) -> set[str]:
    """The modules that -X importtime names."""
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


def test_nothing_of_it_is_imported_without_the_setting(machine: Machine, root: Authority) -> None:
    timed = {"PYTHONPROFILEIMPORTTIME": "1"}
    with Daemon(machine, **timed) as daemon:
        wait_until(lambda: any('"event": "build"' in line for line in list(daemon.lines)))
    refreshed = machine.execute(*COMMAND, "refresh", **timed).stderr.splitlines()
    for lines in (daemon.lines, refreshed):
        modules = imported(lines)
        assert "aia_store.manager" in modules
        assert not {name for name in modules if "aia_store.manager.share" in name or name.startswith("obstore")}
    with_it = machine.execute(*COMMAND, "refresh", **timed, AIA_STORE_SHARE="file:///nowhere").stderr.splitlines()
    assert "aia_store.manager.share.rounds" in imported(with_it), "it would be seen"


def test_rounds_come_at_random_times() -> None:
    times = [jittered(ROUND_EVERY) for _ in range(1_000)]
    assert 0 < min(times) < ROUND_EVERY / 10
    assert ROUND_EVERY * 1.9 < max(times) <= ROUND_EVERY * 2
