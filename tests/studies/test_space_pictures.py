"""The pictures of search spaces are what the command draws, small, and on the page."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from nas_search.spaces import SPACES
from studies.skeleton_svg import Box, picture
from studies.space_pictures import OUT, PICTURES, drawn

LARGEST = 60_000
"""Bytes of a picture at most."""


def test_every_space_has_a_picture_and_three_lines() -> None:
    assert sorted(PICTURES) == sorted(SPACES.names())
    assert {file.name for file in OUT.iterdir()} == {f"{name}.svg" for name in PICTURES}
    page = (OUT.parent / "spaces.md").read_text(encoding="utf-8")
    for name in PICTURES:
        section = page.split(f"\n## {name}\n")[1].split("\n## ")[0]
        shown = section.index(f"](spaces/{name}.svg)")
        assert shown < section.index("* **What**") < section.index("* **Written**")
        assert section.index("* **Written**") < section.index("* **Sizes**")


@pytest.mark.slow  # the first network without values takes torch seconds
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_the_command_draws(name: str) -> None:
    text = drawn(name)
    assert (OUT / f"{name}.svg").read_text(encoding="utf-8") == text, (
        "run: python -m studies.space_pictures"
    )
    assert len(text.encode()) < LARGEST
    width = float(ElementTree.fromstring(text).attrib["width"])
    assert width < 1000  # so that letters are not too small beside a page's text


def test_a_long_row_goes_on_below_and_nothing_is_cut() -> None:
    text = picture("many", [Box(f"a part {i}", "3x32x32", times=i) for i in range(1, 15)], [])
    root = ElementTree.fromstring(text)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    boxes = [r.attrib for r in root.iter("{http://www.w3.org/2000/svg}rect") if "x" in r.attrib]
    assert len(boxes) == 14
    assert len({box["y"] for box in boxes}) == 2
    for box in boxes:
        assert float(box["x"]) + float(box["width"]) <= width
        assert float(box["y"]) + float(box["height"]) <= height
    assert "x 14<" in text and "x 1<" not in text
