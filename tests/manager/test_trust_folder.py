"""The trust folder: which files are in it and under which names, when it is built anew, and what that costs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from aia_store.inside import settings as config
from aia_store.inside.certificate import Certificate, subject_hash
from aia_store.manager import bundle, published, refresh, trust_folder, verify
from tests.manager.machine import Machine, fingerprint
from tests.support.pki import Authority, Certified, der_of, pem, pem_blocks

REAL = Path(__file__).parents[3] / "shared" / "data" / "ccadb"
openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not here")


@pytest.fixture(autouse=True)
def in_memory(machine: Machine) -> Iterator[None]:
    with machine.store_in_memory():
        yield


def ders(*certificates: Certified) -> set[bytes]:
    return set(map(der_of, certificates))


# Names


def named_by_openssl(folder: Path, certificates: Sequence[bytes]) -> dict[str, list[bytes]]:
    """The certificates by the hash that `openssl rehash` names their files by."""
    folder.mkdir()
    for number, der in enumerate(certificates):
        (folder / f"{number}.pem").write_text(pem(der), encoding="ascii")
    subprocess.run(["openssl", "rehash", str(folder)], check=True, capture_output=True)
    found: dict[str, list[bytes]] = {}
    for link in sorted(path for path in folder.iterdir() if path.is_symlink()):
        found.setdefault(link.name.partition(".")[0], []).append(pem_blocks(link.read_text(encoding="ascii"))[0])
    return found


def named_by_us(certificates: Sequence[bytes]) -> dict[str, list[bytes]]:
    by_fingerprint = {fingerprint(der): der for der in certificates}
    hashes = [(subject_hash(Certificate(der).subject_key), fingerprint(der)) for der in certificates]
    found: dict[str, list[bytes]] = {}
    for name, digest in sorted(trust_folder.names(hashes).items()):
        found.setdefault(name.partition(".")[0], []).append(by_fingerprint[digest])
    return found


def the_same(ours: dict[str, list[bytes]], theirs: dict[str, list[bytes]]) -> bool:
    return {name: set(found) for name, found in ours.items()} == {name: set(found) for name, found in theirs.items()}


@openssl
def test_names_are_those_of_openssl_rehash(tmp_path: Path) -> None:
    one = Authority.root("One Name")
    certificates = ders(
        one,
        Authority.root("one  NAME"),  # alike for OpenSSL
        one.intermediate("Ünïcode Ä"),
        *(one.intermediate(f"Another {number}") for number in range(20)),
    )
    assert the_same(named_by_us(list(certificates)), named_by_openssl(tmp_path / "theirs", list(certificates)))


@openssl
@pytest.mark.skipif(not REAL.exists(), reason="the CCADB's certificates are not here")
def test_names_of_the_worlds_certificates_are_those_of_openssl_rehash(tmp_path: Path) -> None:
    texts = (path.read_text(encoding="utf-8") for path in sorted(REAL.iterdir()) if path.suffix in (".csv", ".pem"))
    certificates = list(dict.fromkeys(der for text in texts for der in pem_blocks(text)))
    assert len(certificates) > 4000
    assert the_same(named_by_us(certificates), named_by_openssl(tmp_path / "theirs", certificates))


def test_the_numbers_of_one_hash_have_no_gap(machine: Machine) -> None:
    one, other = Authority.root("Same Name"), Authority.root("Same Name")
    machine.trust(one, other)
    found = machine.build_folder()
    stem = subject_hash(Certificate(one.der).subject_key)
    assert found == {f"{stem}.0": one.der, f"{stem}.1": other.der}
    machine.trust(other)
    assert machine.build_folder() == {f"{stem}.0": other.der}


# What is in it


def test_what_was_preloaded_is_in_the_folder_and_not_in_the_file(machine: Machine, root: Authority) -> None:
    needed, upper = root.intermediate("Needed"), root.intermediate("Upper")
    lower = upper.intermediate("Lower")
    machine.plant(needed)
    machine.preload(upper, lower)
    assert set(machine.build_folder().values()) == ders(root, needed, upper, lower)
    assert set(machine.bundled()) == ders(root, needed)


EXPIRED: Callable[[Authority], list[Authority]] = lambda root: [root.intermediate(not_after=timedelta(seconds=-1))]  # noqa: E731


@pytest.mark.parametrize(
    "wrong",
    [
        EXPIRED,
        lambda root: [root.intermediate(not_after=timedelta(days=1))],
        lambda root: [root.intermediate(not_before=timedelta(hours=1))],
        lambda root: [Authority.root("Stranger").intermediate()],
        lambda root: [root.intermediate("Not Here").intermediate()],
        lambda root: [root.intermediate(signed_by=Authority.root("Stranger").key)],
        lambda root: [Authority.root("Self-signed")],
        lambda root: [root.intermediate(no_cert_sign=True)],
        lambda root: [root.intermediate(permitted=["example.com"])],
        lambda root: [root.intermediate("Twin"), root.intermediate("Twin")],
        lambda root: [root.intermediate("Manager Root")],
    ],
    ids=[
        "expired",
        "expires tomorrow",
        "not yet valid",
        "of a stranger",
        "issuer is not here",
        "impostor",
        "self-signed",
        "no keyCertSign",
        "name constraints",
        "namesakes",
        "namesake of the root",
    ],
)
def test_the_other_rules_hold_for_what_was_preloaded(
    machine: Machine, root: Authority, wrong: Callable[[Authority], list[Authority]]
) -> None:
    sound = root.intermediate("Sound")
    machine.preload(sound, *wrong(root))
    assert set(machine.build_folder().values()) == ders(root, sound)


def test_path_lengths_from_above_must_be_carried_in_the_folder_too(machine: Machine, root: Authority) -> None:
    upper = root.intermediate("Upper", path_length=1)
    machine.preload(upper, upper.intermediate("Lower"))
    assert set(machine.build_folder().values()) == ders(root, upper)


def test_a_small_file_beside_it_holds_one_trust_anchor(machine: Machine) -> None:
    roots = [Authority.root(f"Root {number}") for number in range(3)]
    machine.trust(*roots)
    machine.build_folder()
    assert pem_blocks((machine.store / "one-anchor.pem").read_text()) == [roots[0].der]
    machine.trust(*roots[1:])
    machine.build_folder()
    assert pem_blocks((machine.store / "one-anchor.pem").read_text()) == [roots[1].der]


def test_everybody_who_reaches_it_may_read_it(machine: Machine, root: Authority) -> None:
    machine.build_folder()
    assert {path.stat().st_mode & 0o777 for path in machine.trust_folder.iterdir()} == {0o644}


# When it is built


def test_it_is_there_once_it_was_asked_for(machine: Machine, root: Authority) -> None:
    machine.build()
    assert not machine.trust_folder.exists()
    machine.build_folder()
    machine.preload(later := root.intermediate("Later"))
    machine.build()
    assert set(machine.in_folder().values()) == ders(root, later), "and kept up to date with the file from then on"
    machine.trust_folder.unlink()
    machine.says("bundle", "--rebuild")
    assert not machine.trust_folder.exists(), "until its link is removed"


def test_a_refresh_publishes_it_too(machine: Machine, root: Authority) -> None:
    short = root.intermediate("Short", not_after=timedelta(days=10))
    machine.preload(short)
    machine.build_folder()
    other = Authority.root("Another Root")
    machine.trust(other)
    machine.says("refresh")
    assert set(machine.in_folder().values()) == ders(other)


def new_root(machine: Machine, root: Authority) -> None:
    machine.trust(root, Authority.root("Another Root"))


def something_needed(machine: Machine, root: Authority) -> None:
    machine.plant(root.intermediate("Needed"))


def something_preloaded(machine: Machine, root: Authority) -> None:
    machine.preload(root.intermediate("Preloaded"))


def file_removed(machine: Machine, root: Authority) -> None:
    next(machine.trust_folder.iterdir()).unlink()


def root_planted(machine: Machine, root: Authority) -> None:
    (machine.trust_folder / "0123abcd.0").write_text(Authority.root("Planted").pem)


def link_turned(machine: Machine, root: Authority) -> None:
    (machine.folder / "elsewhere").mkdir()
    machine.trust_folder.unlink()
    machine.trust_folder.symlink_to(machine.folder / "elsewhere")


def note_deleted(machine: Machine, root: Authority) -> None:
    (machine.store / "trust.json").unlink()


@pytest.mark.parametrize(
    "event", [new_root, something_needed, something_preloaded, file_removed, root_planted, link_turned, note_deleted]
)
def test_it_is_built_again_after(
    machine: Machine, root: Authority, event: Callable[[Machine, Authority], None]
) -> None:
    machine.preload(root.intermediate("First"))
    machine.build_folder()
    event(machine, root)
    stored = {pem_blocks(path.read_text())[0] for path in machine.store.glob("*/*/*/*.pem")}
    assert set(machine.build_folder().values()) == {*pem_blocks(machine.roots.read_text()), *stored}


def test_a_fresh_one_is_left_as_it_is(machine: Machine, root: Authority) -> None:
    machine.preload(root.intermediate())
    machine.build_folder()
    before = {path: path.lstat().st_mtime_ns for path in machine.store.rglob("*")}
    machine.build_folder()
    machine.build()
    assert {path: path.lstat().st_mtime_ns for path in machine.store.rglob("*")} == before


def test_a_file_that_was_changed_in_place_is_mended_by_the_next_build(machine: Machine, root: Authority) -> None:
    machine.preload(*(root.intermediate(f"Intermediate {number}") for number in range(3)))
    before = machine.build_folder()
    for path, text in zip(sorted(machine.trust_folder.iterdir()), ("", pem(root) * 2, "rubbish"), strict=False):
        path.write_text(text)
    assert machine.build_folder("--rebuild") == before


def test_the_same_input_gives_the_same_names(machine: Machine, root: Authority) -> None:
    many = [root.intermediate("Same", key="rsa"), *(root.intermediate(f"Intermediate {n}") for n in range(5))]
    many += [many[0].reissue(not_after=timedelta(days=days)) for days in (40, 50, 60)]
    machine.preload(*many)
    first = machine.build_folder()
    assert len(first) == 10
    shutil.rmtree(machine.store)
    for one in reversed(many):
        machine.preload(one)
        step_by_step = machine.build_folder()
    assert step_by_step == first


def test_the_folder_before_stays_for_whoever_has_it_open(machine: Machine, root: Authority) -> None:
    machine.build_folder()
    opened = [Path(os.path.realpath(machine.trust_folder))]
    for number in range(3):
        machine.preload(root.intermediate(f"Intermediate {number}"))
        machine.build_folder()
        opened.append(Path(os.path.realpath(machine.trust_folder)))
        assert [path.exists() for path in opened[-2:]] == [True, True]
        assert len(list((machine.store / "trust-folders").iterdir())) == 2


def test_files_that_did_not_change_are_not_written_again(machine: Machine, root: Authority) -> None:
    machine.preload(*(root.intermediate(f"Intermediate {number}") for number in range(5)))
    machine.build_folder()
    before = {path.stat().st_ino for path in machine.trust_folder.iterdir()}
    machine.preload(root.intermediate("One More"))
    machine.build_folder()
    after = {path.stat().st_ino for path in machine.trust_folder.iterdir()}
    assert before < after
    assert len(after) == len(before) + 1


def test_what_a_killed_publication_left_does_not_stand_in_the_way(machine: Machine, root: Authority) -> None:
    machine.build_folder()
    folders = machine.store / "trust-folders"
    (folders / "7").mkdir()
    (folders / "7" / "0123abcd.0").write_text("cut sho")
    (folders / "next").symlink_to("nowhere")
    machine.preload(new := root.intermediate())
    assert set(machine.build_folder().values()) == ders(root, new)
    assert not (folders / "7").exists()
    assert not os.path.lexists(folders / "next")


def test_a_folder_that_cannot_be_built_is_one_line_and_the_last_one_stays(machine: Machine, root: Authority) -> None:
    before = machine.build_folder()
    machine.roots.write_text("")
    done = machine.run("bundle", "--folder")
    assert (done.returncode, done.stdout) == (1, f"{machine.trust_folder}\n")
    assert done.stderr.endswith("; this is the last good bundle\n")
    assert done.stderr.count("\n") == 1
    assert machine.in_folder() == before


# What is remembered


@pytest.fixture
def asked(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The subjects that OpenSSL was asked about, in the test's own process."""
    machine.enter(monkeypatch)
    found: list[str] = []
    refusal = verify.Rehearsal.refusal

    def noting(self: verify.Rehearsal, sent: Sequence[bytes]) -> str | None:
        found.append(fingerprint(sent[1]))
        return refusal(self, sent)

    monkeypatch.setattr(verify.Rehearsal, "refusal", noting)
    return found


