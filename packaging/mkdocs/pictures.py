"""For mkdocs: put a page's SVG into the page itself, so that screen readers find its title and description."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_IMAGE = re.compile(r'<p><img alt="[^"]*" src="([\w-]+\.svg)" /></p>')


def on_page_content(html: str, config: Any, **_: object) -> str:
    """Called by mkdocs with each page's HTML; returns the new HTML."""

    def figure(image: re.Match[str]) -> str:
        return f"<figure>{Path(config.docs_dir, image[1]).read_text(encoding='utf-8')}</figure>"

    return _IMAGE.sub(figure, html)
