"""Answers as metrics in Prometheus' text format, for the textfile collector of its node exporter.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from ...check.asked import Target
from ...inside.settings import escaped
from ...manager.metrics import family
from ..files import Writable
from .result import Answer, Result, worst

_PREFIX = "aia_store_check_"
_METRICS = {
    "complete": "Whether chain and handshake are good for clients that use OpenSSL (1) or not (0).",
    "could_not_tell": "Whether the host could not be checked (1).",
    "missing_intermediates": "Intermediates that the server should send but does not.",
    "needless_bytes": "Bytes that the server sends needlessly in each handshake.",
    "expiry_timestamp_seconds": "When the first of the leaf and the intermediates expires.",
}


class Metrics:
    """Writes the metrics of all answers to a file, with all samples of a metric in one group."""

    def __init__(self, file: Writable) -> None:
        self._file = file
        # By labels, because metrics may hold no sample twice, while a file of hosts may hold a useless line twice.
        self._samples: dict[str, dict[str, int]] = {name: {} for name in _METRICS}

    def add(self, answers: Sequence[Answer]) -> None:
        """Add a host or file, each metric with the worst value of its chains. An invalid name counts as not checked."""
        is_unknown = any(answer.result is Result.COULD_NOT_TELL for answer in answers)
        values: dict[str, int] = {"could_not_tell": int(is_unknown)}
        findings = [answer.finding for answer in answers if answer.finding is not None]
        if findings:
            told = [answer for answer in answers if answer.result is not Result.COULD_NOT_TELL]
            if told:
                values["complete"] = int(worst(told) in (Result.COMPLETE, Result.ENDING))
            values["missing_intermediates"] = max(len(finding.missing) for finding in findings)
            values["needless_bytes"] = max(sum(advice.size for advice in finding.advice) for finding in findings)
            values["expiry_timestamp_seconds"] = min(finding.ends for finding in findings)
        labels = _labels(answers[0])
        for name, value in values.items():
            self._samples[name][labels] = value

    def end(self) -> None:
        """Write the metrics."""
        for name, text in _METRICS.items():
            samples = [f"{{{labels}}} {value}" for labels, value in self._samples[name].items()]
            self._file.write(family(f"{_PREFIX}{name}", text, samples))
        now = f" {int(time.time())}"
        self._file.write(family(f"{_PREFIX}timestamp_seconds", "When this was checked.", [now]))


def _labels(answer: Answer) -> str:
    target = answer.target
    if isinstance(target, Target):
        return f'host="{_escaped(target.host)}",port="{target.port}"'
    if target is not None:
        return f'file="{_escaped(target.path)}"'
    return f'host="{_escaped(answer.named)}",port=""'


def _escaped(value: str) -> str:
    """Escape a label's value, including characters that control a terminal or are not valid Unicode."""
    return escaped(value).replace("\\", r"\\").replace('"', r"\"")
