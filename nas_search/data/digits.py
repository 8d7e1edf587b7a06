"""Handwritten digits that ship with scikit-learn: real data without a download."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.nn.functional import interpolate

from nas_search.core.errors import InputError
from nas_search.data.assemble import (
    check_labels,
    held_out,
    holdout_parts,
    image_data,
    read_array,
)
from nas_search.data.base import DATASETS, DatasetRecord, ImageData, Part, Parts


@dataclass(frozen=True)
class DigitsOptions:
    """Options of ``dataset=digits``.

    Attributes:
        size: height and width in pixels that the 8 x 8 scans are upscaled to, 8 or more.
        holdout: fraction of every class held out for testing, in (0, 1).
        holdout_seed: seed of the choice of these images, 0 or more.
    """

    size: int = 16
    holdout: float = 0.2
    holdout_seed: int = 0


def load_digits(options: DigitsOptions) -> ImageData:
    """Return the 1,797 digits, upscaled bilinearly, gray repeated to 3 channels.

    Source: scikit-learn's ``load_digits``, the test part of the UCI "Optical Recognition of
    Handwritten Digits" data (Alpaydin and Kaynak, 1998).

    Raises:
        InputError: ``size`` is below 8 or a hold-out option is out of range.
    """
    if options.size < 8:
        raise InputError(
            f"dataset.size={options.size} is below the 8 pixels of the scans; use 8 or more"
        )
    from sklearn.datasets import load_digits as sklearn_digits  # imported here: it takes a second

    source = sklearn_digits()
    gray = torch.from_numpy(source.images).float()[:, None] * (255 / 16)  # values are 0..16
    gray = interpolate(
        gray, size=(options.size, options.size), mode="bilinear", align_corners=False
    )
    pixels = np.repeat(gray.round().clamp(0, 255).to(torch.uint8).numpy(), 3, axis=1)
    labels = check_labels(source.target, "digits")
    train, test = holdout_parts(
        Part("digits", labels, partial(read_array, pixels)), options.holdout, options.holdout_seed
    )
    names = tuple(str(digit) for digit in range(10))
    form = f"8 x 8 scans enlarged to {options.size} x {options.size}; {held_out(options.holdout)}"
    return image_data(Parts("digits", names, train, test, form=form))


DATASETS.add(
    DatasetRecord(
        name="digits",
        options=DigitsOptions,
        load=load_digits,
        description="1,797 real handwritten digits of 10 classes from scikit-learn; no download",
    )
)
