"""Runs the hosts beyond a proxy, in the proxy's network namespace: `python -m tests.proxies.outside FOLDER`.

`www.example`, which is also `inner.example`, sends only its leaf; `ca.example` publishes its issuer and a CRL;
`reports.example:8443` has a CCADB report. FOLDER gets root.pem. For each line on its standard input, the program prints
the requests that `ca.example` has got, as JSON: their Host headers, paths, and the names of all headers.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from tests.manager.reports import mozilla
from tests.support.listener import Listener
from tests.support.pki import Authority, crl
from tests.support.servers import AIAHost, TLSServer


def main(folder: Path) -> None:
    """Serve until standard input ends."""
    Listener.address = "0.0.0.0"
    root = Authority.root("Outer Root")
    ca = root.intermediate("Outer CA", crl=["http://ca.example/root.crl"])
    reported = root.intermediate("Reported CA")
    leaf = ca.leaf("www.example", san=["www.example", "inner.example"], aia=["http://ca.example/ca.cer"])
    (folder / "root.pem").write_text(root.pem)
    with contextlib.ExitStack() as hosts:
        aia = hosts.enter_context(AIAHost(80))
        aia.publish("/ca.cer", ca.der)
        aia.publish("/root.crl", crl(root))
        aia.redirect("/inwards", "http://10.9.0.1/ca.cer")
        hosts.enter_context(TLSServer(leaf, port=443))
        whole = root.leaf("reports.example")
        hosts.enter_context(TLSServer(whole, reply=mozilla([reported]), port=8443))
        print("ready", flush=True)
        for _ in sys.stdin:
            asked = [(request.headers["host"], request.path, sorted(request.headers)) for request in aia.requests]
            print(json.dumps(asked), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
