"""Errors come from the same call as without the hook, and later changes of files do not matter."""

from __future__ import annotations

import os
import ssl
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import get, refused
from tests.handshake.on_demand.conftest import Trust
from tests.support.ca_files import large_ca_file, large_file, loaded
from tests.support.pki import Authority, crl, pem

ROOT = Authority.root("A Root")
CUT = ROOT.pem.replace(ROOT.pem.splitlines()[3] + "\n", "")

#: What OpenSSL refuses; if a file contains it, nothing of the file is loaded.
REFUSED = {
    "nothing in it": b"",
    "one block cut short": (pem(ROOT) + CUT).encode(),
    "no base64": b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    "base64 of nothing much": b"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n",
    "a block without an end": (pem(ROOT) + ROOT.pem.rpartition("-----END")[0]).encode(),
}


def on_one_line(block: str) -> str:
    """A PEM block with all its base64 on one line."""
    begin, *lines, end = block.splitlines()
    return "\n".join([begin, "".join(lines), end, ""])


def revocation_list(authority: Authority) -> bytes:
    return ssl.DER_cert_to_PEM_cert(crl(authority)).replace("CERTIFICATE", "X509 CRL").encode()


#: What OpenSSL accepts; only OpenSSL can tell which part of it.
LEFT_TO_OPENSSL = {
    "a revocation list": pem(ROOT).encode() + revocation_list(ROOT),
    "a private key": (pem(ROOT) + ROOT.key_pem).encode(),
    "ends of lines as on Windows": pem(ROOT).replace("\n", "\r\n").encode(),
    "another name for it": ROOT.pem.replace("CERTIFICATE", "X509 CERTIFICATE").encode(),
    "long lines": on_one_line(ROOT.pem).encode(),
    "NUL at the start of a line": pem(ROOT).encode() + b"\0\n" + pem(Authority.root("After it")).encode(),
}


def outcome(action: Callable[[], object]) -> str:
    """The result of a call: its error, or nothing."""
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


@pytest.mark.parametrize("is_first", [True, False])
def test_a_fifo_is_read_once(hook: None, tmp_path: Path, is_first: bool) -> None:
    fifo, later = tmp_path / "fifo", Authority.root("Later Root")
    os.mkfifo(fifo)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not is_first:
        context.load_verify_locations(large_ca_file(tmp_path / "large.pem", ROOT))
    writer = threading.Thread(target=fifo.write_text, args=(pem(later),), daemon=True)
    writer.start()
    context.load_verify_locations(fifo)
    writer.join()
    assert context.get_ca_certs(binary_form=True)[-1] == later.der


@pytest.mark.parametrize("number", [True, 0, 1.5])
def test_a_number_is_no_path(hook: None, number: Any) -> None:
    """Some functions of `os` would take it for a descriptor, and warn of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        said = outcome(lambda: context.load_verify_locations(cafile=number))
    assert said == "TypeError: cafile should be a valid filesystem path"
    assert not warned


def test_bad_certificates_beside_a_good_file_raise_and_load_nothing(hook: None, trust: Trust) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ssl.SSLError):
        context.load_verify_locations(trust.cafile, cadata="rubbish")
    assert context.cert_store_stats()["x509"] == 0


def replaced(path: Path, content: bytes) -> None:
    other = large_file(path.with_suffix(".new"), content)
    other.replace(path)


def edited(path: Path, content: bytes) -> None:
    """Changed in place, with the same size and the same time of change."""
    status = path.stat()
    path.write_bytes(content[: status.st_size].ljust(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def emptied(path: Path, content: bytes) -> None:
    path.write_bytes(b"")


def removed(path: Path, content: bytes) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [replaced, edited, emptied, removed])
def test_a_files_contents_at_the_time_of_loading_count(
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
