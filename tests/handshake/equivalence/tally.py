"""Counts and findings over many worlds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts; findings, of which there should be none; and refusals of chains that the hook could have completed."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[str, int, str]] = field(default_factory=list)  #: kind, seed, the whole story
    refusals: list[tuple[str, int, str]] = field(default_factory=list)

    def of(self, kind: str) -> list[str]:
        """The findings of one kind, as stories."""
        return [story for found, _, story in self.findings if found == kind]

    @property
    def completeness(self) -> float:
        """The fraction of the broken chains within the hook's reach that it completed."""
        completed = self.counts["completed"]
        return completed / max(1, completed + len(self.refusals))

    def __str__(self) -> str:
        lines = [f"{count:>7} {what}" for what, count in sorted(self.counts.items())]
        lines += [f"{self.completeness:>7.1%} completeness"]
        why = Counter(kind for kind, _, _ in self.refusals)
        lines += [f"{count:>7} within reach and refused: {kind}" for kind, count in sorted(why.items())]
        for kind, count in sorted(Counter(kind for kind, _, _ in self.findings).items()):
            seeds = dict.fromkeys(seed for found, seed, _ in self.findings if found == kind)
            lines.append(f"{count:>7} {kind}: seeds {', '.join(map(str, seeds))}")
        return "\n".join(lines)
