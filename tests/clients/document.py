"""Write docs/clients.md from what the tests found.

    python -m tests.clients.document [PYTHON…]

runs the whole table with each of these interpreters, which must have what the tests need, keeps what they found in
`results.json` beside this file, and writes the document from that; with none it only writes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.clients.results import VARIABLE
from tests.clients.table import CLIENTS, Client
from tests.clients.tools import TOOLS
from tests.peers.section import section

PROJECT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results.json")
DOCUMENT = PROJECT / "docs" / "clients.md"

_ABOUT = "import json, platform, ssl; print(json.dumps([platform.python_version(), ssl.OPENSSL_VERSION]))"

_HEAD = """# Clients

Made by `python -m tests.clients.document` from what the tests found; do not edit.

## Python programs

Each client is a small program that knows nothing of aia-store, in a virtual environment of its own with the hook. It
talks to a server that sends its leaf only: without the hook it fails, with it it gets its answer, over one connection
(pip and pymongo make more by themselves), and the missing intermediate is fetched once. Its CA file is as large as a
system's, so that its trust anchors are loaded [on demand](how-it-works.md#why-programs-get-faster). *Newest* and
*oldest* are the releases tested. The oldest is the one that a search by halves ends at, for releases that install
without a compiler and run on that Python, with what they depend on as it is today; of urllib3 it is the first of 2,
the row below has 1. pyOpenSSL and what stands on it (the last three) bring an OpenSSL of their own, and were tried
from the first release that works with cryptography 41 on, not searched further back."""

_NOTES = """
## The note on a refused chain

Where a chain cannot be completed, the error carries [a note](how-it-works.md#errors-that-explain-themselves) (Python
3.11 and newer). The tests run each client against a server whose chain is refused. The traceback shows the note in all
of them but these, which show only the text of the error, or bring an OpenSSL of their own:
"""
_TOOLS = """
## Outside Python's ssl

These take the bundle, once any hooked program has learned what is missing (or `aia-store add` has), from the variables
that `eval "$(aia-store env)"` sets.
"""

_NEWER = """
## Newer Pythons and OpenSSLs

All of `tests/handshake`, and `tests/manager/test_hook.py`, in a Debian of its own (`tests/newer/run`), on 2026-11-24:

| suite | Python | OpenSSL | result |
| --- | --- | --- | --- |
| trixie | 3.13.5 | 3.5.9 | 607 passed, 12 skipped, 1 expected failure |
| unstable | 3.14.10 | 3.6.5 | 607 passed, 12 skipped, 1 expected failure |
| unstable | 3.15.2 | 3.6.5 | 608 passed, 11 skipped, 1 expected failure |

Among them a server that compresses its certificates (`openssl s_server -cert_comp`), also for a program that resets its
context's options; and, on 3.15, a virtual environment whose hook is a `.start` file alone. Skipped are the tests of
pyOpenSSL, which was not installed there, those with the CCADB's certificates, and what this Python or root cannot show.
"""


def main(pythons: list[str]) -> None:
    """Run the tests with these interpreters, and write the document."""
    found: dict[str, Any] = load()
    for python in pythons:
        run = _run(python)
        found[".".join(run["python"].split(".")[:2])] = run
    RESULTS.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    DOCUMENT.write_text(render(found), encoding="utf-8")


def load() -> dict[str, Any]:
    """What was found so far: for each Python its version, its OpenSSL, and the clients that work."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return found


def render(found: dict[str, Any]) -> str:
    """The document."""
    lines = [_HEAD]
    lines += [f"- Python {run['python']} with {run['openssl']}" for _, run in sorted(found.items())]
    pythons = sorted(found)
    columns = [
        (python, release)
        for python in pythons
        for release in ("newest", "oldest")
        if release == "newest" or any(python in client.oldest for client in CLIENTS)
    ]
    titles = [f"{python}, {release}" for python, release in columns]
    rows = [[client.name, *(_cell(client, *column, found) for column in columns)] for client in CLIENTS]
    lines += ["", *_table(["client", *titles], rows), _NOTES]
    lines += [", ".join(client.name for client in CLIENTS if not client.shows_note) + ".", _TOOLS]
    tools = {tool: version for python in pythons for tool, version in found[python]["tools"].items()}
    lines += _table(
        ["client", "tested", "takes the bundle from"],
        [[tool.name, tools.get(tool.name, "not here"), tool.variable] for tool in TOOLS],
    )
    lines += [_NEWER.rstrip("\n"), section()]
    return "\n".join(lines) + "\n"


def _cell(client: Client, python: str, release: str, found: dict[str, Any]) -> str:
    if client.package is None:
        works = f"{client.name} newest" in found[python]["clients"]
        return ("works" if works else "fails") if release == "newest" else ""
    if release == "oldest" and python not in client.oldest:
        return "no release"
    version = found[python]["clients"].get(f"{client.name} {release}", "fails")
    return version or "no release"


def _table(titles: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (titles, ["---"] * len(titles), *rows)]


def _run(python: str) -> dict[str, Any]:
    version, openssl = json.loads(subprocess.run([python, "-c", _ABOUT], capture_output=True, check=True).stdout)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "results")
        file.touch()
        environment = {**os.environ, "AIA_STORE_TEST_CLIENTS": "all", VARIABLE: str(file)}
        tests = ["tests/clients/test_table.py", "tests/clients/test_tools.py"]
        subprocess.run([python, "-m", "pytest", "-q", *tests], cwd=PROJECT, env=environment, check=False)
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {
        "python": version,
        "openssl": " ".join(openssl.split()[:2]),
        "clients": {f"{line['client']} {line['release']}": line["version"] for line in lines if "client" in line},
        "tools": {line["tool"]: line["version"] for line in lines if "tool" in line},
    }


if __name__ == "__main__":
    main(sys.argv[1:])
