"""What a server sends, and what would complete its chain: the diagnosis behind `aia-store check`.

`connection` looks at a host by real handshakes (after `starttls` if asked for), which `witness` sees;
`certificate_files` reads what a server is to send. `host` lets OpenSSL judge each chain with the machine's anchors
(`trust`), and searches for what is missing. The result is a `finding` for each chain. `views` says which clients can
connect, and `revocation` what the CRLs say of each certificate in the path.
"""

from ..manager.target import TargetError, parse_target
from .asked import FileTarget, Target
from .connection import ProbeError, addresses
from .finding import MENDED_BY_CHAIN, Advice, Fault, Finding, Needless
from .host import FETCH_SECONDS, probe
from .weakness import Weakness

__all__ = [
    "FETCH_SECONDS",
    "MENDED_BY_CHAIN",
    "Advice",
    "Fault",
    "FileTarget",
    "Finding",
    "Needless",
    "ProbeError",
    "Target",
    "TargetError",
    "Weakness",
    "addresses",
    "parse_target",
    "probe",
]
