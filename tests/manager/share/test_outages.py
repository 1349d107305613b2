"""An engine that is killed again and again: at the end, all machines have the same, and it is everything.

With AIA_STORE_TEST_OUTAGES=50, it is killed as often as that.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import pytest

from tests.daemon.running import Daemon, wait_until
from tests.manager.machine import Machine, fingerprint
from tests.manager.share.conftest import Join
from tests.manager.share.engines import S3, Valkey
from tests.manager.share.test_fleet import preloaded
from tests.support.pki import Authority

OUTAGES = int(os.environ.get("AIA_STORE_TEST_OUTAGES", "2"))

#: Starts the command after it, a daemon for which a second is an hour.
DAEMON = """
import sys
from aia_store.manager.daemon import fleet
fleet.FIRST_ROUND_AFTER = fleet.ROUND_EVERY = fleet.HUB_ROUND_EVERY = fleet.NEXT_ROUND_AFTER = 1.0
fleet.FIRST_RETRY = fleet.LONGEST_RETRY = fleet.LONGEST_RECONNECT = 0.5
fleet.HANDED_IN_AFTER = 0.2
sys.argv[1:] = sys.argv[4:]
from aia_store.cli import main
sys.exit(main())
"""


def known(machine: Machine) -> set[str]:
    """The fingerprints of all that a machine has, needed or preloaded."""
    return preloaded(machine) | {path.stem for path in machine.store.glob("certificates/*/*/*.pem")}


@pytest.mark.timeout(120 + 20 * OUTAGES)
def test_after_any_number_of_outages_all_machines_have_everything(
    join: Join, public: Authority, tmp_path: Path
) -> None:
    with S3(tmp_path / "engine") as engine, Valkey(tmp_path / "valkey") as stream:
        machines = [join(name, engine) for name in ("hub", "second", "third")]
        for machine in machines:
            machine.environment["AIA_STORE_SHARE_NOTIFY"] = stream.url
        machines[0].environment["AIA_STORE_SHARE_PUBLISH"] = "1"
        daemons = [Daemon(machine, sys.executable, "-c", DAEMON) for machine in machines]
        try:
            everything = set()
            for number in range(OUTAGES):
                learned = public.intermediate(f"Learned {number}")
                machines[number % 3].plant(learned)
                everything.add(fingerprint(learned))
                time.sleep(random.uniform(0, 2))
                engine.stop()
                stream.stop()
                time.sleep(random.uniform(0, 1))
                stream.start()
                engine.start()
            wait_until(lambda: all(known(machine) == everything for machine in machines), 60, lambda: daemons[0].lines)
        finally:
            for daemon in daemons:
                daemon.end()
