"""What does a server send, and what would complete it? The command line's view of hosts."""

from .finding import Finding
from .handshake import ProbeError
from .host import FETCH_SECONDS, probe
from .target import TargetError, address, parse_target

__all__ = ["FETCH_SECONDS", "Finding", "ProbeError", "TargetError", "address", "parse_target", "probe"]
