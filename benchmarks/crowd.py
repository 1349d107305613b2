"""Many HTTPS servers in a process of their own, each under an intermediate of its own, and one AIA host.

    python -m benchmarks.crowd HOSTS ROOT.pem leaf-only|whole-chain

writes the root to that file, prints the ports as one line of JSON, and ends when its standard input is closed.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from tests.support.pki import Authority
from tests.support.servers import AIAHost, TLSServer

AIA_DELAY = 0.02  # seconds, as for a host that is near


def main(hosts: int, root_file: Path, chain: str) -> None:
    """Serve until standard input ends."""
    root = Authority.root("Crowd Root")
    root_file.write_text(root.pem, encoding="ascii")
    with contextlib.ExitStack() as stack:
        aia = stack.enter_context(AIAHost())
        ports = []
        for number in range(hosts):
            ca = root.intermediate(f"Crowd Intermediate {number}")
            url = aia.publish(f"/{number}.cer", ca.der, delay=AIA_DELAY)
            server = TLSServer(ca.leaf(aia=[url]), [ca] if chain == "whole-chain" else [])
            ports.append(stack.enter_context(server).port)
        print(json.dumps(ports), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
