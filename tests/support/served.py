"""Start `tests.support.serve` and talk to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .serve import Counts, Spec

if TYPE_CHECKING:
    from typing import Self

_PROJECT = Path(__file__).parents[2]


class Served:
    """Servers in another process, as `spec` says; it is written into `folder`, where its files are.

    `tls_port` and `aia_port` are where they listen, None for one that was not asked for.
    """

    def __init__(self, spec: Spec, folder: Path) -> None:
        file = folder.resolve() / "spec.json"
        file.write_text(json.dumps(spec), encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.serve", str(file)],
            cwd=_PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ports = self._hear()
        self.tls_port: int | None = ports["tls_port"]
        self.aia_port: int | None = ports["aia_port"]

    def counts(self) -> Counts:
        """The counters, now."""
        assert self._process.stdin
        print("counts", file=self._process.stdin, flush=True)
        counts: Counts = self._hear()
        return counts

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hear(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())
