"""Errors come at the call they always came at; files that change meanwhile do not matter; the index is a hint."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import get, refused, run_python
from tests.handshake.on_demand.conftest import Trust
from tests.support.ca_files import SIZE, large_ca_file, large_file, loaded
from tests.support.pki import Authority, crl, pem

FIELDS = ("dev", "ino", "size", "mtime_ns", "ctime_ns")  #: of a status: what the index knows a file by

ROOT = Authority.root("A Root")
CUT = ROOT.pem.replace(ROOT.pem.splitlines()[3] + "\n", "")

#: What OpenSSL refuses: with it, nothing of a file is loaded.
REFUSED = {
    "nothing in it": b"",
    "one block cut short": (pem(ROOT) + CUT).encode(),
    "no base64": b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    "base64 of nothing much": b"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n",
    "a block without an end": (pem(ROOT) + ROOT.pem.rpartition("-----END")[0]).encode(),
}


def revocation_list(authority: Authority) -> bytes:
    return ssl.DER_cert_to_PEM_cert(crl(authority)).replace("CERTIFICATE", "X509 CRL").encode()


#: What OpenSSL takes, and only OpenSSL can say what of it.
LEFT_TO_OPENSSL = {
    "a revocation list": pem(ROOT).encode() + revocation_list(ROOT),
    "a private key": (pem(ROOT) + ROOT.key_pem).encode(),
    "ends of lines as on Windows": pem(ROOT).replace("\n", "\r\n").encode(),
    "another name for it": ROOT.pem.replace("CERTIFICATE", "X509 CERTIFICATE").encode(),
    "long lines": ROOT.pem.replace("\n", "").replace("E-----", "E-----\n").replace("-----END", "\n-----END").encode(),
    "NUL at the start of a line": pem(ROOT).encode() + b"\0\n" + pem(Authority.root("After it")).encode(),
}


def outcome(action: Callable[[], object]) -> str:
    """What a call does: its error, or nothing."""
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}".partition(" (_ssl.c")[0]
    return ""


@pytest.mark.parametrize("content", {**REFUSED, **LEFT_TO_OPENSSL}.values(), ids={**REFUSED, **LEFT_TO_OPENSSL}.keys())
def test_what_is_not_plain_is_openssls_business(
    hook: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    path = large_file(tmp_path / "file.pem", content)
    seen = []
    for on_demand in "10":
        monkeypatch.setenv("AIA_STORE_TRUST_ON_DEMAND", on_demand)
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        error = outcome(lambda: context.load_verify_locations(path))  # noqa: B023  called here
        default = ssl.create_default_context()
        seen.append((error, loaded(context), loaded(default), context.cert_store_stats(), default.cert_store_stats()))
    assert seen[0] == seen[1]
    assert bool(seen[0][0]) == (content in REFUSED.values())


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(lambda folder: folder / "missing.pem", id="missing"),
        pytest.param(lambda folder: folder, id="a folder"),
        pytest.param(lambda folder: "with\0NUL", id="NUL"),
        pytest.param(lambda folder: 3, id="a number"),
        pytest.param(lambda folder: object(), id="an object"),
        pytest.param(lambda folder: None, id="nothing"),
        pytest.param(lambda folder: str(folder / "good.pem"), id="text"),
        pytest.param(lambda folder: os.fsencode(folder / "good.pem"), id="bytes"),
        pytest.param(lambda folder: folder / "good.pem", id="a path"),
    ],
)
def test_paths_of_every_kind(
    hook: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Callable[[Path], object]
) -> None:
    large_ca_file(tmp_path / "good.pem", ROOT)
    seen = []
    for on_demand in "10":
        monkeypatch.setenv("AIA_STORE_TRUST_ON_DEMAND", on_demand)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        named = outcome(lambda: context.load_verify_locations(cafile=path(tmp_path)))  # type: ignore[arg-type]  # noqa: B023
        placed = outcome(lambda: context.load_verify_locations(path(tmp_path)))  # type: ignore[arg-type]  # noqa: B023
        seen.append((named, placed, context.get_ca_certs()))
    assert seen[0] == seen[1]


def test_bad_certificates_beside_a_good_file_raise_and_load_nothing(hook: None, trust: Trust) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ssl.SSLError):
        context.load_verify_locations(trust.cafile, cadata="rubbish")
    assert context.cert_store_stats()["x509"] == 0


def replaced(path: Path, content: bytes) -> None:
    other = large_file(path.with_suffix(".new"), content)
    other.replace(path)


def edited(path: Path, content: bytes) -> None:
    """In place, without a trace in size or time of change."""
    status = path.stat()
    path.write_bytes(content[: status.st_size].ljust(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def emptied(path: Path, content: bytes) -> None:
    path.write_bytes(b"")


def removed(path: Path, content: bytes) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [replaced, edited, emptied, removed])
def test_a_file_is_what_it_was_when_the_context_was_given_it(
    hook: None, store: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path, bytes], None]
) -> None:
    store.mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(trust.cafile))
    contexts = [ssl.create_default_context(cafile=trust.cafile), ssl.create_default_context()]
    change(trust.cafile, pem(Authority.root("Another")).encode())
    for context in contexts:
        assert get(trust.servers[0], context) == b"ok"
        assert context.cert_store_stats()["x509"] == 2
    try:
        late = ssl.create_default_context(cafile=trust.cafile)
    except (OSError, ssl.SSLError):
        return  # as it would have been
    refused(trust.servers[0], late)


def notes(store: Path) -> list[Path]:
    return [path for path in (store / "ca-files").iterdir() if path.is_file()]


CONNECT = """
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30) as tcp:
    try:
        context.wrap_socket(tcp, server_hostname="localhost").close()
        print("ok", end=" ")
    except ssl.SSLCertVerificationError as error:
        print(error.verify_message, end=" ")
