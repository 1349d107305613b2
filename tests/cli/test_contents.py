"""`list`, `show`, `remove` and `clear` show and remove what is in the store."""

from __future__ import annotations

import sys
import threading

import pytest

from aia_store.cli.commands import cli
from aia_store.inside.pauses import Failures
from aia_store.inside.store import Folder
from tests.cli.terminal import CTRL_C, on_terminal
from tests.manager.machine import Machine, fingerprint
from tests.support.pki import Authority, der_of


@pytest.fixture
def planted(machine: Machine, root: Authority) -> list[Authority]:
    """Two intermediates in the store, one above the other."""
    upper = root.intermediate("Upper CA", aia=["http://example.com/root.cer"])
    lower = upper.intermediate("Lower CA", aia=["http://example.com/upper.cer"])
    machine.plant(upper, lower)
    return [upper, lower]


def test_list_of_an_empty_store(machine: Machine, root: Authority) -> None:
    assert "empty" in machine.says("list")
    assert machine.json("list") == []
    assert not machine.store.exists()


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"]], ids=" ".join)
def test_list_while_another_process_drops_and_keeps(
    machine: Machine, root: Authority, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    machine.enter(monkeypatch)
    others = [root.intermediate(f"CA {number}") for number in range(20)]
    ended = threading.Event()

    def drop_and_keep() -> None:
        while not ended.is_set():
            for path in machine.plant(*others):
                path.unlink()

    beside = threading.Thread(target=drop_and_keep)
    beside.start()
    try:
        for _ in range(50):
            cli(arguments, standalone_mode=False)
    finally:
        ended.set()
        beside.join()


def test_list(machine: Machine, planted: list[Authority]) -> None:
    head, *lines = machine.says("list").splitlines()
    assert head.startswith("SHA-256")
    assert [line.split()[1] for line in lines] == ["Lower", "Upper"]
    for line, certificate in zip(lines, reversed(planted), strict=True):
        assert line.startswith(fingerprint(certificate)[:16])
        assert f"{certificate.certificate.not_valid_after_utc:%Y-%m-%d}" in line
    found = machine.json("list")
    assert [item["sha256"] for item in found] == [fingerprint(each) for each in reversed(planted)]
    keys = {"sha256", "subject", "issuer", "not_before", "not_after", "preloaded", "last_used", "path"}
    assert found[0].keys() == keys
    assert found[0]["issuer"] == "CN=Upper CA"
    assert found[0]["not_after"] == f"{planted[1].certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"


def test_list_ignores_what_is_no_certificate(machine: Machine, planted: list[Authority]) -> None:
    at = planted[0].der.index(b"\x17\x0d") + 2
    machine.plant(planted[0].der[:at] + b"XX" + planted[0].der[at + 2 :])
    (next(machine.store.glob("certificates/*/*")) / "note.txt").write_text("hello")
    assert {item["sha256"] for item in machine.json("list")} >= set(map(fingerprint, planted))


@pytest.mark.parametrize("digits", [64, 6])
def test_show(machine: Machine, planted: list[Authority], digits: int) -> None:
    named = fingerprint(planted[1])[:digits]
    shown = machine.says("show", named)
    for part in ("CN=Lower CA", "CN=Upper CA", "CN=Manager Root", fingerprint(planted[1]), "http://example.com/"):
        assert part in shown
    assert shown.splitlines()[0].strip(), "no empty line first"
    found = machine.json("show", named)
    assert (found["leads_to"], found["in_bundle"]) == ("CN=Manager Root", True)
    assert found["ca_issuers"] == ["http://example.com/upper.cer"]


def test_show_takes_a_fingerprint_as_openssl_writes_it(machine: Machine, planted: list[Authority]) -> None:
    digest = fingerprint(planted[0]).upper()
    assert "Upper CA" in machine.says("show", ":".join(digest[at : at + 2] for at in range(0, 64, 2)))


def test_show_says_why_one_leads_nowhere(machine: Machine, planted: list[Authority]) -> None:
    machine.trust(Authority.root("Another Root"))
    assert "nowhere: it leads to no trust anchor" in machine.says("show", fingerprint(planted[0]))
    found = machine.json("show", fingerprint(planted[0]))
    assert (found["leads_to"], found["in_bundle"]) == (None, False)


def test_show_one_whose_aia_cannot_be_read(machine: Machine, root: Authority) -> None:
    odd = root.intermediate("Odd CA", aia_raw=b"\x30\x05junk")
    machine.plant(odd)
    assert "CN=Odd CA" in machine.says("show", fingerprint(odd))


@pytest.mark.parametrize("command", ["show", "remove"])
def test_fingerprints_that_name_nothing(machine: Machine, planted: list[Authority], command: str) -> None:
    assert "too short" in machine.complains(command, fingerprint(planted[0])[:5], status=2)
    assert "too short" in machine.complains(command, "", status=2)
    assert "not in the store" in machine.complains(command, "0123456789ab")
    assert "Missing argument" in machine.complains(command, status=2)
    assert "xyz-no-digits" in machine.complains(command, "xyz-no-digits", status=2)


@pytest.mark.parametrize("command", ["show", "remove"])
def test_a_fingerprint_that_names_several(machine: Machine, root: Authority, command: str) -> None:
    """Finding real ones that agree in six digits would take years, so the test uses one digit."""
    key = root.intermediate("Key").key
    found: dict[str, Authority] = {}
    while True:
        made = root.intermediate("Twin", key=key)
        twin = found.setdefault(fingerprint(made)[:2], made)
        if twin is not made:
            break
    machine.plant(made, twin)
    shortened = (
        "import sys, aia_store.cli.contents as contents; contents.FEWEST_DIGITS = 2; "
        "from aia_store.cli import main; main()"
    )
    done = machine.execute(sys.executable, "-c", shortened, command, fingerprint(made)[:2])
    assert done.returncode == 1
    assert "fits 2 certificates" in done.stderr
    assert machine.kept() == {made.der, twin.der}


def test_remove(machine: Machine, planted: list[Authority]) -> None:
    assert "removed" in machine.says("remove", fingerprint(planted[0])[:12])
    assert machine.kept() == {planted[1].der}
    assert len(machine.build()) == 1
    assert "Lower CA" in machine.says("remove", fingerprint(planted[1]))
    assert machine.kept() == set()


def test_remove_several_or_none(machine: Machine, planted: list[Authority]) -> None:
    line = machine.complains("remove", fingerprint(planted[0]), "0123456789ab")
    assert "0123456789ab" in line
    assert machine.kept() == set(map(der_of, planted))
    machine.says("remove", *map(fingerprint, planted))
    assert machine.kept() == set()


def test_remove_the_same_twice_at_once(machine: Machine, planted: list[Authority]) -> None:
    machine.says("remove", fingerprint(planted[0]), fingerprint(planted[0])[:8])
    assert machine.kept() == {planted[1].der}


def test_clear_without_a_question(machine: Machine, planted: list[Authority]) -> None:
    assert "removed 2 intermediates" in machine.says("clear", "--yes")
    assert machine.kept() == set()
    assert "removed 0" in machine.says("clear", "--yes")


def test_clear_forgets_which_fetches_failed(machine: Machine, planted: list[Authority]) -> None:
    failures = Failures(Folder(str(machine.store)))
    failures.failed("http://dead.example/ca.cer")
    failures.failed("http://dead.example")
    assert "2 pauses after failed fetches" in machine.run("status", "--json").stdout
    assert "removed 2 intermediates, ended 2 pauses after failed fetches" in machine.says("clear", "--yes")
    assert not failures.paused("http://dead.example/ca.cer")
    assert not failures.paused("http://dead.example")
    assert "pause" not in machine.says("clear", "--yes")


@pytest.mark.parametrize(("answer", "status", "left"), [("y\n", 0, 0), ("n\n", 1, 2), ("\n", 1, 2), (CTRL_C, 130, 2)])
def test_clear_asks_on_a_terminal(
    machine: Machine, planted: list[Authority], answer: str, status: int, left: int
) -> None:
    ended, shown = on_terminal(machine, "clear", keys=answer)
    assert (ended, len(machine.kept())) == (status, left), shown
    assert "[y/N]" in shown


def test_clear_without_a_terminal_names_the_way(machine: Machine, planted: list[Authority]) -> None:
    done = machine.run("clear")
    assert done.returncode != 0
    assert "--yes" in done.stderr
    assert len(machine.kept()) == 2


def test_a_list_of_many_is_in_columns_too(machine: Machine, root: Authority) -> None:
    template = root.intermediate("Template 000").der
    names = [f"{number:03}" for number in range(600)]
    machine.plant(*(template.replace(b"Template 000", f"Template {name}".encode()) for name in names))
    head, *lines = machine.says("list").splitlines()
    assert [line.split()[2] for line in lines] == names
    assert {line.index("Template") for line in lines} == {head.index("Intermediate")}
    assert {line.index("Manager Root") for line in lines} == {head.index("Issuer")}


def test_show_looks_at_the_whole_path(machine: Machine, planted: list[Authority]) -> None:
    assert machine.json("show", fingerprint(planted[1]))["in_bundle"] is True
    machine.says("remove", fingerprint(planted[0]))
    assert machine.json("show", fingerprint(planted[1]))["in_bundle"] is False
