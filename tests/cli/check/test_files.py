"""`check FILE`: whether a file is what a server should send, before a server uses it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import jsonschema
import pytest

from tests.cli.check.test_json import SCHEMA
from tests.cli.check.test_metrics import samples
from tests.conftest import Hierarchy, MakeHierarchy, get, trusting
from tests.manager.machine import Machine, fingerprint
from tests.support.pki import Authority, Leaf, der_of, pem, pem_blocks, pkcs7, pkcs7_ber
from tests.support.servers import AIAHost, TLSServer


@pytest.fixture
def pki(machine: Machine, hierarchy: MakeHierarchy) -> Hierarchy:
    """Two intermediates under the machine's trust anchor."""
    made = hierarchy({}, {})
    machine.trust(made.root)
    return made


def file_with(machine: Machine, content: str | bytes, name: str = "server.pem") -> Path:
    file = machine.folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_a_file_that_a_server_can_send_as_it_is(machine: Machine, pki: Hierarchy, aia: AIAHost) -> None:
    file = file_with(machine, pem(pki.leaf, *pki.intermediates))
    shown = machine.says("check", file)
    assert shown.startswith(f"{file}\n")
    assert "✓ Test Intermediate 0  in the file" in shown
    assert "Complete: every client that trusts the root can connect." in shown
    assert aia.count() == 0


@pytest.mark.parametrize("form", ["PEM", "PEM with text", "DER", "PKCS#7", "PKCS#7 in BER", "PKCS#7 in PEM"])
def test_every_form_of_a_file(machine: Machine, pki: Hierarchy, form: str) -> None:
    lower, upper = pki.intermediates
    several = (pki.leaf.der, lower.der)
    held: dict[str, str | bytes] = {
        "PEM": pem(*several),
        "PEM with text": "Bag Attributes\n    friendlyName: x\n" + "# the next one\n".join(map(pem, several)),
        "DER": pki.leaf.der,
        "PKCS#7": pkcs7(*several),
        "PKCS#7 in BER": pkcs7_ber(*several),
        "PKCS#7 in PEM": pem(pkcs7(*several)).replace("CERTIFICATE", "PKCS7"),
    }
    (found,) = machine.json("check", file_with(machine, held[form]), status=1)
    missing = [lower, upper] if form == "DER" else [upper]
    assert found["missing"] == [fingerprint(each) for each in missing]
    assert found["faults"] == ["incomplete"]


@pytest.mark.parametrize("order", [[0], [2, 0], [1, 0], [0, 2, 1, 3], [0, 1, 1, 2], [3, 2, 1, 0]], ids=str)
def test_the_full_chain_is_what_a_server_should_send(machine: Machine, pki: Hierarchy, order: list[int]) -> None:
    """Completed, in order, each certificate once, and without the root."""
    whole = [pki.leaf, *pki.intermediates, pki.root]
    file = file_with(machine, pem(*(whole[at] for at in order)))
    done = machine.run("check", file, "--fullchain", "-")
    assert done.stderr == ""
    chain = pem_blocks(done.stdout)
    assert chain == [der_of(each) for each in whole[:-1]]
    with TLSServer(pki.leaf, chain[1:]) as server:
        assert get(server, trusting(pki.root)) == b"ok"


def test_what_could_be_better_is_said(machine: Machine, pki: Hierarchy) -> None:
    lower, upper = pki.intermediates
    shown = machine.says("check", file_with(machine, pem(pki.leaf, upper, lower, lower, pki.root)))
    assert "Advice: send Test Intermediate 0 only once" in shown
    assert "Advice: do not send Test Root, a root" in shown
    assert "Advice: send each certificate before its issuer" in shown


def test_a_leaf_that_is_not_the_first(machine: Machine, pki: Hierarchy) -> None:
    """Servers take the first certificate for their own, and its key does not fit."""
    file = file_with(machine, pem(*pki.intermediates, pki.leaf))
    shown = machine.says("check", file, status=1)
    assert "Wrong: the server's certificate is number 3 in the file, but servers take the first for their own." in shown
    assert f"aia-store check {file} --fullchain FILE" in shown
    (found,) = machine.json("check", file, status=1)
    assert (found["result"], found["faults"]) == ("incomplete", ["leaf-not-first"])
    assert not any(view["works"] for view in found["views"])


