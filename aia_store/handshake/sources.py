"""Where the certificates of a context came from, as far as the doors saw it: OpenSSL does not tell afterwards."""

import _ssl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    PathLike = str | bytes | os.PathLike[str] | os.PathLike[bytes]

LARGEST_TEXT = 1 << 16  # a longer cadata is no pin of a few certificates, and is not kept alive


class Sources:
    """The files, texts and hashed directories that a context was given."""

    def __init__(self, *, complete: bool = False) -> None:
        self._complete = complete  # whether this is all there is; else the context may have been filled before us
        self._files: list[PathLike] = []
        self._texts: list[str | bytes] = []
        self._directories: list[PathLike] = []

    def note(self, cafile: "PathLike | None", capath: "PathLike | None", cadata: "str | bytes | None") -> None:
        """What `load_verify_locations` was called with."""
        self._complete = True
        if cafile is not None:
            self._files.append(cafile)
        if capath is not None:
            self._directories.append(capath)
        if cadata is not None and len(cadata) <= LARGEST_TEXT:
            self._texts.append(cadata)

    def note_defaults(self) -> None:
        """That `set_default_verify_paths` was called."""
        file_variable, file, directory_variable, directory = _ssl.get_default_verify_paths()
        self._complete = True
        self._files.append(os.environ.get(file_variable, file))
        self._directories.append(os.environ.get(directory_variable, directory))

    def directories(self) -> list[str]:
        """The hashed directories; of a context that was filled before us, the default one is assumed."""
        paths = self._directories if self._complete else [_default_directory()]
        # OpenSSL takes several in one text, as in PATH.
        parts = (part for path in paths for part in os.fsdecode(path).split(os.pathsep))
        return [part for part in dict.fromkeys(parts) if os.path.isdir(part)]

    @property
    def are_certain(self) -> bool:
        """Whether the directories are those of the context, not assumed."""
        return self._complete

    def certificates(self) -> "Iterator[bytes]":
        """The certificates (DER) in the files and texts, as they are now."""
        from ..der import pem_certificates

        for path in self._files:
            try:
                with open(path, "rb") as file:
                    yield from pem_certificates(file.read())
            except OSError:
                continue
        for text in self._texts:
            if isinstance(text, str):
                yield from pem_certificates(text.encode("ascii", "replace"))
            else:
                yield bytes(text)


def _default_directory() -> str:
    _, _, variable, directory = _ssl.get_default_verify_paths()
    return os.environ.get(variable, directory)
