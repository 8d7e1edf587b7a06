"""Checks of the arguments of ``build``; every error is one clear line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from nas_search.core.errors import InputError
from nas_search.core.text import quote

M = TypeVar("M")

MAX_SIZE = 1 << 20
"""Most cells, channels, classes or pixels of a side: what no machine builds is no size."""


def read_macro(macro_type: type[M], values: Mapping[str, Any]) -> M:
    """Return ``macro_type(**values)``.

    Raises:
        InputError: the skeleton has no such parameter, or the value is impossible.
    """
    possible = [field.name for field in dataclasses.fields(macro_type)]  # type: ignore[arg-type]
    for name in values:
        if name not in possible:
            known = ", ".join(possible) or "none, this skeleton has no sizes of its own"
            raise InputError(f"unknown macro parameter '{name}'; possible: {known}")
    return macro_type(**values)


def check_int(name: str, value: object, least: int) -> None:
    """Raise InputError unless ``value`` is an integer of ``least`` to :data:`MAX_SIZE`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} must be an integer of at least {least}, got {quote(value, 30)}")
    if value > MAX_SIZE:
        raise InputError(f"{name} must be at most {MAX_SIZE:,}, got {quote(value, 30)}")


def check_problem(
    input_shape: tuple[int, int, int], num_classes: int, smallest: int, why: str
) -> None:
    """Check the shape of an image and the number of classes.

    Args:
        input_shape: (channels, height, width).
        num_classes: number of classes.
        smallest: smallest possible height and width.
        why: reason for that limit, for the message.

    Raises:
        InputError: the shape is not three positive integers, the image is smaller than
            ``smallest``, or there are fewer than 2 classes.
    """
    if len(input_shape) != 3:
        raise InputError(f"input_shape must be (channels, height, width), got {input_shape!r}")
    for name, value in zip(("channels", "height", "width"), input_shape, strict=True):
        check_int(f"image {name}", value, 1)
    check_int("num_classes", num_classes, 2)
    _, height, width = input_shape
    if height == 1 and width >= smallest > 1:
        raise InputError(
            f"series of length {width} in one row are too flat: {why} needs at least "
            f"{smallest}x{smallest}; set dataset.rows={smallest}, or choose search_space=conv1d, "
            "which takes series as they are"
        )
    if min(height, width) < smallest:
        raise InputError(
            f"images of {height}x{width} pixels are too small: {why} needs at least "
            f"{smallest}x{smallest}; use larger images or upscale them"
        )
