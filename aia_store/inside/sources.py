"""Where the certificates of a context came from, as far as the doors saw it: OpenSSL does not tell afterwards."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .cafile import CAFile
    from .on_demand import OnDemand, PathLike

LARGEST_TEXT = 1 << 16  # a longer cadata is no pin of a few certificates, and is not kept alive


class Sources:
    """The files, texts and hashed directories that a context was given."""

    def __init__(self, *, complete: bool = False) -> None:
        self._complete = complete  # whether this is all there is; else the context may have been filled before us
        self._files: list[PathLike] = []
        self._texts: list[str | bytes] = []
        self._directories: list[PathLike] = []
        self.count = 0  # of times that it was given something
        self._on_demand: OnDemand | None = None  # the files of which only a part is loaded

    def note(
        self,
        cafile: "PathLike | None",
        capath: "PathLike | None",
        cadata: "str | bytes | None",
        put_off: "CAFile | None" = None,
    ) -> None:
        """What `load_verify_locations` was called with, and the file's contents if they are loaded on demand."""
        self._complete = True
        self.count += 1
        if put_off is not None:
            self._put_off(put_off)
        if cafile is not None:
            self._files.append(cafile)
        if capath is not None:
            self._directories.append(capath)
        if cadata is not None and len(cadata) <= LARGEST_TEXT:
            self._texts.append(cadata)

    def note_defaults(self, put_off: "CAFile | None" = None) -> None:
        """That `set_default_verify_paths` was called, and the file's contents if they are loaded on demand."""
        from .cafile import default_paths

        paths = default_paths()
        self.note(*paths, None)
        if put_off is not None:
            self._put_off(put_off, instead_of=paths)

    def _put_off(self, file: "CAFile", instead_of: "tuple[str, str] | None" = None) -> None:
        if self._on_demand is None:
            from .on_demand import OnDemand

            self._on_demand = OnDemand()
        self._on_demand.add(file, instead_of)

    @property
    def on_demand(self) -> "OnDemand | None":
        """What is not loaded yet; None where all is."""
        return self._on_demand or None

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

    def put_off(self) -> "Iterable[bytes]":
        """The certificates (DER) in the files that are not all loaded yet."""
        return self._on_demand.certificates() if self._on_demand else ()

    def certificates(self) -> "Iterator[bytes]":
        """The certificates (DER) in the files and texts, as they are now."""
        from .certificate import pem_certificates

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
    from .cafile import default_paths

    return default_paths()[1]
