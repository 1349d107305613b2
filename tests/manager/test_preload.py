"""Preloading: what is fit of the CCADB's reports is learned ahead of time, and the bundle stays small."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from aia_store.inside import settings
from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder
from aia_store.manager import mirror as mirror_module
from aia_store.manager.preload import DEFAULT, run
from tests.manager.machine import Machine, fingerprint, snapshot
from tests.manager.reports import LAYOUTS, all_pems, mozilla
from tests.manager.revoking import by_serial, onecrl, report
from tests.support.pki import Authority, Certified, pem, pem_blocks
from tests.support.servers import AIAHost, TLSServer

PRELOADED = "preloaded/*/*/*.pem"


def preloaded(machine: Machine) -> set[bytes]:
    """The DER of what was preloaded."""
    return {pem_blocks(path.read_text(encoding="ascii"))[0] for path in machine.store.glob(PRELOADED)}


def write(machine: Machine, content: bytes, name: str = "report.csv") -> Path:
    file = machine.folder / name
    file.write_bytes(content)
    return file


def preload(machine: Machine, *certificates: Certified) -> None:
    """Preload these, and keep their report as report.csv."""
    assert machine.json("preload", write(machine, mozilla(certificates)))["new"] == len(certificates)


# What is kept


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_what_is_fit_is_kept_and_the_rest_is_named_with_its_reason(
    machine: Machine, root: Authority, layout: Callable[[Sequence[Certified]], bytes]
) -> None:
    upper = root.intermediate("Upper")
    fit = [
        upper.intermediate("Lower, offered before its issuer"),
        upper,
        root.intermediate("For any purpose and servers", eku=[ExtendedKeyUsageOID.SERVER_AUTH]),
    ]
    stranger = Authority.root("Stranger")
    unfit = {
        "self-signed": stranger,
        "leads to no trust anchor": stranger.intermediate(),
        "is not a CA": root.leaf(),
        "may not sign certificates": root.intermediate("Signs lists only", no_cert_sign=True),
        "not for TLS servers": root.intermediate("For mail", eku=[ExtendedKeyUsageOID.EMAIL_PROTECTION]),
        "has expired": root.intermediate("Expired", not_after=timedelta(days=-1)),
        "signature is not valid": upper.intermediate("SHA-1", hash=hashes.SHA1()),
        "cannot be parsed": b"no certificate",
    }
    found = machine.json("preload", write(machine, layout([*fit, *unfit.values()])))
    assert (found["new"], found["known"], found["faults"], found["notes"]) == (3, 0, [], [])
    assert preloaded(machine) == {one.der for one in fit}
    reasons = {one["sha256"]: one["reason"] for one in found["skipped"]}
    assert len(found["skipped"]) == len(unfit)
    for reason, certificate in unfit.items():
        assert reason in reasons[None if certificate == b"no certificate" else fingerprint(certificate)]
    assert machine.kept() == set(), "nothing of it was needed"


def test_what_was_skipped_is_shown_by_reason_and_cut(machine: Machine, root: Authority) -> None:
    strangers = [Authority.root("Stranger").intermediate(f"Unknown {number}\x1b[31m") for number in range(9)]
    shown = machine.says("preload", write(machine, all_pems([root.intermediate(), *strangers, root.leaf()])))
    lines = shown.splitlines()
    assert lines[0] == "9 skipped: it leads to no trust anchor of this machine"
    assert [line for line in lines if "and 4 more" in line]
    assert "1 skipped: it is not a CA" in lines
    assert lines[-1] == "1 new, 0 preloaded before, 10 skipped."
    assert "\x1b" not in shown


def test_the_second_time_nothing_changes_and_what_is_new_is_added(machine: Machine, root: Authority) -> None:
    first = [root.intermediate("One"), root.intermediate("Two")]
    preload(machine, *first)
    before = {path: path.stat().st_mtime_ns for path in machine.store.rglob("*")}
    assert machine.json("preload", machine.folder / "report.csv")["known"] == 2
    assert {path: path.stat().st_mtime_ns for path in machine.store.rglob("*")} == before
    third = first[0].intermediate("Three, under what only the store has")
    found = machine.json("preload", write(machine, mozilla([third, first[1]])))
    assert (found["new"], found["known"]) == (1, 1)
    assert preloaded(machine) == {one.der for one in [*first, third]}


def test_what_is_revoked_is_not_kept(machine: Machine, root: Authority) -> None:
    by_report, by_list, good = (root.intermediate(name) for name in ("By report", "By list", "Good"))
    below = by_report.intermediate("Below what a report revokes")
    revoked = write(machine, report([by_report], status="Revoked"), "revoked.csv")
    onelist = write(machine, onecrl([by_serial(by_list)]), "onecrl.json")
    offered = write(machine, mozilla([by_report, by_list, good, below]))
    found = machine.json("preload", offered, revoked, AIA_STORE_REVOCATION_LISTS=str(onelist))
    assert preloaded(machine) == {good.der}
    reasons = {one["sha256"]: one["reason"] for one in found["skipped"]}
    assert reasons[fingerprint(by_report)] == "it is revoked by the CCADB's word ((4) superseded)"
    assert reasons[fingerprint(by_list)] == "it is revoked by OneCRL"
    assert "revoked" in reasons[fingerprint(below)]


# What it is good for


def test_a_handshake_under_a_preloaded_intermediate_fetches_nothing_and_from_then_on_it_was_needed(
    machine: Machine, root: Authority, aia: AIAHost
) -> None:
    upper = root.intermediate("Upper", aia=[aia.publish("/root.cer", root.der)])
    lower = upper.intermediate("Lower", aia=[aia.publish("/upper.cer", upper.der)])
    leaf = lower.leaf(aia=[aia.publish("/lower.cer", lower.der)])
    preload(machine, upper, lower, root.intermediate("Not needed"))
    assert machine.build() == [root.der], "nobody needed any of them"
    with TLSServer(leaf) as server:
        machine.learn(server.port)
        assert machine.kept() == {upper.der, lower.der}
        assert set(machine.build()) == {root.der, upper.der, lower.der}
        files = snapshot(machine.store)
        machine.learn(server.port)
    assert aia.count() == 0
    assert snapshot(machine.store) == files


def test_a_right_server_makes_nothing_needed(machine: Machine, root: Authority) -> None:
    issuer = root.intermediate()
    preload(machine, issuer)
    with TLSServer(issuer.leaf(), [issuer]) as server:
        machine.learn(server.port)
    assert machine.kept() == set()


def test_what_was_only_preloaded_is_no_link_in_the_bundle(machine: Machine, root: Authority) -> None:
    """A cross certificate that lives longer would be the likelier issuer."""
    other = Authority.root("Other Root")
    machine.trust(root, other)
    upper = root.intermediate("Upper", not_after=timedelta(days=60))
    lower = upper.intermediate("Lower")
    crossed = other.cross_sign(upper, not_after=timedelta(days=80))
    machine.plant(upper, lower)
    preload(machine, crossed)
    expected = {root.der, other.der, upper.der, lower.der}
    assert set(machine.build()) == expected
    assert machine.json("refresh")["preloaded"] == 1
    assert set(machine.bundled()) == expected


def test_added_is_needed_though_preloaded(machine: Machine, root: Authority) -> None:
    issuer = root.intermediate()
    preload(machine, issuer)
    assert "1 new" in machine.says("add", machine.folder / "report.csv")
    assert set(machine.build()) == {root.der, issuer.der}


# What becomes of it


def test_a_refresh_drops_what_is_no_longer_valid_and_keeps_what_is_unused(machine: Machine, root: Authority) -> None:
    other = Authority.root("Other Root")
    machine.trust(root, other)
    revoked, rootless, stays = root.intermediate("Bad"), other.intermediate("Rootless"), root.intermediate("Stays")
    needed = root.intermediate("Needed, with an issuer that is only preloaded")
    preload(machine, revoked, rootless, stays, needed)
    machine.plant(needed.intermediate("Below"))
    for path in machine.store.glob(PRELOADED):
        os.utime(path, (0, 0))
    machine.trust(root)
    onelist = write(machine, onecrl([by_serial(revoked)]), "onecrl.json")
    found = machine.json("refresh", AIA_STORE_REVOCATION_LISTS=str(onelist))
    assert {one["sha256"] for one in found["dropped"]} == {fingerprint(revoked), fingerprint(rootless)}
    assert (found["kept"], found["preloaded"]) == (1, 2)
    assert preloaded(machine) == {stays.der, needed.der}
    assert "1 intermediate kept, 2 preloaded, 0 dropped" in machine.says("refresh")


def test_it_is_listed_shown_removed_and_cleared(machine: Machine, root: Authority) -> None:
    both, only, third = (root.intermediate(name) for name in ("Both", "Only preloaded", "Third"))
    preload(machine, both, only, third)
    assert "`aia-store list --preloaded` lists the others" in machine.says("list")
    machine.plant(both)
    assert "1 intermediate and 3 preloaded in" in machine.run("status").stdout
    assert [one["sha256"] for one in machine.json("list")] == [fingerprint(both)]
    listed = machine.json("list", "--preloaded")
    assert [(one["sha256"], one["preloaded"], one["last_used"]) for one in listed] == [
        (fingerprint(one), True, None) for one in (both, only, third)
    ]
    assert "Only preloaded" in machine.says("list", "--preloaded")
    assert "Only preloaded" not in machine.says("list")
    shown = machine.json("show", fingerprint(only))
    assert (shown["preloaded"], shown["in_bundle"], shown["leads_to"]) == (True, False, "CN=Manager Root")
    assert machine.json("show", fingerprint(both))["in_bundle"] is True
    machine.says("remove", fingerprint(both))
    assert (machine.kept(), preloaded(machine)) == (set(), {only.der, third.der})
    machine.says("remove", fingerprint(only)[:16])
    assert preloaded(machine) == {third.der}
    machine.plant(both)
    assert machine.says("clear", "--yes") == "removed 2 intermediates\n"
    assert preloaded(machine) == set()
    assert machine.says("list", "--preloaded").startswith("Nothing is preloaded")


# Where it comes from


def test_over_http_and_https(machine: Machine, root: Authority, aia: AIAHost) -> None:
    over_http, over_https = root.intermediate("Over http"), root.intermediate("Over https")
    impostor = Authority.root("Impostor").leaf()
    with TLSServer(root.leaf(), reply=mozilla([over_https])) as server, TLSServer(impostor) as other:
        found = machine.json("preload", aia.publish("/report", all_pems([over_http])), server.url)
        assert (found["new"], found["faults"]) == (2, [])
        done = machine.run("preload", other.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"aia-store: {other.url}: it cannot be fetched ([SSL: CERTIFICATE_VERIFY_FAILED]")
    assert preloaded(machine) == {over_http.der, over_https.der}


def test_a_host_that_fails_is_reported_and_tried_again_at_once(machine: Machine, root: Authority, aia: AIAHost) -> None:
    issuer = root.intermediate()
    url = aia.publish("/report", b"", status=503)
    assert machine.run("preload", url).stderr == f"aia-store: {url}: it cannot be fetched (status 503)\n"
    aia.publish("/report", mozilla([issuer]))
    assert machine.json("preload", url)["new"] == 1


def test_without_an_argument_the_ccadbs_own_report_is_asked_for(machine: Machine, root: Authority) -> None:
    line = machine.complains("preload", AIA_STORE_OFFLINE="1")
    assert line == f"{DEFAULT}: it cannot be fetched (AIA_STORE_OFFLINE is set)"


# Bad input

BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "blank": (b"\xef\xbb\xbf \n\n", "it is empty"),
    "binary": (b"\x7fELF\0\0" + bytes(range(256)) * 9, "it is binary"),
    "a page": (b"\n<!DOCTYPE html><html><body>maintenance</body></html>", "it is a web page"),
    "a foreign header": (b"Name,Address\nSomebody,Somewhere\n", "none of its columns holds certificates"),
    "a header cut short": (b'"SHA-256 Fingerprint","X.509 Certifi', "none of its columns holds certificates"),
    "PEM alone": (
        pem(Authority.root("Some Root")).encode(),
        "it holds certificates alone, which `aia-store add` takes",
    ),
    "one endless field": (b'"' + b"x" * 200_000, "no CSV"),
    "one endless row": (b"PEM" + b"," * 2_000_000, "no CSV"),
    "one endless row of several lines": (b'"PEM' + b'\n","' * 500_000, "no CSV"),
}


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=BAD.keys())
def test_what_is_no_report_is_reported_and_the_rest_goes_on(
    machine: Machine, root: Authority, content: bytes, reason: str
) -> None:
    old, new = root.intermediate("Old"), root.intermediate("New")
    Folder(str(machine.store)).preloaded.keep(Certificate(old.der))
    bad = write(machine, content, "bad.csv")
    done = machine.run("preload", bad, write(machine, mozilla([new])))
    assert (done.returncode, done.stdout) == (1, "1 new, 0 preloaded before, 0 skipped.\n")
    assert done.stderr.startswith(f"aia-store: {bad}: {reason}")
    assert "AllCertificatePEMs" in done.stderr
    assert done.stderr.count("\n") == 1
    assert preloaded(machine) == {old.der, new.der}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_half_a_file_is_read_as_far_as_possible(
    machine: Machine, root: Authority, layout: Callable[[Sequence[Certified]], bytes]
) -> None:
    whole = [root.intermediate("One"), root.intermediate("Two")]
    content = layout([*whole, root.intermediate("Three")])
    file = write(machine, content[: content.rindex(b"END CERTIFICATE") - 200])
    done = machine.run("preload", file)
    assert done.returncode == 1
    assert done.stdout.endswith("2 new, 0 preloaded before, 1 skipped.\n")
    assert done.stderr == f"aia-store: {file}: it ends in the middle of a row; what comes before was read\n"
    assert preloaded(machine) == {one.der for one in whole}


def test_rows_without_a_certificate_are_counted_and_a_field_without_end_ends_the_report(
    machine: Machine, root: Authority
) -> None:
    issuer = root.intermediate()
    file = write(
        machine, mozilla([issuer]) + b'"CN=\x1b[31mnone","","","","",""\r\n\r\n"CN=endless","' + b"x" * 200_000
    )
    found = machine.run("preload", file)
    assert "1 skipped: its row holds no certificate in PEM\n    CN=\N{REPLACEMENT CHARACTER}[31mnone\n" in found.stdout
    assert found.stderr.count("\n") == 1
    assert "no CSV from line" in found.stderr
    assert preloaded(machine) == {issuer.der}


def test_what_is_no_file_that_can_be_read(machine: Machine, root: Authority) -> None:
    os.mkfifo(machine.folder / "fifo")
    with (machine.folder / "huge").open("wb") as file:
        file.truncate(1 << 40)
    for source in ("none", ".", "fifo", "ftp://ca.example/report"):
        assert source in machine.complains("preload", source, status=2)
    assert "larger than" in machine.complains("preload", "huge")


def test_where_nothing_can_be_written_nothing_is_read(machine: Machine, root: Authority) -> None:
    file = write(machine, mozilla([root.intermediate()]))
    line = machine.complains("preload", file, AIA_STORE_DIR=str(file))
    assert "AIA_STORE_DIR" in line


# upki's mirrors


def mirror(folder: Path, *certificates: Certified, made: int = 1_790_000_000) -> Path:
    """A folder as `upki-mirror` writes it."""
    folder.mkdir(parents=True)
    files: dict[str, str] = {}
    for certificate in certificates:
        name = f"{fingerprint(certificate)[:2]}.pem"
        files[name] = files.get(name, "") + pem(certificate) + "\n"
    for name, text in files.items():
        (folder / name).write_text(text)
    listed = [
        {"filename": name, "size": len(text), "hash": hashlib.sha256(text.encode()).hexdigest()}
        for name, text in files.items()
    ]
    (folder / "manifest.json").write_text(json.dumps({"generated_at": made, "comment": "", "files": listed}))
    return folder


@pytest.mark.parametrize("where", ["folder", "cache", "manifest", "http"])
def test_a_mirror_of_upki_is_read(machine: Machine, root: Authority, aia: AIAHost, where: str) -> None:
    fit = [root.intermediate(f"Fit {number}") for number in range(3)]
    stranger = Authority.root("Stranger").intermediate()
    folder = mirror(machine.folder / "upki" / "intermediates", *fit, stranger)
    source: object = {"cache": folder.parent, "manifest": folder / "manifest.json"}.get(where, folder)
    if where == "http":
        for file in folder.iterdir():
            aia.publish(f"/mirror/{file.name}", file.read_bytes())
        source = aia.url("/mirror/manifest.json")
    done = machine.json("preload", source)
    assert (done["new"], len(done["skipped"]), done["faults"]) == (3, 1, [])
    files = len([*folder.glob("*.pem")])
    assert done["found"] == [
        f"{source}: a mirror made by upki on 2026-09-21, 4 certificates in {files} file{'s' * (files > 1)}"
    ]
    assert preloaded(machine) == {one.der for one in fit}


def test_of_a_damaged_mirror_the_rest_is_read(machine: Machine, root: Authority) -> None:
    one, two = root.intermediate("One"), root.intermediate("Two")
    while fingerprint(one)[:2] == fingerprint(two)[:2]:
        two = two.reissue()
    folder = mirror(machine.folder / "mirror", one, two)
    (folder / f"{fingerprint(two)[:2]}.pem").write_text(pem(root.intermediate("Three")))
    done = machine.run("preload", folder)
    assert done.returncode == 1
    assert f"{fingerprint(two)[:2]}.pem is not what the manifest says; the rest was read" in done.stderr
    assert preloaded(machine) == {one.der}


def test_of_an_endless_mirror_the_beginning_is_read(
    machine: Machine, root: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.enter(monkeypatch)
    folder = mirror(machine.folder / "mirror", *(root.intermediate(f"CA {number}") for number in range(20)))
    monkeypatch.setattr(mirror_module, "MOST_BYTES", sum(file.stat().st_size for file in folder.glob("*.pem")) // 2)
    report = run([str(folder)], settings.load())
    assert 0 < report.new < 20
    assert "larger than" in str(report.faults[0])


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "{}",
        "[" * 10_000,
        '{"generated_at": 1e999, "comment": "", "files": []}',
        '{"generated_at": 1, "comment": "", "files": [{"filename": "../../report.pem", "size": 1, "hash": ""}]}',
        '{"generated_at": 1, "comment": "", "files": [{"filename": "a.filter", "size": 1, "hash": ""}]}',
    ],
)
def test_what_is_no_mirror_is_reported(machine: Machine, root: Authority, manifest: str) -> None:
    folder = machine.folder / "mirror"
    folder.mkdir()
    (folder / "manifest.json").write_text(manifest)
    assert str(folder) in machine.complains("preload", folder)


def test_a_folder_without_a_manifest_is_no_mirror(machine: Machine, root: Authority) -> None:
    folder = machine.folder / "reports"
    folder.mkdir()
    done = machine.run("preload", folder)
    assert done.returncode == 2
    assert done.stderr == f"aia-store: {folder}: it is a folder without manifest.json, so not a mirror made by upki\n"
