"""Series of the UCR and UEA archives, by the package aeon, which has some and downloads others."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.core.installed import how_to_install
from nas_search.core.text import quote
from nas_search.data.assemble import check_labels, image_data, read_array
from nas_search.data.base import DATASETS, DatasetRecord, ImageData, Part, Parts
from nas_search.data.cifar import SILENCE_S, network_timeout
from nas_search.data.layout import ArrayRule, channels_first

SHIPPED = ("GunPoint", "BasicMotions", "ItalyPowerDemand", "ArrowHead", "OSULeaf", "ACSF1")
"""Some problems that need no download, for messages."""


@dataclass(frozen=True)
class AeonOptions:
    """Options of ``dataset=aeon``.

    Attributes:
        problem: name in the archives, e.g. ``GunPoint``.
        root: folder of problems that do not ship with aeon, downloaded into it if missing.
        rows: height of a series as an image, whose rows are all the series, 1 or more.
    """

    problem: str = ""
    root: str = "~/.cache/nas_search"
    rows: int = 1


def load_aeon(options: AeonOptions) -> ImageData:
    """Return a problem's training and test series, with its classes by name.

    Source: the UCR and UEA archives of time series classification (Dau et al. 2019; Bagnall et al.
    2018). Where the archive has a version without missing values, or of equal length, that is read.

    Raises:
        InputError: aeon is not installed, there is no such problem, it cannot be downloaded, or its
            series differ in length.
    """
    return image_data(find_aeon(options))


def find_aeon(options: AeonOptions) -> Parts:
    """Return the parts of the data set.

    Raises:
        InputError: as :func:`load_aeon`.
    """
    if importlib.util.find_spec("aeon") is None:
        raise InputError(f"dataset=aeon needs aeon: {how_to_install('aeon')}")
    if not options.problem:
        raise InputError(
            f"dataset=aeon needs a problem; add dataset.problem=NAME, e.g. {', '.join(SHIPPED)}"
        )
    rule = ArrayRule("ncl", None, "crop", options.rows)
    (train, train_names), (test, test_names) = (_read(options, part) for part in ("train", "test"))
    classes = _sorted(np.unique(train_names).tolist())
    unknown = sorted(set(test_names.tolist()) - set(classes))
    if unknown:
        raise InputError(
            f"aeon {options.problem}: no training series is of class {quote(unknown[0])}, which "
            "test series are of"
        )
    if train.shape[1:] != test.shape[1:]:
        raise InputError(
            f"aeon {options.problem}: training series {train.shape[1:]} and test series "
            f"{test.shape[1:]} differ in shape (channels, length)"
        )

    def part(series: np.ndarray, names: np.ndarray, which: str) -> Part:
        origin = f"aeon {options.problem} {which}"
        view, _ = channels_first(series, origin, "ncl")
        rule.check(view.shape, origin)
        labels = np.array([classes.index(name) for name in names.tolist()])
        checked = check_labels(labels, origin, len(classes))
        read = partial(rule.read, partial(read_array, view))
        return Part(origin, checked, read, series=True)

    return Parts(
        name="aeon",
        class_names=tuple(classes),
        train=part(train, train_names, "train"),
        test=part(test, test_names, "test"),
        used=f"{options.problem}, {len(train) + len(test):,} series",
        form=f"series (n, channels, length), {rule}; test: its own part",
    )


def _read(options: AeonOptions, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return series (n, channels, length) and the names of their classes."""
    import aeon  # imported here: it takes seconds
    from aeon.datasets import load_classification

    shipped = Path(aeon.__file__).parent / "datasets" / "data"
    root = user_path(options.root, "dataset.root")
    places = [folder for folder in (shipped, root) if (folder / options.problem).is_dir()]
    try:
        with network_timeout(SILENCE_S):
            series, names = load_classification(
                options.problem,
                split=part,
                extract_path=str(places[0] if places else root),
                load_equal_length=True,
                load_no_missing=True,
            )
    except Exception as error:  # its reader raises a dozen types for damaged files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"cannot get {quote(options.problem)} by aeon ({reason}); name another problem, e.g. "
            f"{', '.join(SHIPPED)}, or put its _TRAIN.ts and _TEST.ts into {root}/{options.problem}"
        ) from error
    return _equal(options.problem, series), np.asarray(names).astype(str)


def _equal(problem: str, series: Any) -> np.ndarray:
    if not isinstance(series, np.ndarray):
        lengths = sorted({one.shape[1] for one in series})
        raise InputError(
            f"aeon {problem}: series of {lengths[0]} to {lengths[-1]} steps; cut or pad them to "
            "one length, and give them as dataset=npz"
        )
    return series


def _sorted(names: list[str]) -> list[str]:
    """Return names of classes by size where all are whole numbers, otherwise by letters."""
    try:
        return sorted(names, key=int)
    except ValueError:
        return sorted(names)


DATASETS.add(
    DatasetRecord(
        name="aeon",
        options=AeonOptions,
        load=load_aeon,
        description="series of the UCR and UEA archives, by aeon: dataset.problem=GunPoint",
        find=find_aeon,
    )
)
