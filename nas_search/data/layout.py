"""The axes of stored arrays: which one is the channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.data.assemble import AS_STORED
from nas_search.data.base import Reader
from nas_search.data.fit import LEAST_SIZE, Fit, FitName, fit_arrays

Layout = Literal["auto", "nhwc", "nchw", "ncl"]
"""Axes of an array: n images, height, width, channels; or n series of channels and length."""

_USUAL_CHANNELS = 4


def channels_first(images: np.ndarray, origin: str, layout: Layout) -> tuple[np.ndarray, str]:
    """Return a (n, C, H, W) view of stored images or series, and in words how it was read.

    With ``auto``, (n, H, W) is gray; the channels of four axes are the one beside two equal axes,
    otherwise the shorter of the first and last axis. A series (n, C, L) becomes (n, C, 1, L).

    Args:
        images: (n, H, W), (n, H, W, C), (n, C, H, W) or, as ``ncl``, (n, C, L).
        origin: name of the array in messages.
        layout: the order of the axes.

    Raises:
        InputError: another number of axes, an empty axis, a type that is neither uint8 nor float,
            an ambiguous channel axis, or images too small for any network.
    """
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        what = "values" if layout == "ncl" else "pixels"
        raise InputError(
            f"{origin}: {what} are {images.dtype}; save them as uint8 (0..255) or as floats"
        )
    shape = images.shape
    axes = {"auto": (3, 4), "nhwc": (4,), "nchw": (4,), "ncl": (3,)}[layout]
    if len(shape) not in axes or 0 in shape[1:]:
        expected = {
            "auto": "(n, H, W), (n, H, W, C) or (n, C, H, W)",
            "nhwc": "(n, H, W, C) for dataset.layout=nhwc",
            "nchw": "(n, C, H, W) for dataset.layout=nchw",
            "ncl": "(n, channels, length) for dataset.layout=ncl",
        }[layout]
        raise InputError(f"{origin} has shape {shape}; expected {expected}")
    if layout == "ncl":
        return images[:, :, None], "series (n, channels, length)"
    if len(shape) == 3:
        return images[:, None], "gray arrays (n, H, W)"
    if layout == "auto":
        layout = _guess(shape, origin)
        hint = " (if not, set dataset.layout)" if _channels(shape, layout) > _USUAL_CHANNELS else ""
    else:
        hint = ""
    if layout == "nchw":
        return images, f"arrays (n, C, H, W){hint}"
    return images.transpose(0, 3, 1, 2), f"arrays (n, H, W, C){hint}"


def _channels(shape: tuple[int, ...], layout: Layout) -> int:
    return shape[1] if layout == "nchw" else shape[3]


def _guess(shape: tuple[int, ...], origin: str) -> Layout:
    _, first, middle, last = shape
    if first == last:
        raise InputError(
            f"{origin} has shape {shape}, whose channel axis is ambiguous; set dataset.layout=nhwc "
            "if the channels are last, dataset.layout=nchw if they are first"
        )
    if middle in (first, last) and middle >= LEAST_SIZE:  # square images
        return "nhwc" if middle == first else "nchw"
    return "nchw" if first < last else "nhwc"


@dataclass(frozen=True)
class ArrayRule:
    """How stored arrays become images.

    Attributes:
        layout: order of their axes.
        size: height and width that images are fitted to, 8 or more; None leaves them as stored.
        fit: how images become square where ``size`` is set.
        rows: height of a series as an image; each row is the series, 1 or more.

    Raises:
        InputError: the size is too small or given for series, or ``rows`` is below 1.
    """

    layout: Layout
    size: int | None
    fit: FitName
    rows: int

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise InputError(f"dataset.rows={self.rows} must be 1 or more")
        if self.size is not None:
            if self.series:
                raise InputError("dataset.size is for images; leave it out with dataset.layout=ncl")
            Fit(self.size, self.fit)  # refuses what is too small

    @property
    def series(self) -> bool:
        """Whether the arrays are series."""
        return self.layout == "ncl"

    def __str__(self) -> str:
        if self.series:
            return f"repeated in {self.rows} rows" if self.rows > 1 else AS_STORED
        return AS_STORED if self.size is None else str(Fit(self.size, self.fit))

    def read(self, stored: Reader, indices: Tensor) -> Tensor:
        """Return the images at ``indices`` (k,) as (k, C, H, W); ``stored`` reads them as saved."""
        raw = stored(indices)
        if self.series:
            return raw.expand(-1, -1, self.rows, -1).contiguous()
        return raw if self.size is None else fit_arrays(raw, Fit(self.size, self.fit))

    def check(self, shape: tuple[int, ...], origin: str) -> None:
        """Refuse images (..., H, W) too small for the networks of search spaces.

        Raises:
            InputError: a side of a picture, or the length of a series, is below 8.
        """
        height, width = shape[-2:]
        if self.size is not None or width >= LEAST_SIZE <= (width if self.series else height):
            return
        what = f"series of length {width}" if self.series else f"images of {height} x {width}"
        remedy = (
            "give longer ones"
            if self.series
            else f"enlarge them with dataset.size={LEAST_SIZE}, or set dataset.layout=ncl if these "
            "are series (n, channels, length)"
        )
        raise InputError(
            f"{origin} holds {what}, and networks halve them several times, so {LEAST_SIZE} is the "
            f"least; {remedy}"
        )
