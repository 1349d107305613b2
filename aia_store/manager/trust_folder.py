"""The trust folder: trust anchors and intermediates as files, of which OpenSSL opens those that a chain names.

    trust                    a link to the current folder, for programs: SSL_CERT_DIR, `--capath` and the like
    trust-folders/17         the current folder: one certificate per file, named as by `openssl rehash` (3f2c1a0b.0)
    trust-folders/16         the previous folder, for programs that have it open
    one-anchor.pem           a small CA file, the first trust anchor, for programs that also want a CA file

A folder is complete before the link leads to it, and is never changed afterwards. One rename replaces the link. So a
reader that follows the link finds a whole folder, the old one or the new one. Files that did not change are hard links
to those of the previous folder. The publisher holds the lock of the bundle.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from ..inside.certificate import pem_certificates, sha256, to_pem
from ..inside.store import LARGEST_FILE, ONE_ANCHOR, TRUST, TRUST_FOLDERS, Folder, read_regular_file

_NEXT_LINK = "next"  # in TRUST_FOLDERS, until it takes the place of TRUST


def names(certificates: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Give each certificate (subject's hash, fingerprint) a file name; returns the fingerprints by file name.

    OpenSSL looks for the numbers 0, 1 and so on behind the hash, up to the first gap (X509_LOOKUP_hash_dir(3)).
    """
    numbers: dict[str, int] = {}
    found = {}
    for subject_hash, fingerprint in certificates:
        number = numbers[subject_hash] = numbers.get(subject_hash, -1) + 1
        found[f"{subject_hash}.{number}"] = fingerprint
    return found


def publish(home: Folder, wanted: dict[str, str], standing: dict[str, str], texts: dict[str, bytes]) -> None:
    """Make a folder of exactly the `wanted` files, and point the link at it. Raises OSError.

    `wanted` has fingerprints by file name, as `names` returns them, and `standing` those of the present folder, as
    `contents` returns them. `texts` has the contents of the files that the present folder lacks, by fingerprint.
    """
    before = current(home)
    if before is not None and standing == wanted:
        return
    numbers = [int(name) for name in os.listdir(home.make(TRUST_FOLDERS)) if name.isdigit()]  # incomplete ones too
    reusable = {fingerprint: os.path.join(before or "", name) for name, fingerprint in standing.items()}
    new = _written(home, str(max(numbers, default=0) + 1), wanted, reusable, texts)
    _turn(home, new)
    for number in numbers:
        if before is None or str(number) != os.path.basename(before):
            _remove(os.path.join(os.path.dirname(new), str(number)))


def put_one_anchor(home: Folder, text: bytes) -> None:
    """Write the file `one-anchor.pem`, unless it already holds this text. Raises OSError."""
    with contextlib.suppress(OSError):
        if read_regular_file(os.path.join(home.path, ONE_ANCHOR), LARGEST_FILE) == text:
            return
    home.write(text, ONE_ANCHOR, mode=0o644, durable=True)


def contents(home: Folder) -> dict[str, str]:
    """The fingerprints of the certificates in the present folder, by file name; an empty text for a file not ours."""
    folder = current(home)
    if folder is None:
        return {}
    return {name: _fingerprint(os.path.join(folder, name)) for name in os.listdir(folder)}


def current(home: Folder) -> str | None:
    """The path of the folder that the link leads to; None if we did not make that folder."""
    try:
        above, number = os.path.split(os.readlink(os.path.join(home.path, TRUST)))
        return home.within(TRUST_FOLDERS, number) if above == TRUST_FOLDERS and number.isdigit() else None
    except OSError:
        return None


def _written(home: Folder, name: str, wanted: dict[str, str], reusable: dict[str, str], texts: dict[str, bytes]) -> str:
    """Make a folder of the `wanted` files, synced to the disk. Files in `reusable` are linked, not copied."""
    folder = home.make(TRUST_FOLDERS, name)
    try:
        for file, fingerprint in wanted.items():
            path = os.path.join(folder, file)
            known = reusable.get(fingerprint)
            if known is None:
                _write(path, texts[fingerprint])
                continue
            try:
                os.link(known, path)
            except OSError:  # a file system without hard links, or too many of one file
                _write(path, read_regular_file(known, LARGEST_FILE))
        _sync(folder)
    except BaseException:
        _remove(folder)
        raise
    return folder


def _write(path: str, text: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
    with open(descriptor, "wb") as file:
        file.write(text)
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, 0o644)  # whatever the umask is
        file.flush()
        os.fsync(descriptor)


def _sync(folder: str) -> None:
    """Sync the names of a folder's files to the disk. Windows cannot open folders, and does not need this."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _turn(home: Folder, folder: str) -> None:
    """Point the link `trust` at this folder."""
    above, number = os.path.split(folder)
    link = os.path.join(above, _NEXT_LINK)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(link)  # left by a publication that was killed
    os.symlink(os.path.join(TRUST_FOLDERS, number), link, target_is_directory=True)
    os.replace(link, os.path.join(home.path, TRUST))


def _fingerprint(path: str) -> str:
    """The fingerprint of the certificate in a file; an empty text if the file is not as we write it."""
    try:
        text = read_regular_file(path, LARGEST_FILE)
    except OSError:
        return ""
    der = next(pem_certificates(text), b"")
    return sha256(der) if to_pem(der).encode("ascii") == text else ""


def _remove(folder: str) -> None:
    """Remove a folder that nobody needs any more. What cannot be removed stays until the next publication."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
