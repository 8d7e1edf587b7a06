"""From a picture file to 8-bit RGB: every mode that Pillow opens is scaled by its own range.

A file is read upright (EXIF), its first frame alone, and as a person would see it on paper:
transparency lets the background through.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageColor, ImageOps

from nas_search.core.errors import InputError

Color = tuple[int, int, int]
"""Red, green and blue, each 0..255."""

WHITE: Color = (255, 255, 255)

_ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")
_WHITE_IS_ZERO = 0  # of the TIFF tag PhotometricInterpretation
_PHOTOMETRIC = 262
_SIXTEEN_BIT_AS_INT = ("PNG", "PPM")  # these give mode I for what is stored in 16 bits


def read_color(name: str) -> Color:
    """Return the color that the option ``dataset.background`` names, e.g. ``"white"``.

    Raises:
        InputError: Pillow knows no such color.
    """
    try:
        red, green, blue = ImageColor.getrgb(name)[:3]
    except ValueError:
        raise InputError(
            f"dataset.background={name} is no color; use a name such as white or black, or "
            "'rgb(200,200,200)' in quotes"
        ) from None
    return red, green, blue


def read_rgb(path: Path | BinaryIO, background: Color) -> Image.Image:
    """Return a picture as an upright image of mode RGB, in its own size.

    Args:
        path: the file, or one that is open.
        background: what is seen through transparent pixels.

    Raises:
        InputError: the file cannot be decoded, or its values have no known range; the message
            names it.
    """
    try:
        # From an open file: by name, Pillow maps some TIFFs into memory and garbles turned ones.
        opened = path.open("rb") if isinstance(path, Path) else nullcontext(path)
        with opened as file, Image.open(file) as image:
            return to_rgb(image, background)
    except Exception as error:  # Pillow's exceptions for damaged files depend on the format
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot decode {path} ({reason}); replace or remove it") from error


def to_rgb(image: Image.Image, background: Color) -> Image.Image:
    """Return an opened picture as an upright image of mode RGB, in its own size.

    Raises:
        ValueError: its values have no known range.
    """
    return _rgb(ImageOps.exif_transpose(image), image, background)


def _rgb(upright: Image.Image, source: Image.Image, background: Color) -> Image.Image:
    """Return ``upright`` as RGB; ``source`` is the opened file, which knows its format."""
    mode = upright.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _deep(upright, source, background)
    if mode == "LAB":
        to_rgb = ImageCms.buildTransform(
            ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
        )
        converted = ImageCms.applyTransform(upright, to_rgb)
        assert converted is not None  # it is only for a transformation in place
        return converted
    if mode not in _ALPHA and "transparency" not in upright.info:
        return upright.convert("RGB")
    if mode == "1":
        upright = upright.convert("L")
    seen = upright.convert("LA") if mode == "La" else upright
    ground = Image.new("RGBA", upright.size, (*background, 255))
    return Image.alpha_composite(ground, seen.convert("RGBA")).convert("RGB")


def _deep(upright: Image.Image, source: Image.Image, background: Color) -> Image.Image:
    """Return a gray picture of more than 8 bits as RGB, scaled by the range of its values."""
    values = np.asarray(upright)
    top = _top(values, upright.mode, source.format)
    gray = (values * np.float32(255 / top) + np.float32(0.5)).astype(np.uint8)
    if getattr(source, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        gray = 255 - gray
    rgb = Image.fromarray(gray).convert("RGB")
    key = upright.info.get("transparency")
    if isinstance(key, int):
        rgb.paste(background, mask=Image.fromarray(values == key))
    return rgb


def _top(values: np.ndarray, mode: str, kind: str | None) -> float:
    """Return the value that is white: the end of the smallest usual range that holds all values.

    Raises:
        ValueError: there is none.
    """
    if mode.startswith("I;16") or (mode == "I" and kind in _SIXTEEN_BIT_AS_INT):
        return 65535.0
    low, high = float(values.min()), float(values.max())  # NaN if there is one
    ranges = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    for top in ranges:
        if low >= 0 and high <= top:
            return top
    raise ValueError(
        f"its values go from {low:g} to {high:g}; known ranges are 0 to "
        + ", ".join(f"{top:g}" for top in ranges)
    )
