"""Failed fetches cause pauses, with or without a disk, and no note can pause or break anything for ever."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path

import pytest

from aia_store.inside.fetch import FetchError
from aia_store.inside.pauses import FIRST_PAUSE, LONGEST_BY_PROXY, LONGEST_PAUSE, Failures, clear, running
from aia_store.inside.store import Folder

from .conftest import Run

URL = "http://dead.example/ca.crt"


class Clock:
    """A clock for time.time()."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 2_000_000_000.0
        monkeypatch.setattr(time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture(params=["on disk", "in memory"])
def failures(request: pytest.FixtureRequest, folder: Folder) -> Failures:
    return Failures(folder if request.param == "on disk" else None)


def slots(folder: Folder) -> list[Path]:
    return [*Path(folder.path, "failures").iterdir()]


def pause_after(failures: Failures, clock: Clock) -> float:
    """How long the key is paused from now on, found by trying."""
    low, high = 0.0, 2.0 * LONGEST_PAUSE
    start = clock.now
    while high - low > 1:
        middle = (low + high) / 2
        clock.now = start + middle
        low, high = (middle, high) if failures.paused(URL) else (low, middle)
    clock.now = start
    return high


def test_the_pause_doubles_from_a_minute_to_a_day(failures: Failures, clock: Clock) -> None:
    assert not failures.paused(URL)
    expected = FIRST_PAUSE
    for _ in range(16):
        failures.failed(URL)
        assert abs(pause_after(failures, clock) - expected) <= 2
        clock.now += expected + 5
        assert not failures.paused(URL)
        expected = min(2 * expected, LONGEST_PAUSE)
    assert expected == LONGEST_PAUSE


def test_a_success_forgets(failures: Failures, clock: Clock) -> None:
    for _ in range(5):
        failures.failed(URL)
    failures.succeeded(URL)
    assert not failures.paused(URL)
    failures.failed(URL)
    assert abs(pause_after(failures, clock) - FIRST_PAUSE) <= 2


def test_a_success_without_a_failure_writes_nothing(folder: Folder) -> None:
    Failures(folder).succeeded(URL)
    assert not Path(folder.path).exists()


def test_other_keys_are_not_paused(failures: Failures) -> None:
    failures.failed(URL)
    assert [failures.paused(key) for key in (URL + "/", "", URL.upper(), "http://dead.example")] == [False] * 4


@pytest.mark.parametrize("key", ["", "http://a\0b/", "\udcff", "ÿ" * 10_000])
def test_any_text_is_a_key(failures: Failures, key: str) -> None:
    failures.failed(key)
    assert failures.paused(key)


def test_another_process_sees_the_pause(folder: Folder, run: Run) -> None:
    Failures(folder).failed(URL)
    code = """
import sys
from aia_store.inside.pauses import Failures
from aia_store.inside.store import Folder
print(Failures(Folder(sys.argv[1])).paused(sys.argv[2]))
"""
    assert run(code, folder.path, URL) == "True\n"


def test_no_file_says_what_failed(folder: Folder) -> None:
    Failures(folder).failed(URL)
    (slot,) = slots(folder)
    assert re.fullmatch(r"[0-9a-f]{64} 1 \d+\n", slot.read_text())
    assert "dead" not in f"{slot}{slot.read_text()}"


def test_any_number_of_failing_urls_takes_a_bounded_number_of_files(folder: Folder) -> None:
    """Three hexadecimal digits: 4,096 slots, whatever a hostile server does."""
    failures = Failures(folder)
    for number in range(1_000):
        failures.failed(f"http://{number}.example/")
    assert all(re.fullmatch("[0-9a-f]{3}", slot.name) for slot in slots(folder))
    assert failures.paused("http://999.example/")


def test_failures_whose_slots_are_the_same_are_both_remembered(folder: Folder) -> None:
    """Otherwise the two URLs of one certificate would be tried again at every handshake, in turn."""
    seen: dict[str, str] = {}
    for number in range(10_000):
        url = f"http://{number}.example/"
        other = seen.setdefault(hashlib.sha256(url.encode()).hexdigest()[:3], url)
        if other != url:
            break
    failures = Failures(folder)
    for _ in range(2):
        failures.failed(other)
        failures.failed(url)
        assert failures.paused(other)
        assert failures.paused(url)
    assert len(slots(folder)) == 2


@pytest.mark.parametrize("ahead", [LONGEST_PAUSE + 60, 10 * 365 * 86_400])
def test_a_note_from_the_far_future_does_not_pause(failures: Failures, clock: Clock, ahead: int) -> None:
    """The clock was wrong when the note was written, and has been corrected since."""
    clock.now += ahead
    failures.failed(URL)
    clock.now -= ahead
    assert not failures.paused(URL)
    failures.failed(URL)
    assert failures.paused(URL), "and the next failure is noted under the right clock"
    assert pause_after(failures, clock) <= 2 * FIRST_PAUSE + 1


@pytest.mark.parametrize("jump", [-LONGEST_PAUSE * 3, -3_600, 3_600, LONGEST_PAUSE * 3])
def test_a_jump_of_the_clock_never_pauses_for_more_than_a_day(failures: Failures, clock: Clock, jump: int) -> None:
    failures.failed(URL)
    clock.now += jump
    waited = 0
    while failures.paused(URL):
        clock.now += 600
        waited += 600
    assert waited <= LONGEST_PAUSE + 600


DIGEST = "{digest}"


@pytest.mark.parametrize(
    "note",
    [
        "",
        " ",
        DIGEST,
        f"{DIGEST} 1",
        f"{DIGEST} x y",
        f"{DIGEST} 1 nan",
        f"{DIGEST} 1 inf",
        f"{DIGEST} 1 -inf",
        f"{DIGEST} 1 1e308",
        f"{DIGEST} -5 0",
        f"{DIGEST} -1 2000000030",
        f"{DIGEST} 1000000 0",
        f"{DIGEST} {'9' * 150} 0",
        f"{DIGEST} 1 2 3",
        f"{DIGEST} 1 2000000030" + " " * 1_000,
        "\x00" * 64,
        f"{'0' * 64} 9 2000000030",
    ],
)
def test_a_damaged_note_neither_pauses_nor_breaks(folder: Folder, clock: Clock, note: str) -> None:
    failures = Failures(folder)
    failures.failed(URL)
    (slot,) = slots(folder)
    slot.write_text(note.replace(DIGEST, slot.read_text().split()[0]))
    assert not failures.paused(URL) or "-1 2000000030" in note
    failures.failed(URL)
    assert failures.paused(URL)
    assert pause_after(failures, clock) <= LONGEST_PAUSE + 1
    failures.succeeded(URL)
    assert not failures.paused(URL)


def test_random_bytes_for_a_note_neither_pause_nor_break(folder: Folder) -> None:
    failures = Failures(folder)
    failures.failed(URL)
    (slot,) = slots(folder)
    for _ in range(50):
        slot.write_bytes(os.urandom(80))
        assert not failures.paused(URL)


@pytest.mark.skipif(os.name != "posix", reason="POSIX only")
@pytest.mark.parametrize("kind", ["folder", "FIFO", "dangling link"])
def test_a_slot_that_is_no_file_leaves_a_pause(folder: Folder, kind: str) -> None:
    failures = Failures(folder)
    failures.failed(URL)
    (slot,) = slots(folder)
    slot.unlink()
    if kind == "folder":
        slot.mkdir()
    elif kind == "FIFO":
        os.mkfifo(slot)
    else:
        slot.symlink_to("/nowhere/at/all")
    assert not failures.paused(URL)
    failures.failed(URL)
    assert failures.paused(URL)


def test_once_the_disk_serves_again_its_notes_count(folder: Folder, clock: Clock) -> None:
    """A note that went to memory while the disk was full must not outlive the notes written later."""
    Path(folder.path).mkdir()
    in_the_way = Path(folder.path, "failures")
    in_the_way.write_bytes(b"")
    failures = Failures(folder)
    failures.failed(URL)
    assert failures.paused(URL)
    in_the_way.unlink()
    clock.now += FIRST_PAUSE + 5
    failures.failed(URL)
    assert failures.paused(URL), "the second failure pauses too"
    failures.succeeded(URL)
    assert not failures.paused(URL)
    failures.failed(URL)
    assert abs(pause_after(failures, clock) - FIRST_PAUSE) <= 2


def test_memory_is_bounded_too() -> None:
    failures = Failures(None)
    for number in range(20_000):
        failures.failed(f"http://{number}.example/")
    assert failures.paused("http://19999.example/")
    assert len(failures._memory) <= 4_096


# What is blamed


def blamed(failures: Failures, error: FetchError) -> tuple[bool, bool]:
    """Whether the URL pauses after this error, and whether its host does."""
    failures.blame(URL, error)
    return failures.paused(URL), failures.paused("http://dead.example")


def test_a_url_is_blamed_for_its_reply_and_a_host_only_if_it_is_dead(folder: Folder) -> None:
    assert blamed(Failures(folder), FetchError("status 404")) == (True, False)
    assert blamed(Failures(None), FetchError("it cannot be reached", dead_url=URL)) == (True, True)
    behind_a_redirect = FetchError("it cannot be reached", dead_url="http://another.example/")
    failures = Failures(None)
    assert blamed(failures, behind_a_redirect) == (True, False)
    assert failures.url_is_paused("http://another.example/x")


def test_nothing_is_blamed_for_our_own_failures(folder: Folder) -> None:
    assert blamed(Failures(folder), FetchError("no network", is_ours=True)) == (False, False)
    assert not Path(folder.path).exists()


def test_a_url_pauses_with_its_host_and_both_are_forgiven(failures: Failures) -> None:
    failures.blame(URL, FetchError("it cannot be reached", dead_url=URL))
    assert failures.url_is_paused("http://DEAD.example/another.crt")
    assert not failures.url_is_paused("http://dead.example:8080/ca.crt"), "that is another server"
    failures.forgive("http://dead.example/another.crt")
    assert failures.paused(URL)
    failures.forgive(URL)
    assert not failures.url_is_paused(URL)


PROXY = "10.0.0.1:3128"


def test_a_dead_proxy_pauses_for_a_minute_and_not_the_host(failures: Failures, clock: Clock) -> None:
    error = FetchError("it cannot be reached", proxy=PROXY, is_proxy_dead=True)
    for _ in range(5):
        failures.blame(URL, error, PROXY)
        assert failures.url_is_paused("http://another.example/", PROXY)
        assert not failures.url_is_paused(URL)
        assert not failures.url_is_paused(URL, "10.0.0.2:3128")
        clock.now += FIRST_PAUSE + 5
        assert not failures.url_is_paused(URL, PROXY)


def test_what_fails_through_a_proxy_pauses_on_that_way_and_not_for_long(failures: Failures, clock: Clock) -> None:
    error = FetchError("status 503", proxy=PROXY)
    for _ in range(8):
        failures.blame(URL, error, PROXY)
        clock.now += FIRST_PAUSE - 5
        assert failures.url_is_paused(URL, PROXY)
        assert not failures.url_is_paused("http://dead.example/another.crt", PROXY)
        assert not failures.url_is_paused(URL)
        clock.now += LONGEST_BY_PROXY
        assert not failures.url_is_paused(URL, PROXY)


def test_what_failed_directly_does_not_pause_behind_a_proxy(failures: Failures) -> None:
    failures.blame(URL, FetchError("it cannot be reached", dead_url=URL))
    assert not failures.url_is_paused(URL, PROXY)
    failures.blame(URL, FetchError("status 503", proxy=PROXY), PROXY)
    failures.forgive(URL, PROXY)
    assert not failures.url_is_paused(URL, PROXY)
    assert failures.url_is_paused(URL)


def test_a_redirect_past_the_proxy_to_a_dead_host_pauses_both(failures: Failures) -> None:
    failures.blame(URL, FetchError("it cannot be reached", dead_url="http://inner.example/"), PROXY)
    assert failures.url_is_paused(URL, PROXY)
    assert failures.url_is_paused("http://inner.example/x")


def test_what_cannot_be_written_is_remembered_by_the_owner_of_the_memory() -> None:
    memory: dict[str, tuple[int, float]] = {}
    Failures(None, memory).failed(URL)
    assert Failures(None, memory).paused(URL)
    assert not Failures(None).paused(URL)


def test_pauses_are_counted_and_forgotten(folder: Folder, clock: Clock) -> None:
    assert (running(folder), clear(folder)) == ({}, 0)
    failures = Failures(folder)
    for number in range(5):
        failures.failed(f"http://{number}.example/")
    clock.now += FIRST_PAUSE + 5
    failures.failed(URL)
    foreign = Path(folder.path, "failures", "note.txt")
    foreign.write_text("hello")
    assert len(running(folder)) == 1
    assert clear(folder) == 1
    assert slots(folder) == [foreign], "those that are over are forgotten too"
    failures.failed(URL)
    assert abs(pause_after(failures, clock) - FIRST_PAUSE) <= 2
