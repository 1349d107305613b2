"""What does a server send, and what would complete it? The command line's view of hosts.

`host` asks one, by a single real handshake (`handshake`, after `starttls` where that is asked for) under the machine's
trust anchors (`anchors`); `many` asks many. What was seen is a `finding`; `views` says in which clients it works, and
`revocation` what the CRLs of each link say.
"""

from ..manager.target import TargetError, parse_target
from .asked import Target
from .connection import ProbeError
from .finding import MENDED_BY_CHAIN, Fault, Finding
from .host import FETCH_SECONDS, probe

__all__ = [
    "FETCH_SECONDS",
    "MENDED_BY_CHAIN",
    "Fault",
    "Finding",
    "ProbeError",
    "Target",
    "TargetError",
    "parse_target",
    "probe",
]
