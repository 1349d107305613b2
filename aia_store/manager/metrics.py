"""The state of the store as metrics in Prometheus' text format, for the textfile collector of the node exporter.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import NamedTuple

from ..inside import pauses
from ..inside.settings import Settings
from ..inside.store import IntermediateStore, open_store
from . import history, published
from .upkeep import modified

_HELP = {
    "needed": "Intermediates in the store that were needed on this machine.",
    "preloaded": "Intermediates that were preloaded.",
    "bundle_age_seconds": "Time since the bundle was published.",
    "next_end_timestamp_seconds": "When the first of the needed intermediates expires.",
    "last_refresh_timestamp_seconds": "When the last refresh ended.",
    "last_refresh_failed": "Whether the last refresh failed (1).",
    "paused": "URLs and hosts that failed and are not tried for a while.",
    "share_last_round_timestamp_seconds": "When the last round of sharing with other machines ended.",
    "share_last_round_failed": "Whether the last round of sharing failed (1).",
    "share_taken": "Intermediates that are here because another machine shared them.",
    "share_handed_in": "Intermediates that were handed in for other machines, in total.",
    "share_refused": "Certificates that others offered and that were refused, in total.",
}


class Pauses(NamedTuple):
    """How many URLs and hosts are paused because they failed, and when the last pause ends (seconds since 1970)."""

    number: int
    until: float


def paused(settings: Settings) -> Pauses:
    """The pauses that have not ended yet, in all store folders of the settings."""
    running: dict[str, float] = {}
    for folder in open_store(settings).folders:
        running.update(pauses.running(folder))
    return Pauses(len(running), max(running.values(), default=0.0))


def measure(settings: Settings) -> dict[str, float]:
    """The value of each metric, by the metric's name without `aia_store_`. Unknown values are left out."""
    store = open_store(settings)
    needed = store.certificates()
    values: dict[str, float] = {
        "needed": len(needed),
        "preloaded": len({os.path.basename(path) for folder in store.preloaded for path in folder.paths()}),
        "paused": paused(settings).number,
    }
    bundle = published.standing(settings)
    if bundle is not None:
        now = time.time()
        values["bundle_age_seconds"] = max(0.0, now - modified(bundle, now))
    if needed:
        values["next_end_timestamp_seconds"] = min(certificate.validity[1] for certificate in needed)
    last = history.last_refresh(store.folders)
    if last is not None:
        values["last_refresh_timestamp_seconds"] = last.at
        values["last_refresh_failed"] = int(last.failed)
    if settings.share:
        values.update(_shared(settings, store))
    return values


def _shared(settings: Settings, store: IntermediateStore) -> dict[str, float]:
    from .share import summary  # nobody else needs it

    found = summary.of(settings, store)
    return {
        "share_last_round_timestamp_seconds": found.at,
        "share_last_round_failed": int(found.failed),
        "share_taken": found.taken,
        "share_handed_in": found.counts.get("handed in", 0),
        "share_refused": sum(found.refused.values()),
    }


def exposition(values: dict[str, float]) -> str:
    """The values that `measure` returns, in Prometheus' text format."""
    return "".join(family(f"aia_store_{name}", _HELP[name], [f" {value:.0f}"]) for name, value in values.items())


def family(name: str, text: str, samples: Iterable[str]) -> str:
    """A gauge in Prometheus' text format. Each sample consists of its labels, if any, a space and its value."""
    return f"# HELP {name} {text}\n# TYPE {name} gauge\n" + "".join(f"{name}{sample}\n" for sample in samples)
