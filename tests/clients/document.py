"""Write docs/clients.md from the results of the tests.

    python -m tests.clients.document [PYTHON…]

runs the whole table with each of these interpreters, which must have what the tests need, keeps the results in
`results.json` beside this file, and writes the document from them. Without an interpreter, it only writes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.clients.folder_tools import FOLDER_TOOLS
from tests.clients.results import VARIABLE
from tests.clients.table import CLIENTS, Client
from tests.clients.tools import TOOLS
from tests.peers.section import section

PROJECT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results.json")
DOCUMENT = PROJECT / "docs" / "clients.md"

_ABOUT = "import json, platform, ssl; print(json.dumps([platform.python_version(), ssl.OPENSSL_VERSION]))"

_ANSWERS = [
    (
        "uses Python's `ssl`: urllib, requests, httpx, aiohttp, and [all of these](#python-programs)",
        "`aia-store hook install --all`, and nothing else",
    ),
    ("uses pyOpenSSL, as Twisted does", "`aia-store hook install --all`"),
    (
        "is [another program](#outside-pythons-ssl) that takes a CA file: curl, git, wget, Node, Deno, Ruby, PHP, Go, "
        "cargo, Nix, gcloud, psql",
        '`eval "$(aia-store env)"` in the start-up file of the shell',
    ),
    (
        "brings a TLS library of its own: uv, curl_cffi, rtls, grpcio, snowflake-connector 5",
        '`eval "$(aia-store env)"`; with pycurl, the program itself sets `CAINFO`',
    ),
    (
        "starts often, and [is built with OpenSSL](#with-the-trust-folder)",
        '`eval "$(aia-store env --folder)"`, which is faster',
    ),
    (
        "is a server: Postfix, stunnel, HAProxy, nginx, OpenLDAP",
        "[one line](#with-the-trust-folder) in its configuration",
    ),
    ("is a browser", "nothing: browsers fetch intermediates, or know them"),
]
_HEAD = """
Everything in the tables below was tested. `python -m tests.clients.document` writes this page from the results of the
tests, so do not edit it.

## Python programs

