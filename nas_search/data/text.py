"""Text as tokens: windows of characters, one of which is masked and has to be told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.data.assemble import held_out, holdout_parts, image_data, spaced_rows
from nas_search.data.base import DATASETS, DatasetRecord, ImageData, Part, Parts

MASK, OTHER = 0, 1
"""Tokens that are no characters: what is masked, and all rare ones."""


@dataclass(frozen=True)
class TextOptions:
    """Options of ``dataset=text``.

    Attributes:
        path: a text file in UTF-8; empty means the help texts that ship with Python.
        length: characters of a window, 3 or more; the middle one is masked.
        symbols: how many of the most frequent characters are tokens of their own, 2 or more.
        classes: how many of the most frequent characters are masked and told, 2 or more.
        samples: most windows that are used, evenly spaced over the text.
        holdout: fraction of every class held out for testing, in (0, 1).
        holdout_seed: seed of the choice of these windows, 0 or more.
    """

    path: str = ""
    length: int = 32
    symbols: int = 48
    classes: int = 10
    samples: int = 5000
    holdout: float = 0.2
    holdout_seed: int = 0


def load_text(options: TextOptions) -> ImageData:
    """Return windows of a text, one-hot, (symbols + 2, 1, length); the label is what is masked.

    Letters are made small and white space is one space. The text is cut into windows that do not
    overlap; those whose middle is one of the ``classes`` most frequent characters are kept, each
    once.

    Raises:
        InputError: the file cannot be read, the text is too short, or an option is impossible.
    """
    _check(options)
    text, origin = _read(options.path)
    counts = Counter(text)
    frequent = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
    if len(frequent) < options.classes:
        raise InputError(
            f"{origin} has {len(frequent)} different characters, fewer than "
            f"dataset.classes={options.classes}"
        )
    numbers = {symbol: 2 + number for number, symbol in enumerate(frequent[: options.symbols])}
    tokens = np.array([numbers.get(symbol, OTHER) for symbol in text], dtype=np.uint8)
    # What does not fit is not cut: a window may be asked for that no memory holds.
    length = min(options.length, len(tokens) + 1)
    windows, labels = masked_windows(tokens, length, options.classes)
    if len(windows) == 0 or np.bincount(labels, minlength=options.classes).min() < 2:
        raise InputError(
            f"{origin} is too short: {len(text):,} characters make {len(windows):,} windows of "
            f"{options.length}, and each of {options.classes} characters must be in the middle of "
            "2 or more; give a longer text, or lower dataset.length or dataset.classes"
        )
    kept = spaced_rows(len(windows), options.samples)
    windows, labels = windows[kept], labels[kept]
    reader = partial(one_hot, windows, 2 + len(numbers))
    whole = Part("text", torch.from_numpy(labels), reader, series=True)
    train, test = holdout_parts(whole, options.holdout, options.holdout_seed)
    names = tuple("space" if symbol == " " else symbol for symbol in frequent[: options.classes])
    parts = Parts(
        *("text", names, train, test),
        used=f"{len(windows):,} windows of {options.length} characters of {origin}",
        form=f"one-hot tokens, the middle one masked; {held_out(options.holdout)}",
    )
    channels = 2 + len(numbers)
    return image_data(parts, ((0.0,) * channels, (1.0,) * channels))


def masked_windows(tokens: np.ndarray, length: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return different windows (n, length) with their middle masked, and what it was (n,) int64.

    Args:
        tokens: (m,) uint8, the more frequent ones having lower numbers from 2 on.
        length: of a window.
        classes: the first so many tokens are told; windows with another in the middle are not kept.
    """
    cut = tokens[: len(tokens) // length * length].reshape(-1, length).copy()
    middle = length // 2
    labels = cut[:, middle].astype(np.int64) - 2
    cut[:, middle] = MASK
    told = (labels >= 0) & (labels < classes)
    cut, labels = cut[told], labels[told]
    _, first = np.unique(cut, axis=0, return_index=True)  # also those that differ by label alone
    first.sort()
    return cut[first], labels[first]


def one_hot(windows: np.ndarray, channels: int, indices: Tensor) -> Tensor:
    """Return rows of windows (n, length) as (k, channels, 1, length) uint8, 255 at the token."""
    rows = torch.from_numpy(windows[indices.numpy()]).long()
    hot = torch.nn.functional.one_hot(rows, channels).to(torch.uint8) * 255
    return hot.transpose(1, 2)[:, :, None].contiguous()


def _read(path: str) -> tuple[str, str]:
    """Return a text of small letters and single spaces, and what a message calls it."""
    if path:
        file = user_path(path, "dataset.path")
        try:
            raw, origin = file.read_text(encoding="utf-8"), str(file)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {file} as a text in UTF-8 ({error})") from None
    else:
        from pydoc_data.topics import topics

        raw, origin = "\n".join(topics[name] for name in sorted(topics)), "Python's help texts"
    return re.sub(r"\s+", " ", raw.lower()), origin


def _check(options: TextOptions) -> None:
    bounds: Sequence[tuple[str, int, int]] = (
        ("length", options.length, 3),
        ("symbols", options.symbols, 2),
        ("classes", options.classes, 2),
        ("samples", options.samples, 2),
    )
    for name, value, least in bounds:
        if value < least:
            raise InputError(f"dataset.{name}={value} is too small; use {least} or more")
    if options.symbols > 253:
        raise InputError(f"dataset.symbols={options.symbols} is too large; use 253 or fewer")
    if options.classes > options.symbols:
        raise InputError(
            f"dataset.classes={options.classes} is more than dataset.symbols={options.symbols}"
        )


DATASETS.add(
    DatasetRecord(
        name="text",
        options=TextOptions,
        load=load_text,
        description="windows of a text, one character masked: Python's help texts, or yours",
    )
)
