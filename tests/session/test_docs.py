"""Every Python block of the library's pages runs, with a real server for `broken.example`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Hierarchy, run_python
from tests.support.servers import AIAHost, TLSServer

DOCS = Path(__file__).parents[2] / "docs"


def blocks() -> Iterator[object]:
    for page in ("api", "asyncio", "moving"):
        text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
        for number, code in enumerate(re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE), 1):
            yield pytest.param(code, id=f"{page}-{number}")


@pytest.mark.parametrize("code", list(blocks()))
def test_the_block_runs(server: TLSServer, pki: Hierarchy, aia: AIAHost, code: str) -> None:
    here = code.replace('"broken.example", 443', f'"localhost", {server.port}')
    here = here.replace("broken.example", f"localhost:{server.port}")
    assert here != code
    roots = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(pki.cafile))
    done = run_python(here, env=roots, hook=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert aia.count() == 1