print("aia_store.handshake.plain" in sys.modules)
"""


def connect(trust: Trust, cafile: Path, code: str = CONNECT) -> str:
    """What a new process says: how its handshake ended, and whether it examined the file."""
    done = run_python(code, trust.servers[0].port, cafile)
    assert done.stderr == ""
    return done.stdout.strip()


WITHOUT_CONNECTING = "\n".join([*CONNECT.splitlines()[:3], CONNECT.splitlines()[-1]])


def test_a_file_that_is_in_the_index_is_examined_when_it_is_used(store: Path, trust: Trust) -> None:
    store.mkdir()
    assert connect(trust, trust.cafile, WITHOUT_CONNECTING) == "True"
    (note,) = notes(store)
    assert str(trust.cafile.stat().st_size) in note.read_text()
    assert connect(trust, trust.cafile, WITHOUT_CONNECTING) == "False"
    assert connect(trust, trust.cafile) == "ok True"


def call_plain(store: Path, file: Path) -> None:
    """Put into the index that a file is plain."""
    status = file.stat()
    note = store / "ca-files" / str(status.st_ino % 64)
    note.write_text(" ".join(str(getattr(status, f"st_{field}")) for field in FIELDS), encoding="ascii")


def test_an_index_that_says_too_much_costs_an_error_its_place_and_nothing_else(store: Path, trust: Trust) -> None:
    store.mkdir()
    connect(trust, trust.cafile)
    bad = large_file(trust.cafile.with_name("bad.pem"), (pem(*trust.roots) + CUT).encode())
    call_plain(store, bad)
    assert connect(trust, bad) == "unable to get local issuer certificate True"


def test_an_index_that_calls_plain_what_openssl_takes_changes_nothing(store: Path, trust: Trust) -> None:
    store.mkdir()
    connect(trust, trust.cafile)
    unusual = large_file(trust.cafile.with_name("unusual.pem"), pem(*trust.roots).replace("\n", "\r\n").encode())
    call_plain(store, unusual)
    assert connect(trust, unusual) == "ok True"


@pytest.mark.parametrize("content", [b"", b"0", b"\xff" * 300, b"1 2 3 4 5", b"x" * (1 << 20)])
def test_an_index_of_rubbish_is_none(store: Path, trust: Trust, content: bytes) -> None:
    store.mkdir()
    connect(trust, trust.cafile)
    (note,) = notes(store)
    note.write_bytes(content)
    assert connect(trust, trust.cafile) == "ok True"
    assert notes(store)[0].read_bytes() != content, "it is written anew"


def test_an_index_that_is_no_file_holds_nobody_up(store: Path, trust: Trust) -> None:
    store.mkdir()
    connect(trust, trust.cafile)
    (note,) = notes(store)
    note.unlink()
    os.mkfifo(note)
    assert connect(trust, trust.cafile) == "ok True"


def test_an_index_that_is_full_stays_small(store: Path, trust: Trust, tmp_path: Path) -> None:
    store.mkdir()
    code = "import ssl, sys\nfor path in sys.argv[1:]: ssl.create_default_context(cafile=path)\n"
    paths = [large_ca_file(tmp_path / f"{number}.pem", trust.roots[0]) for number in range(200)]
    done = run_python(code, *paths)
    assert (done.returncode, done.stderr) == (0, "")
    assert 0 < len(notes(store)) <= 64
    assert sum(path.stat().st_size for path in notes(store)) < SIZE
