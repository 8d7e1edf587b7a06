"""Tables as Markdown, and pages whose tables are generated."""

from __future__ import annotations

import math
from collections.abc import Sequence


def table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table; empty without lines."""
    if not lines:
        return ""
    rows = [f"| {' | '.join(line)} |" for line in (titles, *lines)]
    rows.insert(1, "|" + "---|" * len(titles))
    return "\n".join(rows) + "\n"


def number(value: str) -> str:
    """Return a correlation as ``.731``; a dash where there is none."""
    parsed = float(value) if value else math.nan
    return "-" if math.isnan(parsed) else f"{parsed:.3f}".replace("0.", ".", 1)


def replaced(page: str, name: str, text: str) -> str:
    """Return ``page`` with ``text`` between the marks of ``name``."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, rest = page.split(begin)
    return before + begin + text + end + rest.split(end)[1]
