"""The files and hashed folders from which programs load certificates, CRLs and trust settings."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.pki import Certified, pem


def openssl(*arguments: object, stdin: str = "") -> str:
    """What the openssl command prints."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is not here")
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, input=stdin, check=True, capture_output=True, text=True).stdout


def file_of(path: Path, *texts: str) -> str:
    """A file with these PEM texts, one after the other; its name."""
    path.write_text("".join(texts), encoding="ascii")
    return str(path)


def folder_of(path: Path, *texts: str) -> str:
    """A hashed folder with a file for each of these PEM texts; its name."""
    path.mkdir()
    for number, text in enumerate(texts):
        file_of(path / f"{number}.pem", text)
    openssl("rehash", path)
    return str(path)


def trusted_pem(certificate: Certified, *settings: str) -> str:
    """A certificate with trust settings, as `openssl x509` writes them: "-addtrust", "serverAuth"."""
    return openssl("x509", *settings, "-trustout", stdin=pem(certificate))
