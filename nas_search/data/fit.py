"""How pictures of any size become pictures of one size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate, pad

from nas_search.core.errors import InputError
from nas_search.data.pixels import WHITE, Color

FitName = Literal["crop", "pad", "stretch"]
"""What happens to a picture that is not square."""

LEAST_SIZE = 8
"""Networks of the search spaces halve height and width at least twice."""


@dataclass(frozen=True)
class Fit:
    """A rule that makes a picture square.

    Attributes:
        size: height and width in pixels.
        name: ``crop`` scales the shorter side to ``size`` and keeps the center; ``pad`` scales the
            longer side and puts the picture onto ``background``; ``stretch`` scales both sides.
        background: around padded pictures, and behind transparent ones.
    """

    size: int
    name: FitName = "crop"
    background: Color = WHITE

    def __post_init__(self) -> None:
        if self.size < LEAST_SIZE:
            raise InputError(
                f"dataset.size={self.size} is too small for images; use {LEAST_SIZE} or more"
            )

    def __str__(self) -> str:
        size = f"{self.size} x {self.size}"
        return {
            "crop": f"shorter side scaled to {self.size}, center cropped to {size}",
            "pad": f"longer side scaled to {self.size}, padded to {size}",
            "stretch": f"stretched to {size}",
        }[self.name]


def fit_picture(image: Image.Image, rule: Fit) -> Image.Image:
    """Return a square RGB picture of ``rule.size`` pixels a side."""
    square, filter_ = (rule.size, rule.size), Image.Resampling.BILINEAR
    if rule.name == "crop":
        return ImageOps.fit(image, square, filter_)
    if rule.name == "pad":
        return ImageOps.pad(image, square, filter_, color=rule.background)
    return image.resize(square, filter_)


def fit_arrays(raw: Tensor, rule: Fit) -> Tensor:
    """Return pixels (k, C, H, W) as (k, C, size, size) of the same type; padding is black (0)."""
    height, width = raw.shape[2:]
    if (height, width) == (rule.size, rule.size):
        return raw
    side = {"crop": min(height, width), "pad": max(height, width)}.get(rule.name)
    new = [max(round(n * rule.size / (side or n)), 1) for n in (height, width)]
    pixels = interpolate(raw.float(), new, mode="bilinear", antialias=True)
    if rule.name == "pad":
        top, left = ((rule.size - n) // 2 for n in new)
        pixels = pad(pixels, (left, rule.size - new[1] - left, top, rule.size - new[0] - top))
    top, left = ((n - rule.size) // 2 for n in pixels.shape[2:])
    pixels = pixels[:, :, top : top + rule.size, left : left + rule.size]
    if raw.dtype == torch.uint8:
        return pixels.round().clamp(0, 255).to(torch.uint8)
    return pixels.contiguous()
