"""CIFAR-10 and CIFAR-100 through torchvision, downloaded on first use."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.data.assemble import Part, check_labels, image_data, read_array
from nas_search.data.base import DATASETS, DatasetRecord, ImageData

# Channel statistics of the 50,000 training images, as the usual recipes state them.
CIFAR10_STATISTICS = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
CIFAR100_STATISTICS = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))
_SILENCE_S = 30.0  # torchvision waits forever on a network that drops packets


@dataclass(frozen=True)
class CifarOptions:
    """Options of ``dataset=cifar10`` and ``dataset=cifar100``.

    Attributes:
        root: folder of torchvision's files; ``~`` is the home folder.
    """

    root: str = "~/.cache/nas_search"


def load_cifar10(options: CifarOptions) -> ImageData:
    """Return CIFAR-10: 50,000 + 10,000 color images of 32 x 32, 10 classes (Krizhevsky, 2009).

    Raises:
        InputError: the files are neither in ``root`` nor can they be downloaded.
    """
    return _load("cifar10", "CIFAR10", options, CIFAR10_STATISTICS)


def load_cifar100(options: CifarOptions) -> ImageData:
    """Return CIFAR-100: 50,000 + 10,000 color images of 32 x 32, 100 classes (Krizhevsky, 2009).

    Raises:
        InputError: the files are neither in ``root`` nor can they be downloaded.
    """
    return _load("cifar100", "CIFAR100", options, CIFAR100_STATISTICS)


def _load(
    name: str,
    kind: str,
    options: CifarOptions,
    statistics: tuple[tuple[float, ...], tuple[float, ...]],
) -> ImageData:
    from torchvision import datasets  # imported here: it takes seconds

    source: Any = getattr(datasets, kind)
    root = user_path(options.root, "dataset.root")
    try:
        with _network_timeout(_SILENCE_S):
            splits = [source(str(root), train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError, EOFError) as error:  # URLError and timeouts are OSErrors
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"cannot get {name} ({reason}); put torchvision's {source.base_folder} into {root}, "
            "or use dataset=npz dataset.path=FILE.npz, or dataset=digits, which needs no download"
        ) from error
    classes = splits[0].classes
    train, test = (_part(f"{name} in {root}", split, len(classes)) for split in splits)
    return image_data(name, classes, train, test, statistics)


def _part(origin: str, split: Any, num_classes: int) -> Part:
    labels = check_labels(np.asarray(split.targets), origin, num_classes)
    return origin, labels, partial(read_array, split.data.transpose(0, 3, 1, 2))


@contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


DATASETS.add(
    DatasetRecord(
        name="cifar10",
        options=CifarOptions,
        load=load_cifar10,
        description="CIFAR-10, 60,000 color images of 10 classes; downloads 170 MB on first use",
    )
)
DATASETS.add(
    DatasetRecord(
        name="cifar100",
        options=CifarOptions,
        load=load_cifar100,
        description="CIFAR-100, 60,000 color images of 100 classes; downloads 169 MB on first use",
    )
)
