"""The work of a child process: `python -m aia_store.manager.daemon.work ACTION`, with the settings on standard input.

It prints the `Outcome` as one JSON object. Everything is written to a temporary file and then renamed, so the process
may be ended at any moment.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ...inside.settings import Settings
from ..words import counted, shortened

if TYPE_CHECKING:
    from ..handins import Collected

MOST_DETAILS = 20  # lines; the others are counted
LONGEST_LINE = 1_000  # characters: text from certificates and hosts may be of any length


class Outcome(NamedTuple):
    """How the work ended: whether it failed, a message of one line, details (lines), and whether more work remains."""

    failed: bool
    message: str
    details: list[str]
    has_more: bool = False


def build(settings: Settings) -> Outcome:
    """Publish the bundle anew."""
    from .. import bundle, published

    path = bundle.build(settings)
    anchors, intermediates = published.counts(settings) or (0, 0)
    held = f"{counted(anchors, 'trust anchor')} and {counted(intermediates, 'intermediate')}"
    return Outcome(False, f"{path} holds {held}", [])


def _refresh(settings: Settings) -> Outcome:
    """Take what users handed in, verify every stored intermediate again, and publish the bundle anew."""
    from .. import refresh

    report = refresh.run(settings)
    if report.doubt is not None:
        return Outcome(True, report.doubt, [])
    told, details = [], []
    for name, value in report._asdict().items():
        if isinstance(value, list):
            details += [f"{name}: {_described(item)}" for item in value]
        if isinstance(value, (int, list)):
            told.append(f"{len(value) if isinstance(value, list) else value} {name}")
    message = f"{', '.join(told)}; {_taken(report.handed_in)}; the bundle is {report.bundle}"
    if (more := len(details) - MOST_DETAILS) > 0:
        details[MOST_DETAILS:] = [f"and {more} more"]
    return Outcome(False, message, details)


def _collect(settings: Settings) -> Outcome:
    from .. import handins

    collected = handins.collect(settings)
    return Outcome(False, _taken(collected), [], collected.more)


def _taken(collected: Collected) -> str:
    return f"{collected.kept} handed in were kept, {collected.refused} refused"


def _share(settings: Settings) -> Outcome:
    from ..share import rounds

    done = rounds.run(settings)
    return Outcome(False, done.message, [], done.more)


def _hand_in(settings: Settings) -> Outcome:
    from ..share import rounds

    done = rounds.hand_in(settings)
    return Outcome(False, "; ".join([f"{done.handed_in} handed in for other machines", *done.notes]), [])


def _listen(settings: Settings) -> Outcome:
    """Take what other machines send by the stream, until standard input ends."""
    try:
        from ..share import listening
    except ImportError as error:
        return Outcome(True, f"`share_notify` needs {error.name}; install `aia-store[valkey]`", [])
    listening.listen(settings, sys.stdin.fileno())
    return Outcome(False, "the daemon has ended it", [])


ACTIONS: dict[str, Callable[[Settings], Outcome]] = {
    "build": build,
    "refresh": _refresh,
    "collect": _collect,
    "share": _share,
    "hand-in": _hand_in,
    "listen": _listen,
}


def main() -> None:
    """Do the action that the command line names, with the settings from standard input, and print the outcome."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from the terminal; the daemon decides when we end
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exception, so that files half written are removed
    settings = Settings()
    for key, value in json.loads(sys.stdin.readline()).items():
        setattr(settings, key, value)
    try:
        outcome = ACTIONS[sys.argv[1]](settings)
    except Exception as error:
        outcome = Outcome(True, _reason(error), [])
    outcome = outcome._replace(
        message=shortened(outcome.message, LONGEST_LINE),
        details=[shortened(line, LONGEST_LINE) for line in outcome.details],
    )
    sys.stdout.write(json.dumps(outcome._asdict()) + "\n")


def _reason(error: Exception) -> str:
    if type(error).__module__.partition(".")[0] == "aia_store":
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"


def _described(item: object) -> str:
    """An item of a refresh report as one line: a text as it is, an entry as its path and reason."""
    return item if isinstance(item, str) else f"{getattr(item, 'path', item)}: {getattr(item, 'reason', '')}"


if __name__ == "__main__":
    main()
