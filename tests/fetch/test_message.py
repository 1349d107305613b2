"""The server's Certificate message, honest and hostile: what was sent comes out, or a MessageError."""

from __future__ import annotations

import sys
import time
import tracemalloc
import zlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aia_store.inside.certificate import MOST_SENT as MOST_CERTIFICATES
from aia_store.inside.certificate import MOST_UNPACKED as MOST_BYTES
from aia_store.inside.certificate import MessageError
from aia_store.inside.certificate import sent_in as certificates

from ..support.pki import Authority

V12, V13 = 0x0303, 0x0304
ROOT = Authority.root("Message Root")
SENT = [ROOT.intermediate("Message CA").leaf().der, ROOT.der, b"\x30\x00", b""]


def vector(contents: bytes, octets: int) -> bytes:
    return len(contents).to_bytes(octets, "big") + contents


def entries(ders: list[bytes], version: int, extensions: bytes = b"") -> bytes:
    return b"".join(vector(der, 3) + (vector(extensions, 2) if version == V13 else b"") for der in ders)


def plain(ders: list[bytes], version: int, context: bytes = b"", extensions: bytes = b"") -> bytes:
    """The body of a Certificate message."""
    start = vector(context, 1) if version == V13 else b""
    return start + vector(entries(ders, version, extensions), 3)


def message(body: bytes, kind: int = 11) -> bytes:
    return bytes([kind]) + vector(body, 3)


def compressed(body: bytes, packed: bytes, size: int | None = None, algorithm: int = 1) -> bytes:
    size = len(body) if size is None else size
    return message(algorithm.to_bytes(2, "big") + size.to_bytes(3, "big") + vector(packed, 3), 25)


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("number", [0, 1, 2, 4])
def test_what_was_sent_comes_out_in_its_order(version: int, number: int) -> None:
    assert certificates(message(plain(SENT[:number], version)), version) == SENT[:number]


@pytest.mark.parametrize("context", [b"", b"x", b"x" * 255])
@pytest.mark.parametrize("extensions", [b"", b"x" * 0xFFFF])
def test_context_and_extensions_are_passed_over(context: bytes, extensions: bytes) -> None:
    assert certificates(message(plain(SENT, V13, context, extensions)), V13) == SENT


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_message_compressed_with_zlib_is_read(level: int) -> None:
    body = plain(SENT, V13)
    assert certificates(compressed(body, zlib.compress(body, level)), V13) == SENT


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python reads zstd from 3.14 on")
def test_a_message_compressed_with_zstd_is_read() -> None:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]

    body = plain(SENT, V13)
    assert certificates(compressed(body, zstd.compress(body), algorithm=3), V13) == SENT
    with pytest.raises(MessageError):
        certificates(compressed(body, b"none", algorithm=3), V13)


def test_of_thousands_of_certificates_a_bounded_number_is_taken() -> None:
    assert len(certificates(message(plain([b"\x30\x00"] * 20_000, V12)), V12)) == MOST_CERTIFICATES


BODY = plain(SENT, V13)
PACKED = zlib.compress(BODY)
BOMB = zlib.compress(bytes(100 << 20))

BROKEN: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", V12),
    "nothing, 1.3": (b"", V13),
    "a header alone": (b"\x0b\0\0\0", V12),
    "a header alone, 1.3": (b"\x0b\0\0\0", V13),
    "a context that is too long": (message(b"\xff"), V13),
    "cut short": (message(plain(SENT, V12)[:-1]), V12),
    "cut short, 1.3": (message(plain(SENT, V13)[:-1]), V13),
    "an entry too long": (message(vector(b"\xff\xff\xff\x30", 3)), V12),
    "extensions too long": (message(b"\0" + vector(vector(b"\x30\x00", 3) + b"\xff\xff", 3)), V13),
    "extensions absent": (message(b"\0" + vector(vector(b"\x30\x00", 3), 3)), V13),
    "half a length": (message(vector(b"\x00\x00", 3)), V12),
    "compressed nothing": (message(b"", 25), V13),
    "compressed and cut short": (compressed(BODY, PACKED)[:-1], V13),
    "compressed, its stream cut short": (compressed(BODY, PACKED[:-9]), V13),
    "compressed rubbish": (compressed(BODY, b"rubbish"), V13),
    "size too small": (compressed(BODY, PACKED, len(BODY) - 1), V13),
    "size too large": (compressed(BODY, PACKED, len(BODY) + 1), V13),
    "size zero": (compressed(BODY, PACKED, 0), V13),
    "size beyond the most": (compressed(BODY, PACKED, MOST_BYTES + 1), V13),
    "brotli": (compressed(BODY, PACKED, algorithm=2), V13),
    "no algorithm": (compressed(BODY, PACKED, algorithm=0), V13),
    "a bomb": (compressed(BODY, BOMB), V13),
    "a bomb that says a megabyte": (compressed(BODY, BOMB, MOST_BYTES), V13),
    "a bomb that says nothing": (compressed(BODY, BOMB, 0), V13),
    "a bomb that says the most": (compressed(BODY, BOMB, (1 << 24) - 1), V13),
}
if sys.version_info < (3, 14):
    BROKEN["zstd"] = (compressed(BODY, PACKED, algorithm=3), V13)


@pytest.mark.parametrize(("broken", "version"), BROKEN.values(), ids=BROKEN)
def test_a_broken_message_is_a_message_error_in_bounded_memory(broken: bytes, version: int) -> None:
    tracemalloc.start()
    try:
        started = time.process_time()
        with pytest.raises(MessageError):
            certificates(broken, version)
        assert time.process_time() - started < 0.5
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MOST_BYTES


def survive(data: bytes, version: int) -> None:
    try:
        found = certificates(data, version)
    except MessageError:
        return
    assert len(found) <= MOST_CERTIFICATES
    assert all(isinstance(der, bytes) for der in found)


versions = st.sampled_from([0x0301, V12, V13, 0x0305, 0, 0xFEFD])


@settings(max_examples=400, deadline=10_000)
@given(st.binary(max_size=400), versions)
@example(b"\x19\0\0\0\0\x01", V13)
def test_only_message_error_comes_out_of_any_bytes(data: bytes, version: int) -> None:
    survive(data, version)


@settings(max_examples=400, deadline=10_000)
@given(
    st.sampled_from([message(BODY), message(plain(SENT, V12)), compressed(BODY, PACKED)]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4), st.integers(0, 4)), max_size=5),
    versions,
)
def test_only_message_error_comes_out_of_a_mutated_message(
    data: bytes, edits: list[tuple[float, bytes, int]], version: int
) -> None:
    for where, put, cut in edits:
        at = int(where * len(data))
        data = data[:at] + put + data[at + cut :]
    survive(data, version)


def test_every_truncation_is_survived() -> None:
    for whole, version in ((message(BODY), V13), (message(plain(SENT, V12)), V12), (compressed(BODY, PACKED), V13)):
        for end in range(0, len(whole), 3):
            survive(whole[:end], version)
