"""The signs in text output: one for each state, in colour, and in ASCII if the terminal shows only ASCII."""

from __future__ import annotations

from enum import Enum

from rich.console import Console
from rich.text import Text

from .result import Result


class Sign(Enum):
    """A state: its sign, its sign in ASCII, and its style. No two have the same sign."""

    GOOD = ("✓", "ok", "green")
    BAD = ("✗", "x", "bold red")
    DOUBT = ("!", "!", "yellow")  # good, but not for long; or a failed fetch
    UNKNOWN = ("?", "?", "yellow")
    UNNEEDED = ("○", "~", "yellow")
    ANCHOR = ("◆", "*", "cyan")

    def shown(self, console: Console) -> Text:
        """The sign and a space, as a console can show it."""
        sign, in_ascii, style = self.value
        return Text(f"{in_ascii if console.options.ascii_only else sign} ", style)


OF_RESULTS = {
    Result.COMPLETE: Sign.GOOD,
    Result.ENDING: Sign.DOUBT,
    Result.INCOMPLETE: Sign.BAD,
    Result.BROKEN: Sign.BAD,
    Result.COULD_NOT_TELL: Sign.UNKNOWN,
}
OF_LINKS = {"anchor": Sign.ANCHOR, "missing": Sign.BAD, "bad": Sign.BAD, "ending": Sign.DOUBT, "sent": Sign.GOOD}
