"""Reader of the official files of NAS-Bench-201 and NATS-Bench (topology), without their packages.

NATS-tss-*.pickle.pbz2   one pickle under bz2: ``meta_archs`` (texts by index) and ``arch2infos``
                         (by index, then by hyper-parameters)
NATS-tss-*-simple/       the same as a folder: ``meta.pickle.pbz2`` and ``000000.pickle.pbz2``, ...
NAS-Bench-201-*.pth      the same dictionary written by torch

All files store the training of an architecture in one form: ``dataset_seed`` (seeds by data set)
and ``all_results`` by (data set, seed), with ``epochs`` and ``eval_acc1es``, percent by
``"x-valid@199"``: the split and the epoch from 0.

A pickle can run code; only containers, text and numpy's numbers are allowed here.

Source: github.com/D-X-Y/NATS-Bench, ``api_topology.py`` and ``api_utils.py``.
"""

from __future__ import annotations

import bz2
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas_search.core.errors import InputError
from nas_search.core.text import quote, shorten
from nas_search.tables import safe_pickle
from nas_search.tables.repeats import Repeats, columns_and_repeats
from nas_search.tables.safe_pickle import HARMLESS, Array, Dtype

PICKLE = ".pickle.pbz2"

# Column by training and split. The test accuracy on CIFAR-10 is from the training on all 50,000
# images, the validation accuracy from the training on half of them.
SPLITS = {
    ("cifar10-valid", "x-valid"): "c10valid_val",
    ("cifar10-valid", "ori-test"): "c10valid_test",
    ("cifar10", "ori-test"): "c10_test",
    ("cifar100", "x-valid"): "c100_val",
    ("cifar100", "x-test"): "c100_test",
    ("ImageNet16-120", "x-valid"): "in16_val",
    ("ImageNet16-120", "x-test"): "in16_test",
}


def is_official(file: Path) -> bool:
    """Whether ``file`` has the name of an official file or is a folder."""
    return file.is_dir() or file.name.endswith((PICKLE, ".pth"))


def read_official(file: Path) -> tuple[list[str], dict[str, np.ndarray], dict[str, Repeats]]:
    """Return texts (n), accuracies in percent (n,) by column, means over seeds, and these seeds.

    A column is named as in :data:`SPLITS`, then the number of epochs: ``c10_test_200``.

    Raises:
        InputError: the file is not official, or contains objects that a table does not need.
    """
    try:
        return _columns(_architectures(file))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(f"{file} is not a file of NAS-Bench-201 ({quote(error)})") from None
    except Exception as error:  # a damaged file raises a dozen types
        if file.suffix == ".pth":
            raise InputError(
                f"cannot read {file}: it was not written by torch, or contains more than "
                "containers, text and numbers"
            ) from None
        reason = shorten(" ".join(str(error).split()), 200) or type(error).__name__
        raise InputError(f"cannot read {file} ({reason})") from None


def _architectures(file: Path) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yield (text, trainings by hyper-parameters) of each trained architecture."""
    if file.is_dir():
        texts = _unpickle(file / f"meta{PICKLE}")["meta_archs"]
        for part in sorted(file.glob(f"[0-9]*{PICKLE}")):
            yield texts[int(part.name.removesuffix(PICKLE))], _unpickle(part)
        return
    if file.suffix == ".pth":
        with torch.serialization.safe_globals(_safe_for_torch()):
            content = torch.load(file, map_location="cpu", weights_only=True)
    else:
        content = _unpickle(file)
    for index, trainings in sorted(content["arch2infos"].items()):
        yield content["meta_archs"][index], trainings


def _columns(
    architectures: Iterator[tuple[str, Mapping[Any, Any]]],
) -> tuple[list[str], dict[str, np.ndarray], dict[str, Repeats]]:
    texts: list[str] = []
    rows: list[dict[str, list[float]]] = []
    for text, trainings in architectures:
        accuracies: dict[str, list[float]] = defaultdict(list)
        for training in trainings.values():
            for dataset, seeds in training["dataset_seed"].items():
                for seed in seeds:
                    result = training["all_results"][dataset, seed]
                    for (trained, split), name in SPLITS.items():
                        key = f"{split}@{result['epochs'] - 1}"
                        if trained == dataset and key in result["eval_acc1es"]:
                            accuracies[f"{name}_{result['epochs']}"].append(
                                float(np.mean(result["eval_acc1es"][key]))
                            )
        texts.append(str(text))
        rows.append(accuracies)
    return texts, *columns_and_repeats(rows)


def _safe_for_torch() -> list[Any]:
    """Return what torch may call instead of numpy's functions, by their names in the file."""
    numbers = [name for name in HARMLESS if name.startswith("numpy.")]
    return [Dtype, Array, *((HARMLESS[name], name) for name in numbers)]


def _unpickle(file: Path) -> Any:
    with bz2.open(file, "rb") as stream:
        return safe_pickle.load(stream)
