"""What a reader of the documents does on a bare Debian: which blocks of the pages to follow, in which order.

A block is named by its page and by how it begins.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.docs.blocks import PROJECT, SHELLS, blocks_of, named

PAGES = [PROJECT / "README.md", PROJECT / "docs" / "install.md", PROJECT / "docs" / "operations.md"]
BLOCKS = [block for page in PAGES for block in blocks_of(page) if block.language in {*SHELLS, "python", "toml"}]


class Journey(NamedTuple):
    """Blocks that are followed in order, on a machine of their own."""

    title: str
    blocks: tuple[str, ...]
    for_root: bool = False  #: whether the page says that root does this
    needs_pipx: tuple[int, int] = (0, 0)
    leaves_nothing: bool = False  #: whether the package is gone at its end


JOURNEYS = [
    Journey("README", ("README.md: python3 -m venv .venv &&", "README.md: import aia_store")),
    Journey("tests", ("README.md: python3 -m venv .venv-test &&",)),
    Journey("wheel", ("install.md: python3 -m venv .venv && .venv/bin/pip wheel",)),
    Journey(
        "machine, pipx",
        (
            "install.md: sudo pipx install --global .",
            "install.md: sudo aia-store hook remove",
            "install.md: sudo pipx uninstall",
        ),
        needs_pipx=(1, 5),
        leaves_nothing=True,
    ),
    Journey(
        "machine, opt",
        (
            "install.md: sudo python3 -m venv /opt/aia-store",
            "install.md: export PYTHONPATH=",
            "operations.md: refresh_hours = 12",
            "operations.md: aia-store status --prometheus",
            'operations.md: eval "$(aia-store env --folder)"',
            "install.md: sudo aia-store hook remove",
            "install.md: sudo rm -r /opt/aia-store",
        ),
        leaves_nothing=True,
    ),
    Journey(
        "operations",
        (
            "install.md: sudo python3 -m venv /opt/aia-store",
            "operations.md: install -D -m 644 -t /usr/lib/sysusers.d",
            "operations.md: install -D -m 755 -t /etc/ca-certificates/update.d",
            "operations.md: install -D -m 755 hooks/update-ca-certificates/aia-store",
        ),
        for_root=True,
    ),
    Journey(
        "yourself",
        (
            "install.md: pipx install .",
            "install.md: aia-store hook install --all",
            "install.md: mkdir -p ~/.local/share/bash-completion",
            "install.md: mkdir -p ~/.zfunc",
            "install.md: mkdir -p ~/.local/share/man",
            "install.md: aia-store hook remove --all",
        ),
        leaves_nothing=True,
    ),
    Journey("environment", ("install.md: python3 -m venv .venv\n",)),
]

PREPARES = "install.md: sudo apt-get install"

NOT_RUN = {
    PREPARES: "run makes the machine by it, while it can reach the packages",
    "install.md: cp -r packaging/debian .": "it wants Debian's build tools; tests/packages/run runs it",
    "install.md: sudo apt install ../aia-store": "the package is built there, too",
    "install.md: docker run": "tests/containers/run runs it, without Docker",
    "install.md: mkdir -p ~/.config/fish/completions": "a bare Debian has no fish; tests/docs runs it",
    "operations.md: systemd-sysusers": "it needs a booted systemd; tests/systemd/run runs it",
    "operations.md: aia-store preload": "it asks the CCADB; tests/manager/test_preload.py runs it with local reports",
}

#: As the page says: a user reaches no environments of the system's Python; and root's home is closed to users.
ENDS_WITH = {"install.md: aia-store hook install --all": 1}

#: What stays when the package is gone: as the page says, the store and what the reader made; and pip's cache.
STAYS = (
    "/.cache/aia-store",
    "/var/cache/aia-store",
    "/.config/aia-store",
    "/.local/share/bash-completion/",
    "/.local/share/man/",
    "/.zfunc/",
    "/.cache/pip/",
)


if __name__ == "__main__":
    print(named(PREPARES).commands, end="")
