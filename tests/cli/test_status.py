"""`status`: every aspect, right and wrong, each with its remedy."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from pathlib import Path

import pytest

from aia_store.inside.pauses import Failures
from aia_store.inside.store import Folder
from tests.cli.terminal import on_terminal
from tests.manager.machine import Machine
from tests.support.pki import Authority
from tests.support.servers import refusing_port

ASPECTS = ["hook", "store", "roots", "bundle", "environment", "trust on demand", "fetches", "daemon"]


def aspect(machine: Machine, name: str, **variables: str | None) -> tuple[str, str | None]:
    """The state of one aspect, and its remedy."""
    return told(machine, name, **variables)[1:]


def told(machine: Machine, name: str, **variables: str | None) -> tuple[str, str, str | None]:
    """The level of one aspect, its state and its remedy."""
    done = machine.run("status", "--json", **variables)
    found = {item["name"]: item for item in json.loads(done.stdout)}
    assert [name for name in found if name not in ("clock", "settings")] == ASPECTS
    assert done.returncode == any(item["level"] == "problem" for item in found.values())
    assert done.stderr == ""
    return found[name]["level"], found[name]["state"], found[name]["remedy"]


def test_a_new_machine(machine: Machine, root: Authority) -> None:
    shown = machine.says("status", status=1)
    for part in (*ASPECTS, str(machine.store), str(machine.roots), "aia-store bundle", "aia-store env"):
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
    machine.build()
    bundle = str(machine.bundle_file)
    assert aspect(machine, "environment", SSL_CERT_FILE=bundle)[1] is None
    state, remedy = aspect(machine, "environment", SSL_CERT_FILE=bundle, CURL_CA_BUNDLE=str(machine.roots))
    assert "CURL_CA_BUNDLE" in state
    assert remedy is not None


def test_the_environment_uses_the_trust_folder_or_not(machine: Machine, root: Authority) -> None:
    machine.build_folder()
    folder, bundle = str(machine.trust_folder), str(machine.bundle_file)
    lines = {"SSL_CERT_DIR": folder, "REQUESTS_CA_BUNDLE": folder, "GIT_SSL_CAINFO": bundle}
    assert aspect(machine, "environment", **lines) == ("SSL_CERT_DIR is the trust folder", None)
    state, remedy = aspect(machine, "environment", **lines, SSL_CERT_FILE=bundle)
    assert "SSL_CERT_FILE" in str(state)
    assert remedy is not None


def test_the_trust_folder_is_told_of_once_it_is_there(machine: Machine, root: Authority) -> None:
    machine.preload(root.intermediate())
    machine.build()
    assert "trust folder" not in aspect(machine, "bundle")[0]
    machine.build_folder()
    assert f"1 intermediate in the trust folder {machine.trust_folder}" in aspect(machine, "bundle")[0]


def test_the_hook_is_disabled(machine: Machine, root: Authority) -> None:
    assert "AIA_STORE_DISABLE" in str(aspect(machine, "hook", AIA_STORE_DISABLE="1")[1])


def test_all_is_well_once_every_remedy_was_taken(machine: Machine, root: Authority) -> None:
    """The hook's own tests install it; here it only has to attach."""
    start = machine.folder / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text("from aia_store.inside.startup import attach\nattach()\n")
    path = ":".join(filter(None, [str(start), machine.environment.get("PYTHONPATH")]))
    quoted = " ".join(map(shlex.quote, [sys.executable, "-m", "aia_store"]))
    script = f'eval "$({quoted} env --shell sh)" && {quoted} status && {quoted} status --json'
    done = machine.execute("sh", "-c", script, PYTHONPATH=path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "!" not in done.stdout
    assert done.stdout.count('"level": "ok"') == len(ASPECTS)


# What is a problem and what a hint


def test_in_a_cron_without_variables_and_bundle_nothing_is_a_problem_but_the_hook(
    machine: Machine, root: Authority
) -> None:
    found = machine.json("status", status=1)
    assert {item["name"]: item["level"] for item in found if item["level"] != "ok"} == {
        "hook": "problem",
        "bundle": "hint",
        "environment": "hint",
    }


def test_a_variable_that_names_no_file_is_a_problem(machine: Machine, root: Authority) -> None:
    level, state, remedy = told(
        machine, "environment", SSL_CERT_FILE="/gone.pem", REQUESTS_CA_BUNDLE=str(machine.roots)
    )
    assert (level, "unset it" in str(remedy)) == ("problem", True)
    assert "SSL_CERT_FILE (/gone.pem)" in state
    assert "REQUESTS_CA_BUNDLE" not in state


def test_a_variable_with_an_unknown_key_is_a_problem(machine: Machine, root: Authority) -> None:
    level, state, _ = told(machine, "settings", AIA_STORE_OFFLIEN="1", AIA_STORE_LOG="debug")
    assert (level, state) == ("problem", "unknown: AIA_STORE_OFFLIEN")


SECRET = "http://me:secret@proxy.example:3128"


@pytest.mark.parametrize(
    ("variables", "level", "expected"),
    [
        ({"http_proxy": SECRET}, "ok", "through the proxy proxy.example:3128 (http_proxy)"),
        ({"AIA_STORE_PROXY": SECRET}, "ok", "through the proxy proxy.example:3128 (AIA_STORE_PROXY)"),
        ({"http_proxy": ""}, "ok", "nothing is paused"),
        (
            {"HTTPS_PROXY": SECRET},
            "hint",
            "no proxy: HTTPS_PROXY is not used, as it is not for http",
        ),
        (
            {"http_proxy": SECRET, "no_proxy": "*"},
            "hint",
            "no proxy: http_proxy is not used, as no_proxy exempts every host",
        ),
        (
            {"HTTPS_PROXY": SECRET, "AIA_STORE_PROXY": "none"},
            "ok",
            "HTTPS_PROXY is not used, as AIA_STORE_PROXY is none",
        ),
        (
            {"ALL_PROXY": SECRET.replace("http", "socks5")},
            "problem",
            "ALL_PROXY names a SOCKS proxy, so nothing is fetched",
        ),
        ({"http_proxy": "http://me:secret@:0"}, "problem", "http_proxy names no proxy, so nothing is fetched"),
    ],
)
def test_it_says_which_proxy_is_used_or_why_none(
    machine: Machine, root: Authority, variables: dict[str, str], level: str, expected: str
) -> None:
    found = told(machine, "fetches", **variables)
    assert found[:2] == (level, expected)
    assert (found[2] is None) is (level == "ok")
    assert "secret" not in machine.run("status", **variables).stdout


def test_it_says_that_the_proxy_could_not_be_reached(machine: Machine, root: Authority) -> None:
    place = f"127.0.0.1:{refusing_port()}"
    machine.complains("add", "http://8.8.8.8/ca.cer", http_proxy=f"http://me:secret@{place}")
    level, state, _ = told(machine, "fetches", http_proxy=f"http://{place}")
    assert (level, state) == ("ok", f"through the proxy {place} (http_proxy)"), "`add` notes no failure"
    Failures(Folder(str(machine.store))).failed(place)
    level, state, _ = told(machine, "fetches", http_proxy=f"http://{place}")
    assert (level, state.partition(", ")[2]) == ("hint", "which could not be reached a short while ago")


def test_a_setting_that_names_no_proxy_is_not_shown(machine: Machine, root: Authority) -> None:
    done = machine.run("status", AIA_STORE_PROXY="me:secret@proxy.example")
    assert done.returncode == 2
    assert "AIA_STORE_PROXY must be environment, none or a URL" in done.stderr
    assert "secret" not in done.stderr + done.stdout


def test_it_says_how_many_urls_are_paused_and_until_when(machine: Machine, root: Authority) -> None:
    failures = Failures(Folder(str(machine.store)))
    for url in ("http://a.example/", "http://b.example/", "http://a.example/"):
        failures.failed(url)
    level, state, _ = told(machine, "fetches")
    until = time.strftime("%Y-%m-%d %H:%M", time.gmtime(time.time() + 120))
    assert level == "ok"
    assert state.startswith("2 pauses after failed fetches, until ")
    assert until[:-1] in state
    assert told(machine, "fetches", AIA_STORE_OFFLINE="1")[1] == "none, by a setting (AIA_STORE_OFFLINE)"


def test_metrics_for_prometheus(machine: Machine, root: Authority) -> None:
    file = machine.folder / "aia_store.prom"
    done = machine.run("status", "--prometheus", file)
    assert (done.returncode, done.stderr) == (1, "")
    assert metrics(file) == {"needed": 0, "preloaded": 0, "paused": 0}
    held = root.intermediate()
    machine.plant(held)
    machine.says("refresh")
    Failures(Folder(str(machine.store))).failed("http://a.example/")
    machine.run("status", "--prometheus", file)
    found = metrics(file)
    assert (found["needed"], found["paused"], found["last_refresh_failed"]) == (1, 1, 0)
    assert 0 <= found["bundle_age_seconds"] < 60
    assert abs(found["last_refresh_timestamp_seconds"] - time.time()) < 60
    assert found["next_end_timestamp_seconds"] == held.certificate.not_valid_after_utc.timestamp()


def metrics(file: Path) -> dict[str, float]:
    """The samples; each has its help and its type."""
    lines = file.read_text().splitlines()
    samples = dict(line.split() for line in lines if not line.startswith("#"))
    assert len(lines) == 3 * len(samples)
    return {name.removeprefix("aia_store_"): float(value) for name, value in samples.items()}


@pytest.mark.parametrize("columns", [60, 200])
def test_no_line_is_wider_than_the_terminal(machine: Machine, root: Authority, columns: int) -> None:
    status, shown = on_terminal(machine, "status", columns=columns)
    assert status == 1
    assert all(len(line) <= columns for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines())
