"""Every row of docs/data.md: modes are written and read, rules name the test that holds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas_search.data.pixels import WHITE, read_rgb

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "data.md").read_text(encoding="utf-8")


def tables() -> Iterator[list[list[str]]]:
    """Yield the tables of the page, each with its heading first and no line below it."""
    for block in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        rows = [
            [cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()
        ]
        yield [row for row in rows if not set("".join(row)) <= set("-")]


MODES = next(table for table in tables() if table[0][0] == "picture")[1:]
RULES = re.findall(r"^(?:\*|\|).* <!-- (test_\w+(?:, test_\w+)*) -->", PAGE, re.MULTILINE)


def picture(mode: str, black: int, white: int) -> Image.Image:
    """Return a checkered picture of 16 x 16 in squares of 8, so that JPEG keeps its values."""
    checks = np.kron([[0, 1], [1, 0]], np.ones((8, 8)))
    values = black + (white - black) * checks
    if mode in ("L", "1"):
        return Image.fromarray((values > 0) if mode == "1" else values.astype(np.uint8))
    if mode.startswith("I;16"):
        return Image.fromarray(values.astype(">u2" if mode == "I;16B" else np.uint16))
    if mode in ("I", "F"):
        return Image.fromarray(values.astype(np.int32 if mode == "I" else np.float32))
    gray = Image.fromarray(values.astype(np.uint8))
    return (gray.convert("RGB") if mode == "CMYK" else gray).convert(mode)


@pytest.mark.parametrize("row", MODES, ids=[f"{row[1]} {row[2]} {row[4]}" for row in MODES])
def test_modes_have_the_range_that_the_page_says(tmp_path: Path, row: list[str]) -> None:
    _, file, mode, black, white = row
    picture(mode, int(black), int(white)).save(tmp_path / file)
    with Image.open(tmp_path / file) as opened:
        assert opened.mode == mode
    pixels = np.asarray(read_rgb(tmp_path / file, WHITE)).astype(int)
    checks = np.kron([[0, 1], [1, 0]], np.ones((8, 8)))[..., None]
    assert np.abs(pixels - 255 * checks).max() <= 2


def test_every_rule_names_its_test() -> None:
    assert len(RULES) > 35
    folders = ("data", "commands", "report", "training")
    sources = [
        f.read_text() for name in folders for f in (REPOSITORY / "tests" / name).glob("*.py")
    ]
    chapters = PAGE[PAGE.index("## Pictures") :]
    assert all("<!-- test_" in line for line in re.findall(r"^\* .*", chapters, re.MULTILINE))
    for names in RULES:
        for name in names.split(", "):
            assert sum(f"def {name}(" in text for text in sources) == 1, name


def test_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue", "lime")]
    for name in ("a.gif", "a.tif", "a.webp", "a.png"):
        how: dict[str, Any] = {"lossless": True} if name == "a.webp" else {}
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **how)
        assert np.asarray(read_rgb(tmp_path / name, WHITE))[8, 8].tolist() == [255, 0, 0]
