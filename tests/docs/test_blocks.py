"""Every code block of the documents runs, in order, on a machine of its own for each page.

The Python blocks of a page are one program. The shell that the fence names runs a shell block. A block of TOML is put
where config.toml belongs. Other languages are only parsed. `exceptions` names the blocks that are not run, and why.
"""

from __future__ import annotations

import configparser
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import markdown
import pytest

from tests.docs.blocks import PAGES, PROJECT, SHELLS, Block, blocks_of
from tests.docs.exceptions import ENDS_WITH, NOT_RUN
from tests.docs.program import FLAGS
from tests.docs.reader import Reader
from tests.docs.world import World

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
TO_RUN = [block for block in BLOCKS if block.language in {*SHELLS, "python", "toml"} and block.name not in NOT_RUN]


def _dockerfile(text: str) -> None:
    """It is not built, because that needs a registry. sh checks the syntax of its commands."""
    for line in text.replace("\\\n", "").splitlines():
        instruction, _, rest = line.partition(" ")
        assert instruction in {"", "#", "FROM", "RUN", "COPY", "ENV", "USER", "CMD", "ENTRYPOINT", "WORKDIR"}, line
        if instruction == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)


def _text(_: str) -> None:
    """Output of a program, or a picture in characters."""


PARSERS: dict[str, Callable[[str], object]] = {
    "dockerfile": _dockerfile,
    "ini": configparser.ConfigParser(strict=False).read_string,
    "json": json.loads,
    "powershell": _text,  # there is none here to read it
    "text": _text,
}


def needs(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")


@pytest.mark.parametrize("page", sorted({block.page for block in TO_RUN}), ids=lambda page: page.name)
def test_a_page_can_be_followed(page: Path, tmp_path: Path) -> None:
    blocks = [block for block in TO_RUN if block.page == page]
    for shell in {SHELLS[block.language] for block in blocks if block.language in SHELLS}:
        needs(shell)
    with World(tmp_path, page.read_text(encoding="utf-8")) as world:
        reader = Reader(world)
        for block in blocks:
            reader.follow(block)
        reader.end()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_a_block_can_be_read(block: Block) -> None:
    """The program for the language of its fence can parse it."""
    if block.language == "python":
        compile(block.text, block.where, "exec", flags=FLAGS)
    elif shell := SHELLS.get(block.language):
        needs(shell)
        done = subprocess.run([shell, "-n"], input=block.commands, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    elif block.language != "toml":
        PARSERS[block.language](block.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_code_is_overlooked(page: Path) -> None:
    """The site shows as code exactly the blocks that we found; there are no indented ones."""
    shown = markdown.markdown(page.read_text(encoding="utf-8"), extensions=["pymdownx.superfences"])
    assert shown.count("<pre") == len(blocks_of(page))


def test_every_exception_is_of_a_block_that_is_there() -> None:
    assert {*NOT_RUN, *ENDS_WITH} <= {block.name for block in BLOCKS}
    assert not {*NOT_RUN} & {*ENDS_WITH}


def test_what_a_block_does_is_gone_with_its_machine(tmp_path: Path) -> None:
    files = [PROJECT / "left", Path("/etc/left"), Path(sys.prefix, "left")]
    with World(tmp_path, "") as world:
        Reader(world).follow(Block(PROJECT / "docs" / "none.md", 1, "sh", f"touch left {' '.join(map(str, files))}\n"))
    assert not any(file.exists() for file in files)


def test_a_block_that_is_wrong_is_found(tmp_path: Path) -> None:
    """Otherwise the tests above prove nothing: the hosts need completion, and a wrong block fails."""
    page = PROJECT / "docs" / "none.md"
    plain = "import urllib.request\nurllib.request.urlopen('https://www.example.org/')\n"
    completed = f"import aia_store\naia_store.enable()\n{plain}"
    with World(tmp_path, completed) as world:
        Reader(world).follow(Block(page, 1, "python", completed))
        with pytest.raises(pytest.fail.Exception, match="unable to get local issuer certificate"):
            Reader(world).follow(Block(page, 7, "python", plain))
        with pytest.raises(AssertionError, match=r"docs/none\.md:7"):
            Reader(world).follow(Block(page, 7, "sh", "false\n"))
