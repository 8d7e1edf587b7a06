"""Links of the site: what a page shows of the repository beside ``docs/`` lies on GitHub."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

FILES = "https://github.com/nas-search/nas-search/blob/main/"
_OUTSIDE = re.compile(r"(?<=\]\()(\.\./[^)\s]*)(?=\))")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return the page with links that lead out of ``docs/`` as addresses of the repository."""
    folder = PurePosixPath("docs") / PurePosixPath(page.file.src_uri).parent

    def address(link: re.Match[str]) -> str:
        parts: list[str] = []
        for part in (folder / link[1]).parts:
            if part == "..":
                parts.pop()
            elif part != ".":
                parts.append(part)
        return FILES + "/".join(parts)

    return _OUTSIDE.sub(address, markdown)
