"""The site is built without a warning, and loads nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.blocks import PROJECT

_LOADS = {"src", "srcset", "data", "poster"}  # attributes whose URL is loaded; of a link element `href` is, too
_ELSEWHERE = re.compile(r"(?:https?:)?//")
_IN_CSS = re.compile(r"(?:@import\s+|url\(\s*)[\"']?((?:https?:)?//[^\"')\s]+)")


class Loaded(HTMLParser):
    """Collects what a browser loads from other hosts for a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.elsewhere: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        loads = _LOADS | ({"href"} if tag == "link" else set())
        self.elsewhere += [value for name, value in attrs if name in loads and value and _ELSEWHERE.match(value)]


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of the documents in a folder, which is a copy of the project's."""
    command = [Path(sys.executable).with_name("zensical"), "build", "--strict"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of everything that the site is made of."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT / "docs", folder / "docs")
    for name in ("mkdocs.yml", "README.md"):
        shutil.copy(PROJECT / name, folder)
    return folder


@pytest.fixture(scope="module")
def site(documents: Path) -> Path:
    done = build(documents)
    assert done.returncode == 0, done.stdout + done.stderr
    return documents / "site"


def test_every_page_is_there_and_can_be_reached(site: Path) -> None:
    pages = {page.stem for page in (PROJECT / "docs").glob("*.md")}
    assert pages <= {page.stem for page in site.glob("*.html")}
    assert pages == set(re.findall(r"(\S+)\.md$", (PROJECT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("link", ["nowhere.md", "faq.md#no-such-question"])
def test_a_broken_link_ends_the_build(documents: Path, tmp_path: Path, link: str) -> None:
    shutil.copytree(documents, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("site", ".cache"))
    with (tmp_path / "docs" / "index.md").open("a", encoding="utf-8") as page:
        page.write(f"\n[a link]({link})\n")
    done = build(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr


def test_parts_of_readme_are_pages_too(site: Path) -> None:
    page = (site / "commands.html").read_text(encoding="utf-8")
    assert "aia-store selftest" in page
    assert "AIA_STORE_ROOTS" in page


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    assert {page.name: found for page in site.rglob("*.html") if (found := Loaded(page).elsewhere)} == {}
    styles = {sheet.name: _IN_CSS.findall(sheet.read_text(encoding="utf-8")) for sheet in site.rglob("*.css")}
    assert {name: found for name, found in styles.items() if found} == {}


def test_it_would_be_seen(tmp_path: Path) -> None:
    """Otherwise the test above proves nothing."""
    page = tmp_path / "page.html"
    page.write_text('<link href="https://fonts.example/a.css"><a href="https://example.org/"><img src=//cdn.example/b>')
    assert Loaded(page).elsewhere == ["https://fonts.example/a.css", "//cdn.example/b"]
    assert _IN_CSS.findall("@import 'https://a.example/b.css'; src: url(//c.example/d)") == [
        "https://a.example/b.css",
        "//c.example/d",
    ]
