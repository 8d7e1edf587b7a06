"""One HTML file that opens from disk and asks nothing of any network."""

from __future__ import annotations

import base64
import functools
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import nas_search
from nas_search.core.files import write_text
from nas_search.pages.chart import Chart, Grid

ASSETS = Path(__file__).parent / "assets"
PAGE = "report.html"
"""Name of the file in a folder."""

POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""What the page lets itself load: nothing from anywhere, so that a browser enforces it."""


def render(
    template: str,
    title: str,
    charts: Sequence[Chart] = (),
    grids: Sequence[Grid] = (),
    live: Mapping[str, Any] | None = None,
    **context: Any,
) -> str:
    """Return a whole page.

    Args:
        template: file in ``templates``; every value in it is escaped.
        title: of the page.
        charts: drawn where the template places them by key.
        grids: tables of the page, placed by key.
        live: ``state`` and ``seconds`` of a page that asks its own server whether there is more to
            show, see :mod:`.serve`; None of a file.
        context: further values for the template.
    """
    data = {
        "charts": {chart.key: chart.as_dict() for chart in charts},
        "grids": {grid.key: grid.as_dict() for grid in grids},
    }
    return _templates().get_template(template).render(
        title=title,
        charts={chart.key: chart for chart in charts},
        grids={grid.key: grid for grid in grids},
        data=packed(json.dumps(data, separators=(",", ":")).encode()),
        library=_library() if charts else "",
        style=Markup(_asset("page.css")),
        script=Markup(_asset("page.js")),
        policy=POLICY.replace("default-src 'none'", "default-src 'none'; connect-src 'self'")
        if live
        else POLICY,
        live=live,
        version=nas_search.__version__,
        **context,
    )  # fmt: skip


def write_page(folder: Path, page: str) -> Path:
    """Write a page into a folder and return its file.

    Raises:
        OSError: the disk refuses.
    """
    write_text(folder / PAGE, page)
    return folder / PAGE


def packed(content: bytes) -> str:
    """Return bytes as letters that a page's script unpacks: compressed, in base 64."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def picture(file: Path) -> str:
    """Return a PNG or SVG file as an address that holds it."""
    kind = {".png": "image/png", ".svg": "image/svg+xml"}[file.suffix]
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


@functools.cache
def _library() -> str:
    return packed((ASSETS / "echarts.min.js").read_bytes())


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment


def number(value: Any, digits: int = 4) -> str:
    """Return a value as a person reads it: numbers in so many digits, None as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return (
        f"{value:,.{max(digits - len(str(int(abs(value)))), 0)}f}"
        if abs(value) >= 1
        else (f"{value:.{digits}g}")
    )