@pytest.mark.parametrize("names", [["www.example.org"], ["*.example.org"], ["not a host", "www.example.org"], ["::1"]])
def test_the_name_is_the_certificates_own(machine: Machine, pki: Hierarchy, names: list[str]) -> None:
    lower, upper = pki.intermediates
    file = file_with(machine, pem(lower.leaf(san=names), lower, upper))
    assert "Complete" in machine.says("check", file)
    assert "this one is for" in machine.says("check", file, "--servername", "other.example.com", status=1)


def test_a_certificate_without_names(machine: Machine, pki: Hierarchy) -> None:
    lower, upper = pki.intermediates
    shown = machine.says("check", file_with(machine, pem(lower.leaf(san=[]), lower, upper)), status=1)
    assert "Its owner should get a certificate that is valid for its host; this one is for no host." in shown


def test_keys_are_not_shown(machine: Machine, pki: Hierarchy) -> None:
    """HAProxy's files hold the key too, wherever it stands."""
    key = pki.leaf.key_pem
    secret = key.splitlines()[1]
    for content in (key + pem(pki.leaf), pem(pki.leaf) + key, pem(pki.leaf) + key + pem(*pki.intermediates)):
        file, page = file_with(machine, content), machine.folder / "page.html"
        for form in ([], ["--json"], ["--details", "--json"], ["--details"], ["--fullchain", "-"], ["--html", page]):
            done = machine.run("check", file, *form)
            assert done.returncode == int(content.count("BEGIN C") < 3)
            assert secret not in done.stdout + done.stderr
        assert secret not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "holds no certificate; PEM, DER and PKCS#7 can be read"),
        (b"hello\n", "holds no certificate; PEM, DER and PKCS#7 can be read"),
        (bytes.fromhex("308204be020100300d") + bytes(1_000), "holds no certificate"),
        (b"x" * (2 << 20), "is too large for a server's certificates"),
        (b"\x30\x84\x00\x20\x00\x00\x30\x84" + bytes(2 << 20), "is too large for a server's certificates"),
        (None, "cannot be read (No such file or directory)"),
    ],
    ids=["empty", "text", "a key in DER", "large", "large DER", "absent"],
)
def test_a_file_that_cannot_be_used(machine: Machine, root: Authority, content: bytes | None, complaint: str) -> None:
    file = machine.folder / "server.pem" if content is None else file_with(machine, content)
    assert machine.complains("check", file, status=2).startswith(f"{file} {complaint}")


def test_a_file_of_cas_only(machine: Machine, pki: Hierarchy) -> None:
    file = file_with(machine, pem(*pki.intermediates))
    assert machine.complains("check", file, status=2) == f"{file} holds no server's certificate, only those of CAs"


def test_a_certificate_that_calls_itself_a_ca(machine: Machine, root: Authority) -> None:
    """As `openssl req -x509` makes them."""
    file = machine.folder / "own.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=own", "-addext", "subjectAltName=DNS:own.example", "-out", file, "-keyout", os.devnull]
    subprocess.run(command, check=True, capture_output=True)
    assert "self-signed" in machine.says("check", file, status=1)


def test_a_folder_as_certbot_keeps_it(machine: Machine, pki: Hierarchy) -> None:
    """Of the files with one certificate, the one with its chain counts. Neither keys nor CAs are anybody's chain."""
    live, archive = machine.folder / "live", machine.folder / "archive"
    lower, upper = pki.intermediates

    def lineage(name: str, leaf: Leaf, *chain: Authority) -> Path:
        for kind, content in {
            "cert": pem(leaf),
            "chain": pem(*chain),
            "fullchain": pem(leaf, *chain),
            "privkey": leaf.key_pem,
        }.items():
            file_with(machine, content, f"archive/{name}/{kind}1.pem")
            (live / name).mkdir(parents=True, exist_ok=True)
            (live / name / f"{kind}.pem").symlink_to(archive / name / f"{kind}1.pem")
        return live / name / "fullchain.pem"

    right = lineage("a.example", lower.leaf("a.example"), lower, upper)
    wrong = lineage("b.example", lower.leaf("b.example"), lower)
    file_with(machine, "This directory contains your keys and certificates.\n", "live/README")
    os.mkfifo(live / "pipe")
    file = machine.folder / "check.prom"
    found = machine.json("check", live, "--prometheus", file, status=1)
    assert [(each["file"], each["result"]) for each in found] == [(str(right), "complete"), (str(wrong), "incomplete")]
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    assert samples(file.read_text(encoding="utf-8"))["aia_store_check_complete"] == {
        f'file="{right}"': 1,
        f'file="{wrong}"': 0,
    }
    assert machine.says("check", live, "--quiet", "--html", machine.folder / "page.html", status=1).count("NOT IN") == 1


