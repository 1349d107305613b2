"""What a server sends, and what would complete its chain: the diagnosis behind `aia-store check`.

`host` checks one host, by a single real handshake (`connection`, after `starttls` if asked for) with the machine's
trust anchors (`trust`); `many` checks many hosts. The result is a `finding`. `views` says which clients can connect,
and `revocation` what the CRLs say of each certificate in the path.
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
