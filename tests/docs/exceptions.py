"""The blocks that do not run in the tests, each with the reason, and those that rightly end with another status than 0.

A block is named by its page and its first line. What is not run is read by its shell all the same (`-n`).
"""

from __future__ import annotations

_INTERNET = "it installs from a registry, and the page's machine has no internet"
_WHOLE_MACHINE = "it reaches whatever interpreters are here; tests/manager/test_whole_machine.py runs it"

NOT_RUN = {
    "README.md: python3 -m venv .venv && .venv/bin/pip install --quiet . && .venv/bin/aia-store hook install && "
    ".venv/bin/aia-store selftest": f"{_INTERNET}; tests/manager/test_hook.py and tests/cli/test_selftest.py run it",
    "README.md: python3 -m venv .venv-test && .venv-test/bin/pip install --quiet '.[dev]' && .venv-test/bin/python "
    "-m pytest -q -n 2": "it is this test's own run, which .ci/run starts so",
    'check.md: aia-store check --file hosts.txt --json | jq -r \'.[] | select(.result != "complete") | '
    "[.target, .result, .verdict // .error] | @tsv'": "its status is that of jq, which need not be here",
    "index.md: pipx install .": _INTERNET,
    "index.md: aia-store hook install --all": _WHOLE_MACHINE,
    "install.md: pip wheel --no-deps --wheel-dir dist .": f"{_INTERNET}; tests/systemd/run runs it",
    "install.md: sudo pipx install --global .": f"{_INTERNET}; {_WHOLE_MACHINE}",
    "install.md: sudo python3 -m venv /opt/aia-store": f"{_INTERNET}; {_WHOLE_MACHINE}",
    "install.md: cp -r packaging/debian .": f"{_INTERNET}; tests/packages/run runs it",
    "install.md: sudo apt install ../aia-store_*_all.deb": f"{_INTERNET}; tests/packages/run runs it",
    "install.md: pipx install .": f"{_INTERNET}; {_WHOLE_MACHINE}",
    "install.md: pip install .": f"{_INTERNET}; tests/manager/test_hook.py runs it",
    "install.md: sudo aia-store hook remove --all": f"{_WHOLE_MACHINE}; pipx is not here",
    "operations.md: aia-store preload                                # the CCADB's current report, some 2,200 "
    "intermediates": "it asks the CCADB, and the page's machine has no internet; tests/manager/test_preload.py runs it",
    "operations.md: systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload": "systemd is not the "
    "init of the page's machine; tests/packaging/test_packaging.py has it judge the units, the user and the folders",
}

_INCOMPLETE = 1

ENDS_WITH = {
    "check.md: $ aia-store check www.example.org": _INCOMPLETE,
    "check.md: aia-store check --starttls smtp mail.example.org --expiry-days 14 --quiet": _INCOMPLETE,
    "check.md: printf '%s\\n' '# ours' www.example.org 'shop.example.com:8443  # the new one' > hosts.txt": _INCOMPLETE,
    "faq.md: aia-store check www.example.org --fullchain fullchain.pem": _INCOMPLETE,
    "index.md: aia-store check www.example.org": _INCOMPLETE,
}
