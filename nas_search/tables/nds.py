"""Network design spaces: the official JSON files (Radosavovic et al., ICCV 2019).

``DARTS.json``, ``ResNet.json``, ... hold a list of trainings, or lists of them by name (``top`` and
``mid``). A training is a dictionary: ``net`` is the architecture, ``test_ep_top1`` and
``train_ep_top1`` are errors in percent after each epoch, ``min_test_top1`` is the least of the
former; ``params``, ``flops``, ``optim`` and others are not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces import SearchSpace
from nas_search.tables.repeats import means_and_repeats
from nas_search.tables.table import BENCHMARKS, BenchmarkRecord, Table, existing_file

COLUMNS = ("test_ep_top1", "min_test_top1", "train_ep_top1")
"""Errors, of which the last epoch's counts where there is one per epoch."""

SPACES = ("nds_cells", "nds_residual")


@dataclass(frozen=True)
class NdsOptions:
    """Options of the tables of network design spaces.

    Attributes:
        path: an official file, e.g. ``DARTS.json``.
        validation: column that ``proxy=oracle`` searches on, one of :data:`COLUMNS`.
        test: columns that a search reports. All are accuracies, 100 minus the file's errors.
    """

    path: str = ""
    validation: str = "test_ep_top1"
    test: list[str] = field(default_factory=lambda: ["test_ep_top1", "min_test_top1"])


def read_nds(space: SearchSpace[Any], options: NdsOptions) -> Table:
    """Return the table; trainings of one architecture are its repeats.

    Raises:
        InputError: the file is no such list, a training in it is damaged or of another family, or
            the search space is none of :data:`SPACES`.
    """
    if space.name not in SPACES:
        raise InputError(
            f"benchmark=nds is for search_space={' or '.join(SPACES)}, not for "
            f"search_space={space.name}"
        )
    file = existing_file(options.path, "nds")
    jobs = _jobs(file)
    genotypes: dict[str, tuple[int, Any]] = {}
    groups = np.empty(len(jobs), dtype=np.int64)
    values = {name: np.full(len(jobs), np.nan) for name in COLUMNS}
    for row, job in enumerate(jobs):
        where = f"{file}, training {row + 1}"
        if not isinstance(job, Mapping) or not isinstance(job.get("net"), Mapping):
            raise InputError(f"{where}: expected a dictionary with a net, got {quote(job)}")
        try:
            genotype = space.from_net(job["net"])  # type: ignore[attr-defined]  # of both spaces
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        groups[row] = genotypes.setdefault(str(genotype), (len(genotypes), genotype))[0]
        for name in COLUMNS:
            values[name][row] = _accuracy(where, name, job.get(name))
    columns, repeats = {}, {}
    for name in COLUMNS:
        if np.isfinite(values[name]).any():
            columns[name], repeats[name] = means_and_repeats(values[name], groups, len(genotypes))
    architectures = [genotype for _, genotype in genotypes.values()]
    return Table(space, architectures, columns, options.validation, options.test, repeats=repeats)


def _jobs(file: Path) -> list[Any]:
    """Return the trainings in a file.

    Raises:
        InputError: it is not JSON, or no list of trainings.
    """
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"cannot read {file} as JSON ({reason}); get the file anew") from None
    lists = list(content.values()) if isinstance(content, Mapping) else [content]
    if not lists or not all(isinstance(one, list) for one in lists):
        raise InputError(f"{file} is no list of trainings; give a file of NDS, e.g. DARTS.json")
    jobs = [job for one in lists for job in one]
    if not jobs:
        raise InputError(f"{file} holds no training")
    return jobs


def _accuracy(where: str, name: str, value: Any) -> float:
    """Return 100 minus an error in percent, NaN if there is none; of epochs, the last counts."""
    if isinstance(value, list):
        value = value[-1] if value else None
    if value is None:
        return float("nan")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 100:  # NaN is no error either
        raise InputError(f"{where}: {name} holds {quote(value)}, which is no error in percent")
    return 100.0 - float(value)


BENCHMARKS.add(
    BenchmarkRecord(
        name="nds",
        read=read_nds,
        options=NdsOptions,
        source="Radosavovic et al., ICCV 2019, arXiv 1905.13214",
    )
)
