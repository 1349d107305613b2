"""Read a mirror of the CCADB's intermediates made by upki: a manifest, and PEM files sorted by fingerprint.

`upki-mirror` writes them (https://github.com/rustls/upki): `manifest.json` has the name and SHA-256 of each file. The
files `00.pem` to `ff.pem` are named by the first byte of the fingerprints in them. A mirror is given as a folder, such
as upki's cache or a copy, or as the http or https URL of its manifest.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable

from ..inside.certificate import pem_certificates, sha256
from .documents import DocumentError, MisnamedError
from .reports import LARGEST_CERTIFICATE, Contents, Entry
from .words import counted

MANIFEST = "manifest.json"
PART = "intermediates"  # the folder in upki's cache and on its server; another folder is about revocation
LARGEST_MANIFEST = 1 << 20
MOST_BYTES = 64 << 20  # of all files; all public intermediates together have some 20 MB


def manifest_of(source: str) -> str | None:
    """The manifest's file or URL; None if the source is no mirror. Raises MisnamedError if a folder has no manifest."""
    if source.endswith(f"/{MANIFEST}"):
        return source
    if "://" in source:
        return None
    folder = os.path.expanduser(source)
    candidates = (os.path.join(folder, PART, MANIFEST), os.path.join(folder, MANIFEST))
    found = next((path for path in candidates if os.path.isfile(path)), None)
    if found is None and os.path.isdir(folder):
        raise MisnamedError(f"it is a folder without {MANIFEST}, so not a mirror made by upki")
    return found


def read(manifest: str, get: Callable[[str, int], bytes]) -> Contents:
    """Read every file that a manifest names. `get` returns the contents of a file or URL, up to a number of bytes.

    If a file cannot be read or has another SHA-256, the others are still read, and `fault` of the result says why.
    Raises DocumentError if this is no manifest of upki, and whatever `get` raises for the manifest.
    """
    made, files = _parsed(get(manifest, LARGEST_MANIFEST))
    left = MOST_BYTES
    entries: list[Entry] = []
    faults = []
    for name, digest in files.items():
        try:
            content = get(manifest.removesuffix(MANIFEST) + name, left)
        except DocumentError as error:
            faults.append(f"{name}: {error}")
            continue
        left -= len(content)
        if sha256(content) != digest:
            faults.append(f"{name} is not what the manifest says")
            continue
        for der in pem_certificates(content):
            if len(der) <= LARGEST_CERTIFICATE:
                entries.append(Entry(f"{name}: {sha256(der)}", der, None))
    others = f", and {len(faults) - 1} more files" if len(faults) > 1 else ""
    fault = f"{faults[0]}{others}; the rest was read" if faults else None
    found = f"a mirror made by upki on {made}, {counted(len(entries), 'certificate')} in {counted(len(files), 'file')}"
    return Contents(entries, fault, found)


def _parsed(content: bytes) -> tuple[str, dict[str, str]]:
    """The day on which a manifest was made, and the SHA-256 of each file, by its name. Raises DocumentError."""
    try:
        manifest = json.loads(content)
        made = time.strftime("%Y-%m-%d", time.gmtime(int(manifest["generated_at"])))
        files = {str(file["filename"]): str(file["hash"]).lower() for file in manifest["files"]}
    except (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError) as error:
        raise DocumentError("it is not a manifest of upki") from error
    strange = next((name for name in files if not re.fullmatch(r"[0-9a-f]{2}\.pem", name)), None)
    if strange is not None:  # as in upki's manifest of filters, or a path that leads elsewhere
        raise DocumentError(f"its manifest names {strange[:64]!r}, which is not a file of intermediates")
    return made, files
