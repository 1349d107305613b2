"""The site is built without a warning, and loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=PROJECT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},  # which is about a later mkdocs, and no warning of the build
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there(site: Path) -> None:
    assert {page.stem for page in (PROJECT / "docs").glob("*.md")} <= {page.stem for page in site.glob("*.html")}


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


def test_the_picture_is_part_of_its_page(site: Path) -> None:
    """So that screen readers find its title and its description."""
    page = (site / "how-it-works.html").read_text(encoding="utf-8")
    assert re.search(r'<svg[^>]*role="img"[^>]*>\s*<title id="handshake-title">', page)
