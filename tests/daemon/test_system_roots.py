"""The daemon and the system's own places of trust anchors: it follows what is preferred, and keeps the last bundle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.running import wait_until
from tests.manager.system import COMMAND, STORE, System
from tests.support.pki import Authority, pem, pem_blocks
from tests.support.users import Users, require_users

WITHIN = 8.0  # seconds: the machine may be busy
ONE, TWO, OF_CERTIFI = (Authority.root(f"Daemon's System Root {number}") for number in range(3))


class Watched:
    """A daemon runs on a machine whose only trust anchor, to begin with, is certifi's."""

    def __init__(self, users: Users, log: Path) -> None:
        self.system = System(users)
        self.system.certifi.write_text(OF_CERTIFI.pem)
        self._log = log
        code = f"import os; os.dup2(os.open({str(log)!r}, os.O_WRONLY | os.O_CREAT, 0o600), 2); {COMMAND}"
        self.process = users.start(0, code, "daemon", "--log-format", "json")

    @property
    def errors(self) -> list[str]:
        """What it has logged of builds that failed."""
        events = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [event["message"] for event in events if (event["event"], event["level"]) == ("build", "error")]

    def follows(self, *anchors: Authority) -> None:
        """Wait until the bundle holds exactly these."""
        wanted = {anchor.der for anchor in anchors}
        file = self.system.bundle_file
        wait_until(lambda: file.exists() and set(pem_blocks(file.read_text())) == wanted, WITHIN)

    def complains(self, words: str) -> None:
        """Wait until it logs this; the bundle must be unchanged."""
        file = self.system.bundle_file
        before = file.read_bytes() if file.exists() else b""
        wait_until(lambda: any(words in error for error in self.errors), WITHIN, self._log.read_text)
        assert (file.read_bytes() if file.exists() else b"") == before


@pytest.fixture
def watched() -> Iterator[Watched]:
    require_users()
    with Users({"AIA_STORE_DIR": STORE}) as users:
        daemon = Watched(users, users.root / "var/cache/log")
        try:
            yield daemon
        finally:
            daemon.process.terminate()
            daemon.process.communicate(timeout=30)


def test_made_of_certifis_it_follows_the_systems_file_and_folder_at_once(watched: Watched) -> None:
    watched.follows(OF_CERTIFI)
    watched.system.hash(ONE)
    watched.follows(ONE)
    watched.system.trust(ONE, TWO)
    watched.follows(ONE, TWO)


def test_a_file_that_is_gone_cut_or_emptied_for_a_moment(watched: Watched) -> None:
    system = watched.system
    system.trust(ONE, TWO)
    watched.follows(ONE, TWO)
    system.file.unlink()
    watched.complains("is gone")
    system.trust(TWO)
    watched.follows(TWO)
    system.file.write_text(pem(ONE, TWO)[:-100])
    watched.complains("is cut short")
    system.file.write_text("")
    watched.complains("is empty")
    system.file.write_text(pem(ONE))
    watched.follows(ONE)


def test_begun_with_a_damaged_file_it_follows_one_in_any_place(watched: Watched) -> None:
    watched.follows(OF_CERTIFI)
    system = watched.system
    system.file.write_text("")
    watched.complains("is empty")
    system.file.unlink()
    other = system.etc / "ssl" / "cert.pem"
    other.write_text(TWO.pem)
    watched.follows(TWO)
