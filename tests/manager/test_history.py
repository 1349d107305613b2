"""A dry run tells what a refresh would do, and a week later one can still ask what it did."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta

import pytest

from tests.conftest import wait_until
from tests.manager.machine import Machine, fingerprint, snapshot
from tests.support.pki import Authority
from tests.support.servers import AIAHost

STRANGER = Authority.root("Stranger")
DAY = 86_400


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(machine: Machine, root: Authority, aia: AIAHost) -> None:
    stays, orphan = root.intermediate("Stays"), STRANGER.intermediate("Orphan")
    unused = machine.plant(stays, orphan, root.intermediate("Unused"))[2]
    ending = root.intermediate("Ending", not_after=timedelta(days=5))
    below = ending.intermediate("Below", aia=[aia.publish("/ending.cer", ending.reissue().der)])
    machine.plant(ending, below)
    os.utime(unused, (time.time() - 91 * DAY,) * 2)
    before = snapshot(machine.store)
    said = machine.says("refresh", "--dry-run")
    assert "would drop Orphan: it leads to no trust anchor of this machine" in said
    assert "would drop Unused: it was unused for 90 days" in said
    assert f"would look for the successor of Ending: {aia.url('/ending.cer')}" in said
    assert "3 intermediates would stay, 2 be dropped; nothing was changed" in said
    plan = machine.json("refresh", "--dry-run")
    assert (plan["keep"], len(plan["drop"]), len(plan["renew"])) == (3, 2, 1)
    assert snapshot(machine.store) == before
    assert aia.count() == 0
    done = machine.json("refresh")
    assert {item["sha256"] for item in done["dropped"]} == {item["sha256"] for item in plan["drop"]}


def test_show_tells_why_one_was_dropped(machine: Machine, root: Authority) -> None:
    orphan = STRANGER.intermediate("Orphan")
    machine.plant(orphan)
    machine.says("refresh")
    said = machine.says("show", fingerprint(orphan)[:16])
    assert "dropped: it leads to no trust anchor of this machine" in said
    (event,) = machine.json("show", fingerprint(orphan))["history"]
    assert (event["event"], event["sha256"]) == ("dropped", fingerprint(orphan))


def test_show_tells_what_was_renewed_and_what_was_removed(machine: Machine, root: Authority, aia: AIAHost) -> None:
    ending = root.intermediate("Ending", not_after=timedelta(days=5))
    successor = ending.reissue(not_after=timedelta(days=500))
    below = ending.intermediate("Below", aia=[aia.publish("/ending.cer", successor.der)])
    machine.plant(ending, below)
    machine.says("refresh")
    (event,) = machine.json("show", fingerprint(ending))["history"]
    assert (event["event"], fingerprint(successor) in event["reason"]) == ("renewed", True)
    shown = machine.json("show", fingerprint(successor))
    assert shown["learned_from"] == aia.url("/ending.cer")
    assert [event["event"] for event in shown["history"]] == ["learned"]
    machine.says("remove", fingerprint(successor))
    assert "dropped: by `aia-store remove`" in machine.says("show", fingerprint(successor))


def test_an_unknown_one_is_reported_as_unknown(machine: Machine, root: Authority) -> None:
    machine.build()
    assert "is not in the store" in machine.complains("show", "abcdef")


def test_the_history_is_bounded_and_a_foreign_file_in_its_place_does_no_harm(machine: Machine, root: Authority) -> None:
    machine.build()
    line = f'[1.0, "{"0" * 64}", "dropped", "long ago"]\n'
    (machine.store / "history").write_text("no JSON\n[1]\n{}\n" + line * 20_000)
    machine.plant(STRANGER.intermediate())
    machine.says("refresh")
    assert len((machine.store / "history").read_text().splitlines()) == 10_000


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e300", "-1e300", "NaN", "Infinity"])
def test_a_time_beyond_the_calendar_does_no_harm(machine: Machine, root: Authority, number: str) -> None:
    """In any file that the manager alone reads."""
    machine.preload(one := root.intermediate())
    machine.plant(one)
    for command in (["refresh"], ["bundle", "--folder"]):
        machine.says(*command)
    (machine.store / "history").write_text(f'[{number}, "{fingerprint(one)}", "dropped", "long ago"]\n')
    (machine.store / "refresh.json").write_text(f'{{"at": {number}, "failed": false, "message": ""}}')
    for name, key in (("bundle.json", "built"), ("trust.json", "until"), ("exported.json", "until")):
        note = json.loads((machine.store / name).read_text())
        text = json.dumps(note | {key: "the time"}).replace('"the time"', number)
        (machine.store / name).write_text(text)
    for command in (["show", fingerprint(one)], ["show", "--json", fingerprint(one)], ["bundle", "--folder"]):
        machine.says(*command)
    machine.says("status", "--prometheus", machine.folder / "metrics", status=1)  # the hook is not active
    assert set(machine.build()) == {root.der, one.der}


def test_a_failed_refresh_is_remembered_until_one_succeeds(machine: Machine, root: Authority) -> None:
    machine.build()
    anchors = machine.roots.read_text()
    machine.roots.write_text("")
    machine.run("refresh")
    assert '"failed": true' in (machine.store / "refresh.json").read_text()
    machine.roots.write_text(anchors)
    wait_until(lambda: machine.run("refresh").returncode == 0)
    assert '"failed": false' in (machine.store / "refresh.json").read_text()
