"""The picture of a report in the docs: ``python -m tests.pages.screenshot REPORT.html``."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.pages.browser import browser

PICTURE = Path(__file__).parent.parent.parent / "docs" / "study" / "report.png"
HIDE = """
dispatchEvent(new Event('beforeprint'));
document.querySelector('#asked').remove();  // it names a folder of this machine
const cards = [...document.querySelectorAll('#best .card')];
cards.slice(3).forEach(one => one.remove());
document.querySelectorAll('#best .command').forEach(one => one.remove());
const edge = document.querySelector('#costs').getBoundingClientRect();
return Math.round(edge.y + scrollY + 560);
"""


def take(report: Path, picture: Path = PICTURE) -> None:
    """Write the picture of the first screens of a report."""
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder)) as window:
        window.open(report.absolute(), 1100)
        height = window.run(HIDE)
        whole = Path(folder) / "whole.png"
        window.picture(whole, whole=True)
        image = Image.open(io.BytesIO(whole.read_bytes())).convert("RGB")
    image.crop((0, 0, image.width, height)).quantize(96).save(picture, optimize=True)


if __name__ == "__main__":
    take(Path(sys.argv[1]))