Each client is a small program that knows nothing of aia-store. It runs in a virtual environment of its own, and
connects to a server that sends only its leaf. Without the hook (which `aia-store hook install` installs), the client
fails. With the hook, it gets its answer over one connection (pip and pymongo make more, with the hook or without), and
the missing intermediate is fetched once. The client's CA file is as large as a system's, so that its trust anchors are
loaded [on demand](how-it-works.md#why-programs-get-faster).

*Newest* and *oldest* are the releases that were tested. The oldest was found by a binary search among the releases that
install without a compiler and run on that Python, with their dependencies as of today. The row "urllib3" covers version
2 only, and the row "urllib3 1" version 1. The last five clients in the table, pyOpenSSL and those that use it, bring an
OpenSSL of their own. Their oldest is the first release that works with cryptography 41; older releases were not tried.
If a cell is empty, the oldest release was not searched for.

What some of the clients do in the tests:

- ansible uses the modules `uri` and `get_url`.
- certbot registers an account.
- kafka-python asks a broker for its topics.
- mitmproxy runs as a reverse proxy, and so is a client of the server behind it.
- oracledb connects in its thin mode and gets the listener's answer. A login was not tried. The thick mode, which uses
  Oracle's own libraries, was not tried either.
- Scrapy is told to verify certificates.

Servers made in Python (gunicorn, uvicorn, jetforce) work with the hook as they do without it, also for clients that
send a certificate.

The tests ran on:
"""
_NOTES = """
## The note on a refused chain

If a chain cannot be completed, the error carries [a note](how-it-works.md#errors-that-explain-themselves) (Python 3.11
and newer). The tests run each client against a server whose chain is refused. The traceback shows the note with all
clients except the following. These show only the text of the error, or use an OpenSSL of their own:
"""
_TOOLS = """
## Outside Python's ssl

These programs take the bundle, the CA file that `aia-store bundle` builds, from variables that
`eval "$(aia-store env)"` sets. `aia-store env --unset` prints the lines that undo this. Once a program with the hook,
or `aia-store add`, has learned a missing intermediate, the bundle contains it.
"""

_FOLDER = """
## With the trust folder

[The trust folder](operations.md#the-trust-folder) is a hashed folder: it has one file for each certificate, named by a
hash of its subject. It is for programs that look files up by name, and so open only those that a chain names. Other
programs should get the bundle instead (*the file*). The table shows what each program read, according to the access
times of the files, after `eval "$(aia-store env --folder)"` and with a server that sends only its leaf.

Go and Exim were not tested with the folder. Go reads all of `SSL_CERT_DIR`;
`env -u SSL_CERT_DIR SSL_CERT_FILE="$(aia-store bundle)"` gives a Go program the file instead. Debian's Exim is built
with GnuTLS; set its `tls_verify_certificates` to the file.

`aia-store env --folder` does not set `SSL_CERT_FILE`. For OpenSSL, this variable could name a small CA file in addition
to the folder. But httpx would then trust only that file.
"""
_NEWER = """
## Newer Pythons and OpenSSLs

`tests/newer/run` runs all of `tests/handshake` and `tests/inside`, and `tests/manager/test_hook.py`, in a Debian system
that it makes. On 2026-11-26:

| suite | Python | OpenSSL | result |
| --- | --- | --- | --- |
| trixie | 3.13.5 | 3.5.9 | 1,578 passed, 30 skipped |
| unstable | 3.14.10 | 3.6.5 | 1,578 passed, 30 skipped |
| unstable | 3.15.2 | 3.6.5 | 1,577 passed, 31 skipped |

Some tests use a server that compresses its certificates (`openssl s_server -cert_comp`). In one of them, the program
resets its context's options. On 3.15, a test uses a virtual environment whose hook is a single `.start` file.

The tests of pyOpenSSL were skipped, because it was not installed there. The tests with the CCADB's certificates were
skipped too, and so were those that cannot run on this Python or as root. On 3.15, the tests of process pools that fork
while another thread makes SSL objects are skipped too. They hang there in four of five runs, with the hook and without.
"""
_PLATFORMS = """
## musl, Windows and PyPy

`tests/musl/run`, `tests/windows/run` and `tests/pypy/run` each make a system of their own. There they run all tests
that can run: those of the handshake, the store, locks and settings, `hook install`, `bundle` and `selftest`. On
2026-11-26:

| platform | Python | OpenSSL | result |
| --- | --- | --- | --- |
| musl 1.2.5, as in Alpine; no glibc | CPython 3.13.2 | 3.5.7 | 3,102 passed, 237 skipped |
| Windows, as Wine 10 shows it | CPython 3.13.2 of python.org | 3.0.15 | 558 passed, 223 skipped |
| Linux | PyPy 8.0.1 (Python 3.11.17) | 3.6.5 | 473 passed, 21 skipped |

On musl, the tests generated 20 PKIs instead of 200. The tests of a hashed folder were skipped, because there is no
`openssl` command. The tests of the daemon were stopped half-way. `tests/manager/test_everywhere.py` was run separately:
77 passed, 2 skipped. `hook install --all` was tried by hand, on musl and with PyPy.

On Windows, more than a quarter of the tests were skipped. Most of these need POSIX or the `openssl` command. Wine
cannot show Windows' own certificate stores, its file permissions, or what happens while other programs hold a file
open. On Windows, the empty file of a lock is not removed.

With PyPy, OpenSSL also calls the hook for each record of a download. If an SNI callback has chosen another context, the
chains of a server's clients are not completed. The remaining tests were not run with PyPy. macOS and free-threaded
CPython were not tested. Without a GIL, the hook does nothing.
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
    """The results so far: for each Python, its version, its OpenSSL, and the clients that work."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return found


def render(found: dict[str, Any]) -> str:
    """The document."""
    lines = ["# Clients", "", *_table(["your program", "what to do"], _ANSWERS), _HEAD]
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
    folder_tools = {tool: version for python in pythons for tool, version in found[python]["folder_tools"].items()}
    lines.append(_FOLDER)
    lines += _table(
        ["client", "tested", "how much of the folder it reads", "how to point it at the folder, or at the file"],
        [[tool.name, folder_tools.get(tool.name, "not here"), tool.reads, tool.line] for tool in FOLDER_TOOLS],
    )
    lines += [_NEWER.rstrip("\n"), _PLATFORMS.rstrip("\n"), section()]
    return "\n".join(lines) + "\n"


def _cell(client: Client, python: str, release: str, found: dict[str, Any]) -> str:
    if client.package is None:
        works = f"{client.name} newest" in found[python]["clients"]
        return ("works" if works else "fails") if release == "newest" else ""
    if release == "oldest" and python not in client.oldest:
        return ""
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
        tests = [f"tests/clients/test_{name}.py" for name in ("table", "tools", "folder_tools")]
        subprocess.run([python, "-m", "pytest", "-q", *tests], cwd=PROJECT, env=environment, check=False)
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {
        "python": version,
        "openssl": " ".join(openssl.split()[:2]),
        "clients": {f"{line['client']} {line['release']}": line["version"] for line in lines if "client" in line},
        "tools": {line["tool"]: line["version"] for line in lines if "tool" in line},
        "folder_tools": {line["folder_tool"]: line["version"] for line in lines if "folder_tool" in line},
    }


if __name__ == "__main__":
    main(sys.argv[1:])
