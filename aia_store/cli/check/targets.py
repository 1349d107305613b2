"""The hosts to ask: from the command line, and from a file with one a line."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, NamedTuple

from ... import check as probe
from ...check.starttls import PROTOCOLS
from ...manager.target import HTTPS
from ..errors import WrongUseError
from .answer import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_HOSTS = 100_000
LONGEST_LINE = 2_048


class How(NamedTuple):
    """How all hosts are to be asked."""

    servername: str | None
    connect: str | None
    starttls: str | None


def named(hosts: Iterable[str], file: str | None, how: How) -> list[Answer]:
    """What is to be asked, in its order and each once; what names no host is answered already.

    Raises WrongUseError where the options or the file cannot be used.
    """
    port = PROTOCOLS[how.starttls].port if how.starttls is not None else HTTPS
    try:
        servername = probe.parse_target(how.servername)[0] if how.servername is not None else None
        connect = probe.parse_target(how.connect, port) if how.connect is not None else None
    except probe.TargetError as error:
        raise WrongUseError(str(error)) from error
    found: dict[object, Answer] = {}
    for text, place in [*((host, "") for host in hosts), *(_lines(file) if file is not None else ())]:
        try:
            host, at = probe.parse_target(text, port)
        except probe.TargetError as error:
            found[place or text] = Answer(text, None, error=f"{place}{error}")
            continue
        target = probe.Target(host, at, servername, connect, how.starttls)
        found.setdefault(target, Answer(text, target))
    return list(found.values())


def _lines(file: str) -> Iterator[tuple[str, str]]:
    """The hosts in a file, and where each stands, in words; comments and empty lines are left out."""
    name = "standard input" if file == "-" else file
    count = 0
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if file == "-" else open(file, "rb") as source:
            number = 0
            while line := source.readline(LONGEST_LINE):
                number += 1
                text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").split("#")[0].strip()
                if text:
                    count += 1
                    yield text, f"{name}, line {number}: "
                if count > MOST_HOSTS:
                    raise WrongUseError(f"{name} names more than {MOST_HOSTS:,} hosts; split it")
    except OSError as error:
        raise WrongUseError(f"{name} cannot be read ({error.strerror})") from error
