"""The picture in docs/check.md shows what `check` says today."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from tests.docs.report import FILE, drawn, lines


def said(svg: str) -> list[str]:
    """The texts of a picture, without the days on which it was drawn."""
    texts = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return [re.sub(r"\d{4}-\d\d-\d\d \(\d+ days\)", "DATE", text.text or "") for text in texts]


def test_it_is_true() -> None:
    """If not: `python -m tests.docs.report`."""
    assert said(FILE.read_text(encoding="utf-8")) == said(drawn(lines()))