def build(machine: Machine) -> set[bytes]:
    bundle.build(config.load(), form=published.FOLDER)
    return set(machine.in_folder().values())


def test_only_what_is_new_is_verified(machine: Machine, root: Authority, asked: list[str]) -> None:
    first = [root.intermediate(f"Intermediate {number}") for number in range(5)]
    machine.preload(*first)
    assert build(machine) == ders(root, *first)
    assert sorted(asked) == sorted(map(fingerprint, first))
    asked.clear()
    machine.preload(new := root.intermediate("New"))
    assert build(machine) == ders(root, *first, new)
    assert asked == [fingerprint(new)]


def test_a_refresh_verifies_only_what_is_new(machine: Machine, root: Authority, asked: list[str]) -> None:
    machine.preload(one := root.intermediate("One"))
    machine.plant(two := root.intermediate("Two"))
    refresh.run(config.load())
    assert sorted(asked) == sorted(map(fingerprint, (one, two)))
    asked.clear()
    assert refresh.run(config.load()).dropped == []
    assert build(machine) == ders(root, one, two)
    assert asked == []


def test_a_verdict_falls_with_what_it_depends_on(machine: Machine, root: Authority, asked: list[str]) -> None:
    """A link that goes, a namesake that comes and goes, an issuer that comes: all below them is judged again."""
    upper = root.intermediate("Upper")
    lower = upper.intermediate("Lower")
    beside = root.intermediate("Beside")
    machine.preload(lower, beside)
    (path,) = machine.preload(upper)
    assert build(machine) == ders(root, upper, lower, beside)
    path.unlink()
    assert build(machine) == ders(root, beside)
    machine.preload(upper)
    assert build(machine) == ders(root, upper, lower, beside)
    (twin,) = machine.preload(root.intermediate("Upper"))
    assert build(machine) == ders(root, beside)
    twin.unlink()
    assert build(machine) == ders(root, upper, lower, beside)


