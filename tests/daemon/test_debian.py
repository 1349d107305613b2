"""With Debian's own update-ca-certificates: the bundle gains what it adds, and loses what it removes and all below."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemon.debian import Debian
from tests.daemon.running import SECONDS, wait_until
from tests.support.pki import Authority, pem

WITHIN = 3.0  # seconds after the end of the command, on an idle machine

ADDED = Authority.root("Added by the Administrator")
UPPER = ADDED.intermediate("Upper")
LOWER = UPPER.intermediate("Lower")


@pytest.fixture
def debian(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Debian]:
    """With all roots of the package if the daemon runs, because it must keep up; otherwise with a few."""
    with Debian(tmp_path / "debian", None if "daemon_log" in request.fixturenames else 12) as made:
        yield made


@pytest.fixture
def daemon_log(debian: Debian) -> Iterator[Callable[[], list[dict[str, str]]]]:
    """A daemon runs; what it has logged."""
    log = debian.folder / "log"
    command = [*debian.inside, "aia-store", "daemon", "--log-format", "json"]
    with (
        log.open("wb") as file,
        subprocess.Popen(command, env=debian.environment, stderr=file) as process,
    ):
        try:
            wait_until(lambda: "build" in log.read_text(), SECONDS, log.read_text)
            yield lambda: [json.loads(line) for line in log.read_text().splitlines()]
        finally:
            process.terminate()


def within(debian: Debian) -> float:
    """So many seconds, or more on a busy machine, on which a short command takes long."""
    began = time.monotonic()
    debian.run("aia-store", "list")
    return max(WITHIN, WITHIN * 2 * (time.monotonic() - began))


def learn(debian: Debian) -> None:
    """The machine learns the two intermediates below the added root."""
    file = debian.folder / "learned.pem"
    file.write_text(pem(UPPER, LOWER))
    assert "2 new" in debian.run("aia-store", "add", file)


def test_with_the_daemon(debian: Debian, daemon_log: Callable[[], list[dict[str, str]]]) -> None:
    patience = within(debian)
    debian.trust("added", ADDED)
    wait_until(lambda: debian.holds(ADDED), patience, daemon_log)
    learn(debian)
    wait_until(lambda: debian.holds(ADDED, UPPER, LOWER), tell=daemon_log)
    debian.trust("added", None)
    wait_until(lambda: debian.lacks(ADDED, UPPER, LOWER), patience, daemon_log)
    debian.trust("added", ADDED)
    wait_until(lambda: debian.holds(ADDED), patience, daemon_log)
    assert all(event["level"] == "info" for event in daemon_log())


def test_a_fresh_rebuild_of_everything_is_one_event(
    debian: Debian, daemon_log: Callable[[], list[dict[str, str]]]
) -> None:
    """update-ca-certificates --fresh removes and makes every link in /etc/ssl/certs, and renames one file over."""
    before = debian.bundle_file.read_bytes()
    debian.run("update-ca-certificates", "--fresh")
    time.sleep(WITHIN)
    assert len([event for event in daemon_log() if event["event"] == "build"]) <= 2
    assert debian.bundle_file.read_bytes() == before


def test_with_the_hook_alone(debian: Debian) -> None:
    debian.install_hook()
    debian.trust("added", ADDED)
    assert debian.holds(ADDED)
    learn(debian)
    debian.run("update-ca-certificates")
    assert debian.holds(ADDED, UPPER, LOWER)
    debian.trust("added", None)
    assert debian.lacks(ADDED, UPPER, LOWER)


def test_the_hook_sees_a_root_that_was_replaced_under_its_name(debian: Debian) -> None:
    """Then update-ca-certificates reports no change to its hooks."""
    debian.install_hook()
    debian.trust("added", ADDED)
    other = Authority.root("Another of that Name")
    (debian.folder / "local" / "added.crt").write_text(pem(other))
    assert "0 added, 0 removed" in debian.run("update-ca-certificates")
    assert debian.holds(other)
    assert debian.lacks(ADDED)


def test_with_refresh_alone(debian: Debian) -> None:
    debian.trust("added", ADDED)
    debian.run("aia-store", "refresh")
    assert debian.holds(ADDED)
    learn(debian)
    debian.run("aia-store", "refresh")
    assert debian.holds(ADDED, UPPER, LOWER)
    debian.trust("added", None)
    debian.run("aia-store", "refresh")
    assert debian.lacks(ADDED, UPPER, LOWER)
    assert "The store is empty" in debian.run("aia-store", "list")


def test_the_hook_never_makes_update_ca_certificates_fail(debian: Debian) -> None:
    """A store that everybody can write is not used; the command says so, and goes on."""
    debian.install_hook()
    debian.store.chmod(0o777)
    (debian.folder / "local" / "added.crt").write_text(pem(ADDED))
    said = debian.run("update-ca-certificates")
    assert "can be written by everyone" in said
    assert "E:" not in said
    assert not debian.bundle_file.exists()
    (debian.folder / "bin" / "aia-store").unlink()
    assert "E:" not in debian.run("update-ca-certificates")
