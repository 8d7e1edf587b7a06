"""Drawn shapes as JPEGs of many sizes: what a person's own folder of pictures looks like.

``python -m tests.shapes FOLDER`` draws 40 pictures for each of four classes, and ``new_pictures``
beside that folder: five more of each.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDES = {"circle": 60, "square": 4, "star": 10, "triangle": 3}


def draw(kind: str, rng: np.random.Generator) -> Image.Image:
    """Return a filled shape of random place, size, turn and color on a light, noisy ground."""
    width, height = (int(n) for n in rng.integers(48, 120, 2))
    ground = rng.integers(180, 255, 3) + rng.normal(0, 8, (height, width, 3))
    picture = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    radius = rng.uniform(0.28, 0.42) * min(width, height)
    center = [
        n / 2 + rng.uniform(-0.3, 0.3) * (min(width, height) / 2 - radius) for n in picture.size
    ]
    turn, corners = rng.uniform(0, 2 * math.pi), SIDES[kind]
    points = []
    for i in range(corners):
        reach = radius * (0.45 if kind == "star" and i % 2 else 1)
        angle = turn + 2 * math.pi * i / corners
        points.append((center[0] + reach * math.cos(angle), center[1] + reach * math.sin(angle)))
    color = tuple(int(c) for c in rng.integers(0, 140, 3))
    ImageDraw.Draw(picture).polygon(points, fill=color)
    return picture


def draw_folders(folder: Path, each: int = 40, new: int = 5) -> None:
    """Write ``folder``/CLASS/NUMBER.jpg, and ``new_pictures``/CLASS_NUMBER.jpg beside it."""
    rng = np.random.default_rng(0)
    beside = folder.with_name("new_pictures")
    beside.mkdir(parents=True, exist_ok=True)
    for kind in SIDES:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            draw(kind, rng).save(folder / kind / f"{number}.jpg")
        for number in range(new):
            draw(kind, rng).save(beside / f"{kind}_{number}.jpg")


if __name__ == "__main__":
    draw_folders(Path(sys.argv[1]))
