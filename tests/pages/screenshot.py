"""The pictures of reports in the docs: ``python -m tests.pages.screenshot OUTPUTS``.

OUTPUTS holds the folders ``digits`` (a search), ``compare`` (a sweep) and ``rank`` (a ranking), as
docs/report.md makes them. Folders of one's own machine are not shown.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from nas_search.commands.pages import page_of
from nas_search.pages.page import write_page
from nas_search.pages.serve import server
from tests.pages.browser import Browser, browser

DOCS = Path(__file__).parent.parent.parent / "docs" / "report"
DRAW = """
dispatchEvent(new Event('beforeprint'));
document.querySelector('#asked')?.remove();
[...document.querySelectorAll('#best .card')].slice(3).forEach(one => one.remove());
document.querySelectorAll('#best .command').forEach(one => one.remove());
"""
"""Draws all charts, and leaves out what is long: most of the cards, and genotypes as text."""
EDGE = """
const charts = document.querySelectorAll('figure.chart');
const last = arguments[0] ? charts[arguments[0] - 1] : document.querySelector('.tiles');
return Math.round(last.getBoundingClientRect().bottom + scrollY + 16);
"""
"""Where the picture ends, in pixels from the top of the page."""


@dataclass(frozen=True)
class Picture:
    """What is pictured.

    Attributes:
        name: of the file.
        folder: within OUTPUTS.
        width: of the window, in pixels.
        charts: shown from the top of the page on; 0 for what stands above the first section.
        live: whether the page is served of a search that has not ended.
    """

    name: str
    folder: str
    width: int
    charts: int
    live: bool = False


PICTURES = (
    Picture("search", "digits", 1100, 1),
    Picture("search_phone", "digits", 390, 1),
    Picture("live", "digits", 1100, 0, live=True),
    Picture("sweep", "compare", 1100, 1),
    Picture("ranking", "rank", 1100, 2),
    Picture("ranking_phone", "rank", 390, 1),
)


def take_all(outputs: Path, to: Path = DOCS) -> None:
    """Write all pictures of the reports of what ``outputs`` holds."""
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder) / "browser") as window:
        for one in PICTURES:
            with _page(one, outputs / one.folder, Path(folder) / one.name / one.folder) as page:
                take(window, page, one, to / f"{one.name}.png")


def take(window: Browser, page: Path | str, one: Picture, file: Path) -> None:
    """Write one picture."""
    window.open(page, one.width)
    window.run(DRAW)
    window.wait("return [...document.querySelectorAll('figure.chart')].every(f => f.dataset.drawn)")
    image = Image.open(io.BytesIO(window.picture(whole=True))).convert("RGB")
    edge = min(window.run(EDGE, one.charts), image.height)
    image.crop((0, 0, image.width, edge)).quantize(64).save(file, optimize=True)


@contextmanager
def _page(one: Picture, made: Path, folder: Path) -> Iterator[Path | str]:
    """Give the page to picture: of a copy, beside which nothing is written."""
    shutil.copytree(made, folder)
    if not one.live:
        yield write_page(folder, page_of(folder))
        return
    (folder / "summary.json").unlink()
    with server(folder, lambda live: page_of(folder, live), "127.0.0.1", 0) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}/"
        listening.shutdown()
        thread.join()


def main() -> None:
    """Read the command line, and write the pictures into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("outputs", type=Path)
    take_all(parser.parse_args().outputs)


if __name__ == "__main__":
    main()
