"""Where `set_default_verify_paths` loads from: what OpenSSL was built with, or what the environment says instead."""

import _ssl
import os
import sys

_AT_SECURE = 23  # of the auxiliary vector: the program has rights that who started it has not
_WORD = 8  # bytes


def paths() -> tuple[str, str]:
    """A file, and a directory or several, as in PATH."""
    file_variable, file, directory_variable, directory = _ssl.get_default_verify_paths()
    return os.environ.get(file_variable, file), os.environ.get(directory_variable, directory)


def are_certain() -> bool:
    """Whether OpenSSL surely loads from there: with special rights, it does not believe the environment."""
    file_variable, _, directory_variable, _ = _ssl.get_default_verify_paths()
    if file_variable not in os.environ and directory_variable not in os.environ:
        return True
    return sys.platform.startswith("linux") and not _has_special_rights()


def _has_special_rights() -> bool:
    try:
        with open("/proc/self/auxv", "rb", buffering=0) as file:
            words = file.read()
    except OSError:
        return True
    numbers = [int.from_bytes(words[at : at + _WORD], sys.byteorder) for at in range(0, len(words), _WORD)]
    return dict(zip(numbers[::2], numbers[1::2], strict=False)).get(_AT_SECURE) != 0
