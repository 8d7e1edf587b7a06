"""The 500 language models of Serianni and Kalita (ACL 2023), as a CSV."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces import SearchSpace
from nas_search.spaces.flexibert import FlexibertSpace
from nas_search.spaces.flexibert.network import Layer
from nas_search.tables.columns import numbers, read_columns
from nas_search.tables.repeats import means_and_repeats
from nas_search.tables.table import (
    BENCHMARKS,
    BenchmarkRecord,
    Table,
    check_space,
    existing_file,
)

SPECIFIED = ("hidden_size", "encoder_layers")
"""Columns of the architecture; the layers are JSON, ``[["SA", "SDP", 4, 1024, 1], ...]``."""


@dataclass(frozen=True)
class FlexibertOptions:
    """Options of the table.

    Attributes:
        path: CSV with the columns :data:`SPECIFIED` and columns of scores.
        validation: column that ``proxy=oracle`` searches on.
        test: columns that a search reports.
    """

    path: str = ""
    validation: str = "glue"
    test: list[str] = field(default_factory=lambda: ["glue"])


def read_flexibert(space: SearchSpace[Any], options: FlexibertOptions) -> Table:
    """Return the table; models that were trained more than once have their mean scores.

    Raises:
        InputError: the file is not such a table, or the search space is another one.
    """
    check_space(space, "flexibert")
    assert isinstance(space, FlexibertSpace)
    file = existing_file(options.path, "flexibert")
    cells = read_columns(file)
    for name in SPECIFIED:
        if name not in cells:
            raise InputError(f"{file} is not a table of FlexiBERT: no column '{name}'")
    genotypes: dict[str, int] = {}
    architectures: list[Any] = []
    groups = []
    for row, (hidden, layers) in enumerate(zip(*(cells[n] for n in SPECIFIED), strict=True), 1):
        try:
            genotype = space.of(int(hidden), read_layers(layers))
        except (InputError, ValueError) as error:
            raise InputError(f"{file}, row {row}: {error}") from None
        groups.append(genotypes.setdefault(str(genotype), len(genotypes)))
        if len(genotypes) > len(architectures):
            architectures.append(genotype)
    columns, repeats = {}, {}
    for name in cells:
        if name not in (*SPECIFIED, "id"):
            values = numbers(file, name, cells[name])  # correlations may be below 0
            columns[name], repeats[name] = means_and_repeats(
                values, np.array(groups), len(architectures)
            )
    return Table(space, architectures, columns, options.validation, options.test, repeats=repeats)


def read_layers(text: str) -> list[Layer]:
    """Return the layers that are written ``[["DSC", 5, 2, 1024, 3], ...]``.

    Raises:
        InputError: the text has another form.
    """
    try:
        return [
            Layer(f"{kind}_{how}".lower(), int(heads), int(width), int(stack))
            for kind, how, heads, width, stack in json.loads(text)
        ]
    except (ValueError, TypeError):
        raise InputError(
            f'not a list of layers: {quote(text)}; write it like [["SA", "SDP", 4, 1024, 1]]'
        ) from None


BENCHMARKS.add(
    BenchmarkRecord(
        name="flexibert",
        read=read_flexibert,
        options=FlexibertOptions,
        source="Serianni and Kalita, ACL 2023, arXiv 2306.00288",
    )
)