def test_what_cannot_be_read_in_a_folder(machine: Machine, pki: Hierarchy) -> None:
    """Each file is named, and the others are checked."""
    right = file_with(machine, pem(pki.leaf, *pki.intermediates), "live/c.pem")
    gone = [right.parent / "a.pem", right.parent / "b.pem"]
    for link in gone:
        link.symlink_to("absent")
    done = machine.run("check", right.parent)
    assert (done.returncode, f"{right}\n" in done.stdout) == (2, True)
    assert "3 files: 1 complete, 2 could not be checked." in done.stdout
    assert done.stderr.splitlines() == [
        f"aia-store: {link} cannot be read (No such file or directory)" for link in gone
    ]


def test_a_folder_without_end(machine: Machine, root: Authority) -> None:
    """Another user can make folders in folders, deeper than Python can follow, and more than anybody waits for."""
    deep = machine.folder / "deep"
    deep.joinpath(*["a"] * 150).mkdir(parents=True)
    line = machine.complains("check", deep, status=2)
    assert line == f"{deep} holds more than 100 folders in each other; name one of them"
    wide = machine.folder / "wide"
    for number in range(10_001):
        (wide / str(number)).mkdir(parents=True)
    assert "more than 10,000 files" in machine.complains("check", wide, status=2)


def test_a_folder_without_a_servers_certificate(machine: Machine, root: Authority) -> None:
    folder = file_with(machine, pem(root), "cas/root.pem").parent
    assert machine.complains("check", folder, status=2) == f"{folder} holds no file with a server's certificate"


def test_a_path_is_told_from_a_host(machine: Machine, pki: Hierarchy) -> None:
    """A path that exists, or has a slash, is a file; an https URL is a host."""
    file_with(machine, pem(pki.leaf, *pki.intermediates), "localhost")
    with TLSServer(pki.leaf, pki.intermediates) as server:
        hosts = [f"localhost:{server.port}", f"https://localhost:{server.port}/a/path"]
        found = machine.json("check", "localhost", "./localhost", *hosts)
    assert [(each["file"], each["host"]) for each in found] == [
        ("localhost", None),
        ("./localhost", None),
        (None, "localhost"),
    ]
    assert "cannot be read" in machine.complains("check", "no/file", status=2)


def test_a_private_key_is_not_overwritten(machine: Machine, pki: Hierarchy) -> None:
    file = file_with(machine, pem(pki.leaf) + pki.leaf.key_pem)
    before = file.read_bytes()
    done = machine.run("check", file, "--fullchain", file)
    assert done.returncode == 1
    assert done.stderr == f"aia-store: {file} was not written: it holds a private key, which would be lost\n"
    assert file.read_bytes() == before


def test_one_document_on_standard_output(machine: Machine, pki: Hierarchy) -> None:
    file = file_with(machine, pem(pki.leaf))
    done = machine.run("check", file, "./absent.pem", "--html", "-")
    assert done.stdout.startswith("<!doctype html>")
    assert done.stdout.rstrip().endswith("</html>")
    assert done.stderr == "aia-store: ./absent.pem cannot be read (No such file or directory)\n"
    for options in (["--html", "-", "--json"], ["--html", "-", "--fullchain", "-"]):
        done = machine.run("check", file, *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert "only one of the documents can be written to standard output" in done.stderr


def test_a_full_chain_that_cannot_be_had(machine: Machine, root: Authority) -> None:
    file = file_with(machine, pem(Authority.root("Strange Root").leaf()))
    done = machine.run("check", file, "--fullchain", "-")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "aia-store: the full chain was not written: no path to a trust anchor was found\n"


@pytest.mark.parametrize("content", [b"\x7fELF\x02\x01\x01\x00" + bytes(100), b"x" * 10_000, b"# \n" * 1_000_001])
def test_a_file_of_hosts_that_is_none(machine: Machine, root: Authority, content: bytes) -> None:
    file = file_with(machine, content, "hosts")
    complaint = machine.complains("check", "--file", file, status=2)
    assert complaint.startswith(f"{file} is not a list of hosts: line 1 is binary or too long") or "lines" in complaint


def test_a_line_that_names_no_host_has_its_metric(machine: Machine, root: Authority) -> None:
    hosts, file = file_with(machine, 'two "words"\ntwo "words"\n', "hosts"), machine.folder / "check.prom"
    assert machine.run("check", "--file", hosts, "--prometheus", file).returncode == 2
    found = samples(file.read_text(encoding="utf-8"))
    assert found["aia_store_check_could_not_tell"] == {r'host="two \"words\"",port=""': 1}