def test_a_verdict_falls_with_its_root(machine: Machine, root: Authority, asked: list[str]) -> None:
    other = Authority.root("Other Root")
    machine.trust(root, other)
    one, two = root.intermediate("One"), other.intermediate("Two")
    machine.preload(one, two)
    assert build(machine) == ders(root, other, one, two)
    machine.trust(other)
    assert build(machine) == ders(other, two)
    machine.trust(root, other)
    assert build(machine) == ders(root, other, one, two)


def test_a_verdict_falls_with_time_forwards_and_back(
    machine: Machine, root: Authority, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.preload(short := root.intermediate(not_after=timedelta(days=4)))
    assert build(machine) == ders(root, short)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3 * 86_400)
    assert build(machine) == ders(root)
    monkeypatch.setattr(time, "time", lambda: now)
    assert build(machine) == ders(root, short)


def test_a_verdict_falls_with_a_revocation(machine: Machine, root: Authority, asked: list[str]) -> None:
    upper = root.intermediate("Upper")
    lower, beside = upper.intermediate("Lower"), root.intermediate("Beside")
    machine.preload(upper, lower, beside)
    assert build(machine) == ders(root, upper, lower, beside)
    revoked = machine.store / "revoked"
    revoked.write_bytes(bytes.fromhex(fingerprint(upper)))
    assert build(machine) == ders(root, beside)
    revoked.unlink()
    assert build(machine) == ders(root, upper, lower, beside)


@pytest.mark.parametrize("name", ["verified", "exported.json"])
@pytest.mark.parametrize("content", [b"", b"\0", b"{}", b"[" * 10_000, b'{"terms": 7}', bytes(3200)], ids=len)
def test_rubbish_in_what_is_remembered_costs_time_only(
    machine: Machine, root: Authority, asked: list[str], name: str, content: bytes
) -> None:
    machine.preload(one := root.intermediate(), root.intermediate(signed_by=Authority.root("Stranger").key))
    assert build(machine) == ders(root, one)
    (machine.store / name).write_bytes(content)
    assert build(machine) == ders(root, one)


def test_what_is_remembered_names_no_file_elsewhere(machine: Machine, root: Authority, asked: list[str]) -> None:
    machine.preload(one := root.intermediate())
    build(machine)
    note = machine.store / "exported.json"
    content = json.loads(note.read_text())
    content["verdicts"][fingerprint(one)][2] = "../../x"
    note.write_text(json.dumps(content))
    assert build(machine) == ders(root, one)
