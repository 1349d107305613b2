"""The blocks that do not run in the tests, each with the reason, and those whose status is rightly not 0.

A block is named by its page and its first line. The shell still checks the syntax of blocks that are not run (`-n`).
"""

from __future__ import annotations

_INTERNET = "it installs from a registry, and the page's machine has no internet"
_BARE = "it installs from a registry, or removes that again; tests/bare/run runs it"
_PACKAGES = "it builds or installs a package; tests/packages/run does"
_CONTAINERS = "Docker need not be here; tests/containers/run does what it says"
_WHOLE_MACHINE = "it reaches whatever interpreters are here; tests/manager/test_whole_machine.py runs it"

NOT_RUN = {
    "README.md: python3 -m venv .venv && .venv/bin/pip install --quiet . && .venv/bin/aia-store hook install && "
    ".venv/bin/aia-store selftest": f"{_INTERNET}; tests/manager/test_hook.py and tests/cli/test_selftest.py run it",
    "README.md: python3 -m venv .venv-test && .venv-test/bin/pip install --quiet '.[dev]' && .venv-test/bin/python "
    "-m pytest -q -n 3": "it is this test's own run, which .ci/run starts so",
    "check.md: aia-store check ./new.pem --fullchain fullchain.pem": "no certificate waits for its deployment on the "
    "page's machine; tests/cli/check/test_files.py runs it",
    'check.md: aia-store check --file hosts.txt --json | jq -r \'.[] | select(.result != "complete") | '
    "[.target, .result, .verdict // .error] | @tsv'": "its status is that of jq, which need not be here",
    "index.md: pipx install .": _INTERNET,
    "index.md: aia-store hook install --all": _WHOLE_MACHINE,
    "install.md: sudo apt-get install --no-install-recommends python3-venv pipx": _BARE,
    "install.md: python3 -m venv .venv && .venv/bin/pip wheel --no-deps --wheel-dir dist .": _BARE,
    "install.md: sudo pipx install --global .": _BARE,
    "install.md: sudo python3 -m venv /opt/aia-store": _BARE,
    "install.md: docker run --read-only --tmpfs /tmp --volume ./company-ca:/etc/company-ca:ro \\": _CONTAINERS,
    "install.md: pipx install .": _BARE,
    "install.md: aia-store hook install --all": _WHOLE_MACHINE,
    "install.md: python3 -m venv .venv": _BARE,
    "install.md: sudo aia-store hook remove --all": _BARE,
    "install.md: sudo pipx uninstall --global aia-store": _BARE,
    "install.md: sudo rm -r /opt/aia-store /usr/local/bin/aia-store": _BARE,
    "install.md: aia-store hook remove --all": _BARE,
    "install.md: cp -r packaging/debian .": _PACKAGES,
    "install.md: sudo apt install ../aia-store_*_all.deb": _PACKAGES,
    "operations.md: aia-store preload                                # the CCADB's current report, some 2,200 "
    "intermediates": "it asks the CCADB, and the page's machine has no internet; tests/manager/test_preload.py runs it",
    "operations.md: systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload": "systemd is not the "
    "init of the page's machine; tests/packaging/test_packaging.py has it judge the units, the user and the folders",
}

_INCOMPLETE = 1

ENDS_WITH = {
    "check.md: aia-store check --starttls smtp mail.example.org --expiry-days 14 --quiet": _INCOMPLETE,
    "check.md: printf '%s\\n' '# ours' www.example.org 'shop.example.com:8443  # the new one' > hosts.txt": _INCOMPLETE,
    "faq.md: aia-store check www.example.org --fullchain fullchain.pem": _INCOMPLETE,
    "index.md: aia-store check www.example.org": _INCOMPLETE,
}
