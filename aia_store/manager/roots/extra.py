"""Trust anchors that the administrator adds to the machine's own (`extra_roots`): a PEM file or a folder of such files.

They are read as strictly as the machine's own. In a folder, a file without a certificate is an error, because it may
contain a CA's certificate in another format.
"""

from __future__ import annotations

import os

from ...inside.certificate import Certificate
from ...inside.ownership import changed_by_others, filled_by_others
from ...inside.settings import serves_others
from . import pem_files


def certificates(path: str) -> list[Certificate]:
    """The certificates of this file, or of all files in this folder, each once.

    Raises OSError, and DamagedError with a message that begins with the file's path. If this process serves other
    users, a file that they can change counts as damaged.
    """
    paths = files(path)
    if not paths:
        raise pem_files.DamagedError(f"{path} holds no file")
    return list(dict.fromkeys(certificate for file in paths for certificate in _in_file(file)))


def files(path: str) -> list[str]:
    """The path itself if it is a file; if it is a folder, the paths of the files in it, sorted. Raises OSError.

    Names with a leading dot are left out: Kubernetes keeps a ConfigMap's data there, and adds links with other names.
    """
    if not os.path.isdir(path):
        return [path]
    _demand_others_cannot_change(path)
    entries = [os.path.join(path, name) for name in sorted(os.listdir(path)) if not name.startswith(".")]
    return [entry for entry in entries if not os.path.isdir(entry)]


def watched(path: str) -> list[str]:
    """Every path whose change can change these trust anchors: the path itself, and the files in a folder."""
    try:
        return list(dict.fromkeys([path, *files(path)]))
    except (OSError, pem_files.DamagedError):
        return [path]


def _in_file(path: str) -> list[Certificate]:
    _demand_others_cannot_change(path)
    try:
        if pem_files.BUNDLE_MARK in pem_files.contents(path):
            raise pem_files.DamagedError("is a bundle made by aia-store")
        return pem_files.certificates(path)
    except pem_files.DamagedError as error:
        raise pem_files.DamagedError(f"{path} {error}") from error


def _demand_others_cannot_change(path: str) -> None:
    weak = None
    if serves_others():
        weak = changed_by_others(path) or (filled_by_others(os.path.realpath(path)) if os.path.isdir(path) else None)
    if weak is not None:
        raise pem_files.DamagedError(f"{path} is refused, because users other than root can change {weak}")
