"""Whether looking up an intermediate takes longer if there are more of them."""

from __future__ import annotations

import os
from pathlib import Path

from aia_store.inside.certificate import Certificate
from aia_store.inside.store import Folder
from tests.support.pki import Authority

from .pairs import Row, Sample, reported, take_turns
from .world import CLIENTS, World

MANY, FEW = 100_000, 10
LOOKS = 1000  # in one process
_DIGITS = 6


def find(world: World, rounds: int) -> list[Row]:
    """`IntermediateStore.find` for names that are there: the same ten in both stores, then any of the many.

    The first ratio is for what programs look up again and again, so that the system has the files of both stores in
    memory. The second looks each name up once.
    """
    many = MANY // 50 if world.quick else MANY
    certificates = numbered(many)
    large, small = world.folder / "large", world.folder / "small"
    fill(large, certificates)
    few = certificates[:: many // FEW]  # spread over the whole
    fill(small, few)
    same = _names(world.folder / "few.txt", few)
    others = _names(world.folder / "others.txt", certificates[1 :: many // LOOKS])
    environment = world.environment()

    def look(folder: Path, names: Path) -> Sample:
        times = LOOKS // FEW if names is same else 1
        return reported([world.hooked, CLIENTS / "find.py", folder, names, str(times)], environment)

    against = f"{FEW} on disk"
    return [
        Row(
            f"lookup, {many:,} intermediates on disk",
            against,
            take_turns(lambda: look(large, same), lambda: look(small, same), rounds),
            1.2,
            unit="µs",
        ),
        Row(
            f"lookup, {many:,} intermediates on disk, each name once",
            against,
            take_turns(lambda: look(large, others), lambda: look(small, same), rounds),
            unit="µs",
        ),
    ]


def numbered(count: int) -> list[Certificate]:
    """So many, of one template, with a number in the subject. Their signatures are wrong, which a store cannot know."""
    mark = "0" * _DIGITS
    root = Authority.root("Benchmark Root")
    template = root.intermediate(f"Benchmark Intermediate {mark}", key="rsa").der
    head, tail = template.split(mark.encode())
    return [Certificate(b"%b%0*d%b" % (head, _DIGITS, number, tail)) for number in range(count)]


def fill(path: Path, certificates: list[Certificate]) -> None:
    """Like `Folder.keep`, without its safety measures."""
    folder = Folder(str(path))
    for certificate in certificates:
        place = folder.path_of(certificate)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(certificate.pem.encode("ascii"))


def _names(path: Path, certificates: list[Certificate]) -> Path:
    path.write_text("\n".join(certificate.subject_key.hex() for certificate in certificates), encoding="ascii")
    return path
