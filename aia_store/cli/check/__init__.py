"""The command `check`: what a server sends, what is missing, and what its owner should do."""

from .command import check_command

__all__ = ["check_command"]
